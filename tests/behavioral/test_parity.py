"""The numbers of brainscore_vision 2.4.2 on recipes D, E, G and H, as they were measured there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from benchmarks_local.behavioral import (
    ProbabilitiesReadout,
    get_behavioral_metric,
    odd_one_out,
    score_trials,
    similarity,
)

from .recipes import features_and_triplets, judgements, labelled_features, model_and_people

TOLERANCE = 1e-9


@pytest.mark.parametrize(
    ("metric", "raw", "ceiling"),
    [
        ("i1", 0.822337611221, 0.884741096677),
        ("i1n", 0.855942647190, 0.887137168807),
        ("i2", 0.614433217866, 0.669881857206),
        ("i2n", 0.708543406148, 0.727254569923),
        ("o1", 0.722420809641, 0.798112007977),
        ("o2", 0.668949234838, 0.614689712264),
    ],
)
def test_patterns_of_confusions(metric: str, raw: float, ceiling: float) -> None:
    answers, trials = model_and_people()
    score = score_trials(answers, trials, metric)
    assert score.raw == pytest.approx(raw, abs=TOLERANCE)
    assert score.ceiling == pytest.approx(ceiling, abs=TOLERANCE)
    assert score.flags == ()
    assert (score.metric, score.formula) == (metric, "s/sqrt(c)")
    assert get_behavioral_metric(metric).ceiling(trials).value == pytest.approx(ceiling, abs=TOLERANCE)


def test_i2n_relative_to_its_ceiling() -> None:
    score = score_trials(*model_and_people(), "i2n")
    assert score.value == pytest.approx(0.831072960722, abs=TOLERANCE)
    assert float(score) == score.value
    assert score.parts.shape == score.ceiling_parts.shape == (2,)
    assert score.value == pytest.approx(np.mean(score.parts / np.sqrt(score.ceiling_parts)), abs=1e-15)


def test_accuracy() -> None:
    _answers, trials = model_and_people()
    each_once = trials.assign(stimulus_id=[f"trial{row}" for row in range(len(trials))])
    score = score_trials(each_once.set_index("stimulus_id")["choice"], each_once, "accuracy")
    assert score.value == score.raw == pytest.approx(0.841833333333, abs=TOLERANCE)
    assert score.error == pytest.approx(0.364897207748, abs=TOLERANCE)
    assert np.isnan(score.ceiling)


@pytest.mark.parametrize(
    ("metric", "raw", "error", "shape"),
    [
        ("error_consistency", 0.301750756356, 0.459895901834, (4, 3)),
        ("accuracy_distance", 0.875197628458, 0.083687368635, (4,)),
    ],
)
def test_subject_by_subject(metric: str, raw: float, error: float, shape: tuple[int, ...]) -> None:
    people = judgements()
    subject = people[people["subject"] == "A"].set_index("stimulus_id")["choice"]
    score = score_trials(subject, people, metric)
    assert score.raw == pytest.approx(raw, abs=TOLERANCE)
    assert score.error == pytest.approx(error, abs=TOLERANCE)
    assert score.parts.shape == shape
    assert score.value == score.raw / score.ceiling


@pytest.mark.parametrize(("measure", "counts"), [("dot", [73, 68, 59]), ("cosine", [73, 70, 57])])
def test_odd_one_out(measure: str, counts: list[int]) -> None:
    features, triplets = features_and_triplets()
    assert np.bincount(odd_one_out(similarity(features, measure), triplets)).tolist() == counts


def test_probabilities_readout() -> None:
    training, labels, test = labelled_features()
    readout = ProbabilitiesReadout().fit(xr.DataArray(training, dims=("presentation", "neuroid")), labels)
    probabilities = readout.predict(xr.DataArray(test, dims=("presentation", "neuroid")))
    assert float((probabilities.values**2).sum()) == pytest.approx(5.05370604329, abs=1e-9)
    assert float(probabilities.values[0, 0]) == pytest.approx(0.18283281, abs=5e-9)


def test_order_of_rows_and_columns_does_not_matter_to_a_pattern() -> None:
    answers, trials = model_and_people()
    expected = score_trials(answers, trials, "i2n")
    turned = xr.DataArray(
        answers.to_numpy()[::-1, ::-1],
        dims=("presentation", "choice"),
        coords={"stimulus_id": ("presentation", answers.index[::-1]), "choice": list(answers.columns[::-1])},
    )
    assert score_trials(turned.T, trials, "i2n").value == pytest.approx(expected.value, abs=1e-12)
    without_truth = trials.drop(columns="truth")
    assert score_trials(answers, without_truth, "i2n").value == expected.value
    shuffled = trials.iloc[np.random.default_rng(0).permutation(len(trials))]
    assert score_trials(answers, pd.DataFrame(shuffled), "i2n").value != expected.value  # other halves
