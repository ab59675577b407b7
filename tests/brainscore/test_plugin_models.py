"""Brain-Score's models through the registry: found as text, loaded as extractors, refused with what to do."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import brainscore_vision
import numpy as np
import pytest
import torch
import torchvision
from brainscore_core.plugin_management.import_plugin import ImportPlugin
from brainscore_vision.model_helpers.brain_transformation import ModelCommitment

import adapters
import registry
from adapters.errors import MissingFrameworkError, ModelNotFoundError
from registry import PluginError, Registry, commit, connect_brainscore, register_model
from registry.brainscore import load_plugin

from .overlaying import plugins_from, write_plugins
from .plugin_texts import PLUGINS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("brainscore_vision")
    write_plugins(folder, PLUGINS)
    return folder


@pytest.fixture
def overlay(folder: Path) -> Iterator[Path]:
    with plugins_from(folder):
        yield folder / "models"


def test_identifiers_are_those_that_brainscore_finds():
    found = registry.list_models(source="brainscore")
    installed = registry.brainscore.find_plugins()
    assert found == sorted(installed)
    if importlib.metadata.version("brainscore-vision") == "2.4.2":
        assert (len(found), len(set(installed.values()))) == (741, 606)
    for identifier in found[:: len(found) // 12]:
        importer = ImportPlugin("brainscore_vision", "models", identifier)
        assert importer.plugins_dir / importer.plugin_dirname == installed[identifier]
    assert "pixels" in found
    assert registry.list_models("resnet50_tut*", source="brainscore") == ["resnet50_tutorial"]
    assert not set(registry.list_models()) & set(found)


def test_a_comment_or_a_private_folder_registers_nothing(overlay: Path):
    assert registry.list_models(source="brainscore") == [
        *("broken", "broken_alone", "broken_setup", "conditional", "halved", "hooked", "own_activations"),
        "own_helper",
        *("scaled", "tiny-net", "uncached", "unreachable"),
    ]


@pytest.mark.parametrize("identifier", ["tiny-net", "scaled", "uncached"])
def test_plugin_is_loaded_as_an_extractor_of_its_network(overlay: Path, image_paths: list[str], identifier: str):
    extractor = registry.get_model(identifier)
    assert isinstance(extractor, adapters.ActivationsExtractor)
    assert list(extractor.layers) == ["conv", "head"]
    assert (extractor.identifier, extractor.visual_degrees, extractor.batch_size) == (identifier, 7, 4)
    theirs = brainscore_vision.load_model(identifier).activations_model(image_paths[:3], layers=["conv", "head"])
    ours = extractor(image_paths[:3], ["conv", "head"])
    np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-6, atol=1e-6)
    for name in ("layer", "channel", "neuroid_num"):
        np.testing.assert_array_equal(ours[name].values, theirs[name].values)


def test_layers_and_reference_of_a_plugin(overlay: Path):
    assert registry.get_layers("tiny-net") == ["conv", "head"]
    assert registry.get_bibtex("tiny-net") == "@misc{tiny}"
    assert registry.get_bibtex("halved") == ""


@pytest.mark.parametrize(
    ("identifier", "factor"), [("own_activations", 2), ("halved", 0.5), ("hooked", 1), ("own_helper", 0.5)]
)
def test_plugin_with_values_of_its_own_stays_a_brain_model(
    overlay: Path, image_paths: list[str], identifier: str, factor: float
):
    model = registry.get_model(identifier)
    assert isinstance(model, ModelCommitment)
    plain = registry.get_model("tiny-net")(image_paths[:2], ["conv"])
    if identifier != "own_activations":  # Brain-Score refuses its plain dict at a call
        own = model.activations_model(image_paths[:2], layers=["conv"])
        np.testing.assert_allclose(own.values, factor * plain.values, rtol=1e-6, atol=1e-6)


def test_installed_plugin_with_random_weights(monkeypatch: pytest.MonkeyPatch, image_paths: list[str]):
    build = torchvision.models.alexnet

    def random_alexnet(pretrained: bool) -> torch.nn.Module:
        torch.manual_seed(0)
        return build(weights=None)

    monkeypatch.setattr(torchvision.models, "alexnet", random_alexnet)
    extractor, model = registry.get_model("alexnet"), brainscore_vision.load_model("alexnet")
    theirs, layers = model.activations_model, ["features.2", "classifier.5"]
    theirs._extractor._batch_size = 2
    expected = theirs(image_paths[:2], layers=layers)
    np.testing.assert_allclose(extractor(image_paths[:2], layers).values, expected.values, rtol=1e-5, atol=1e-6)
    assert registry.get_layers("alexnet") == model.layers
    assert set(model.layers) <= set(extractor.layers)


def test_plugin_without_a_network_is_the_brain_model_itself(image_paths: list[str]):
    model = registry.get_model("pixels")
    assert isinstance(model, ModelCommitment)
    assert registry.get_layers("pixels") == ["pixels"]


def test_a_registered_model_comes_before_a_plugin(overlay: Path):
    models = registry.default_registry
    register_model("halved", layers=["0"])(lambda: torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3)))
    try:
        assert registry.get_layers("halved") == ["0"]
    finally:
        models.unregister("halved")


def test_a_plugin_can_be_committed_under_another_identifier(overlay: Path, image_paths: list[str]):
    models = Registry()
    register_model("tiny_net_v2", registry=models, layers=["conv"])(lambda: load_plugin("tiny-net"))
    connect_brainscore(models)
    try:
        model = brainscore_vision.load_model("tiny_net_v2")
    finally:
        registry.disconnect_brainscore()
    assert model.activations_model(image_paths[:1], ["conv"])["neuroid_id"].values[0] == "tiny_net_v2.conv.0"


def test_the_map_beside_a_plugin_completes_that_of_the_entry(overlay: Path):
    place = overlay / "broken" / "region_layer_map" / "broken.json"  # the folder that registers the identifier
    place.parent.mkdir()
    place.write_text('{"V1": "0", "V2": "0", "V4": "0", "IT": "0"}')
    models, layers = Registry(), [torch.nn.Conv2d(3, 2, 3), torch.nn.ReLU(), torch.nn.Flatten()]
    options = {"layers": ["0", "2"], "region_layer_map": {"IT": "2"}, "preprocessing": adapters.imagenet(8)}
    register_model("broken", registry=models, **options)(lambda: torch.nn.Sequential(*layers))
    assert commit(models["broken"]).layer_model.region_layer_map == {"V1": "0", "V2": "0", "V4": "0", "IT": ["2"]}


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        (
            "broken",
            [r"No module named 'a_package_that_is_nowhere'. Install what it requires: pip install -r \S+nts.txt"],
        ),
        ("broken_setup", [r"OSError: no such host. Install what it requires: pip install \S+broken_setup, or set BS_"]),
        ("broken_alone", [r"It lists no requirements; look into \S+broken_alone"]),
        ("conditional", [r"names model 'conditional', but did not register it", "inside a condition"]),
    ],
)
def test_a_plugin_that_fails_says_what_to_do(overlay: Path, identifier: str, expected: list[str]):
    for fragment in expected:
        with pytest.raises(PluginError, match=fragment):
            registry.get_model(identifier)


def test_a_plugin_that_cannot_be_built_keeps_its_error(overlay: Path):
    with pytest.raises(ConnectionError, match="no such host") as failed:
        registry.get_model("unreachable")
    assert "built model 'unreachable'; weights are often downloaded at this point" in failed.value.__notes__[-1]


def test_requirements_are_installed_only_if_that_is_asked_for(
    overlay: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    called = tmp_path / "called"
    pip = tmp_path / "pip"
    pip.write_text(f'#!/bin/sh\necho "$@" >> {called}\n')
    pip.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for preference in (None, "no", "newenv"):
        monkeypatch.delenv("BS_INSTALL_DEPENDENCIES", raising=False)
        if preference is not None:
            monkeypatch.setenv("BS_INSTALL_DEPENDENCIES", preference)
        with pytest.raises(PluginError):
            registry.get_model("broken")
        assert not called.exists()
    monkeypatch.setenv("BS_INSTALL_DEPENDENCIES", "yes")
    with pytest.raises(PluginError):
        registry.get_model("broken")
    assert called.read_text() == f"install -r {overlay / 'broken' / 'requirements.txt'}\n"


def test_unknown_identifiers_name_the_nearest():
    with pytest.raises(ModelNotFoundError, match=r"Among Brain-Score's: Did you mean 'resnet50_tutorial'\?"):
        registry.get_model("resnet50_tutoral")
    with pytest.raises(ModelNotFoundError, match=r"None of the \d+ models .* Did you mean 'pixels'\? List them with"):
        load_plugin("pixles")
    with pytest.raises(ModelNotFoundError, match="No model 'zzzzqqqq'") as failed:
        registry.get_model("zzzzqqqq")
    assert "Brain-Score" not in str(failed.value)


def test_unknown_source_is_refused():
    with pytest.raises(ValueError, match=r"source='brain-score' is unknown\. Use 'registered' or 'brainscore'"):
        registry.list_models(source="brain-score")


def test_without_brainscore(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "brainscore_vision", None)
    install = r"which could not be imported: .* pip install 'brain-adapters\[brainscore\]'"
    with pytest.raises(
        MissingFrameworkError, match=f"The models of Brain-Score come with brainscore_vision, {install}"
    ):
        registry.list_models(source="brainscore")
    with pytest.raises(MissingFrameworkError, match=f"Registered models are shown to brainscore_vision, {install}"):
        connect_brainscore()
    with pytest.raises(MissingFrameworkError, match=f"Model 'pixels' is a plugin of brainscore_vision, {install}"):
        load_plugin("pixels")
    with pytest.raises(ModelNotFoundError, match="No model 'pixels'"):
        registry.get_model("pixels")
