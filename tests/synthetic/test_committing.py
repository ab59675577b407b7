"""From recordings in a folder to a score: the layer that is committed is the one that the neurons were made of."""

from __future__ import annotations

import pytest

from benchmarks_local import score
from benchmarks_local.data import validate_dataset
from benchmarks_local.synthetic import synthetic_dataset

from .conftest import LAYERS


@pytest.mark.parametrize(
    ("layer", "mixture", "metric"),
    [("relu1", 5, "neuron_to_neuron"), ("relu2", 1, "pls"), ("relu3", 1, "neuron_to_neuron"), ("relu4", 1, "pls")],
)
def test_the_layer_is_committed(extractor, stimuli, tmp_path, monkeypatch, layer, mixture, metric):
    dataset = synthetic_dataset(
        extractor, stimuli.drop(columns="split"), layer, mixture=mixture, noise=0.5, n_repetitions=2, region="V4"
    )
    assert metric in dataset.metadata["synthetic"]["identifiable_by"]
    dataset.save(tmp_path / "data", responses="npy")
    assert [each.code for each in validate_dataset(tmp_path / "data") if each.level == "error"] == []
    monkeypatch.setenv("BRAIN_ADAPTERS_DATA", str(tmp_path))
    found = score(extractor, f"{dataset.name}.V4-{metric}", layers=LAYERS)
    assert found.attrs["layer"] == layer
    assert layer in found.attrs["ties"]
    assert found.attrs["region"] == "V4"
    assert [each["layer"] for each in found.attrs["layers"]] == LAYERS
    assert found.attrs["n_stimuli"] == 300  # the other half chose the layer
    assert found.raw > 0.6
    assert 0 < found.error < 0.05
