"""The numbers that brainscore_vision 2.4.2 gives, recipe by recipe, to nine digits."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks_local.metrics import (
    FORMULAS,
    METRICS,
    internal_consistency,
    kfold_splits,
    predictor_consistency,
    rsa_ceiling,
    value_delta,
)

from .recipes import LAST_FIFTY, linear, over_time, repeated, subjects

# (metric, units of recipe A or B) -> value of brainscore_vision, and the error where it gives one
CROSS_VALIDATED = {
    ("pls", 60): (0.527759172048, 0.013528378113),
    ("pls", 500): (0.240421034895, 0.011052593674),
    ("ridge", 60): (0.529333448395, None),
    ("ridge", 500): (0.245224245493, None),
    ("linear_predictivity", 60): (0.529041910299, None),
    ("linear_predictivity", 500): (0.245397626808, None),  # scikit-learn 1.9; 1.5 keeps a direction that is rounding
    ("neuron_to_neuron", 60): (0.190235872904, None),
    ("neuron_to_neuron", 500): (0.001593153912, None),
    ("cka", 60): (0.240093535743, None),
    ("cka", 500): (0.085362901443, None),
    ("cka_biased", 60): (0.343030761878, None),
    ("cka_biased", 500): (0.299595546930, None),
    ("cka_cv", 60): (0.238887783220, None),
    ("cka_cv", 500): (0.086389784830, None),
    ("rdm", 60): (0.214271865285, None),
    ("rdm", 500): (0.075690659568, None),
    ("rdm_cv", 60): (0.212470319857, None),
    ("rdm_cv", 500): (0.077161189778, None),
}
SPLIT = {
    ("pls", 60): 0.514904387875,
    ("pls", 500): 0.232685436182,
    ("ridge", 60): 0.477870014773,
    ("ridge", 500): 0.266397448841,
    ("neuron_to_neuron", 60): 0.220467385212,
    ("neuron_to_neuron", 500): 0.050499095581,
    ("dual_ridge", 60): 0.477870014773,
    ("dual_ridge", 500): 0.266397448841,
}


def same(value: float, abs: float = 1e-9) -> object:
    return pytest.approx(value, abs=abs, rel=0)


@pytest.mark.parametrize(("identifier", "n_features"), CROSS_VALIDATED)
def test_cross_validated(identifier: str, n_features: int) -> None:
    source, target, strata = linear(n_features)
    value, error = CROSS_VALIDATED[identifier, n_features]
    found = METRICS[identifier](source, target, strata=strata, parity=True)
    assert found.value == same(value)
    assert found.flags == ()
    if error is not None:
        assert found.error == same(error)
    if METRICS[identifier].kind == "mapping":
        again = METRICS[f"{identifier}_cv"](source, target, strata=strata)
        assert again.value == found.value
        assert again.raw.shape == (10, 20)


@pytest.mark.parametrize(("identifier", "n_features"), SPLIT)
def test_split(identifier: str, n_features: int) -> None:
    source, target, _ = linear(n_features)
    found = METRICS[f"{identifier}_split"](source, target, splits=LAST_FIFTY, parity=True)
    assert found.value == same(SPLIT[identifier, n_features])
    assert np.isnan(found.error)


@pytest.mark.parametrize("identifier", ["ridgecv_split", "dual_ridgecv_split"])
@pytest.mark.parametrize(("n_features", "value", "alpha"), [(60, 0.510627713228, 55), (500, 0.264236188042, 700)])
def test_ridgecv_chooses_the_same_penalty(identifier: str, n_features: int, value: float, alpha: int) -> None:
    source, target, _ = linear(n_features)
    found = METRICS[identifier](source, target, splits=LAST_FIFTY)
    assert found.value == same(value)
    assert found.flags == (f"alpha={alpha}",)


def test_pls_without_strata_and_in_folds() -> None:
    source, target, strata = linear(60)
    assert METRICS["pls"](source, target).value == same(0.557675092811)
    folds = kfold_splits(200, strata, n_splits=5)
    assert METRICS["pls"](source, target, splits=folds).value == same(0.508414571898)


def test_pls_there_and_back() -> None:
    source, target, strata = linear(60, n_neuroids=30)
    assert METRICS["pls"](source, target, strata=strata).value == same(0.562312324164)
    back = METRICS["reverse_pls"](source, target, strata=strata)
    assert back.value == same(0.361040944188)
    assert back.raw.shape == (10, 60)


def test_ceilings() -> None:
    repetitions, _ = repeated()
    ceiling = internal_consistency(repetitions)
    assert (ceiling.value, ceiling.error) == (same(0.814096727621), same(0.002535452248))
    ceiling = predictor_consistency(repetitions)
    assert (ceiling.value, ceiling.error) == (same(0.820993963261), same(0.003066371732))
    agreement = rsa_ceiling(repetitions.mean(axis=0), subjects())
    assert agreement.value == same(0.488130569444)
    assert agreement.lower_bound == same(4.1090982603e-05)


@pytest.mark.parametrize(
    ("identifier", "raw", "ceiled"),
    [("pls", 0.827443929030, 0.841009959208), ("ridge", 0.833600573903, 0.853571686552)],
)
def test_ceiled(identifier: str, raw: float, ceiled: float) -> None:
    repetitions, (source, target, strata) = repeated()
    found = METRICS[identifier](source, target, strata=strata, parity=True)
    formula = FORMULAS[METRICS[identifier].formula]
    assert found.value == same(raw)
    assert formula(found.value, internal_consistency(repetitions).value) == same(ceiled)


@pytest.mark.parametrize(
    ("identifier", "values"),
    [("spantime_pls", (0.80922264, 0.80363096, 0.82745914)), ("spantime_ridge", (0.80907647, 0.80433700, 0.82802201))],
)
def test_over_time(identifier: str, values: tuple[float, ...]) -> None:
    source, target, strata = over_time()
    found = METRICS[identifier](source, target, strata=strata, parity=True)
    assert [each.value for each in found.time_bins] == [same(value, 5e-9) for value in values]  # eight digits are known
    assert found.value == pytest.approx(np.mean(values), abs=5e-9)
    assert found.raw.shape == (10, 8)


def test_value_delta() -> None:
    assert value_delta(0.3, 0.75) == same(0.637628151622)
    assert value_delta(0.75, 0.3, scale=2.0) == pytest.approx(np.exp(-0.9))


def test_the_order_of_stimuli_decides_on_the_splits() -> None:
    source, target, strata = linear(60)
    order = np.random.default_rng(0).permutation(200)
    moved = METRICS["pls"](source[order], target[order], strata=strata[order]).value
    assert abs(moved - 0.527759172048) > 1e-4


def test_a_constant_neuroid_leaves_the_median_and_is_counted() -> None:
    source, target, strata = linear(60)
    with_constant = np.insert(target, 7, 3.3, axis=1)
    for identifier in ("pls", "ridge", "neuron_to_neuron"):
        found = METRICS[identifier](source, with_constant, strata=strata)
        assert found.value == same(METRICS[identifier](source, target, strata=strata).value)
        assert np.isnan(found.raw[:, 7]).all()
        assert found.flags == ("undefined=1",)
