"""``adapters.as_activations_helper``: Brain-Score's own extractor, batches and stored results around any model."""

from __future__ import annotations

import functools
import os
import pickle
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from brainscore_vision.model_helpers.activations.core import ActivationsExtractorHelper
from brainscore_vision.model_helpers.activations.pca import LayerPCA
from brainscore_vision.model_helpers.activations.pytorch import PytorchWrapper, load_preprocess_images
from brainscore_vision.model_helpers.brain_transformation import ModelCommitment
from brainscore_vision.model_interface import BrainModel
from torch import nn

import adapters
import adapters.brainscore
from adapters.errors import LayerNotFoundError, MissingFrameworkError, StimulusError, UnsupportedModelError

from .comparing import assert_same
from .networks import NETWORKS, SIZE, Network, pytorch

FRAMEWORKS = ("pytorch", "tensorflow", "flax_linen", "onnx")  # both layouts, compiled and not


@pytest.fixture(scope="module", params=FRAMEWORKS)
def network(request: pytest.FixtureRequest) -> Network:
    return NETWORKS[request.param]()


def helper_of(model: Any, batch_size: int = 4) -> Any:
    preprocessing = adapters.imagenet(SIZE)
    return adapters.as_activations_helper(model, identifier="small", preprocessing=preprocessing, batch_size=batch_size)


def theirs(batch_size: int = 4) -> PytorchWrapper:
    preprocessing = functools.partial(load_preprocess_images, image_size=SIZE)
    return PytorchWrapper(pytorch().model, preprocessing, identifier="small", batch_size=batch_size)


def test_same_assembly_as_the_wrapper_and_as_the_extractor(network, image_paths, make_stimulus_set):
    helper = helper_of(network.model)
    assert type(helper._extractor).__mro__[1] is ActivationsExtractorHelper
    layers = [network.conv, network.head]
    for stimuli in (image_paths[:5], make_stimulus_set(5), [image_paths[1], image_paths[0], image_paths[1]]):
        found = helper(stimuli, layers)
        assert_same(found, theirs()(stimuli, ["conv", "head"]), rtol=3e-6)
        assert_same(helper.extractor(stimuli, layers), found)


def test_microsaccades_in_every_layout(network, make_stimulus_set):
    """Images are channels-first for Brain-Score, which shifts them, and in the model's own layout for the model."""
    found = []
    for each in (helper_of(network.model, batch_size=1), theirs(batch_size=1)):
        each._extractor.set_visual_degrees(8)
        found.append(each(make_stimulus_set(3), ["conv"], number_of_trials=4, require_variance=True))
    assert found[0].sizes["presentation"] == 12
    assert_same(*found, rtol=3e-6)
    trials = found[0].values.reshape(3, 4, -1)
    assert (np.abs(np.diff(trials, axis=1)).max(axis=2) > 1e-3).all()


def test_preprocessing_is_channels_first(network, image_paths):
    helper = helper_of(network.model)
    images = helper.preprocess(image_paths[:2])
    np.testing.assert_allclose(images, load_preprocess_images(image_paths[:2], image_size=SIZE), atol=1e-5)
    assert helper._extractor._resolution == f"3x{SIZE}x{SIZE}-float32"
    values = helper.get_activations(images, [network.head, network.conv])
    assert isinstance(values, OrderedDict)
    assert {name: value.shape for name, value in values.items()} == {
        network.head: (2, 1000),
        network.conv: (2, 6, 11, 11),
    }


def test_in_a_commitment(network, make_stimulus_set):
    """Recording, a readout and principal components take it as they take Brain-Score's wrapper."""
    found = []
    for model, conv, head in ((helper_of(network.model), network.conv, network.head), (theirs(), "conv", "head")):
        brain = ModelCommitment("small", model, [conv, head], region_layer_map={"IT": conv}, visual_degrees=8)
        brain.start_recording("IT", [(70, 170)])
        recorded = brain.look_at(make_stimulus_set(4))
        brain.start_task(BrainModel.Task.label, ["dog", "car", "cat"])
        found.append((recorded, brain.look_at(make_stimulus_set(4))))
    assert_same(found[0][0], found[1][0], rtol=3e-6)
    np.testing.assert_array_equal(found[0][1].values, found[1][1].values)


def test_principal_components(network, image_paths, imagenet):
    helper = helper_of(network.model)
    handle = LayerPCA.hook(helper, n_components=8)
    assert LayerPCA.is_hooked(helper)
    assert helper(image_paths[:3], [network.conv]).sizes["neuroid"] == 8
    handle.remove()
    assert helper(image_paths[:3], [network.conv]).sizes["neuroid"] == 6 * 11 * 11


class Tokens(nn.Module):
    """A convolution, tokens and a dense head: ranks 3, 2 and 1."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.patches, self.norm, self.head = nn.Conv2d(3, 5, 8, 8), nn.LayerNorm(5), nn.Linear(5, 7)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.patches(images).flatten(2).transpose(1, 2)).mean(1))


@pytest.mark.parametrize("n_trials", [1, 3])
@pytest.mark.parametrize("layers", [["patches", "norm", "head"], ["norm", "head"], ["norm"], ["patches", "head"]])
def test_layers_of_different_rank(layers, n_trials, make_stimulus_set):
    """What Brain-Score cannot package gets the coordinates that our own extractor gives."""
    model, found = Tokens(), []
    for each in (
        helper_of(model, batch_size=1),
        adapters.wrap(model, identifier="small", preprocessing=adapters.imagenet(SIZE)),
    ):
        each.set_visual_degrees(8)
        found.append(each(make_stimulus_set(3), layers, number_of_trials=n_trials, require_variance=n_trials > 1))
    assert_same(*found)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Let Brain-Score store results, and note which layers are run."""
    monkeypatch.delenv("RESULTCACHING_DISABLE")
    asked: list[list[str]] = []
    read = adapters.brainscore.ActivationsHelper.get_activations

    def get_activations(self: Any, images: np.ndarray, layers: list[str]) -> Any:
        asked.append(list(layers))
        return read(self, images, layers)

    monkeypatch.setattr(adapters.brainscore.ActivationsHelper, "get_activations", get_activations)
    return asked


def test_stored_results(asked, image_paths):
    """The second call reads what the first one stored; only layers that are new run."""
    helper = helper_of(pytorch().model)
    first = helper(image_paths[:3], ["conv"], stimuli_identifier="stored")
    assert_same(helper(image_paths[:3], ["conv"], stimuli_identifier="stored"), first)
    assert asked == [["conv"]]
    both = helper(image_paths[:3], ["conv", "head"], stimuli_identifier="stored")
    assert asked == [["conv"], ["head"]]
    assert both.sizes["neuroid"] == 6 * 11 * 11 + 1000
    (stored,) = Path(os.environ["RESULTCACHING_HOME"]).rglob("*stimuli_identifier=stored,*.pkl")
    assert stored.name.startswith(f"identifier=small,stimuli_identifier=stored,resolution=3x{SIZE}x{SIZE}-float32")
    again = theirs()(image_paths[:3], ["conv", "head"], stimuli_identifier="stored")  # it finds what we stored
    for layer in ("conv", "head"):
        by_number = [each.sel(layer=layer).sortby("neuroid_num").values for each in (again, both)]
        np.testing.assert_array_equal(*by_number)


def test_stored_results_of_different_rank(asked, make_stimulus_set):
    """Layers that come one after the other are stored apart (brain-score/vision#2514) and put together again."""
    model, stimuli = Tokens(), make_stimulus_set(3, "stored_ranks")
    helper, requests = helper_of(model), (["patches"], ["norm", "patches", "head"], ["head", "norm", "patches"])
    direct = adapters.wrap(model, identifier="small", preprocessing=adapters.imagenet(SIZE))
    for layers in requests:
        assert_same(helper(stimuli, layers), direct(stimuli, layers))
    assert asked == [["patches"], ["norm"], ["head"]]
    wrapper = PytorchWrapper(model, helper.preprocess, identifier="wrapper")
    wrapper(stimuli, ["norm"])
    with pytest.raises(AssertionError, match="Length of new_levels"):
        wrapper(stimuli, ["norm", "head"])


def test_stored_results_in_another_order(asked, image_paths):
    """What is stored is sorted when layers are added to it; values are put together by number, not by position."""
    helper, layers = helper_of(Tokens()), ["norm", "patches"]
    first = helper(image_paths[:2], layers, stimuli_identifier="turned")
    (path,) = Path(os.environ["RESULTCACHING_HOME"]).rglob("*=small,stimuli_identifier=turned,*.pkl")
    content = pickle.loads(path.read_bytes())
    content["data"] = content["data"][:, ::-1]
    path.write_bytes(pickle.dumps(content))
    assert_same(helper(image_paths[:2], layers, stimuli_identifier="turned"), first)
    assert len(asked) == 2


def test_stored_results_of_other_stimuli(asked, image_paths):
    helper = helper_of(Tokens())
    helper(image_paths[:2], ["patches"], stimuli_identifier="reused")
    with pytest.raises(StimulusError) as caught:
        helper(image_paths[1:3], ["norm", "patches"], stimuli_identifier="reused")
    for fragment in ("stored results for 'reused'", "of other files than the rest", "Delete them (RESULTCACHING_HOME"):
        assert fragment in str(caught.value)


def test_names_and_options(image_paths):
    helper = helper_of(pytorch().model)
    helper.identifier = "other"
    assert set(helper(image_paths[:1], "co*")["model"].values) == {"other"}
    assert list(helper.layers) == ["conv", "relu", "head"]
    assert list(dict.fromkeys(helper(image_paths[:1], ["*"])["layer"].values)) == ["conv", "relu", "head"]
    assert helper(image_paths[:1], None).sizes["neuroid"] == 1000
    assert helper.from_paths(image_paths[:1], ["logits"]).sizes["neuroid"] == 1000
    assert helper.image_size == SIZE
    helper.image_size = 224
    assert helper.image_size == 224
    assert sum(parameter.numel() for parameter in helper._model.parameters()) == 6 * 28 + 7 * 1000
    with pytest.raises(LayerNotFoundError, match="Did you mean 'conv'"):
        helper(image_paths[:1], ["conf"])


def test_an_extractor_keeps_its_options(image_paths):
    extractor = adapters.wrap(pytorch().model, identifier="mine", preprocessing=adapters.imagenet(SIZE), batch_size=3)
    helper = adapters.as_activations_helper(extractor)
    assert (helper.identifier, helper._extractor._batch_size) == ("mine", 3)
    assert repr(helper) == f"ActivationsHelper({extractor!r})"
    assert_same(helper(image_paths[:4], ["conv"]), extractor(image_paths[:4], ["conv"]))
    with pytest.raises(UnsupportedModelError, match="is wrapped already"):
        adapters.as_activations_helper(extractor, identifier="other")


def test_without_brainscore(monkeypatch):
    adapters.brainscore._import_helper.cache_clear()
    monkeypatch.setitem(sys.modules, "brainscore_vision.model_helpers.activations.core", None)
    with pytest.raises(MissingFrameworkError) as caught:
        helper_of(pytorch().model)
    for fragment in (
        "'small' needs brainscore_vision",
        "could not be imported",
        "pip install 'brain-adapters[brainscore]'",
    ):
        assert fragment in str(caught.value)
