"""Models that implement BrainModel themselves: packaged in both layouts, and put to use by the real Brain-Score."""

from __future__ import annotations

import importlib
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import brainscore_vision
import numpy as np
import pytest
from brainscore_core.supported_data_standards.brainio.assemblies import DataAssembly
from brainscore_vision.benchmark_helpers.neural_common import timebins_from_assembly
from brainscore_vision.model_helpers.check_submission.check_models import check_brain_models
from brainscore_vision.model_interface import BrainModel

import registry
from adapters.errors import UnsupportedModelError
from benchmarks_local import check_model
from registry import ModelEntry, Registry, commit, connect_brainscore, disconnect_brainscore
from registry.submission import validate_submission, write_submission

from .overlaying import plugins_from

EXAMPLE = Path(__file__).parents[2] / "examples" / "brain_model.py"
IDENTIFIER = "recurrent_cortex"
REAL_CHECK = "models_under_check"


@pytest.fixture(scope="module", autouse=True)
def example() -> Iterator[None]:
    path = list(sys.path)
    assert registry.load_models_file(EXAMPLE) == [IDENTIFIER]
    yield
    registry.unregister(IDENTIFIER)
    sys.modules.pop("brain_model", None)
    sys.path[:] = path


@pytest.fixture(scope="module")
def zips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the example's submission in each layout; without a run in a process of its own, as this file runs both."""
    out = tmp_path_factory.mktemp("submission")
    return {layout: write_submission(IDENTIFIER, out, layout=layout, trial=False) for layout in ("plugin", "legacy")}


@pytest.fixture
def plugin(zips: dict[str, Path], tmp_path: Path) -> Iterator[Any]:
    """Return the example as Brain-Score loads it from the unpacked plugin."""
    zipfile.ZipFile(zips["plugin"]).extractall(tmp_path)
    with plugins_from(tmp_path / IDENTIFIER):
        yield brainscore_vision.load_model(IDENTIFIER)


@pytest.fixture
def legacy(zips: dict[str, Path], tmp_path: Path) -> Iterator[ModuleType]:
    """Return the module of the unpacked legacy zip, also under a name by which Brain-Score's check can import it."""
    zipfile.ZipFile(zips["legacy"]).extractall(tmp_path)
    (root,) = tmp_path.iterdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(root)
        module = importlib.import_module("models.brain_models")
        patch.setitem(sys.modules, REAL_CHECK, module)
        yield module
    for name in [name for name in sys.modules if name.partition(".")[0] == "models"]:
        del sys.modules[name]


@pytest.fixture
def majaj(recordings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hand synthetic recordings over as the data set that Brain-Score's check scores on."""
    importlib.import_module("brainscore_vision.data.majajhong2015")  # registers the name, once
    monkeypatch.setitem(brainscore_vision.data_registry, "MajajHong2015.public", lambda: recordings)


def assert_same_behaviour(model: Any, make_stimulus_set: Callable[..., Any]) -> None:
    """Compare a model with the example as it is registered here, in recordings and in a task."""
    here, stimuli = registry.get_model(IDENTIFIER), make_stimulus_set(4)
    assert isinstance(model, BrainModel)
    assert (model.identifier, model.visual_degrees()) == (IDENTIFIER, 8)
    for bins in ([(70, 170)], [(0, 50), (70, 170)]):
        for each in (model, here):
            each.start_recording(BrainModel.RecordingTarget.IT, time_bins=bins)
        recorded, expected = model.look_at(stimuli), here.look_at(stimuli)
        assert isinstance(recorded, DataAssembly)
        assert recorded.dims == expected.dims
        np.testing.assert_array_equal(recorded.values, expected.values)
        assert set(recorded["region"].values) == {"IT"}
    for each in (model, here):
        each.start_task(BrainModel.Task.probabilities, make_stimulus_set(8))
    chosen = model.look_at(stimuli)
    np.testing.assert_allclose(chosen.values, here.look_at(stimuli).values, rtol=1e-6)
    assert list(chosen["stimulus_id"].values) == list(stimuli["stimulus_id"])


@pytest.mark.parametrize("layout", ["plugin", "legacy"])
def test_both_layouts_are_valid(zips: dict[str, Path], layout: str):
    assert validate_submission(zips[layout]) == []


def test_plugin_is_loaded_by_brainscore(plugin: Any, make_stimulus_set: Callable[..., Any]):
    assert_same_behaviour(plugin, make_stimulus_set)
    assert "CORnet" in brainscore_vision.load_model_bibtex(IDENTIFIER)
    folder = Path(sys.modules[f"brainscore_vision.models.{IDENTIFIER}"].__file__).parent
    assert type(plugin.extractor).__module__.startswith(f"brainscore_vision.models.{IDENTIFIER}.runtime.")
    assert (folder / "test.py").is_file()


def test_plugin_passes_brainscores_check(plugin: Any, majaj: None, capsys: pytest.CaptureFixture):
    module = ModuleType(REAL_CHECK)
    module.get_model_list, module.get_model = (lambda: [IDENTIFIER]), (lambda identifier: plugin)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, REAL_CHECK, module)
        check_brain_models(REAL_CHECK)
    assert capsys.readouterr().out.endswith("Test successful, you are ready to submit!\n")


def test_legacy_module_passes_brainscores_check(
    legacy: ModuleType, majaj: None, make_stimulus_set: Callable[..., Any], capsys: pytest.CaptureFixture
):
    assert legacy.get_model_list() == [IDENTIFIER]
    assert "CORnet" in legacy.get_bibtex(IDENTIFIER)
    assert_same_behaviour(legacy.get_model(IDENTIFIER), make_stimulus_set)
    check_brain_models(REAL_CHECK)
    assert capsys.readouterr().out.endswith("Test successful, you are ready to submit!\n")


def test_registered_brain_model_is_loaded_by_brainscore(make_stimulus_set: Callable[..., Any]):
    connect_brainscore()
    try:
        assert_same_behaviour(brainscore_vision.load_model(IDENTIFIER), make_stimulus_set)
    finally:
        disconnect_brainscore()


def test_models_module_gives_what_brainscores_check_takes():
    module = registry.models_module(kind="brain")
    assert IDENTIFIER in module.get_model_list()
    assert isinstance(module.get_model(IDENTIFIER), BrainModel)


def test_offline_check_takes_what_is_committed(capsys: pytest.CaptureFixture):
    assert check_model(commit(registry.get_entry(IDENTIFIER))).warnings == ()
    assert capsys.readouterr().out.endswith("Test successful, you are ready to submit!\n")


class Inherits(BrainModel):
    identifier = "inherits"


class Alike:
    """Has the methods of a BrainModel, and more."""

    activations_model = "anything"

    def visual_degrees(self) -> int:
        return 5

    def start_recording(self, recording_target: str, time_bins: Any) -> None:
        self.asked = (recording_target, time_bins)

    def start_task(self, task: str, fitting_stimuli: Any = None) -> None:
        self.asked = (task, fitting_stimuli)

    def look_at(self, stimuli: Any, number_of_trials: int = 1, require_variance: bool = False) -> Any:
        return stimuli, number_of_trials, require_variance


def committed(built: Any) -> Any:
    return commit(ModelEntry("alike", function=lambda: built, kind="brain"))


def test_what_inherits_is_left_alone_and_what_does_not_is_put_behind_what_does():
    inherits, alike = Inherits(), Alike()
    assert committed(inherits) is inherits
    model = committed(alike)
    assert isinstance(model, BrainModel)
    assert (model.identifier, model.visual_degrees(), model.activations_model) == ("alike", 5, "anything")
    model.start_recording("V4", time_bins=[(0, 100)])
    assert alike.asked == model.asked == ("V4", [(0, 100)])
    model.start_task(BrainModel.Task.label, "imagenet")
    assert alike.asked == ("label", "imagenet")
    assert model.look_at(["a.png"], number_of_trials=3, require_variance=True) == (["a.png"], 3, True)
    alike.identifier = "changed"
    assert model.identifier == "changed"
    with pytest.raises(AttributeError, match="'Alike' object has no attribute 'layers'"):
        _ = model.layers


def test_time_bins_are_tuples_in_whatever_form_brainscore_gives_them(recordings: Any):
    model = committed(Alike())
    bins = timebins_from_assembly(recordings.squeeze("time_bin"))
    assert np.ndim(bins[0]) == 0  # as NeuralBenchmark gives it
    for given in (bins, [(70, 170)], np.array([[70, 170]])):
        model.start_recording("IT", time_bins=given)
        assert model.asked == ("IT", [(70, 170)])


def test_what_lacks_methods_is_refused():
    class Recorder:
        visual_degrees = 8

        def look_at(self, stimuli: Any) -> None: ...

    fragments = (
        r"Brain model 'alike' .* has no method visual_degrees, start_recording, start_task; expected .*BrainModel"
    )
    with pytest.raises(UnsupportedModelError, match=fragments + ".*register the model with @register_model"):
        committed(Recorder())


def test_registries_of_ones_own_are_connected_as_well():
    models = Registry([ModelEntry("alike", function=Alike, kind="brain")])
    connect_brainscore(models)
    try:
        assert brainscore_vision.load_model("alike").visual_degrees() == 5
    finally:
        disconnect_brainscore()
