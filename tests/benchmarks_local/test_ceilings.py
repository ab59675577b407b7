"""Ceilings against Brain-Score's numbers and NumPy by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks_local.ceilings import explained_variance, internal_consistency, spearman_brown
from benchmarks_local.errors import ScoringError
from benchmarks_local.regression import pls_correlation


def make_repetitions() -> tuple[np.ndarray, np.ndarray]:
    """Return recordings of shape (10, 60, 12) and activations of a model of shape (60, 40)."""
    rng = np.random.RandomState(7)
    signal = rng.normal(size=(60, 12))
    repetitions = signal + 1.5 * rng.normal(size=(10, 60, 12))
    rng = np.random.RandomState(8)
    mixture = rng.normal(size=(12, 40))
    return repetitions, signal @ mixture + 0.5 * rng.normal(size=(60, 40))


def test_spearman_brown_by_hand() -> None:
    np.testing.assert_allclose(spearman_brown(np.array([0.0, 0.5, 1.0, -0.2])), [0.0, 2 / 3, 1.0, -0.5])


def test_internal_consistency_gives_the_numbers_of_brainscore_vision() -> None:
    ceiling = internal_consistency(make_repetitions()[0])
    assert ceiling.value == pytest.approx(0.814096727621, abs=1e-9)
    assert ceiling.error == pytest.approx(0.002535452248, abs=1e-9)
    assert ceiling.raw.shape == (10, 12)


def test_internal_consistency_of_two_repetitions_is_the_corrected_correlation() -> None:
    repetitions = make_repetitions()[0][:2]
    r = [np.corrcoef(repetitions[0, :, unit], repetitions[1, :, unit])[0, 1] for unit in range(12)]
    assert internal_consistency(repetitions).value == pytest.approx(np.median([2 * x / (1 + x) for x in r]), abs=1e-12)


def test_ceiled_score_gives_the_number_of_brainscore_vision() -> None:
    repetitions, activations = make_repetitions()
    labels = np.array([f"o{i % 6}" for i in range(60)])
    r = pls_correlation(activations, repetitions.mean(axis=0), labels).value
    assert r == pytest.approx(0.827443929030, abs=1e-9)
    assert explained_variance(r, internal_consistency(repetitions).value) == pytest.approx(0.841009959208, abs=1e-9)


def test_explained_variance_squares_only_the_correlation_and_loses_its_sign() -> None:
    assert explained_variance(-0.3, 0.8) == pytest.approx(0.1125)


def test_a_single_repetition_has_no_ceiling() -> None:
    with pytest.raises(ScoringError, match=r"1 repetition.*at least 2.*repeated presentations"):
        internal_consistency(np.zeros((1, 30, 3)))
