"""PLS against scikit-learn's own iteration, also where source or target is used up."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression

from benchmarks_local.metrics import METRICS, Features, Moments, pearson_per_neuroid, shuffle_splits
from benchmarks_local.metrics.pls import pls_predictions

from .recipes import linear


def made(n: int, p: int, q: int, noise: float = 1.0, decay: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Make a source whose units get smaller, and targets that are noisy mixtures of it."""
    random = np.random.default_rng(n + p + q)
    source = random.normal(size=(n, p)) * np.exp(-decay * np.arange(p)) + random.normal(size=p)
    return source, source @ random.normal(size=(p, q)) / np.sqrt(p) + noise * random.normal(size=(n, q))


def predicted(source: np.ndarray, target: np.ndarray, splits: list, n_components: int = 25) -> list[np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its notes on convergence, and on targets that are used up
        models = [PLSRegression(n_components, scale=False).fit(source[train], target[train]) for train, _ in splits]
    return [model.predict(source[test]) for model, (_, test) in zip(models, splits, strict=True)]


@pytest.mark.parametrize(
    ("n", "p", "q"),
    [(120, 40, 7), (60, 300, 12), (60, 300, 90), (80, 30, 200), (100, 45, 1), (70, 200, 1)],
    ids=["tall", "wide", "wide, many targets", "more targets than units", "one target", "wide, one target"],
)
@pytest.mark.parametrize("n_splits", [2, 6], ids=["each split alone", "shared products"])
def test_predicts_what_scikit_learn_predicts(n: int, p: int, q: int, n_splits: int) -> None:
    source, target = made(n, p, q)
    splits = shuffle_splits(n, n_splits=n_splits)
    found = pls_predictions(Features.of(source), target, splits)
    assert [n_found for _, n_found in found] == [25] * n_splits
    for (ours, _), theirs in zip(found, predicted(source, target, splits), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-9 * np.abs(theirs).max())


def test_iterates_as_loosely_as_scikit_learn() -> None:
    """Exact singular vectors give other correlations: parity is in the iteration, not in the model."""
    source, target, strata = linear(60)
    splits = shuffle_splits(200, strata)
    found = METRICS["pls"](source, target, splits=splits).raw
    exact = []
    for train, test in splits:
        x, y = source[train] - source[train].mean(0), target[train] - target[train].mean(0)
        whole, coefficients, scores = x.copy(), np.zeros((60, 20)), []
        for _ in range(25):
            score = whole @ np.linalg.svd(whole.T @ y, full_matrices=False)[0][:, 0]
            scores.append(score)
            whole -= np.outer(score, score @ whole) / (score @ score)
        basis = np.linalg.lstsq(x, np.stack(scores, axis=1), rcond=None)[0]
        coefficients = basis @ np.linalg.lstsq(np.stack(scores, axis=1), y, rcond=None)[0]
        exact.append(pearson_per_neuroid(source[test] @ coefficients, target[test]))
    assert 1e-6 < np.abs(found - np.stack(exact)).max() < 1e-2


def test_small_directions_and_large_values() -> None:
    source, target = made(150, 60, 9, noise=0.1, decay=0.15)
    splits = shuffle_splits(150, n_splits=5)
    for scale in (1e-3, 1e3):
        found = pls_predictions(Features.of(scale * source), scale * target, splits)
        for (ours, _), theirs in zip(found, predicted(scale * source, scale * target, splits), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-8 * np.abs(theirs).max())


def test_eighteen_training_stimuli_have_seventeen_components() -> None:
    """Then the recordings are explained to the last digit, and the next component would be rounding."""
    source, target, _ = linear(60)
    splits = [(np.arange(18), np.arange(18, 40))]
    ((ours, n_components),) = pls_predictions(Features.of(source[:40]), target[:40], splits)
    assert n_components == 17
    np.testing.assert_allclose(ours, predicted(source, target, splits, 17)[0], atol=1e-10)
    assert METRICS["pls"](source[:40], target[:40], splits=splits, parity=True).flags == ("components=17",)
    assert METRICS["pls"](source[:20], target[:20], parity=True).flags == ("components=17",)


@pytest.mark.parametrize("p", [40, 400])
def test_recordings_without_noise(p: int) -> None:
    """The residuals all but vanish before 25 components are found."""
    random = np.random.default_rng(5)
    source = random.normal(size=(120, p))
    target = source[:, :3] @ random.normal(size=(3, 6))
    noisy = np.append(target, random.normal(size=(120, 1)), axis=1)
    splits = shuffle_splits(120, n_splits=5)
    for recordings in (target, noisy):
        found = pls_predictions(Features.of(source), recordings, splits)
        for (ours, _), theirs in zip(found, predicted(source, recordings, splits), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_targets_that_are_explained_end_the_fit() -> None:
    """Orthogonal units: each component takes one target out, and the fourth would be rounding."""
    random = np.random.default_rng(7)
    design = random.normal(size=(80, 30))
    source = np.linalg.qr(design - design.mean(axis=0))[0]
    target = source[:, :3] * [3.0, 2.0, 1.0]
    splits = [(np.arange(80), np.arange(80))]
    ((ours, n_components),) = pls_predictions(Features.of(source), target, splits)
    assert n_components == 3
    np.testing.assert_allclose(ours, target, atol=1e-10)
    np.testing.assert_allclose(ours, predicted(source, target, splits)[0], atol=1e-10)


def test_one_loud_unit() -> None:
    """What it leaves when it is taken out is ten digits smaller than the cross products were."""
    source, target = made(120, 40, 7)
    source[:, 3] *= 1e5
    target += source[:, [3]]
    splits = shuffle_splits(120, n_splits=5)
    for (ours, _), theirs in zip(
        pls_predictions(Features.of(source), target, splits), predicted(source, target, splits), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-12 * np.abs(theirs).max())


def test_units_that_say_the_same_are_used_once() -> None:
    random = np.random.default_rng(6)
    narrow = random.normal(size=(100, 8))
    target = narrow @ random.normal(size=(8, 4)) + random.normal(size=(100, 4))
    source = narrow @ random.normal(size=(8, 50))
    splits = shuffle_splits(100, n_splits=5)
    for (ours, n_components), theirs in zip(
        pls_predictions(Features.of(source), target, splits), predicted(source, target, splits, 8), strict=True
    ):
        assert n_components == 8
        np.testing.assert_allclose(ours, theirs, atol=1e-7)


@pytest.mark.parametrize("n_splits", [2, 5], ids=["each split alone", "shared products"])
@pytest.mark.parametrize(("noise", "n_components"), [(1e-4, 25), (0.0, 8)])
def test_units_that_say_nearly_the_same(n_splits: int, noise: float, n_components: int) -> None:
    """Small differences count; rounding in single precision, a ten millionth of the values, does not."""
    random = np.random.default_rng(8)
    narrow = random.normal(size=(100, 8))
    target = narrow @ random.normal(size=(8, 4)) + random.normal(size=(100, 4))
    source = (narrow @ random.normal(size=(8, 50)) + noise * random.normal(size=(100, 50))).astype(np.float32)
    splits = shuffle_splits(100, n_splits=n_splits)
    expected = predicted(source.astype(np.float64), target, splits, n_components)
    found = pls_predictions(Features.of(source), target, splits)
    for (ours, n_found), theirs in zip(found, expected, strict=True):
        assert n_found == n_components
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_one_target_that_vanishes_stays_out_of_the_others() -> None:
    source, target = made(100, 40, 5)
    splits = shuffle_splits(100, n_splits=5)
    target[:, 0] = 2.5  # the iteration of scikit-learn starts with the first target that is not used up
    expected = predicted(source, target, splits)
    for (ours, _), theirs in zip(pls_predictions(Features.of(source), target, splits), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_inner_products_are_enough() -> None:
    source, target = made(60, 300, 12)
    splits = shuffle_splits(60)
    moments = Moments.of(source[:, :100]) + Moments.of(source[:, 100:])
    found = METRICS["pls"](Features.from_moments(moments), target, splits=splits).raw
    np.testing.assert_allclose(found, METRICS["pls"](source, target, splits=splits).raw, atol=1e-9)
    narrow = made(60, 30, 12)[0]
    found = METRICS["pls"](Features.from_moments(Moments.of(narrow)), target, splits=splits).raw
    np.testing.assert_allclose(found, METRICS["pls"](narrow, target, splits=splits).raw, atol=1e-6)


@pytest.mark.parametrize("n_features", [40, 300])
def test_units_that_never_vary_predict_nothing(n_features: int) -> None:
    _, target, strata = linear(60)
    for source in (np.full((200, n_features), 3.3), np.zeros((200, n_features))):
        for identifier in ("pls", "ridge", "ridgecv", "linear_predictivity", "neuron_to_neuron"):
            found = METRICS[identifier](source, target, strata=strata)
            assert np.isnan(found.raw).all()
            assert np.isnan(found.value)
            assert "undefined=20" in found.flags


def test_predictions_are_of_the_test_rows() -> None:
    source, target = made(60, 30, 4)
    splits = shuffle_splits(60, n_splits=5)
    found = METRICS["pls"].predictions(source, target, splits)
    for ours, theirs in zip(found, predicted(source, target, splits), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-9)
