"""The stimulus bootstrap against loops over resampled rows, and a truth that is known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks_local.errors import ScoringError
from benchmarks_local.metrics import get_metric, internal_consistency, kfold_splits
from benchmarks_local.uncertainty import OutOfFold, out_of_fold, stimulus_bootstrap
from benchmarks_local.uncertainty.weighted import bootstrap_weights, weighted_correlations

from .simulating import linear_recordings

RIDGE = get_metric("ridge")


def rows_of(weights: np.ndarray) -> np.ndarray:
    return np.repeat(np.arange(len(weights)), weights.astype(int))


def test_weighted_correlations_are_those_of_repeated_rows() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(3, 1, (30, 4)), rng.normal(size=(30, 4))
    second += first
    weights = bootstrap_weights(30, 20, rng)
    assert (weights.sum(axis=1) == 30).all()
    found = weighted_correlations(first, second, weights)
    for draw, row in zip(found, weights, strict=True):
        a, b = first[rows_of(row)], second[rows_of(row)]
        expected = [np.corrcoef(a[:, unit], b[:, unit])[0, 1] for unit in range(4)]
        np.testing.assert_allclose(draw, expected, atol=1e-12)


def test_weighted_correlations_leave_out_what_is_missing() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(25, 2)), rng.normal(size=(25, 2))
    first[3, 0] = second[7, 0] = np.nan
    weights = bootstrap_weights(25, 5, rng)
    found = weighted_correlations(first, second, weights)
    for draw, row in zip(found, weights, strict=True):
        rows = rows_of(np.where(np.isin(np.arange(25), [3, 7]), 0, row))
        assert draw[0] == pytest.approx(np.corrcoef(first[rows, 0], second[rows, 0])[0, 1], abs=1e-12)
        assert draw[1] == pytest.approx(np.corrcoef(first[rows_of(row)].T[1], second[rows_of(row)].T[1])[0, 1])


def test_correlations_within_folds_are_those_of_deviations_from_their_means() -> None:
    rng = np.random.default_rng(2)
    first, second, folds = rng.normal(size=(24, 3)), rng.normal(size=(24, 3)), np.arange(24) % 4
    weights = bootstrap_weights(24, 6, rng)
    found = weighted_correlations(first, second, weights, folds)
    for draw, row in zip(found, weights, strict=True):
        rows = rows_of(row)
        a, b = first[rows], second[rows]
        for fold in range(4):
            is_in = folds[rows] == fold
            if is_in.any():
                a[is_in] -= a[is_in].mean(axis=0)
                b[is_in] -= b[is_in].mean(axis=0)
        np.testing.assert_allclose(draw, (a * b).sum(0) / np.sqrt((a**2).sum(0) * (b**2).sum(0)), atol=1e-12)


def test_columns_that_do_not_vary_are_undefined_and_large_offsets_are_not() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(20, 3)), rng.normal(size=(20, 3))
    first[:, 0] = 0.1
    second[:, 1] = 1e6 + 1e-3 * first[:, 1]
    found = weighted_correlations(first, second, np.ones((1, 20)))[0]
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(1, abs=1e-6)


def test_every_stimulus_is_predicted_once_by_a_fit_without_it() -> None:
    source, target = linear_recordings(4)
    strata = np.array([f"o{i % 3}" for i in range(60)])
    found = out_of_fold(RIDGE, source, target, strata=strata, n_folds=5)
    splits = kfold_splits(60, strata, n_splits=5)
    for fold, ((_train, test), expected) in enumerate(
        zip(splits, RIDGE.predictions(source, target, splits), strict=True)
    ):
        np.testing.assert_array_equal(found.predicted[test], expected)
        assert (found.folds[test] == fold).all()
    assert found.correlations(target).shape == (1, 5)


def test_deviations_within_folds_take_away_most_of_what_makes_correlations_of_nothing_negative() -> None:
    rng, within, pooled = np.random.default_rng(5), [], []
    for _ in range(60):
        target = rng.normal(size=(40, 10))
        found = out_of_fold(RIDGE, rng.normal(size=(40, 2)), target, n_folds=10)
        within.append(np.median(found.correlations(target)))
        pooled.append(np.median(weighted_correlations(found.predicted, target, np.ones((1, 40)))))
    assert np.mean(pooled) < -0.14
    assert abs(np.mean(within)) < 0.1


def test_bootstrap_is_that_of_a_loop() -> None:
    source, target = linear_recordings(6)
    found = out_of_fold(RIDGE, source, target)
    repetitions = target + np.random.default_rng(0).normal(size=(4, *target.shape))
    interval = stimulus_bootstrap(found, target, repetitions=repetitions, formula="r2/c", n=40, seed=9)
    weights = bootstrap_weights(60, 40, np.random.default_rng(9))
    expected = []
    for row in weights:
        rows = rows_of(row)
        raw = np.median(OutOfFold(found.predicted[rows], found.folds[rows]).correlations(target[rows]))
        expected.append(raw**2 / internal_consistency(repetitions[:, rows]).value)
    np.testing.assert_allclose([interval.low, interval.high], np.quantile(expected, [0.025, 0.975]), atol=1e-12)
    whole = np.median(found.correlations(target)) ** 2 / internal_consistency(repetitions).value
    assert interval.estimate == pytest.approx(whole, abs=1e-12)
    assert (interval.kind, interval.n, interval.flags) == ("stimulus bootstrap", 40, ())
    assert interval == stimulus_bootstrap(found, target, repetitions=repetitions, formula="r2/c", n=40, seed=9)


def test_draws_in_parts_are_the_draws_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = linear_recordings(6)
    found = out_of_fold(RIDGE, source, target)
    at_once = stimulus_bootstrap(found, target, n=30)
    monkeypatch.setattr("benchmarks_local.uncertainty.stimuli._VALUES_AT_ONCE", 7 * 60)
    assert stimulus_bootstrap(found, target, n=30) == at_once


def test_estimate_is_near_the_score_and_the_interval_holds_it() -> None:
    source, target = linear_recordings(8, n_stimuli=200)
    interval = stimulus_bootstrap(out_of_fold(RIDGE, source, target), target)
    score = RIDGE(source, target).value
    assert interval.estimate == pytest.approx(score, abs=0.05)
    assert interval.low < score < interval.high


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """One neuroid and a prediction that is given: r of the population is known."""
    rng, n_held, truth = np.random.default_rng(10), 0, 0.6
    for _ in range(300):
        predicted = rng.normal(size=(80, 1))
        target = truth * predicted + np.sqrt(1 - truth**2) * rng.normal(size=(80, 1))
        interval = stimulus_bootstrap(OutOfFold(predicted, np.zeros(80, dtype=np.intp)), target, n=300, level=0.9)
        n_held += interval.low <= truth <= interval.high
    assert 0.83 <= n_held / 300 <= 0.95


def test_constant_units_and_few_stimuli_are_flagged() -> None:
    source, target = linear_recordings(11, n_stimuli=20)
    target[:, 2] = 3.0
    interval = stimulus_bootstrap(out_of_fold(RIDGE, source, target, n_folds=4), target, ceiling=0.8, formula="s/c")
    assert interval.flags == ("undefined neuroids=1", "few stimuli=20")
    assert np.isfinite(interval.low)


def test_missing_presentations_do_not_matter_to_the_ceiling() -> None:
    source, target = linear_recordings(12)
    repetitions = target + np.random.default_rng(0).normal(size=(6, *target.shape))
    repetitions[0, 4, 1] = np.nan
    found = out_of_fold(RIDGE, source, target)
    interval = stimulus_bootstrap(found, target, repetitions=repetitions, formula="r2/c", n=20)
    assert interval.estimate == pytest.approx(
        np.median(found.correlations(target)) ** 2 / internal_consistency(repetitions).value, abs=1e-12
    )


def test_metrics_without_predictions() -> None:
    source, target = linear_recordings(13)
    for name in ("rdm", "reverse_pls"):
        with pytest.raises(ScoringError, match=rf"Metric '{name}' does not predict recordings.*permutation_test"):
            out_of_fold(get_metric(name), source, target)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"formula": "r2/c"}, r"'r2/c' was given neither of repetitions and ceiling, expected one"),
        ({"ceiling": 0.5, "repetitions": np.ones((2, 60, 5))}, r"given both of repetitions and ceiling"),
        ({"formula": "r2"}, r"formula 'r2' is not known"),
        (
            {"formula": "r2/c", "repetitions": np.ones((1, 60, 5))},
            r"repetitions have shape \(1, 60, 5\), expected \(at",
        ),
        ({"target": np.ones((60, 4))}, r"recordings have shape \(60, 4\), and the predictions \(60, 5\)"),
        ({"target": np.ones((60, 5))}, r"None of the 5 neuroids varies both"),
    ],
)
def test_what_cannot_be_drawn(options: dict, message: str) -> None:
    source, target = linear_recordings(14)
    found = out_of_fold(RIDGE, source, target)
    with pytest.raises(ScoringError, match=message):
        stimulus_bootstrap(found, options.pop("target", target), **options)


def test_too_few_stimuli() -> None:
    few = OutOfFold(np.eye(4), np.zeros(4, dtype=np.intp))
    with pytest.raises(ScoringError, match=r"There are 4 stimuli, too few to draw from: expected at least 5, and bett"):
        stimulus_bootstrap(few, np.eye(4))
