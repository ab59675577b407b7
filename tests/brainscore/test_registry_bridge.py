"""Registered models are Brain-Score's, and Brain-Score's models are the registry's, each by one line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import brainscore_vision
import numpy as np
import pytest
import torch
from brainscore_core.metrics import Score
from brainscore_core.plugin_management.import_plugin import ImportPlugin
from brainscore_vision.benchmarks import BenchmarkBase
from brainscore_vision.model_helpers import brain_transformation
from brainscore_vision.model_helpers.brain_transformation import ModelCommitment
from brainscore_vision.model_interface import BrainModel
from PIL import Image
from torch import nn

import adapters
from adapters.errors import AdapterWarning, DuplicateModelError, LayerNotFoundError
from registry import Registry, commit, connect_brainscore, disconnect_brainscore, register_model
from registry.brainscore.__main__ import main
from registry.discovery import discover_models

LAYERS = ["early", "late", "head"]


class SmallNet(nn.Module):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.early, self.late = nn.Conv2d(3, 4, 3, 2), nn.Conv2d(4, 6, 3, 2)
            self.head = nn.Linear(6 * 9, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.late(self.early(images).relu()).flatten(1))


def add(models: Registry, identifier: str = "small_net", seed: int = 0, **options: Any) -> None:
    given = {"layers": LAYERS, "preprocessing": adapters.imagenet(16), "bibtex": "@misc{small}", **options}
    register_model(identifier, registry=models, **given)(lambda: SmallNet(seed))


def early_by_hand(paths: list[str], seed: int = 0) -> np.ndarray:
    batch = torch.from_numpy(np.stack([adapters.imagenet(16)(Image.open(path)) for path in paths]))
    with torch.no_grad():
        return SmallNet(seed).early(batch).flatten(1).numpy()


@pytest.fixture
def models() -> Iterator[Registry]:
    """Connect a registry with one model, and leave everything as it was."""
    models = Registry(discover=discover_models)
    add(models, region_layer_map={"V1": "early", "V2": "early", "V4": "late", "IT": "late"})
    connect_brainscore(models)
    yield models
    disconnect_brainscore()


def test_brainscore_loads_a_registered_model(models: Registry, image_paths: list[str], make_stimulus_set: Callable):
    model = brainscore_vision.load_model("small_net")
    assert isinstance(model, ModelCommitment)
    assert (model.identifier, model.visual_degrees(), model.layers) == ("small_net", 8, LAYERS)
    model.start_recording(BrainModel.RecordingTarget.V1, time_bins=[(70, 170)])
    recorded = model.look_at(make_stimulus_set(3))
    assert set(recorded["region"].values) == {"V1"}
    assert list(recorded["stimulus_id"].values) == ["stimulus_00", "stimulus_01", "stimulus_02"]
    np.testing.assert_allclose(recorded.squeeze().values, early_by_hand(image_paths[:3]), rtol=1e-5, atol=1e-6)
    assert brainscore_vision.load_model_bibtex("small_net") == "@misc{small}"


def test_models_registered_later_or_again_are_seen(models: Registry, image_paths: list[str]):
    add(models, "later_net", seed=1)
    first = brainscore_vision.load_model("later_net").activations_model(image_paths[:2], ["early"])
    np.testing.assert_allclose(first.values, early_by_hand(image_paths[:2], seed=1), rtol=1e-5, atol=1e-6)
    models.unregister("later_net")
    add(models, "later_net", seed=2)
    second = brainscore_vision.load_model("later_net").activations_model(image_paths[:2], ["early"])
    np.testing.assert_allclose(second.values, early_by_hand(image_paths[:2], seed=2), rtol=1e-5, atol=1e-6)


def test_models_of_installed_packages_are_seen(
    models: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image_paths: list[str]
):
    information = tmp_path / "mylab-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: mylab\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[brain_adapters.models]\nmylab = mylab_models:MODELS\n")
    (tmp_path / "mylab_models.py").write_text(
        "from registry import ModelEntry\n"
        "def build():\n    from torch import nn\n    return nn.Sequential(nn.Conv2d(3, 2, 3))\n"
        "MODELS = [ModelEntry('mylab_net', build, preprocessing=lambda image: __import__('numpy').zeros((3, 8, 8)))]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert brainscore_vision.load_model("mylab_net").layers == ["0"]
    sys.modules.pop("mylab_models")


def test_nothing_is_visible_before_and_after(image_paths: list[str]):
    original, loaded = ImportPlugin.locate_plugin, set(sys.modules)
    models = Registry()
    add(models)
    with pytest.raises(AssertionError, match="No registrations found for small_net"):
        brainscore_vision.load_model("small_net")
    assert ImportPlugin.locate_plugin is original
    connect_brainscore(models)
    connect_brainscore(models)
    brainscore_vision.load_model("small_net")
    assert "small_net" in brainscore_vision.model_registry
    disconnect_brainscore()
    disconnect_brainscore()
    assert ImportPlugin.locate_plugin is original
    assert "small_net" not in brainscore_vision.model_registry
    assert not [name for name in set(sys.modules) - loaded if "brain_adapters" in name]
    with pytest.raises(AssertionError, match="No registrations found for small_net"):
        brainscore_vision.load_model("small_net")


def test_the_registry_that_was_connected_last_is_asked(models: Registry):
    other = Registry()
    add(other, "other_net")
    connect_brainscore(other)
    assert brainscore_vision.load_model("other_net").identifier == "other_net"
    with pytest.raises(AssertionError, match="No registrations found for small_net"):
        brainscore_vision.load_model("small_net")


def test_other_plugins_load_as_before(models: Registry):
    add(models, "pls")  # an identifier of Brain-Score's metrics
    assert brainscore_vision.load_model("pls").identifier == "pls"
    assert ImportPlugin("brainscore_vision", "metrics", "pls").plugin_dirname == "regression_correlation"
    assert brainscore_vision.load_model("pixels").identifier == "pixels"
    with pytest.raises(AssertionError, match="No registrations found for small_net"):
        ImportPlugin("brainscore_vision", "metrics", "small_net")


def test_an_identifier_of_brainscore_is_refused(models: Registry):
    add(models, "pixels")
    with pytest.raises(
        DuplicateModelError, match=r"registered by .*test_registry_bridge.py.* plugin in .*pixels;"
    ) as it:
        brainscore_vision.load_model("pixels")
    assert "for example 'pixels_v2', or call unregister('pixels')" in str(it.value)
    models.unregister("pixels")
    assert brainscore_vision.load_model("pixels").layers == ["pixels"]


def test_scoring_in_new_environments_is_warned_of(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BS_INSTALL_DEPENDENCIES", "newenv")
    with pytest.warns(AdapterWarning, match="knows no models of this process. Set it to 'no'") as caught:
        connect_brainscore(Registry())
    disconnect_brainscore()
    assert caught[0].filename == __file__


MODELS_FILE = """
import torch
from torch import nn
import adapters
from registry import register_model

REGIONS = dict.fromkeys(["V1", "V2", "V4", "IT"], "0")


@register_model(layers=["0"], preprocessing=adapters.imagenet(8), region_layer_map=REGIONS)
def shell_net():
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.Flatten())
"""
BENCHMARK = """
from brainscore_core.metrics import Score
from brainscore_vision import benchmark_registry
from brainscore_vision.benchmarks import BenchmarkBase


class Counted(BenchmarkBase):
    def __init__(self):
        super().__init__(identifier='Counted', version=1, parent='V1', ceiling_func=lambda: Score(1))

    def __call__(self, candidate):
        candidate.start_recording('V1', time_bins=[(70, 170)])
        return Score(candidate.look_at([{image!r}]).sizes['neuroid'] / 1000)


benchmark_registry['Counted'] = lambda: Counted()
"""


def test_command_line_of_brainscore_scores_registered_models(tmp_path: Path, image_paths: list[str]):
    installed, overlay = Path(brainscore_vision.__file__).parent, tmp_path / "overlay" / "brainscore_vision"
    (overlay / "benchmarks").mkdir(parents=True)
    for entry in [*installed.iterdir(), *(installed / "benchmarks").glob("*.py")]:
        if entry.name != "benchmarks":
            (overlay / entry.relative_to(installed)).symlink_to(entry)
    (overlay / "benchmarks" / "counted").mkdir()
    (overlay / "benchmarks" / "counted" / "__init__.py").write_text(BENCHMARK.format(image=image_paths[0]))
    (tmp_path / "my_models.py").write_text(MODELS_FILE)
    command = [sys.executable, "-m", "registry.brainscore", "my_models.py", "score"]
    done = subprocess.run(
        [*command, "--model_identifier=shell_net", "--benchmark_identifier=Counted"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(overlay.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "0.18" in done.stdout  # 5 channels x 6 x 6
    assert "shell_net" in done.stdout


def test_command_line_says_what_is_wrong_with_the_file(tmp_path: Path, capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path / "gone.py"), "score", "--model_identifier=shell_net"])
    assert stopped.value.code == 2
    assert f"error: There is no file {tmp_path / 'gone.py'}; expected a Python file" in capsys.readouterr().err


def test_unknown_identifier_names_the_nearest_that_is_registered(models: Registry):
    with pytest.raises(AssertionError, match="No registrations found for smal_net") as failed:
        brainscore_vision.load_model("smal_net")
    assert failed.value.__notes__ == ["It is no registered model, either. Did you mean 'small_net'?"]


@pytest.mark.parametrize("arguments", [[], ["my_models.py"], ["my_models.py", "test_plugins"]])
def test_command_line_without_the_command(arguments: list[str], capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "the command 'score' is missing" in capsys.readouterr().err


class CountsNeuroids(BenchmarkBase):
    """A benchmark which is fond of many neuroids, but not of the readout layer's."""

    def __init__(self, region: str, stimuli: Any) -> None:
        super().__init__(identifier=f"counts-{region}", version=1, parent=region, ceiling_func=lambda: Score(1))
        self.region, self.stimuli = region, stimuli

    def __call__(self, candidate: BrainModel) -> Score:
        candidate.start_recording(self.region, time_bins=[(70, 170)])
        return Score(candidate.look_at(self.stimuli).sizes["neuroid"])


def layers_of(model: Any, region: str, stimuli: Any) -> list[str]:
    model.start_recording(region, time_bins=[(70, 170)])
    recorded = model.look_at(stimuli)
    assert set(recorded["region"].values) == {region}
    return list(dict.fromkeys(recorded["layer"].values))


def test_unknown_regions_are_left_to_brainscore(
    make_stimulus_set: Callable, imagenet: Path, monkeypatch: pytest.MonkeyPatch
):
    stimuli = make_stimulus_set(2)
    benchmarks = brain_transformation.STANDARD_REGION_BENCHMARKS
    monkeypatch.setitem(benchmarks, "IT", CountsNeuroids("IT", stimuli))
    models = Registry()
    add(models, region_layer_map={"V4": ["late", "early"], "V1": "ear*"}, layers=["head", "late"])
    model = commit(models["small_net"])
    assert layers_of(model, "V4", stimuli) == ["late", "early"]
    assert layers_of(model, "V1", stimuli) == ["early"]
    assert layers_of(model, "IT", stimuli) == ["late"]  # 54 neuroids against the readout's 10
    assert dict(model.layer_model.region_layer_map) == {"V4": ["late", "early"], "V1": ["early"], "IT": "late"}


def test_readout_and_degrees_are_those_of_the_entry(make_stimulus_set: Callable):
    models = Registry()
    add(models, behavioral_readout_layer="late", visual_degrees=6.5)
    model = commit(models["small_net"])
    assert model.visual_degrees() == model.activations_model.visual_degrees == 6.5
    seen = []
    model.activations_model.register_batch_activations_hook(lambda batch: seen.extend(batch) or batch)
    model.start_task(BrainModel.Task.probabilities, make_stimulus_set(8))
    chosen = model.look_at(make_stimulus_set(4))
    assert set(seen) == {"late"}
    assert chosen.dims == ("presentation", "choice")
    np.testing.assert_allclose(chosen.sum("choice"), 1, rtol=1e-6)
    assert list(chosen["choice"].values) == ["car", "dog"]


@pytest.mark.parametrize(
    "options", [{"region_layer_map": {"IT": "lat"}}, {"behavioral_readout_layer": "lat"}, {"layers": ["lat"]}]
)
def test_layers_that_are_not_there_are_refused_at_once(options: dict):
    models = Registry()
    add(models, **options)
    with pytest.raises(LayerNotFoundError, match="Did you mean 'late'"):
        commit(models["small_net"])
