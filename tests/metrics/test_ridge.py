"""Least squares with and without a penalty against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, Ridge, RidgeCV

from benchmarks_local.metrics import METRICS, Features, Moments, shuffle_splits
from benchmarks_local.metrics.ridge import ALPHAS, ridge_predictions, ridgecv_predictions

SHAPES = [(100, 30), (80, 75), (80, 80), (60, 400)]  # the second is tall as a whole, and wide for the training rows


def made(n: int, p: int) -> tuple[np.ndarray, np.ndarray, list]:
    random = np.random.default_rng(n + p)
    source = 3 * random.normal(size=(n, p)) + random.normal(size=p)
    target = source @ random.normal(size=(p, 9)) / np.sqrt(p) + 2 * random.normal(size=(n, 9)) + 5
    return source, target, shuffle_splits(n, n_splits=3)


@pytest.mark.parametrize(("n", "p"), SHAPES)
@pytest.mark.parametrize("alpha", [1e-3, 1.0, 1e4])
def test_ridge(n: int, p: int, alpha: float) -> None:
    source, target, splits = made(n, p)
    for features in (Features.of(source), Features.from_moments(Moments.of(source))):
        for ours, (train, test) in zip(ridge_predictions(features, target, splits, alpha=alpha), splits, strict=True):
            theirs = Ridge(alpha=alpha).fit(source[train], target[train]).predict(source[test])
            np.testing.assert_allclose(ours, theirs, atol=1e-7 if alpha < 1 else 1e-9)


@pytest.mark.parametrize(("n", "p"), SHAPES)
def test_ridgecv_leaves_out_one_row_at_a_time(n: int, p: int) -> None:
    source, target, splits = made(n, p)
    for found in (
        ridgecv_predictions(Features.of(source), target, splits),
        ridgecv_predictions(Features.from_moments(Moments.of(source)), target, splits),
    ):
        for (ours, alpha), (train, test) in zip(found, splits, strict=True):
            model = RidgeCV(alphas=ALPHAS).fit(source[train], target[train])
            assert alpha == model.alpha_
            np.testing.assert_allclose(ours, model.predict(source[test]), atol=1e-8)


def test_errors_of_left_out_rows_by_hand() -> None:
    source, target, _ = made(30, 6)
    alphas = (0.1, 10.0, 1000.0)
    errors = []
    for alpha in alphas:
        left_out = []
        for row in range(25):
            others = np.delete(np.arange(25), row)
            model = Ridge(alpha=alpha).fit(source[others], target[others])
            left_out.append(model.predict(source[[row]])[0] - target[row])
        errors.append(np.mean(np.square(left_out)))
    ((_, alpha),) = ridgecv_predictions(
        Features.of(source), target, [(np.arange(25), np.arange(25, 30))], alphas=alphas
    )
    assert alpha == alphas[int(np.argmin(errors))]


def test_large_values_and_small_penalties() -> None:
    """The penalties differ by 1e-12 of the sums of squares; solving for each left-out row in long double says .01."""
    random = np.random.default_rng(0)
    source = 1e5 * random.normal(size=(60, 400))
    target = source @ random.normal(size=(400, 5))
    ((_, alpha),) = ridgecv_predictions(
        Features.of(source), target, [(np.arange(50), np.arange(50, 60))], alphas=(0.01, 1.0, 100.0, 1e6, 1e10, 1e12)
    )
    assert alpha == 0.01


def test_penalties_are_those_of_brainscore() -> None:
    assert len(ALPHAS) == len(set(ALPHAS)) == 99
    assert (ALPHAS[0], ALPHAS[-1]) == (0.01, 1e7)
    assert list(ALPHAS) == sorted(ALPHAS)


def test_several_penalties_are_told_as_a_range() -> None:
    source, target, _ = made(100, 30)
    rows = np.arange(100)
    strong = np.where(rows[:, None] < 50, target, np.random.default_rng(0).normal(size=target.shape))
    splits = [(rows[:40], rows[90:]), (rows[50:90], rows[:10])]
    (flag,) = METRICS["ridgecv"](source, strong, splits=splits).flags
    assert flag.startswith("alpha=")
    assert " to " in flag


@pytest.mark.parametrize(("n", "p"), [(100, 30), (60, 400)])
def test_least_squares(n: int, p: int) -> None:
    source, target, splits = made(n, p)
    for ours, (train, test) in zip(
        METRICS["linear_predictivity"].predictions(source, target, splits), splits, strict=True
    ):
        if p < n:
            theirs = LinearRegression().fit(source[train], target[train]).predict(source[test])
        else:  # what scikit-learn does here depends on its version
            x, y = source[train] - source[train].mean(0), target[train] - target[train].mean(0)
            theirs = (source[test] - source[train].mean(0)) @ np.linalg.pinv(x, rcond=1e-10) @ y + target[train].mean(0)
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_large_activations_lose_nothing_in_inner_products():
    """A penalty of 1 is far below the rounding of inner products of a million times a million."""
    generator = np.random.default_rng(0)
    source = generator.normal(size=(200, 40))
    target = source @ generator.normal(size=(40, 5)) + generator.normal(size=(200, 5))
    features = Features.from_moments(Moments.of(1e6 * source))
    splits = shuffle_splits(200)
    for predicted, (train, test) in zip(ridge_predictions(features, target, splits), splits, strict=True):
        expected = Ridge(1.0).fit(1e6 * source[train], target[train]).predict(1e6 * source[test])
        np.testing.assert_allclose(predicted, expected, atol=1e-9)
