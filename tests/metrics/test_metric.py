"""What a metric refuses, what it flags, and how it is found."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from adapters.errors import AdapterError
from benchmarks_local.errors import MetricNotFoundError, ScoringError
from benchmarks_local.metrics import (
    FORMULAS,
    METRICS,
    CrossValidated,
    Features,
    explained_variance_per_neuroid,
    get_metric,
)

from .recipes import linear, over_time


def test_the_catalogue_has_the_names_of_brainscore() -> None:
    assert {
        *("pls", "pls_cv", "pls_split", "reverse_pls", "reverse_pls_cv", "reverse_pls_split"),
        *("ridge", "ridge_cv", "ridge_split", "ridgecv_split", "dual_ridge_split", "dual_ridgecv_split"),
        *("linear_predictivity", "linear_predictivity_cv", "linear_predictivity_split"),
        *("neuron_to_neuron", "neuron_to_neuron_cv", "neuron_to_neuron_split"),
        *("spantime_pls", "spantime_ridge", "rdm", "rdm_cv", "cka", "cka_cv", "cka_biased"),
    } <= set(METRICS)
    for identifier, metric in METRICS.items():
        assert metric.identifier == identifier
        assert metric.formula in FORMULAS
        assert metric.kind in ("mapping", "similarity")
    assert get_metric("pls") is METRICS["pls"]


def test_an_unknown_metric_is_named_with_the_nearest() -> None:
    with pytest.raises(MetricNotFoundError, match=r"no metric 'plss'.*Did you mean 'pls'") as caught:
        get_metric("plss")
    assert isinstance(caught.value, AdapterError)
    assert isinstance(caught.value, KeyError)
    assert isinstance(caught.value, ValueError)


def test_few_units_are_flagged_and_refused_for_parity() -> None:
    source, target, strata = linear(60)
    found = METRICS["pls"](source[:, :17], target, strata=strata)
    assert found.flags == ("components=17",)
    assert found.value > 0.05
    message = r"24 features.*'pls' with 25 components.*at least 25.*more features"
    with pytest.raises(ScoringError, match=message):
        METRICS["pls"](source[:, :24], target, strata=strata, parity=True)
    with pytest.raises(ScoringError, match=message):
        dataclasses.replace(METRICS["pls"], strict=True)(source[:, :24], target, strata=strata)
    assert METRICS["ridge"](source[:, :1], target, strata=strata, parity=True).flags == ()


def test_units_that_do_not_vary_count_for_nothing() -> None:
    source, target, strata = linear(60)
    source[:, 20:] = 3.3
    found = METRICS["pls"](source, target, strata=strata)
    assert found.flags == ("components=20",)
    np.testing.assert_allclose(found.raw, METRICS["pls"](source[:, :20], target, strata=strata).raw, atol=1e-7)


@pytest.mark.parametrize("identifier", ["pls", "ridge", "rdm", "neuron_to_neuron"])
@pytest.mark.parametrize("side", ["activations", "recordings"])
def test_nan_is_refused(identifier: str, side: str) -> None:
    source, target, strata = linear(60)
    (source if side == "activations" else target)[3, 4] = np.nan
    with pytest.raises(ScoringError, match=rf"1 of .* values of the {side} is NaN"):
        METRICS[identifier](source, target, strata=strata)


@pytest.mark.parametrize("shape", [(199, 20), (200,), (200, 20, 2), (200, 0)])
def test_recordings_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ScoringError, match=r"recordings have shape .*n_stimuli, n_neuroids.*200 stimuli.*same order"):
        METRICS["ridge"](linear(60).source, np.ones(shape))


def test_metrics_share_what_features_computed() -> None:
    source, target, strata = linear(500)
    features = Features.of(source)
    for identifier in ("pls", "ridge", "rdm", "cka", "neuron_to_neuron"):
        first = METRICS[identifier](features, target, strata=strata)
        np.testing.assert_array_equal(METRICS[identifier](features, target, strata=strata).raw, first.raw)
        np.testing.assert_allclose(METRICS[identifier](source, target, strata=strata).raw, first.raw, atol=1e-12)


def test_half_precision_is_computed_with_in_double() -> None:
    source, target, strata = linear(500)
    for dtype, apart in ((np.float32, 1e-5), (np.float16, 2e-2)):
        found = METRICS["ridge"](source.astype(dtype), target, strata=strata)
        assert found.value == pytest.approx(METRICS["ridge"](source, target, strata=strata).value, abs=apart)
        assert found.raw.dtype == np.float64


def test_a_split_metric_asks_for_its_split() -> None:
    source, target, strata = linear(60)
    for splits, found in ((None, "no"), ([(np.arange(50), np.arange(50, 90))] * 2, "2")):
        with pytest.raises(ScoringError, match=rf"'pls_split' was given {found} splits.*without '_split'"):
            METRICS["pls_split"](source, target, strata=strata, splits=splits)


def test_a_similarity_predicts_nothing() -> None:
    source, target, _ = linear(60)
    with pytest.raises(ScoringError, match=r"'cka' compares responses.*predicts none.*'pls'"):
        METRICS["cka"].predictions(source, target, [(np.arange(50), np.arange(50, 90))])


def test_predictions_over_time() -> None:
    source, target, _ = over_time()
    splits = [(np.arange(80), np.arange(80, 100))]
    (predicted,) = METRICS["spantime_ridge"].predictions(source, target, splits)
    assert predicted.shape == (20, 8, 3)
    stacked = [np.concatenate(list(np.moveaxis(each, 2, 0))) for each in (source, target)]
    rows = [
        np.concatenate([np.flatnonzero(np.arange(100) < 80) + 100 * each for each in range(3)]),
        200 + np.arange(80, 100),
    ]
    (last,) = METRICS["ridge"].predictions(*stacked, [tuple(rows)])
    np.testing.assert_allclose(predicted[..., 2], last, atol=1e-12)


def test_time_bins_have_to_be_there_and_equal() -> None:
    source, target, strata = over_time()
    with pytest.raises(ScoringError, match=r"source has shape \(100, 30, 2\).*same stimuli and time bins"):
        METRICS["spantime_pls"](source[..., :2], target, strata=strata)
    with pytest.raises(ScoringError, match=r"Features have no time bins.*without 'spantime_'"):
        METRICS["spantime_pls"](Features.of(source[..., 0]), target, strata=strata)
    with pytest.raises(ScoringError, match=r"Split 0 has test rows 90 to 100"):
        METRICS["spantime_pls"](source, target, splits=[(np.arange(90), np.arange(90, 101))])


def test_aggregation_is_median_over_neuroids_then_mean_over_splits() -> None:
    score = CrossValidated.from_raw(np.array([[0.1, 0.2, 0.9, np.nan], [0.3, 0.5, 0.4, np.nan]]), ("note",))
    assert score.value == pytest.approx((0.2 + 0.4) / 2)
    assert score.error == pytest.approx(np.std([0.2, 0.4]) / np.sqrt(2))
    assert score.flags == ("note", "undefined=1")
    half = CrossValidated.from_raw(np.array([[0.1, 0.2], [np.nan, np.nan]]))
    assert half.value == pytest.approx(0.15)  # a split without a value is left out
    assert half.flags == ()
    assert np.isnan(CrossValidated.from_raw(np.full((2, 3), np.nan)).value)


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [("r2/c", 0.1125), ("(r/c)2", 0.140625), ("s/c", -0.375), ("s/sqrt(c)", -0.3354101966), ("s", -0.3)],
)
def test_formulas_by_hand(identifier: str, expected: float) -> None:
    assert FORMULAS[identifier](-0.3, 0.8) == pytest.approx(expected)
    if identifier != "s":
        assert np.isnan([FORMULAS[identifier](0.3, ceiling) for ceiling in (0.0, -0.2, float("nan"))]).all()
    both = FORMULAS[identifier](np.array([-0.3, 0.5]), np.array([0.8, 1.0]))
    assert both[0] == pytest.approx(expected)


def test_ceiled_neuroid_by_neuroid() -> None:
    r, ceiling = np.array([0.5, 0.8, 0.3, np.nan]), np.array([0.5, 0.8, -0.1, 0.9])
    assert explained_variance_per_neuroid(r, ceiling) == pytest.approx((0.5 + 0.8) / 2)
    assert np.isnan(explained_variance_per_neuroid(r[2:], ceiling[2:]))
