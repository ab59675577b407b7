"""From a registered function to an extractor, its layers, and the functions that older code calls."""

import sys

import numpy as np
import pytest
import torch

import adapters
import registry
from adapters.errors import LayerNotFoundError, MissingFrameworkError, ModelNotFoundError, UnsupportedModelError
from registry import ModelEntry, ModelOptionError, Registry, commit, models_module


def small_net():
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(72, 4))


def entry_with(**options) -> ModelEntry:
    options.setdefault("preprocessing", adapters.raw(8))
    return ModelEntry("small_net", function=options.pop("function", small_net), **options)


def test_built_extractor_carries_the_options():
    extractor = entry_with(visual_degrees=5, batch_size=3).build()
    assert isinstance(extractor, adapters.ActivationsExtractor)
    assert (extractor.identifier, extractor.visual_degrees, extractor.batch_size) == ("small_net", 5, 3)
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    activations = extractor(images, layers=["3"])
    with torch.no_grad():
        expected = small_net()(torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32) / 255)).numpy()
    np.testing.assert_allclose(activations.values, expected, rtol=1e-5, atol=1e-6)


def test_function_may_return_an_extractor():
    wrapped = adapters.wrap(small_net(), identifier="other", preprocessing=adapters.raw(8))
    extractor = entry_with(function=lambda: wrapped, preprocessing=None, visual_degrees=3).build()
    assert extractor is wrapped
    assert (extractor.identifier, extractor.visual_degrees) == ("small_net", 3)


def test_preprocessing_in_two_places_is_refused():
    wrapped = adapters.wrap(small_net(), preprocessing=adapters.raw(8))
    with pytest.raises(ModelOptionError, match="Give it in one of the two places"):
        entry_with(function=lambda: wrapped).build()


def test_forgotten_return_is_named():
    with pytest.raises(UnsupportedModelError, match=r"returned None; expected a model\. Is its 'return' missing"):
        entry_with(function=lambda: None).build()


def test_error_of_the_function_keeps_its_type_and_says_which_model():
    def broken():
        raise OSError("no such checkpoint")

    with pytest.raises(OSError, match="no such checkpoint") as caught:
        entry_with(function=broken).build()
    assert "while building model 'small_net'" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (["3", "0"], ["3", "0"]),
        (["[01]"], ["0", "1"]),
        (None, ["0", "1", "2", "3"]),
        (lambda extractor: [name for name in extractor.layers if int(name) > 1], ["2", "3"]),
    ],
)
def test_layers_may_be_names_globs_a_function_or_all(layers, expected):
    entry = entry_with(layers=layers)
    assert entry.resolved_layers(entry.build()) == expected
    assert entry.resolved_layers() == expected


def test_plain_layer_names_are_told_without_building():
    def expensive():
        raise AssertionError("built")

    assert entry_with(function=expensive, layers=["features.5"]).resolved_layers() == ["features.5"]


def test_unknown_layer_is_an_error():
    entry = entry_with(layers=["conv9"])
    with pytest.raises(LayerNotFoundError):
        entry.resolved_layers(entry.build())


def test_functions_of_the_package_answer_from_the_default_registry(toy):
    assert registry.list_models() == registry.get_model_list() == ["toy_net"]
    assert registry.list_models("toy*") == ["toy_net"]
    assert registry.list_models("alex*") == []
    assert registry.get_model("toy_net").identifier == "toy_net"
    assert registry.get_layers("toy_net") == ["0", "3"]
    assert registry.get_bibtex("toy_net").startswith("@misc{toy")
    registry.unregister("toy_net")
    for function in (registry.get_model, registry.get_layers, registry.get_bibtex, registry.get_entry):
        with pytest.raises(ModelNotFoundError):
            function("toy_net")


def test_models_module_stands_in_for_the_hand_written_one(monkeypatch):
    models = Registry([entry_with(layers=["0"], bibtex="@misc{x}"), ModelEntry("brain", small_net, kind="brain")])
    monkeypatch.setitem(sys.modules, "base_models_of_2021", models_module("base_models_of_2021", registry=models))
    module = __import__("base_models_of_2021")
    assert module.get_model_list() == ["small_net"]
    assert module.get_layers("small_net") == ["0"]
    assert module.get_model("small_net").identifier == "small_net"
    assert module.get_bibtex(model_identifier="small_net") == "@misc{x}"
    assert module.get_model.__module__ == "base_models_of_2021"
    brains = models_module(kind="brain", registry=models)
    assert brains.get_model_list() == ["brain"]
    assert isinstance(brains.get_model("brain"), torch.nn.Module)
    assert not hasattr(brains, "get_layers")


def test_brain_model_is_committed_as_it_is():
    brain = object()
    assert commit(ModelEntry("brain", function=lambda: brain, kind="brain")) is brain


def test_commitment_without_brainscore_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "brainscore_vision", None)
    with pytest.raises(MissingFrameworkError, match=r"pip install 'brain-adapters\[brainscore\]'"):
        commit(entry_with())
