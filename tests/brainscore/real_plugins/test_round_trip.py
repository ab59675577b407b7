"""Plugins of the installed Brain-Score, registered with our decorator: same layers, same numbers, an accepted zip."""

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import registry
from adapters import AdapterWarning
from registry.submission import validate_submission, write_submission

from .cases import CASES, Case
from .counting import PLUGINS
from .downloads import without_downloads
from .moving import build_theirs, layer_here, layer_there, move


@pytest.fixture(autouse=True)
def _restored(tmp_path: Path) -> Iterator[None]:
    """Undo what importing plugins and registering models does to Python and to our registry."""
    models, path, modules = set(registry.default_registry), list(sys.path), set(sys.modules)
    yield
    for identifier in set(registry.default_registry) - models:
        registry.unregister(identifier)
    for name in set(sys.modules) - modules:
        if "plugin_of_" in name or name.startswith("brainscore_vision.models."):
            del sys.modules[name]
    sys.path[:] = path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.plugin)
def test_a_plugin_moves_to_our_decorator(case: Case, tmp_path: Path, image_paths: list[str]):
    theirs, bibtex = build_theirs(case)
    with without_downloads():
        identifiers = registry.load_models_file(move(case, tmp_path, bibtex))
        ours = registry.get_model(case.ours)
    wrapper, entry = theirs.activations_model, registry.get_entry(case.ours)
    layers = [layer_there(case, layer) for layer in dict.fromkeys(theirs.layers)]
    ours.adapter.model.load_state_dict(wrapper._model.state_dict())  # strict: the same network, now the same weights

    assert case.ours in identifiers
    assert entry.resolved_layers(ours) == [layer_here(case, layer) for layer in layers]
    assert entry.visual_degrees == theirs.visual_degrees()
    assert entry.bibtex == bibtex
    compare_commitments(case, entry, theirs, layers)
    compare_values(case, wrapper, ours, layers, image_paths[:2])

    zip_path = write_submission(case.ours, tmp_path / "out", trial=case.trial)
    assert [problem for problem in validate_submission(zip_path) if problem.severity == "error"] == []


def compare_commitments(case: Case, entry: Any, theirs: Any, layers: list[str]) -> None:
    """Compare the layer that behavior is read from and, if the plugin names them, the layers of regions."""
    readout = entry.behavioral_readout_layer or layer_here(case, layers[-1])
    executors = [item for item in theirs.behavior_model.mapping.values() if hasattr(item, "readout")]
    assert executors
    assert {layer_here(case, layer_there(case, executor.readout[0])) for executor in executors} == {readout}
    source = "".join((PLUGINS / case.plugin / name).read_text(encoding="utf-8") for name in ("__init__.py", "model.py"))
    assert ("region_layer_map=" in source) == (entry.region_layer_map is not None)
    if entry.region_layer_map is not None:
        assert theirs.layer_model.region_layer_map == entry.region_layer_map


def compare_values(case: Case, wrapper: Any, ours: Any, layers: list[str], paths: list[str]) -> None:
    """Read the same layers of the same images with the plugin's wrapper and with our extractor."""
    expected = wrapper.get_activations(wrapper._extractor.preprocess(paths), layers)
    with pytest.warns(AdapterWarning, match="several times") if case.repeated else nullcontext():
        here = ours(paths, layers=[layer_here(case, layer) for layer in layers])
    labels, first = here["layer"].values, 0
    for layer in layers:
        values = expected[layer].reshape(len(paths), -1)
        place = slice(first, first := first + values.shape[1])
        assert labels[place][0] == labels[place][-1] == layer_here(case, layer)
        found = here.values[:, place]
        if layer in case.rectified:
            assert found.min() < 0, f"{layer} is no longer one that Brain-Score changes"
            found = np.maximum(found, 0)
        assert np.ptp(values) > 0, f"{layer} has one value only, which proves nothing"
        assert np.abs(found - values).max() <= 1e-6 * np.abs(values).max(), layer
    assert first == len(labels)
