"""The unit bootstrap against a loop, scipy, and a truth that is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from benchmarks_local.errors import ScoringError
from benchmarks_local.metrics import CrossValidated
from benchmarks_local.uncertainty import unit_bootstrap


def make_raw(n_neuroids: int = 40, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0.5, 0.15, n_neuroids) + 0.02 * rng.normal(size=(10, n_neuroids))


def test_draws_are_those_of_a_loop() -> None:
    raw, ceiling = make_raw(), 0.8 + 0.1 * make_raw(seed=1)
    interval = unit_bootstrap(raw, ceiling=ceiling, formula="r2/c", n=50, seed=3)
    units = np.random.default_rng(3).integers(0, 40, (50, 40))
    expected = []
    for each in units:
        score = CrossValidated.from_raw(raw[:, each]).value
        expected.append(score**2 / CrossValidated.from_raw(ceiling[:, each]).value)
    np.testing.assert_allclose([interval.low, interval.high], np.quantile(expected, [0.025, 0.975]), atol=1e-12)
    whole = CrossValidated.from_raw(raw).value ** 2 / CrossValidated.from_raw(ceiling).value
    assert interval.estimate == pytest.approx(whole, abs=1e-12)
    assert (interval.kind, interval.n, interval.flags) == ("unit bootstrap", 50, ())


def test_interval_is_like_that_of_scipy() -> None:
    raw = make_raw()
    interval = unit_bootstrap(raw, n=4000)
    theirs = bootstrap(
        (np.arange(40),),
        lambda units: np.median(raw[:, units.astype(int)], axis=1).mean(),
        n_resamples=4000,
        method="percentile",
        vectorized=False,
        rng=1,
    ).confidence_interval
    np.testing.assert_allclose([interval.low, interval.high], theirs, atol=0.006)


def test_the_same_seed_gives_the_same_interval() -> None:
    assert unit_bootstrap(make_raw(), seed=5) == unit_bootstrap(make_raw(), seed=5)
    assert unit_bootstrap(make_raw(), seed=5) != unit_bootstrap(make_raw(), seed=6)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng, n_held = np.random.default_rng(7), 0
    for _ in range(300):
        raw = np.broadcast_to(rng.normal(0.4, 0.2, 60), (2, 60))
        interval = unit_bootstrap(raw, n=300, level=0.9)
        n_held += interval.low <= 0.4 <= interval.high
    assert 0.85 <= n_held / 300 <= 0.97


def test_a_fixed_ceiling_scales_the_draws() -> None:
    raw = np.abs(make_raw())
    plain, ceiled = unit_bootstrap(raw), unit_bootstrap(raw, ceiling=0.64, formula="s/sqrt(c)")
    assert ceiled.low == pytest.approx(plain.low / 0.8)


def test_undefined_and_few_units_are_flagged() -> None:
    raw = make_raw(12)
    raw[:, 3] = np.nan
    raw[4, 5] = np.nan
    interval = unit_bootstrap(raw)
    assert interval.flags == ("undefined neuroids=1", "few neuroids=11")
    assert interval.estimate == pytest.approx(np.mean([np.nanmedian(row) for row in raw]))


def test_a_ceiling_that_is_not_positive_leaves_draws_undefined() -> None:
    ceiling = np.where(np.arange(40) < 20, -0.1, 0.3) + np.zeros((10, 1))
    interval = unit_bootstrap(make_raw(), ceiling=ceiling, formula="r2/c")
    assert interval.flags[0].startswith("undefined draws=")


@pytest.mark.parametrize(
    ("raw", "options", "message"),
    [
        (np.full((3, 1), 0.5), {}, r"1 neuroid has a correlation, but drawing units anew needs at least 2"),
        (np.full((3, 4), np.nan), {}, r"0 neuroids have a correlation"),
        (np.ones(4), {}, r"correlations have shape \(4,\), expected \(n_splits, n_neuroids\)"),
        (make_raw(), {"formula": "r2/c"}, r"formula 'r2/c' needs a ceiling\. Pass ceiling=\.\.\."),
        (make_raw(), {"formula": "r3"}, r"formula 'r3' is not known, expected one of r2/c"),
        (
            make_raw(),
            {"formula": "r2/c", "ceiling": np.ones((10, 39))},
            r"ceiling has shape \(10, 39\), expected .* 40",
        ),
        (make_raw(), {"n": 0}, r"0 draws were asked for, expected at least 1"),
    ],
)
def test_what_cannot_be_drawn(raw: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(ScoringError, match=message):
        unit_bootstrap(raw, **options)
