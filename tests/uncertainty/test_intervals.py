"""Intervals from draws, and medians without NaN, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks_local.errors import ScoringError
from benchmarks_local.metrics import CrossValidated
from benchmarks_local.uncertainty import Interval, split_spread
from benchmarks_local.uncertainty.intervals import median_without_nan, percentile_interval


def test_split_spread_is_the_error_of_the_score() -> None:
    score = CrossValidated.from_raw(np.array([[0.1, 0.3], [0.5, 0.5], [0.2, 0.4]]))
    interval = split_spread(score)
    assert interval.kind == "split spread"
    assert interval.n == 3
    assert interval.estimate == score.value
    assert interval.high - score.value == pytest.approx(1.959963984540054 * score.error, abs=1e-12)
    assert score.value - interval.low == pytest.approx(interval.high - score.value, abs=1e-12)
    assert split_spread(score, level=0.5).high < interval.high


def test_one_split_has_no_spread() -> None:
    interval = split_spread(CrossValidated.from_raw(np.array([[0.1, 0.3]])))
    assert np.isnan(interval.low)
    assert interval.flags == ("one split",)


def test_percentiles_are_those_of_numpy() -> None:
    draws = np.random.default_rng(0).normal(size=500)
    interval = percentile_interval("unit bootstrap", draws, 0.9, estimate=0.1)
    assert [interval.low, interval.high] == np.quantile(draws, [0.05, 0.95]).tolist()
    assert (interval.n, interval.level, interval.estimate, interval.flags) == (500, 0.9, 0.1, ())
    assert str(Interval("unit bootstrap", -0.1, 0.25, 0.9, 500)) == "-0.100 to 0.250 (90 % unit bootstrap, n = 500)"


def test_undefined_draws_are_counted_and_many_leave_no_interval() -> None:
    draws = np.arange(10.0)
    draws[:4] = np.nan
    some = percentile_interval("x", draws, 0.5, estimate=0)
    assert (some.low, some.high) == tuple(np.quantile(np.arange(4.0, 10), [0.25, 0.75]))
    assert some.flags == ("undefined draws=4",)
    draws[4] = np.nan
    assert np.isnan(percentile_interval("x", draws, 0.5, estimate=0).low)


def test_medians_without_nan() -> None:
    values = np.random.default_rng(1).normal(size=(4, 3, 6))
    values[0, 0, :2] = values[1, 2, 5] = np.nan
    np.testing.assert_array_equal(median_without_nan(values), np.nanmedian(values, axis=-1))
    assert np.isnan(median_without_nan(np.full((2, 3), np.nan))).all()


@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_levels_that_are_no_share(level: float) -> None:
    with pytest.raises(ScoringError, match=r"The level is \d+, expected a share between 0 and 1, e\.g\. 0\.95"):
        split_spread(CrossValidated.from_raw(np.eye(3)), level=level)
