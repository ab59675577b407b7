"""The recipes of tests/metrics, run through the metrics of the installed brainscore_vision and through ours.

Not only the score is compared, but the correlation of every neuroid in every split.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
from brainscore_vision import load_metric

from benchmarks_local.errors import ScoringError
from benchmarks_local.metrics import METRICS, Features, subject_similarities, value_delta

from ..metrics.recipes import LAST_FIFTY, Recipe, linear, over_time, repeated, subjects

APART = 1e-9


def labelled(values: np.ndarray, strata: np.ndarray, kind: str, **neuroid: Any) -> NeuroidAssembly:
    """Label responses of shape (n_stimuli, n_units) or (n_stimuli, n_units, n_time_bins)."""
    coords: dict[str, Any] = {
        "stimulus_id": ("presentation", [f"s{row:04d}" for row in range(len(values))]),
        "object_name": ("presentation", strata),
        "neuroid_id": ("neuroid", [f"{kind}{number:04d}" for number in range(values.shape[1])]),
        "region": ("neuroid", ["IT"] * values.shape[1]),
        **{name: ("neuroid", labels) for name, labels in neuroid.items()},
    }
    dims = ["presentation", "neuroid", "time_bin"][: values.ndim]
    if values.ndim == 3:
        edges = 10 * np.arange(values.shape[2])
        coords.update(time_bin_start=("time_bin", edges), time_bin_end=("time_bin", edges + 10))
    return NeuroidAssembly(values, coords=coords, dims=dims)


def both(recipe: Recipe) -> tuple[NeuroidAssembly, NeuroidAssembly]:
    return labelled(recipe.source, recipe.strata, "m"), labelled(recipe.target, recipe.strata, "n")


def assert_same(theirs: Any, ours: Any) -> None:
    """Compare value, error, and the correlation of every neuroid in every split."""
    assert float(theirs) == pytest.approx(ours.value, abs=APART, rel=0)
    if "error" in theirs.attrs:
        assert float(theirs.attrs["error"]) == pytest.approx(ours.error, abs=APART, rel=0)
    raw = theirs.attrs.get("raw")
    if raw is not None and "neuroid" in raw.dims:
        values = raw.transpose(..., "neuroid").values
        np.testing.assert_allclose(ours.raw.reshape(values.shape), values, rtol=0, atol=APART)


@pytest.mark.parametrize("n_features", [60, 500])
@pytest.mark.parametrize(
    "identifier", ["pls", "ridge", "neuron_to_neuron", "rdm", "rdm_cv", "cka", "cka_cv", "cka_biased"]
)
def test_cross_validated(identifier: str, n_features: int) -> None:
    recipe = linear(n_features)
    theirs = load_metric(identifier)(*both(recipe))
    assert_same(theirs, METRICS[identifier](recipe.source, recipe.target, strata=recipe.strata, parity=True))


def test_least_squares_with_fewer_units_than_stimuli() -> None:
    recipe = linear(60)
    theirs = load_metric("linear_predictivity")(*both(recipe))
    assert_same(theirs, METRICS["linear_predictivity"](recipe.source, recipe.target, strata=recipe.strata))


@pytest.mark.parametrize("n_features", [60, 500])
@pytest.mark.parametrize(
    "identifier",
    ["pls", "ridge", "ridgecv", "dual_ridge", "dual_ridgecv", "neuron_to_neuron", "reverse_pls"],
)
def test_split(identifier: str, n_features: int) -> None:
    recipe = linear(n_features, n_neuroids=30)
    source, target = both(recipe)
    ((train, test),) = LAST_FIFTY
    parts = {"source_train": source[train], "source_test": source[test]}
    parts |= {"target_train": target[train], "target_test": target[test]}
    theirs = load_metric(f"{identifier}_split")(**parts)
    ours = METRICS[f"{identifier}_split"](recipe.source, recipe.target, splits=LAST_FIFTY)
    assert_same(theirs, ours)
    if "alpha" in theirs.attrs["raw"].attrs:
        assert ours.flags == (f"alpha={float(theirs.attrs['raw'].attrs['alpha']):g}",)


def test_there_and_back() -> None:
    recipe = linear(60, n_neuroids=30)
    for identifier in ("pls", "reverse_pls"):
        theirs = load_metric(identifier)(*both(recipe))
        assert_same(theirs, METRICS[identifier](recipe.source, recipe.target, strata=recipe.strata))


def test_the_order_of_the_recordings_decides_and_that_of_the_model_does_not() -> None:
    recipe = linear(60)
    source, target = both(recipe)
    order = np.random.default_rng(0).permutation(200)
    theirs = load_metric("pls")(source, target[order])
    ours = METRICS["pls"](recipe.source[order], recipe.target[order], strata=recipe.strata[order])
    assert_same(theirs, ours)
    assert abs(ours.value - METRICS["pls"](recipe.source, recipe.target, strata=recipe.strata).value) > 1e-4
    again = load_metric("pls")(source[order], target)
    assert_same(again, METRICS["pls"](recipe.source, recipe.target, strata=recipe.strata))


@pytest.mark.filterwarnings("ignore:y residual is constant", "ignore:Y residual is constant")
def test_fewer_training_stimuli_than_components() -> None:
    recipe = linear(60)
    few = Recipe(*(each[:40] for each in recipe))
    source, target = both(few)
    train, test = np.arange(18), np.arange(18, 40)
    theirs = load_metric("pls_split")(
        source_train=source[train], source_test=source[test], target_train=target[train], target_test=target[test]
    )
    ours = METRICS["pls"](few.source, few.target, splits=[(train, test)], parity=True)
    assert_same(theirs, METRICS["pls_split"](few.source, few.target, splits=[(train, test)]))
    assert ours.flags == ("components=17",)


def test_both_refuse_few_units_and_nan() -> None:
    recipe = linear(60)
    narrow = Recipe(recipe.source[:, :24], recipe.target, recipe.strata)
    with pytest.raises(ValueError, match="upper bound is 24"):
        load_metric("pls")(*both(narrow))
    with pytest.raises(ScoringError, match="24 features"):
        METRICS["pls"](narrow.source, narrow.target, strata=narrow.strata, parity=True)
    recipe.target[3, 4] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        load_metric("pls")(*both(recipe))
    with pytest.raises(ScoringError, match="NaN"):
        METRICS["pls"](recipe.source, recipe.target, strata=recipe.strata)


@pytest.mark.filterwarnings("ignore:An input array is constant")
def test_a_constant_neuroid_leaves_the_median() -> None:
    recipe = linear(60)
    recipe.target[:, 7] = 3.3
    ours = METRICS["ridge"](recipe.source, recipe.target, strata=recipe.strata)
    assert_same(load_metric("ridge")(*both(recipe)), ours)
    assert np.isnan(ours.raw[:, 7]).all()


@pytest.mark.parametrize("identifier", ["spantime_pls", "spantime_ridge"])
def test_over_time(identifier: str) -> None:
    recipe = over_time()
    theirs = load_metric(identifier)(*both(recipe))
    ours = METRICS[identifier](recipe.source, recipe.target, strata=recipe.strata)
    np.testing.assert_allclose([each.value for each in ours.time_bins], theirs.values, rtol=0, atol=APART)


def test_distance_of_two_values() -> None:
    assert float(load_metric("value_delta")(0.3, 0.75)) == pytest.approx(value_delta(0.3, 0.75), abs=1e-15)


def test_subjects_one_by_one() -> None:
    _, recipe = repeated()
    source, _ = both(recipe)
    target = labelled(recipe.target, recipe.strata, "n", subject=subjects())
    theirs = [float(load_metric("rdm")(source, target[:, subjects() == name])) for name in "abcd"]
    found = subject_similarities(Features.of(recipe.source), recipe.target, subjects())
    np.testing.assert_allclose(found, theirs, atol=APART)
