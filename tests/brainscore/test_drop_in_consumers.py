"""``adapters.wrap(model)`` of every framework goes straight into what Brain-Score builds on an activations model.

The oracle is Brain-Score's own ``PytorchWrapper`` around the same network in PyTorch, in the very same class.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from brainscore_vision.benchmark_helpers.memory import preallocate_memory
from brainscore_vision.benchmark_helpers.neural_common import NeuralBenchmark, average_repetition
from brainscore_vision.benchmark_helpers.screen import place_on_screen
from brainscore_vision.metrics import Score
from brainscore_vision.metrics.regression_correlation.metric import CrossRegressedCorrelation, pls_regression
from brainscore_vision.metrics.regression_correlation.metric import pearsonr_correlation as pearson
from brainscore_vision.model_helpers.activations.pca import LayerPCA, _get_imagenet_val
from brainscore_vision.model_helpers.activations.pytorch import PytorchWrapper, load_preprocess_images
from brainscore_vision.model_helpers.brain_transformation import LayerScores, LayerSelection, ModelCommitment
from brainscore_vision.model_helpers.check_submission.check_models import check_processing
from brainscore_vision.model_interface import BrainModel

import adapters

from .comparing import assert_same
from .networks import NETWORKS, SIZE, pytorch

CHOICES = ["dog", "cat", "car", "airplane"]


@dataclass(frozen=True)
class Wrapped:
    """An activations model, and the names of its two layers."""

    model: Any
    conv: str
    head: str


@pytest.fixture(scope="module", params=list(NETWORKS))
def ours(request: pytest.FixtureRequest) -> Wrapped:
    network = NETWORKS[request.param]()
    extractor = adapters.wrap(network.model, identifier="small", preprocessing=adapters.imagenet(SIZE), batch_size=8)
    return Wrapped(extractor, network.conv, network.head)


@pytest.fixture(scope="module")
def theirs() -> Wrapped:
    preprocessing = functools.partial(load_preprocess_images, image_size=SIZE)
    network = pytorch()
    wrapper = PytorchWrapper(network.model, preprocessing, identifier="small", batch_size=8)
    return Wrapped(wrapper, network.conv, network.head)


@pytest.fixture(scope="module")
def benchmark(recordings: Any) -> NeuralBenchmark:
    """Brain-Score's own neural benchmark with PLS over three splits, on synthetic recordings."""
    metric = CrossRegressedCorrelation(
        regression=pls_regression({"n_components": 2}),
        correlation=pearson(),
        crossvalidation_kwargs={"stratification_coord": None, "splits": 3},
    )
    return NeuralBenchmark(
        identifier="synthetic.IT-pls",
        assembly=average_repetition(recordings.squeeze("time_bin")),
        similarity_metric=metric,
        visual_degrees=8,
        number_of_trials=1,
        ceiling_func=lambda: Score(1.0),
        version=1,
        parent="IT",
        bibtex=None,
    )


def commitment(wrapped: Wrapped, degrees: float = 8) -> ModelCommitment:
    return ModelCommitment(
        identifier="small",
        activations_model=wrapped.model,
        layers=[wrapped.conv, wrapped.head],
        region_layer_map={"V4": wrapped.conv, "IT": [wrapped.conv, wrapped.head]},
        visual_degrees=degrees,
    )


@pytest.mark.parametrize("time_bins", [[(70, 170)], [(0, 100), (100, 200), (200, 300)]], ids=["one-bin", "three-bins"])
def test_recording_through_a_commitment(ours, theirs, make_stimulus_set, time_bins):
    """Two layers of different rank for a region, stimuli that are placed on a larger screen, one or more time bins."""
    found = []
    for wrapped in (ours, theirs):
        model = commitment(wrapped, degrees=10)
        stimuli = place_on_screen(make_stimulus_set(5), target_visual_degrees=10, source_visual_degrees=8)
        model.start_recording("IT", time_bins)
        found.append(model.look_at(stimuli))
    assert found[0].sizes["neuroid"] == 6 * 11 * 11 + 1000
    assert found[0].sizes.get("time_bin", 1) == len(time_bins)
    assert set(found[0]["region"].values) == {"IT"}
    assert_same(*found, rtol=5e-6)


@pytest.mark.parametrize("choices", ["imagenet", CHOICES], ids=["imagenet", "four"])
def test_label_behavior(ours, theirs, make_stimulus_set, choices):
    found = []
    for wrapped in (ours, theirs):
        model = commitment(wrapped)
        model.start_task(BrainModel.Task.label, choices)
        found.append(model.look_at(make_stimulus_set(12)))
    np.testing.assert_array_equal(found[0].values, found[1].values)
    assert list(found[0]["stimulus_id"].values) == list(make_stimulus_set(12)["stimulus_id"])
    assert found[0].size == 12


def test_probabilities_mapping(ours, theirs, make_stimulus_set):
    found = []
    for wrapped in (ours, theirs):
        model = commitment(wrapped)
        model.start_task(BrainModel.Task.probabilities, make_stimulus_set(8))
        found.append(model.look_at(make_stimulus_set(12), number_of_trials=2))
    np.testing.assert_allclose(found[0].values, found[1].values, atol=1e-3)  # the solver stops at a gradient of 1e-4
    assert list(found[0]["choice"].values) == list(found[1]["choice"].values) == ["car", "dog"]
    np.testing.assert_allclose(found[0].values.sum(axis=1), 1)
    assert len(set(found[0].values[:, 0].round(6))) > 3


def test_odd_one_out(ours, theirs, make_stimulus_set):
    triplets = make_stimulus_set(12).iloc[[0, 1, 2, 3, 0, 5, 6, 7, 8, 9, 10, 11]]
    found = []
    for wrapped in (ours, theirs):
        model = commitment(wrapped)
        model.start_task(BrainModel.Task.odd_one_out)
        found.append(model.look_at(triplets))
    assert found[0].shape == (1, 4)
    np.testing.assert_array_equal(found[0].values, found[1].values)
    np.testing.assert_array_equal(found[0]["presentation"].values, found[1]["presentation"].values)


def test_trials_that_differ(ours, theirs, make_stimulus_set):
    """Microsaccades reach the readout: one stimulus per batch, where Brain-Score labels trials rightly."""
    theirs.model._extractor._batch_size, found = 1, []
    try:
        for wrapped in (ours, theirs):
            model = commitment(wrapped)
            readout = model.behavior_model.mapping[BrainModel.Task.label]
            readout.start_task(BrainModel.Task.label, CHOICES)
            chosen = readout.look_at(make_stimulus_set(4), number_of_trials=3, require_variance=True)
            regions = model.layer_model._layer_model
            regions.start_recording("IT")
            found.append((chosen, regions.look_at(make_stimulus_set(4), number_of_trials=3, require_variance=True)))
    finally:
        theirs.model._extractor._batch_size = 8
        theirs.model._extractor._microsaccade_helper.number_of_trials = 1
    np.testing.assert_array_equal(found[0][0].values, found[1][0].values)
    assert_same(found[0][1], found[1][1], rtol=5e-6)
    trials = found[0][1].values.reshape(4, 3, -1)
    assert (np.abs(np.diff(trials, axis=1)).max(axis=2) > 1e-3).all()


def test_principal_components(ours, theirs, imagenet, image_paths):
    found = []
    for wrapped in (ours, theirs):
        handle = LayerPCA.hook(wrapped.model, n_components=20)
        assert LayerPCA.is_hooked(wrapped.model)
        found.append(wrapped.model(image_paths, layers=[wrapped.conv, wrapped.head]))
        handle.remove()
        assert not LayerPCA.is_hooked(wrapped.model)
    assert found[0].sizes["neuroid"] == 40
    assert_same_components(*found)


def assert_same_components(ours: Any, theirs: Any) -> None:
    """Compare inner products of the leading components: signs are arbitrary, and directions without variance, too."""
    for layer in ("conv", "head"):
        mine, other = (each.isel(neuroid=each["layer"].values == layer).values[:, :5] for each in (ours, theirs))
        np.testing.assert_allclose(mine @ mine.T, other @ other.T, rtol=1e-3, atol=1e-3 * np.abs(other @ other.T).max())


def select(wrapped: Wrapped, benchmark: NeuralBenchmark) -> tuple[str, np.ndarray]:
    """Return the layer that is selected for IT, by its role, and the scores without PCA."""
    commitment(wrapped)  # says the visual degrees
    layers = [wrapped.conv, wrapped.head]
    selected = LayerSelection("small", wrapped.model, layers, visual_degrees=8)("IT", benchmark)
    scores = LayerScores("small", wrapped.model, 8)(benchmark, layers, prerun=True)
    return ("conv", "head")[layers.index(selected)], scores.values


@pytest.fixture(scope="module")
def their_selection(theirs: Wrapped, imagenet: Any, benchmark: NeuralBenchmark) -> tuple[str, np.ndarray]:
    return select(theirs, benchmark)


def test_layer_selection(ours, their_selection, benchmark):
    """Layers are scored with their PCA hooked, all layers run first, and the model is found as before."""
    selected, scores = select(ours, benchmark)
    assert selected == their_selection[0]
    np.testing.assert_allclose(scores, their_selection[1], atol=1e-3)
    assert np.ptp(scores) > 0.01
    assert ours.model.identifier == "small"
    assert not LayerPCA.is_hooked(ours.model)


def test_memory_preflight(ours, benchmark):
    """The probe runs one stimulus through ``_from_paths`` of the layer that the region is committed to."""
    estimate = preallocate_memory(commitment(ours), benchmark)
    assert (estimate.num_features, estimate.num_stimuli, estimate.num_timebins) == (6 * 11 * 11, 12, 1)


@pytest.mark.parametrize("ours", ["flax_linen"], indirect=True)
def test_the_whole_check_of_a_submission(ours, recordings, imagenet, monkeypatch, capsys):
    """``check_base_models`` of one model, on synthetic data under the name that it loads."""
    import brainscore_vision.data.majajhong2015  # registers the name, once

    assert brainscore_vision.data.majajhong2015.BIBTEX
    monkeypatch.setitem(brainscore_vision.data_registry, "MajajHong2015.public", lambda: recordings)
    module = SimpleNamespace(get_model=lambda _: ours.model, get_layers=lambda _: [ours.conv, ours.head])
    monkeypatch.setenv("RESULTCACHING_DISABLE", "1")
    check_processing("small", module)
    assert ours.model.identifier == "small"
    assert not LayerPCA.is_hooked(ours.model)
    assert ours.model.visual_degrees == 8


def test_imagenet_file_is_what_is_read(imagenet):
    """The stub is Brain-Score's own variable, and not a download that happened to be there."""
    assert all(path.startswith(str(imagenet)) for path in _get_imagenet_val(3))
