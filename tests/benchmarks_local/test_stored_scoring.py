"""Activations that lie in a store are scored without the model, and give its score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

import adapters
import benchmarks_local.data.places as places
from benchmarks_local import ScoringError, score
from benchmarks_local.data import Dataset, Recordings, add_dataset
from registry import ModelEntry, Registry


@pytest.fixture
def extractor() -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 14 * 14, 40))
    return adapters.wrap(model, preprocessing=adapters.raw(16), batch_size=16)


@pytest.fixture
def dataset(extractor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    monkeypatch.setattr(places, "_added", [])
    generator = np.random.default_rng(0)
    folder = tmp_path / "made"
    folder.mkdir()
    paths = [folder / f"{number:02d}.png" for number in range(64)]
    for path in paths:
        Image.fromarray(generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    labels = [f"o{number % 4}" for number in range(64)]
    stimuli = pd.DataFrame({"stimulus_id": [path.stem for path in paths], "path": paths, "object_name": labels})
    signal = extractor([str(path) for path in paths], layers=["3"]).values[:, :6]
    values = signal + generator.normal(0, 0.5 * signal.std(), (3, *signal.shape))
    neuroids = pd.DataFrame({"neuroid_id": list("abcdef"), "region": "IT"})
    recordings = Recordings(values, stimuli["stimulus_id"], neuroids)
    made = Dataset("Stored2026", None, stimuli, recordings=recordings, stratify_on="object_name")
    add_dataset(made.save(tmp_path / "saved"))
    return made


def test_stored_activations_score_as_their_model_does(extractor: Any, dataset: Dataset, tmp_path: Path) -> None:
    stimuli = dataset.stimulus_set()
    backwards = dataset.of_stimuli(np.arange(dataset.n_stimuli)[::-1]).stimulus_set()
    assert list(backwards["stimulus_id"]) == list(stimuli["stimulus_id"])[::-1]
    extractor(backwards, layers=["1", "3"], store=tmp_path / "store")
    stored = score(tmp_path / "store", "Stored2026.IT-ridge")
    model = score(extractor, "Stored2026.IT-ridge", layers=["1", "3"])
    assert stored.attrs["layer"] == model.attrs["layer"] == "3"
    assert stored.raw == pytest.approx(model.raw, abs=1e-6)
    assert stored.value == pytest.approx(model.value, abs=1e-6)
    assert stored.attrs["model"] == extractor.identifier
    assert stored.attrs["flags"] == model.attrs["flags"]


def test_other_images_of_the_same_names_are_flagged(extractor: Any, dataset: Dataset, tmp_path: Path) -> None:
    stimuli = dataset.stimulus_set()
    other = tmp_path / "other"
    other.mkdir()
    for name, path in stimuli.stimulus_paths.items():
        with Image.open(path) as image:
            image.rotate(180).save(other / f"{name}.png")
    extractor(sorted(other.iterdir()), layers=["3"], store=tmp_path / "store")
    assert "stored stimuli not verified" in score(tmp_path / "store", "Stored2026.IT-ridge").attrs["flags"]


def test_metrics_of_units_read_the_values(extractor: Any, dataset: Dataset, tmp_path: Path) -> None:
    extractor(dataset.stimulus_set(), layers=["3"], store=tmp_path / "store")
    stored = score(tmp_path / "store", "Stored2026.IT-neuron_to_neuron")
    model = score(extractor, "Stored2026.IT-neuron_to_neuron", layers="3")
    assert stored.raw == pytest.approx(model.raw, abs=1e-6)


def test_a_model_fills_the_store_that_it_is_given(extractor: Any, dataset: Dataset, tmp_path: Path) -> None:
    first = score(extractor, "Stored2026.IT-ridge", layers=["1", "3"], store=tmp_path / "store")
    again = score(tmp_path / "store", "Stored2026.IT-ridge", layers=["1", "3"])
    assert again.raw == pytest.approx(first.raw, abs=1e-9)


def test_stimuli_that_are_not_in_the_store(extractor: Any, dataset: Dataset, tmp_path: Path) -> None:
    some = dataset.of_stimuli(np.arange(40)).stimulus_set()
    extractor(some, layers=["3"], store=tmp_path / "store")
    with pytest.raises(ScoringError, match=r"activations of 40 stimuli, not of 40, 41.*or pass the model"):
        score(tmp_path / "store", "Stored2026.IT-ridge")


def test_a_score_says_which_weights_it_is_of(extractor: Any, dataset: Dataset) -> None:
    found = score(extractor, "Stored2026.IT-ridge", layers="3")
    assert found.provenance["model_key"] == extractor.fingerprint()
    assert found.provenance["dataset"] == dataset.digest
    assert {"numpy", "torch"} <= found.provenance["versions"].keys()
    assert found.provenance["seconds"] > 0


def test_which_entry_is_meant(extractor: Any, dataset: Dataset, tmp_path: Path) -> None:
    stimuli = dataset.stimulus_set()
    extractor(stimuli, layers=["3"], store=tmp_path / "store")
    expected = score(tmp_path / "store", "Stored2026.IT-ridge")
    adapters.wrap(extractor.adapter.model, identifier="other", preprocessing=adapters.imagenet(16))(
        stimuli, layers=["3"], store=tmp_path / "store"
    )
    with pytest.raises(ScoringError, match=r"holds 2 entries with these stimuli: .*\(other\).*find\(key\)"):
        score(tmp_path / "store", "Stored2026.IT-ridge")
    store = adapters.open_store(tmp_path / "store")
    (first,) = (entry for entry in store.entries() if entry.key == expected.provenance["stored"])
    again = score(first, "Stored2026.IT-ridge")
    assert again.raw == expected.raw
    assert again.attrs["model"] == extractor.identifier


def test_layers_and_procedure_of_what_is_stored(extractor: Any, dataset: Dataset, tmp_path: Path) -> None:
    place = tmp_path / "store"
    extractor(dataset.stimulus_set(), layers=["0", "1", "3"], store=place)
    found = score(place, "Stored2026.IT-ridge", layers=["[13]"])
    assert [each["layer"] for each in found.attrs["layers"]] == ["1", "3"]
    with pytest.raises(ScoringError, match=r"does not hold conv; it holds 0, 1, 3"):
        score(place, "Stored2026.IT-ridge", layers="conv")
    with pytest.raises(ScoringError, match=r"principal components of other images, which needs the model"):
        score(place, "Stored2026.IT-pls", parity="brainscore-2.4")
    assert score(place, "Stored2026.IT-pls", layers="3", parity="brainscore-2.4").attrs["n_stimuli"] == 64


def test_a_registered_model_is_no_folder(
    extractor: Any, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry()
    registry.register(ModelEntry("net", lambda: extractor, layers=["3"]))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net").mkdir()
    assert score("net", "Stored2026.IT-ridge", registry=registry).attrs["model"] == "net"


def test_trials_are_refused(extractor: Any, dataset: Dataset, tmp_path: Path) -> None:
    stimuli = dataset.stimulus_set()
    extractor.set_visual_degrees(8)
    extractor(stimuli, layers=["3"], number_of_trials=3, require_variance=True, store=tmp_path / "store")
    with pytest.raises(ScoringError, match=r"several presentations of a stimulus, 192 of 64.*number_of_trials=1"):
        score(tmp_path / "store", "Stored2026.IT-ridge")
