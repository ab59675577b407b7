"""Jobs of models whose activations lie in a store: no model is needed, and the store's state decides what is done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import adapters
import benchmarks_local.data.places as places
from benchmarks_local import score
from benchmarks_local.board import JobError, content_of, read_record
from benchmarks_local.board.stores import is_store, models_in
from benchmarks_local.data import Dataset, Recordings, load_dataset
from brain_adapters.application import app

NAMES = ("narrow", "wide")
BENCHMARK = "Kept2026.IT-ridge"


def extractor(name: str) -> Any:
    torch.manual_seed(NAMES.index(name))
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten())
    return adapters.wrap(model, identifier=name, preprocessing=adapters.raw(8), batch_size=16)


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(places, "_added", [])
    generator, folder = np.random.default_rng(0), tmp_path / "images"
    folder.mkdir()
    paths = [folder / f"{number:02d}.png" for number in range(48)]
    for path in paths:
        Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    stimuli = pd.DataFrame({"stimulus_id": [path.stem for path in paths], "path": paths})
    signal = extractor("wide")([str(path) for path in paths], layers=["1"]).values[:, :5]
    values = signal + generator.normal(0, 0.3 * signal.std(), (3, *signal.shape))
    neuroids = pd.DataFrame({"neuroid_id": list("abcde"), "region": "IT"})
    made = Dataset("Kept2026", None, stimuli, recordings=Recordings(values, stimuli["stimulus_id"], neuroids))
    return Path(made.save(tmp_path / "saved"))


@pytest.fixture
def store(dataset: Path, tmp_path: Path) -> Path:
    stimuli = stimuli_of(dataset)
    for name in NAMES:
        extractor(name)(stimuli, layers=["0"], store=tmp_path / "store")
    return tmp_path / "store"


def stimuli_of(dataset: Path) -> Any:
    return load_dataset(dataset).stimulus_set()


def scored(store: Path, dataset: Path, *options: str) -> list[dict[str, Any]]:
    out = store.parent / "results"
    arguments = ["score", str(store), "-b", BENCHMARK, "--data", str(dataset), "--out", str(out), "--json", *options]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_a_store_stands_for_the_models_in_it(store: Path, dataset: Path, tmp_path: Path):
    first = scored(store, dataset)
    assert [each["model"] for each in first] == list(NAMES)
    for name, each in zip(NAMES, first, strict=True):
        own = tmp_path / f"only_{name}"
        extractor(name)(stimuli_of(dataset), layers=["0"], store=own)
        record = read_record(each["record"])
        assert (record.model, record.benchmark) == (name, BENCHMARK)
        assert record.value == pytest.approx(score(own, BENCHMARK).value, abs=1e-9)
    assert first[0]["value"] != first[1]["value"]

    before = [Path(each["record"]).read_bytes() for each in first]
    extractor("wide")(stimuli_of(dataset), layers=["1"], store=store)
    second = scored(store, dataset, "--engine", "local")
    assert Path(second[0]["record"]).read_bytes() == before[0]  # of this model nothing has changed
    assert second[1]["layer"] == "1"
    assert second[1]["value"] > first[1]["value"]


def test_an_empty_store(tmp_path: Path):
    (tmp_path / "store" / "v1").mkdir(parents=True)
    with pytest.raises(JobError, match=r"holds no activations.*brain-adapters extract MODEL STIMULI --store"):
        models_in(str(tmp_path / "store"))
    result = CliRunner().invoke(app, ["score", str(tmp_path / "store"), "-b", "Mock2026.IT-pls"])
    assert result.exit_code == 2
    assert "holds no activations" in result.stderr


def test_what_is_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "v1").mkdir()
    monkeypatch.chdir(tmp_path)
    assert is_store(str(tmp_path))
    assert not is_store("")
    assert not is_store(str(tmp_path / "v1"))
    gone = str(tmp_path / "gone.later" / "store")
    assert content_of(gone, "x") != content_of(str(tmp_path), "x")
