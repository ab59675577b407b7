"""A brain model made of an extractor names labels and finds the odd one out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from benchmarks_local import LocalBrainModel, ScoringError
from benchmarks_local.behavioral import get_behavioral_metric, odd_one_out_answers, score_trials
from benchmarks_local.errors import MetricNotFoundError

N_STIMULI = 6


def extract(stimuli: pd.DataFrame, layers: list[str]) -> xr.DataArray:
    """Give each stimulus the values that its number seeds, whatever the others are."""
    n_features = 1000 if layers == ["logits"] else 8
    values = [np.random.default_rng(int(each[1:])).normal(size=n_features) for each in stimuli["stimulus_id"]]
    coords = {name: ("presentation", list(stimuli[name])) for name in stimuli.columns}
    return xr.DataArray(np.stack(values), dims=("presentation", "neuroid"), coords=coords)


@pytest.fixture
def model() -> LocalBrainModel:
    extractor: Any = extract
    return LocalBrainModel("toy", extractor, region_layer_map={}, behavioral_readout_layer="late")


@pytest.fixture
def stimuli() -> pd.DataFrame:
    ids = [f"s{number}" for number in range(N_STIMULI)]
    return pd.DataFrame({"stimulus_id": ids, "image_label": ["dog", "cat"] * 3})


def test_labels_of_imagenet(model: LocalBrainModel, stimuli: pd.DataFrame) -> None:
    model.start_task("label", "imagenet")
    answers = model.look_at(stimuli)
    assert answers.dims == ("choice", "presentation")
    columns = extract(stimuli, ["logits"]).values.argmax(axis=1)
    assert answers["logit"].values.tolist() == columns.tolist()
    assert answers.values[0].tolist() == answers["synset"].values.tolist() == answers["label"].values.tolist()
    assert answers["image_label"].values.tolist() == list(stimuli["image_label"])


def test_labels_to_choose_from_are_scored(model: LocalBrainModel, stimuli: pd.DataFrame) -> None:
    model.start_task("label", {"dog": [0, 1], "cat": [2, 3]}, aggregation="max")
    answers = model.look_at(stimuli)
    logits = extract(stimuli, ["logits"]).values
    expected = np.where(logits[:, :2].max(axis=1) >= logits[:, 2:4].max(axis=1), "dog", "cat")
    assert answers.values[0].tolist() == expected.tolist()
    trials = stimuli.rename(columns={"image_label": "truth"})
    assert score_trials(answers, trials, "accuracy").raw == np.mean(expected == trials["truth"].to_numpy())


def test_the_odd_one_of_each_triplet(model: LocalBrainModel, stimuli: pd.DataFrame) -> None:
    rows = [4, 0, 2, 0, 1, 5, 3, 4, 0]
    for similarity in ("dot", "cosine"):
        model.start_task("odd_one_out", similarity=similarity)
        answers = model.look_at(stimuli.iloc[rows])
        assert answers["stimulus_id"].values.tolist() == ["s4|s0|s2", "s0|s1|s5", "s3|s4|s0"]
        features = extract(stimuli, ["late"]).values
        features = features / np.linalg.norm(features, axis=1)[:, None] if similarity == "cosine" else features
        for choice, (i, j, k) in zip(answers.values[0], np.reshape(rows, (-1, 3)), strict=True):
            pairs = {f"s{k}": features[i] @ features[j], f"s{j}": features[i] @ features[k]}
            assert choice == max({**pairs, f"s{i}": features[j] @ features[k]}.items(), key=lambda pair: pair[1])[0]


def test_tasks_replace_each_other(model: LocalBrainModel, stimuli: pd.DataFrame) -> None:
    model.start_task("label", "imagenet")
    model.start_task("probabilities", stimuli)
    assert model.look_at(stimuli).dims == ("presentation", "choice")
    model.start_task("odd_one_out")
    assert model.look_at(stimuli).sizes["presentation"] == 2


def test_what_a_task_needs(model: LocalBrainModel, stimuli: pd.DataFrame) -> None:
    with pytest.raises(ScoringError, match=r"Task 'label' was started without.*the labels to choose from\. Pass them"):
        model.start_task("label")
    with pytest.raises(ScoringError, match=r"Task 'probabilities' was started without.*labelled stimuli"):
        model.start_task("probabilities")
    model.start_task("odd_one_out")
    with pytest.raises(ScoringError, match=r"4 stimuli were shown, expected a multiple of 3"):
        model.look_at(stimuli.iloc[:4])
    with pytest.raises(ScoringError, match=r"activations lack 1 of the stimuli that were shown"):
        odd_one_out_answers(extract(stimuli.iloc[:2], ["late"]), ["s0", "s1", "s2"])


def test_metrics_by_name() -> None:
    with pytest.raises(MetricNotFoundError, match=r"no behavioral metric 'i2m'\. Did you mean 'i2\w?'\?.*i1, i1n, i2"):
        get_behavioral_metric("i2m")
    metric = get_behavioral_metric("error_consistency")
    assert (metric.task, metric.formula, metric.columns[0]) == ("label", "s/c", "subject")
    trials = pd.DataFrame({"stimulus_id": ["a", "b"], "truth": ["dog", "dog"]})
    assert score_trials({"a": "dog", "b": "cat"}, trials, get_behavioral_metric("accuracy")).raw == 0.5
