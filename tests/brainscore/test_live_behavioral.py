"""Behavioral metrics, tasks and tables against those of the installed brainscore_vision, on the same data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import brainscore_vision.model_helpers.brain_transformation as brain_transformation
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from brainscore_core.supported_data_standards.brainio.assemblies import BehavioralAssembly
from brainscore_vision import load_metric
from brainscore_vision.benchmarks.rajalingham2018.benchmarks.benchmark import _DicarloRajalingham2018
from brainscore_vision.metrics.i1i2.metric import I1, I2, O1, O2, I1n, I2n
from brainscore_vision.model_helpers.brain_transformation.behavior import (
    LabelBehavior,
    LabelToImagenetIndices,
    OddOneOut,
    ProbabilitiesMapping,
)
from torch import nn

from benchmarks_local import LocalBrainModel
from benchmarks_local.behavioral import get_behavioral_metric, odd_one_out, score_trials, similarity
from benchmarks_local.behavioral.imagenet import class_indices, synsets
from benchmarks_local.behavioral.people import accuracy_distance

from ..behavioral.recipes import features_and_triplets, judgements, model_and_people
from .comparing import SIDE, wrap_both

THEIRS = {"i1": I1, "i1n": I1n, "i2": I2, "i2n": I2n, "o1": O1, "o2": O2}
TOLERANCE = 1e-9
# Of their arithmetic, in which the right label is no distractor, and of their readout's line search.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:(The line|Line) [Ss]earch:RuntimeWarning"),
]


def assembly_of(trials: pd.DataFrame) -> BehavioralAssembly:
    columns = {name: ("presentation", trials[name].to_numpy()) for name in trials.columns if name != "choice"}
    return BehavioralAssembly(trials["choice"].to_numpy(), coords=columns, dims=["presentation"])


def probabilities_of(answers: pd.DataFrame, trials: pd.DataFrame) -> BehavioralAssembly:
    truth = trials.drop_duplicates("stimulus_id").set_index("stimulus_id")["truth"]
    coords = {
        "stimulus_id": ("presentation", answers.index.to_numpy()),
        "object_name": ("presentation", truth.loc[answers.index].to_numpy()),
        "choice": ("choice", answers.columns.to_numpy()),
    }
    return BehavioralAssembly(answers.to_numpy(), coords=coords, dims=["presentation", "choice"])


def other_people(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make a second study: 5 objects x 3 images, unequal numbers of trials, stimuli and objects not in sorted order."""
    random = np.random.RandomState(seed)
    objects, n_images = np.array(["zebra", "ant", "bee", "cow", "dog"]), 15
    truth, ids = np.arange(n_images) % 5, np.array([f"im{(7 * i) % 15:02d}" for i in range(n_images)])
    image = np.concatenate([np.repeat(np.arange(n_images), 60), random.randint(0, n_images, 1500)])
    distractor = (truth[image] + random.randint(1, 5, len(image))) % 5
    is_hit = random.uniform(size=len(image)) < 0.6 + 0.3 * random.uniform(size=(n_images, 5))[image, distractor]
    trials = pd.DataFrame(
        {
            "stimulus_id": ids[image],
            "sample_obj": objects[truth[image]],
            "dist_obj": objects[distractor],
            "truth": objects[truth[image]],
            "choice": objects[np.where(is_hit, truth[image], distractor)],
        }
    )
    values = random.dirichlet(np.ones(5), n_images)
    return pd.DataFrame(values, index=ids, columns=objects), trials


@pytest.mark.parametrize("study", [model_and_people, lambda: other_people(1)], ids=["recipe D", "another"])
@pytest.mark.parametrize("identifier", THEIRS)
def test_patterns_of_confusions(identifier: str, study: Callable[[], tuple[pd.DataFrame, pd.DataFrame]]) -> None:
    answers, trials = study()
    metric, assembly = THEIRS[identifier](), assembly_of(trials)
    expected, ceiling = metric(probabilities_of(answers, trials), assembly), metric.ceiling(assembly)
    found = score_trials(answers, trials, identifier)
    assert found.flags == ()
    np.testing.assert_allclose(found.parts, expected.raw.values, atol=TOLERANCE)
    np.testing.assert_allclose(found.ceiling_parts, ceiling.raw.values, atol=TOLERANCE)
    assert found.raw == pytest.approx(float(expected), abs=TOLERANCE)
    assert found.error == pytest.approx(float(expected.attrs["error"]), abs=TOLERANCE)
    assert found.ceiling_error == pytest.approx(float(ceiling.attrs["error"]), abs=TOLERANCE)


def test_i2n_over_its_ceiling_is_as_the_benchmark_computes_it() -> None:
    answers, trials = model_and_people()
    benchmark = object.__new__(_DicarloRajalingham2018)  # its data are on S3; its formula needs none of them
    benchmark._metric = I2n()
    assembly = assembly_of(trials)
    raw, ceiling = benchmark._metric(probabilities_of(answers, trials), assembly), benchmark._metric.ceiling(assembly)
    expected = benchmark.ceil_score(raw, ceiling)
    assert score_trials(answers, trials, "i2n").value == pytest.approx(float(expected), abs=TOLERANCE)


def test_what_they_refuse_by_an_assertion_is_flagged() -> None:
    answers, trials = model_and_people()
    few = trials.iloc[:400]
    with pytest.raises(AssertionError):
        I2n().ceiling(assembly_of(few))
    assert get_behavioral_metric("i2n").ceiling(few).flags[0].startswith("undefined cells of one half=")
    assert np.isfinite(score_trials(answers, few, "i2n").raw)


@pytest.mark.parametrize("subject", ["A", "B"])
@pytest.mark.parametrize("identifier", ["error_consistency", "accuracy_distance"])
def test_subject_by_subject(identifier: str, subject: str) -> None:
    people = judgements()
    assembly, metric = assembly_of(people), load_metric(identifier)
    expected, ceiling = metric(assembly.sel(subject=subject), assembly), metric.ceiling(assembly)
    answers = people[people["subject"] == subject].set_index("stimulus_id")["choice"]
    found = score_trials(answers, people, identifier)
    assert found.raw == pytest.approx(float(expected), abs=TOLERANCE)
    assert found.error == pytest.approx(float(expected.attrs["error"]), abs=TOLERANCE)
    assert found.ceiling == pytest.approx(float(ceiling), abs=TOLERANCE)
    assert found.ceiling_error == pytest.approx(float(ceiling.attrs["error"]), abs=TOLERANCE)
    assert found.value == pytest.approx(float(expected) / float(ceiling), abs=TOLERANCE)


def test_accuracy_distance_by_condition() -> None:
    people = judgements()
    assembly = assembly_of(people)
    expected = load_metric("accuracy_distance")(assembly.sel(subject="C"), assembly, ("condition",))
    answers = people[people["subject"] == "C"].set_index("stimulus_id")["choice"]
    found = accuracy_distance(answers, people, by=("condition",))
    assert found.raw == pytest.approx(float(expected), abs=TOLERANCE)
    assert found.error == pytest.approx(float(expected.attrs["error"]), abs=TOLERANCE)


def test_accuracy() -> None:
    people = judgements()
    subject = people[people["subject"] == "D"]
    expected = load_metric("accuracy")(subject["choice"].to_numpy(), subject["truth"].to_numpy())
    found = score_trials(subject.set_index("stimulus_id")["choice"], subject, "accuracy")
    assert found.value == pytest.approx(float(expected), abs=TOLERANCE)
    assert found.error == pytest.approx(float(expected.attrs["error"]), abs=TOLERANCE)


@pytest.mark.parametrize("measure", ["dot", "cosine"])
def test_odd_one_out(measure: str) -> None:
    features, triplets = features_and_triplets()
    ids = np.array([f"s{i:02d}" for i in range(len(features))])
    coords = {"stimulus_id": ("presentation", ids), "number": ("presentation", np.arange(len(ids)))}
    task = OddOneOut("net", None, "layer")
    task.set_similarity_measure(measure)
    matrix = task.calculate_similarity_matrix(
        BehavioralAssembly(features, coords=coords, dims=["presentation", "neuroid"])
    )
    expected = task.calculate_choices(matrix, ids[triplets].ravel())
    positions = odd_one_out(similarity(features, measure), triplets)
    assert ids[triplets[np.arange(len(triplets)), positions]].tolist() == expected


def test_tables_of_imagenet_are_theirs() -> None:
    theirs = {
        name.removesuffix("_indices"): tuple(value)
        for name, value in vars(LabelToImagenetIndices).items()
        if name.endswith("_indices") and isinstance(value, list)
    }
    assert dict(class_indices()) == theirs
    names = Path(brain_transformation.__file__).with_name("imagenet_classes.txt").read_text().split()
    assert list(synsets()) == names


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * (SIDE - 2) ** 2, 1000)).eval()


@pytest.fixture
def ours(net: nn.Module) -> Any:
    return wrap_both(net)[0]


@pytest.fixture
def model(ours: Any) -> LocalBrainModel:
    return LocalBrainModel("net", ours, region_layer_map={}, behavioral_readout_layer="1")


@pytest.mark.parametrize("aggregation", ["mean", "max"])
def test_label_task(model: LocalBrainModel, ours: Any, make_stimulus_set: Any, aggregation: str) -> None:
    stimuli, theirs = make_stimulus_set(), LabelBehavior("net", ours)
    labels = [label for label in class_indices() if not label.startswith("kato")]
    theirs.start_task("label", labels, aggregation=aggregation)
    model.start_task("label", labels, aggregation=aggregation)
    assert_same_choices(model.look_at(stimuli), theirs.look_at(stimuli), ("stimulus_id", "label", "image_label"))


def test_label_task_of_imagenet(model: LocalBrainModel, ours: Any, make_stimulus_set: Any) -> None:
    stimuli, theirs = make_stimulus_set(), LabelBehavior("net", ours)
    theirs.start_task("label", "imagenet")
    model.start_task("label", "imagenet")
    assert_same_choices(model.look_at(stimuli), theirs.look_at(stimuli), ("stimulus_id", "label", "synset", "logit"))


@pytest.mark.parametrize("measure", ["dot", "cosine"])
def test_odd_one_out_task(model: LocalBrainModel, ours: Any, make_stimulus_set: Any, measure: str) -> None:
    rows = np.random.default_rng(0).permuted(np.tile(np.arange(12), (20, 1)), axis=1)[:, :3].ravel()
    stimuli, theirs = make_stimulus_set(), OddOneOut("net", ours, "1")
    shown = stimuli.loc[rows]
    theirs.set_similarity_measure(measure)
    theirs.start_task("odd_one_out")
    model.start_task("odd_one_out", similarity=measure)
    found = model.look_at(shown)
    assert_same_choices(found, theirs.look_at(shown), ())
    assert found["stimulus_id"].values[0] == "|".join(shown["stimulus_id"].iloc[:3])


@pytest.mark.parametrize("n_labels", [2, 3])
def test_probabilities_task(model: LocalBrainModel, ours: Any, make_stimulus_set: Any, n_labels: int) -> None:
    stimuli, theirs = make_stimulus_set(), ProbabilitiesMapping("net", ours, "1")
    stimuli["image_label"] = [f"label {(5 * row) % n_labels}" for row in range(len(stimuli))]
    theirs.start_task("probabilities", stimuli)
    model.start_task("probabilities", stimuli)
    found, expected = model.look_at(stimuli), theirs.look_at(stimuli)
    assert found["choice"].values.tolist() == expected["choice"].values.tolist()
    np.testing.assert_allclose(found.values, expected.values, atol=1e-6)  # where the solver stops, from float32


def assert_same_choices(found: xr.DataArray, expected: BehavioralAssembly, names: tuple[str, ...]) -> None:
    assert found.dims == expected.dims == ("choice", "presentation")
    assert found.values.tolist() == expected.values.tolist()
    for name in names:
        assert found[name].values.tolist() == expected[name].values.tolist(), name
