"""The permutation test against loops, and on data in which there is nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from benchmarks_local.errors import ScoringError
from benchmarks_local.metrics import Features, get_metric, kfold_splits, shuffle_splits
from benchmarks_local.uncertainty import permutation_test
from benchmarks_local.uncertainty.permutation import _orders

from .simulating import linear_recordings


@pytest.mark.parametrize("identifier", ["ridge", "linear_predictivity", "neuron_to_neuron", "pls", "cka", "rdm"])
def test_null_is_that_of_scoring_each_order(identifier: str) -> None:
    source, target = linear_recordings(0, n_stimuli=40)
    metric, strata = get_metric(identifier), np.arange(40) % 4
    splits = shuffle_splits(40, strata)[:2] if metric.kind == "mapping" else None
    found = permutation_test(metric, source, target, strata=strata, splits=splits, n=6, seed=2)
    orders = _orders(strata, 6, np.random.default_rng(2))
    expected = [metric(source, target[order], strata=strata, splits=splits).value for order in orders]
    np.testing.assert_allclose(found.null, expected, atol=1e-9)
    assert found.value == metric(source, target, strata=strata, splits=splits).value
    assert found.p_value == (sum(each >= found.value for each in expected) + 1) / 7
    assert (found.n, found.seed) == (6, 2)


def test_orders_stay_within_strata_and_differ() -> None:
    strata = np.array([0, 1, 1, 0, 2, 1, 0, 2])
    orders = list(_orders(strata, 50, np.random.default_rng(0)))
    for order in orders:
        assert sorted(order) == list(range(8))
        np.testing.assert_array_equal(strata[order], strata)
    assert len({tuple(order) for order in orders}) > 30


def test_a_model_that_drives_the_recordings_is_never_reached() -> None:
    source, target = linear_recordings(1)
    found = permutation_test(get_metric("ridge"), Features.of(source), target, n=99)
    assert found.p_value == 0.01
    assert found.value > found.null.max()
    assert abs(found.null.mean()) < 0.1


def test_p_values_of_noise_are_uniform() -> None:
    rng, p_values = np.random.default_rng(2), []
    for _ in range(60):
        source, target = rng.normal(size=(30, 4)), rng.normal(size=(30, 3))
        splits = kfold_splits(30, n_splits=3)
        p_values.append(permutation_test(get_metric("ridge"), source, target, splits=splits, n=59).p_value)
    assert kstest(p_values, "uniform").pvalue > 0.05
    assert min(p_values) >= 1 / 60


def test_what_only_the_objects_explain_is_nothing_within_objects() -> None:
    rng = np.random.default_rng(3)
    objects = np.repeat(np.arange(4), 15)
    shared = rng.normal(size=(4, 6))
    source = shared[objects] + 0.5 * rng.normal(size=(60, 6))
    target = (shared @ rng.normal(size=(6, 5)))[objects] + 0.5 * rng.normal(size=(60, 5))
    ridge = get_metric("ridge")
    assert permutation_test(ridge, source, target, n=49).p_value == 0.02
    assert permutation_test(ridge, source, target, strata=objects, n=49).p_value > 0.05


def test_few_arrangements_and_single_stimuli_are_flagged() -> None:
    source, target = linear_recordings(4, n_stimuli=20)
    strata = np.arange(20)
    strata[:3] = 0
    found = permutation_test(get_metric("cka"), source, target, strata=strata, n=50)
    assert found.flags == ("strata of one stimulus=17", "arrangements=6")
    assert found.p_value >= 1 / 51


def test_undefined_shuffles_count_against_the_score() -> None:
    source, _ = linear_recordings(5, n_stimuli=20)
    target = np.isin(np.arange(20), [0, 1, 10]).astype(float)[:, None]  # a shuffle may leave zeros alone to test on
    splits = [(np.arange(4, 20), np.arange(4))]
    found = permutation_test(get_metric("ridge"), source, target, splits=splits, n=30)
    n_undefined = int(np.isnan(found.null).sum())
    assert n_undefined > 0
    assert f"undefined shuffles={n_undefined}" in found.flags
    assert found.p_value >= (1 + n_undefined) / 31


def test_the_same_seed_gives_the_same_null() -> None:
    source, target = linear_recordings(6, n_stimuli=30)
    first, again, other = (permutation_test(get_metric("cka"), source, target, n=20, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.null, again.null)
    assert (first.null != other.null).any()


@pytest.mark.parametrize(
    ("strata", "target", "message"),
    [
        (np.arange(30), None, r"Each of the 30 strata has a single stimulus, so there is nothing to shuffle"),
        (np.arange(29), None, r"strata have shape \(29,\), expected \(30,\)"),
        (None, np.ones((30, 5)), r"Metric 'ridge' is not defined for these data, so there is nothing to test"),
    ],
)
def test_what_cannot_be_tested(strata: np.ndarray | None, target: np.ndarray | None, message: str) -> None:
    source, recordings = linear_recordings(7, n_stimuli=30)
    with pytest.raises(ScoringError, match=message):
        permutation_test(get_metric("ridge"), source, recordings if target is None else target, strata=strata, n=5)
