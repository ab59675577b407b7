"""Inner products by hand: block by block, for some of the stimuli, and turned."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks_local.errors import ScoringError
from benchmarks_local.metrics import Features, Moments


@pytest.fixture
def values() -> np.ndarray:
    random = np.random.default_rng(0)
    made = random.normal(size=(30, 5000)) + 3 * random.normal(size=5000)
    made[:, 17] = 0.1
    return made


def centred(values: np.ndarray) -> np.ndarray:
    return values - values.mean(axis=0)


def test_moments_by_hand(values: np.ndarray) -> None:
    moments, means = Moments.of(values), values.mean(axis=0)
    np.testing.assert_allclose(moments.gram, centred(values) @ centred(values).T, atol=1e-9)
    np.testing.assert_allclose(moments.cross, centred(values) @ means, atol=1e-9)
    np.testing.assert_allclose(moments.row_sums, values.sum(axis=1))
    assert moments.mean_norm2 == pytest.approx(means @ means)
    assert (moments.n_features, moments.n_varying) == (5000, 4999)


def test_blocks_of_units_add_up(values: np.ndarray) -> None:
    blocks = Moments.of(values[:, :7]) + Moments.of(values[:, 7:3000]) + Moments.of(values[:, 3000:])
    whole = Features.of(values.astype(np.float32)).moments  # in blocks of its own
    for name in ("gram", "cross", "row_sums", "mean_norm2"):
        np.testing.assert_allclose(getattr(blocks, name), getattr(Moments.of(values), name), rtol=1e-9, atol=1e-8)
        np.testing.assert_allclose(getattr(whole, name), getattr(blocks, name), rtol=1e-4, atol=0.05)
    assert (blocks.n_features, blocks.n_varying) == (whole.n_features, whole.n_varying) == (5000, 4999)


def test_a_part_of_the_stimuli(values: np.ndarray) -> None:
    rows = np.array([4, 9, 9, 2, 29, 11])  # one twice, as a bootstrap draws
    part, direct = Moments.of(values).of_stimuli(rows), Moments.of(values[rows])
    for name in ("gram", "cross", "row_sums"):
        np.testing.assert_allclose(getattr(part, name), getattr(direct, name), atol=1e-8)
    assert part.mean_norm2 == pytest.approx(direct.mean_norm2)
    features = Features.of(values)
    again = features.subset(np.arange(29, -1, -1)).subset(29 - rows)
    np.testing.assert_allclose(again.gram, direct.gram, atol=1e-8)
    np.testing.assert_array_equal(again.values, values[rows])
    assert (again.n_stimuli, again.n_features, again.n_varying) == (6, 5000, 4999)
    assert Features.from_moments(features.moments).subset(rows).n_stimuli == 6


@pytest.mark.parametrize("n_features", [10, 30, 31, 5000])
def test_rotation_keeps_inner_products(values: np.ndarray, n_features: int) -> None:
    part = values[:, :n_features]
    for features in (Features.of(part), Features.from_moments(Moments.of(part))):
        rotated = features.rotated()
        assert rotated.shape[1] <= min(30, n_features)
        np.testing.assert_allclose(rotated @ rotated.T, centred(part) @ centred(part).T, atol=1e-8)
        axes, squares = features.spectrum
        np.testing.assert_allclose(axes.T @ axes, np.eye(len(squares)), atol=1e-9)
        np.testing.assert_allclose(squares, np.linalg.svd(centred(part), compute_uv=False)[: len(squares)] ** 2)


def test_a_tall_layer_is_only_centred(values: np.ndarray) -> None:
    np.testing.assert_allclose(Features.of(values[:, :30]).rotated(), centred(values[:, :30]), atol=1e-12)


@pytest.mark.parametrize("n_features", [10, 5000])
def test_correlations_are_those_of_numpy(values: np.ndarray, n_features: int) -> None:
    part = values[:, :n_features]
    features = Features.of(part)
    np.testing.assert_allclose(features.correlation_rdm(), 1 - np.corrcoef(part), atol=1e-10)
    rows = np.arange(3, 20)
    np.testing.assert_allclose(features.subset(rows).correlation_rdm(), 1 - np.corrcoef(part[rows]), atol=1e-10)
    assert (np.diag(features.correlation_rdm()) == 0).all()


def test_a_silent_stimulus_has_no_correlation(values: np.ndarray) -> None:
    part = values[:, :50].copy()
    part[4] = 0.7  # the same for all units
    rdm = Features.of(part).correlation_rdm()
    assert np.isnan(rdm[4]).all()
    assert np.isnan(rdm[:, 4]).all()
    assert np.isfinite(np.delete(np.delete(rdm, 4, axis=0), 4, axis=1)).all()


def test_what_does_not_vary_is_exactly_nothing() -> None:
    features = Features.of(np.full((20, 70), 3.3))
    assert not features.gram.any()
    assert features.rotated().shape == (20, 0)
    assert features.n_varying == 0


def test_nothing_is_computed_twice(values: np.ndarray) -> None:
    features = Features.of(values)
    assert features.gram is features.gram
    assert features.rotated() is features.rotated()
    assert features.values is values


def test_refuses_what_is_no_table_of_finite_numbers(values: np.ndarray) -> None:
    with pytest.raises(ScoringError, match=r"shape \(30, 10, 500\).*n_stimuli, n_features.*Flatten"):
        Features.of(values.reshape(30, 10, 500))
    values[3, 4] = np.nan
    with pytest.raises(ScoringError, match=r"1 of 150,000 values of the activations is NaN"):
        Features.of(values)
    with np.errstate(invalid="ignore"), pytest.raises(ScoringError, match="inner products of the activations"):
        Features.from_moments(Moments.of(values))


def test_moments_of_other_stimuli_do_not_add(values: np.ndarray) -> None:
    with pytest.raises(ScoringError, match=r"Moments of 30 and of 20 stimuli.*same stimuli"):
        Moments.of(values) + Moments.of(values[:20])
