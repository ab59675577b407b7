"""PLS and Pearson correlation against Brain-Score's numbers, scikit-learn and NumPy by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression
from sklearn.model_selection import StratifiedShuffleSplit

from benchmarks_local.errors import ScoringError
from benchmarks_local.regression import CrossValidated, pearson_per_neuroid, pls_correlation, rotate


def make_linear_data(n_features: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.RandomState(42)
    x = rng.normal(size=(200, n_features))
    weights = rng.normal(size=(n_features, 20)) / np.sqrt(n_features)
    y = x @ weights + rng.normal(size=(200, 20))
    return x, y, np.array([f"o{i % 8}" for i in range(200)])


@pytest.mark.parametrize(
    ("n_features", "value", "error"),
    [(60, 0.527759172048, 0.013528378113), (500, 0.240421034895, 0.011052593674)],
)
def test_pls_gives_the_numbers_of_brainscore_vision(n_features: int, value: float, error: float) -> None:
    x, y, labels = make_linear_data(n_features)
    score = pls_correlation(x, y, labels)
    assert score.value == pytest.approx(value, abs=1e-9)
    assert score.error == pytest.approx(error, abs=1e-9)
    assert score.raw.shape == (10, 20)


def test_pls_in_the_rotated_space_is_scikit_learns_in_the_full_one() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 900))
    y = x[:, :6] @ rng.normal(size=(6, 5)) + rng.normal(size=(64, 5))
    labels = np.arange(64) % 4
    expected = []
    for train, test in StratifiedShuffleSplit(n_splits=10, train_size=0.9, random_state=1).split(x, labels):
        predicted = PLSRegression(n_components=25, scale=False).fit(x[train], y[train]).predict(x[test])
        expected.append([np.corrcoef(predicted[:, unit], y[test][:, unit])[0, 1] for unit in range(5)])
    np.testing.assert_allclose(pls_correlation(x, y, labels).raw, expected, atol=1e-8)


def test_rotation_keeps_inner_products() -> None:
    x = np.random.default_rng(1).normal(size=(20, 300))
    assert rotate(x).shape == (20, 20)
    np.testing.assert_allclose(rotate(x) @ rotate(x).T, x @ x.T, atol=1e-10)
    narrow = x[:, :15]
    assert rotate(narrow) is narrow


def test_pearson_is_that_of_numpy_and_nan_for_a_constant_neuroid() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(30, 4)), rng.normal(size=(30, 4))
    second[:, 3] = 7.0
    r = pearson_per_neuroid(first, second)
    for unit in range(3):
        assert r[unit] == pytest.approx(np.corrcoef(first[:, unit], second[:, unit])[0, 1], abs=1e-12)
    assert np.isnan(r[3])


def test_aggregation_is_median_over_neuroids_then_mean_over_splits() -> None:
    score = CrossValidated.from_raw(np.array([[0.1, 0.2, 0.9, np.nan], [0.3, 0.5, 0.4, np.nan]]))
    assert score.value == pytest.approx((0.2 + 0.4) / 2)
    assert score.error == pytest.approx(np.std([0.2, 0.4]) / np.sqrt(2))
    assert np.isnan(CrossValidated.from_raw(np.full((2, 3), np.nan)).value)


def test_pls_refuses_too_few_features() -> None:
    x, y, labels = make_linear_data(60)
    with pytest.raises(ScoringError, match=r"24 features.*25 components.*more features"):
        pls_correlation(x[:, :24], y, labels)


def test_pls_refuses_too_few_stimuli() -> None:
    x, y, _labels = make_linear_data(60)
    with pytest.raises(ScoringError, match=r"18 training stimuli.*at least 25.*more stimuli"):
        pls_correlation(x[:20], y[:20], np.array(["a", "b"] * 10))


@pytest.mark.parametrize("side", ["activations", "recordings"])
def test_pls_refuses_nan(side: str) -> None:
    x, y, labels = make_linear_data(60)
    (x if side == "activations" else y)[3, 4] = np.nan
    with pytest.raises(ScoringError, match=rf"1 of .* values of the {side} is NaN"):
        pls_correlation(x, y, labels)


def test_many_constant_features_have_no_correlation_and_warn_nobody() -> None:
    _, y, labels = make_linear_data(60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(pls_correlation(np.full((200, 300), 3.3), y, labels).raw).all()
