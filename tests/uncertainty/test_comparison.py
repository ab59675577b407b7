"""Comparisons of models on the same stimuli: against a loop, and where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks_local.errors import ScoringError
from benchmarks_local.metrics import get_metric
from benchmarks_local.uncertainty import OutOfFold, compare_models, out_of_fold, stimulus_bootstrap
from benchmarks_local.uncertainty.weighted import bootstrap_weights

from .simulating import linear_recordings

RIDGE = get_metric("ridge")


def in_one_fold(predicted: np.ndarray) -> OutOfFold:
    return OutOfFold(predicted, np.zeros(len(predicted), dtype=np.intp))


def test_difference_of_two_is_that_of_a_loop() -> None:
    source, target = linear_recordings(0)
    both = {name: out_of_fold(RIDGE, source[:, :n], target) for name, n in (("all", 8), ("some", 4))}
    (found,) = compare_models(both, target, n=50, seed=4)
    expected = []
    for row in bootstrap_weights(60, 50, np.random.default_rng(4)):
        medians = [np.median(each.correlations(target, row[None])) for each in both.values()]
        expected.append(medians[0] - medians[1])
    np.testing.assert_allclose(
        [found.interval.low, found.interval.high], np.quantile(expected, [0.025, 0.975]), atol=1e-12
    )
    difference = np.median(both["all"].correlations(target)) - np.median(both["some"].correlations(target))
    assert (found.first, found.second) == ("all", "some")
    assert found.difference == found.interval.estimate == pytest.approx(difference, abs=1e-12)
    centred = np.abs(np.array(expected) - difference)
    assert found.p_value == (1 + (centred >= abs(difference)).sum()) / 51
    half = np.quantile(centred, 0.95)
    assert found.simultaneous.high == pytest.approx(difference + half, abs=1e-12)
    assert found.interval.kind == "paired stimulus bootstrap"


def test_pairing_is_narrower_than_two_intervals() -> None:
    source, target = linear_recordings(1, n_stimuli=80)
    other = source + 0.3 * np.random.default_rng(0).normal(size=source.shape)
    both = {"one": out_of_fold(RIDGE, source, target), "other": out_of_fold(RIDGE, other, target)}
    (found,) = compare_models(both, target)
    alone = [stimulus_bootstrap(each, target) for each in both.values()]
    paired = found.interval.high - found.interval.low
    assert paired < 0.7 * np.hypot(*(each.high - each.low for each in alone))


def test_several_models_are_judged_together() -> None:
    source, target = linear_recordings(2, n_stimuli=100)
    models = {f"first {n}": out_of_fold(RIDGE, source[:, :n], target) for n in (8, 7, 2)}
    found = compare_models(models, target)
    assert [(each.first, each.second) for each in found] == [
        ("first 8", "first 7"),
        ("first 8", "first 2"),
        ("first 7", "first 2"),
    ]
    for each in found:
        assert each.simultaneous.high - each.simultaneous.low > each.interval.high - each.interval.low
    (alone,) = compare_models({name: models[name] for name in ("first 8", "first 7")}, target)
    assert found[0].p_value >= alone.p_value
    assert found[1].p_value < 0.05


def test_false_alarms_among_equal_models_stay_at_the_level() -> None:
    rng, n_alarms = np.random.default_rng(3), 0
    for _ in range(120):
        target = rng.normal(size=(60, 1))
        models = {str(k): in_one_fold(target + 1.5 * rng.normal(size=(60, 1))) for k in range(4)}
        n_alarms += min(each.p_value for each in compare_models(models, target, n=200)) <= 0.1
    assert n_alarms / 120 <= 0.17


def test_the_same_predictions_do_not_differ() -> None:
    source, target = linear_recordings(4)
    same = out_of_fold(RIDGE, source, target)
    (found,) = compare_models({"a": same, "b": same}, target, n=20)
    assert (found.difference, found.p_value, found.flags) == (0, 1, ("same predictions",))
    assert (found.simultaneous.low, found.simultaneous.high) == (0, 0)
    assert found == compare_models({"a": same, "b": same}, target, n=20)[0]


def test_units_that_one_model_does_not_predict_are_left_out_for_all() -> None:
    source, target = linear_recordings(5)
    whole = out_of_fold(RIDGE, source, target)
    partial = whole.predicted + 0.5 * np.random.default_rng(0).normal(size=target.shape)
    partial[:, 0] = 1.0
    (found,) = compare_models({"whole": whole, "partial": OutOfFold(partial, whole.folds)}, target, n=50)
    (expected,) = compare_models(
        {
            "whole": OutOfFold(whole.predicted[:, 1:], whole.folds),
            "partial": OutOfFold(partial[:, 1:], whole.folds),
        },
        target[:, 1:],
        n=50,
    )
    assert found.difference == pytest.approx(expected.difference, abs=1e-12)
    assert found.flags == ("undefined neuroids=1",)


def test_what_cannot_be_compared() -> None:
    source, target = linear_recordings(6)
    found = out_of_fold(RIDGE, source, target)
    with pytest.raises(ScoringError, match=r"There is 1 model, but a comparison needs at least 2"):
        compare_models({"a": found}, target)
    with pytest.raises(ScoringError, match=r"recordings have shape \(60, 5\), and the predictions \(60, 4\)"):
        compare_models({"a": found, "b": in_one_fold(found.predicted[:, 1:])}, target)
    with pytest.raises(ScoringError, match=r"No neuroid varies in the recordings and in the predictions of every mod"):
        compare_models({"a": found, "b": in_one_fold(np.ones_like(target))}, target)


def test_scores_are_no_predictions():
    with pytest.raises(ScoringError, match=r"given for 'a' is float, expected predictions.*out_of_fold"):
        compare_models({"a": 0.5, "b": 0.4}, np.zeros((10, 3)))
