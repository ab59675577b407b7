"""Ceilings by hand, also where presentations are missing."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks_local.errors import ScoringError
from benchmarks_local.metrics import (
    half_splits,
    internal_consistency,
    internal_consistency_over_time,
    predictor_consistency,
    spearman_brown,
)

from .recipes import repeated


def test_spearman_brown_by_hand() -> None:
    np.testing.assert_allclose(spearman_brown(np.array([0.0, 0.5, 1.0, -0.2])), [0.0, 2 / 3, 1.0, -0.5])
    assert spearman_brown(np.array([-1.0]))[0] == -np.inf


def test_two_repetitions_have_one_correlation() -> None:
    repetitions = repeated()[0][:2]
    r = [np.corrcoef(repetitions[0, :, unit], repetitions[1, :, unit])[0, 1] for unit in range(12)]
    expected = np.median([2 * x / (1 + x) for x in r])
    for ceiling in (internal_consistency, predictor_consistency):
        assert ceiling(repetitions).raw.shape == (10, 12)
    assert internal_consistency(repetitions).value == pytest.approx(expected, abs=1e-12)


def test_missing_presentations_by_hand() -> None:
    repetitions = repeated()[0]
    random = np.random.default_rng(0)
    repetitions[random.uniform(size=repetitions.shape) < 0.2] = np.nan
    repetitions[:, 5, 0] = np.nan  # a stimulus that this neuroid never saw
    repetitions[:9, 6, 0] = np.nan  # and one that it saw once: never in both halves
    ceiling = internal_consistency(repetitions)
    assert ceiling.flags == (f"missing values={int(np.isnan(repetitions).sum())}",)
    for row, halves in enumerate(half_splits(10)):
        for neuroid in (0, 7):
            means = []
            for rows in halves:
                seen = [repetitions[rows, stimulus, neuroid] for stimulus in range(60)]
                seen = [each[~np.isnan(each)] for each in seen]
                means.append(np.array([each.mean() if len(each) else np.nan for each in seen]))
            is_common = ~np.isnan(means[0] + means[1])
            r = np.corrcoef(means[0][is_common], means[1][is_common])[0, 1]
            assert ceiling.raw[row, neuroid] == pytest.approx(2 * r / (1 + r), abs=1e-12)
    assert 0.6 < ceiling.value < 0.85
    assert 0.6 < predictor_consistency(repetitions).value < 0.85


def test_a_neuroid_with_nothing_in_common_is_left_out() -> None:
    repetitions = repeated()[0]
    repetitions[1:, 2:, 3] = np.nan
    found = internal_consistency(repetitions)
    assert np.isnan(found.raw[:, 3]).all()
    assert "undefined=1" in found.flags
    others = internal_consistency(np.delete(repetitions, 3, axis=2))
    assert found.value == pytest.approx(others.value, abs=1e-12)


def test_unbalanced_repetitions_of_stimuli() -> None:
    """The halving of each stimulus goes over the presentations that it has."""
    repetitions = repeated()[0]
    repetitions[4:, ::2] = np.nan
    repetitions[1:, 7] = np.nan  # a single presentation: left out
    found = predictor_consistency(repetitions)
    rng, expected = np.random.default_rng(0), []
    for _ in range(10):
        first, second = [], []
        for stimulus in range(60):
            n = 1 if stimulus == 7 else 4 if stimulus % 2 == 0 else 10
            if n < 2:
                continue
            order = rng.permutation(np.arange(n))
            first.append(repetitions[order[: n // 2], stimulus].mean(axis=0))
            second.append(repetitions[order[n // 2 :], stimulus].mean(axis=0))
        both = np.array(first), np.array(second)
        r = np.array([np.corrcoef(both[0][:, unit], both[1][:, unit])[0, 1] for unit in range(12)])
        expected.append(2 * r / (1 + r))
    np.testing.assert_allclose(found.raw, expected, atol=1e-12)


def test_few_stimuli_have_no_predictor_consistency() -> None:
    found = predictor_consistency(repeated()[0][:, :9])
    assert np.isnan(found.value)
    assert found.flags == ("undefined=12",)


def test_each_time_bin_has_its_ceiling() -> None:
    repetitions = repeated()[0]
    later = repetitions + np.random.default_rng(0).normal(size=repetitions.shape)
    found = internal_consistency_over_time(np.stack([repetitions, later], axis=3))
    values = [internal_consistency(each).value for each in (repetitions, later)]
    assert [each.value for each in found.time_bins] == pytest.approx(values)
    assert found.value == pytest.approx(np.mean(values))
    assert values[1] < values[0]


@pytest.mark.parametrize("ceiling", [internal_consistency, predictor_consistency])
def test_what_has_no_ceiling(ceiling: object) -> None:
    with pytest.raises(ScoringError, match=r"1 repetition.*at least 2.*repeated presentations"):
        ceiling(np.zeros((1, 30, 3)))
    with pytest.raises(ScoringError, match=r"shape \(30, 3\), expected \(n_repetitions, n_stimuli, n_neuroids\)"):
        ceiling(np.zeros((30, 3)))
    with pytest.raises(ScoringError, match=r"1 of 180 recorded values are infinite.*NaN"):
        ceiling(np.where(np.arange(180) == 3, np.inf, 0.0).reshape(2, 30, 3))
