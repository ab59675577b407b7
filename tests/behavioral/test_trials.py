"""What is wrong with trials or answers is said, never scored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from benchmarks_local.behavioral import Probabilities, choices_of, score_trials
from benchmarks_local.behavioral.trials import offered_trials
from benchmarks_local.errors import ScoringError

from .recipes import model_and_people

ANSWERS, TRIALS = model_and_people()


def changed(**columns: Any) -> pd.DataFrame:
    """Return the trials with new values in the first row of some columns."""
    trials = TRIALS.copy()
    for name, value in columns.items():
        trials[name] = [value, *trials[name].iloc[1:]]
    return trials


@pytest.mark.parametrize(
    ("trials", "message"),
    [
        (TRIALS.drop(columns=["dist_obj"]), r"lack dist_obj\. Add what is missing, or rename"),
        (TRIALS.drop(columns=["truth", "sample_obj"]), r"columns stimulus_id, dist_obj, choice, and lack sample_obj"),
        (TRIALS.iloc[:0], r"There are no trials.*at least one row"),
        (changed(choice=None), r"1 trial of 6,000 have no value in choice\. Leave trials without an answer out"),
        (changed(choice="obj9"), r"In 1 trial something was chosen that was not offered, e\.g\. 'obj9' of .* in row 0"),
        (TRIALS.assign(dist_obj=TRIALS["truth"]), r"In 6,000 trials dist_obj is the same label as sample_obj"),
        (changed(truth="obj9"), r"1 stimulus of the trials have several right labels in the column 'truth': im\d+"),
        (TRIALS.to_dict(), r"trials are of type dict, expected a pandas.DataFrame with the columns .*read_csv"),
    ],
)
def test_trials_that_cannot_be_used(trials: Any, message: str) -> None:
    with pytest.raises(ScoringError, match=message):
        score_trials(ANSWERS, trials, "i2n")


def test_rates_are_choices_over_trials_that_offered_the_label() -> None:
    columns = ["stimulus_id", "sample_obj", "dist_obj", "choice"]
    rows = [
        ("p", "a", "b", "b"),
        ("p", "a", "b", "a"),
        ("p", "a", "c", "c"),
        ("q", "b", "a", "b"),
        ("q", "b", "a", "a"),
    ]
    coded = offered_trials(pd.DataFrame(rows, columns=columns), ["q", "p"], ["a", "b", "c"])
    nan = np.nan
    np.testing.assert_array_equal(coded.rates(np.arange(5)), [[1 / 2, nan, nan], [nan, 1 / 2, 1]])
    np.testing.assert_array_equal(coded.rates(np.array([1, 3])), [[0, nan, nan], [nan, 0, nan]])


def test_other_stimuli() -> None:
    others = ANSWERS.rename(index={"im003": "im777"})
    with pytest.raises(ScoringError, match=r"stimuli of the model.*1 only in the trials \('im003'\), 1 only in"):
        score_trials(others, TRIALS, "i2n")
    numbers = TRIALS.assign(stimulus_id=TRIALS["stimulus_id"].str[2:].astype(int))
    texts = ANSWERS.set_axis(ANSWERS.index.str[2:].astype(int).astype(str))
    with pytest.raises(ScoringError, match=r"24 only in the trials \(0, 1, .*24 only in the model \('0', '1'"):
        score_trials(texts, numbers, "i2n")


def test_other_labels() -> None:
    with pytest.raises(ScoringError, match=r"labels of the model.*1 only in the model \('cat'\).*Fit the readout on"):
        score_trials(ANSWERS.assign(cat=0.1), TRIALS, "i1")


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (ANSWERS - 0.01, r"go down to -0\.\d+, expected 0 or more.*not logits"),
        (ANSWERS.replace(ANSWERS.iloc[0, 0], np.nan), r"1 of 144 values of the probabilities is NaN"),
        (pd.concat([ANSWERS, ANSWERS.iloc[:1]]), r"1 stimulus more than once: im000.*Average over presentations"),
        (pd.concat([ANSWERS, ANSWERS.iloc[:, :1]], axis=1), r"1 label more than once: obj0.*one column"),
        (np.eye(3), r"type ndarray holds no probabilities.*Run the task 'probabilities' first"),
        (xr.DataArray(np.eye(3)), r"dtype float64 with dims \('dim_0', 'dim_1'\) holds no probabilities"),
        (xr.DataArray(np.eye(3), dims=("presentation", "choice")), r"coordinates stimulus_id and choice"),
    ],
)
def test_answers_that_cannot_be_used(answers: Any, message: str) -> None:
    with pytest.raises(ScoringError, match=message):
        score_trials(answers, TRIALS, "i2n")


def test_probabilities_have_the_shape_of_their_labels() -> None:
    with pytest.raises(ScoringError, match=r"shape \(2, 3\), expected \(2, 2\): a row for each stimulus"):
        Probabilities(np.ones((2, 3)), np.array(["a", "b"], object), np.array(["x", "y"], object))


def test_choices_come_from_probabilities_and_from_the_label_task() -> None:
    ties = pd.DataFrame([[0.2, 0.4, 0.4], [0.5, 0.3, 0.2]], index=["a", "b"], columns=["x", "y", "z"])
    assert choices_of(ties).to_dict() == {"a": "y", "b": "x"}
    labels = xr.DataArray(
        np.array([["y", "x"]], dtype=object),
        dims=("choice", "presentation"),
        coords={"stimulus_id": ("presentation", ["a", "b"])},
    )
    assert choices_of(labels).to_dict() == choices_of({"a": "y", "b": "x"}).to_dict() == {"a": "y", "b": "x"}
    with pytest.raises(ScoringError, match=r"1 stimulus more than once: a\. Expected each once\. Keep one answer"):
        choices_of(pd.Series(["x", "y"], index=["a", "a"]))
    with pytest.raises(ScoringError, match="holds no probabilities"):
        choices_of(labels.drop_vars("stimulus_id"))
