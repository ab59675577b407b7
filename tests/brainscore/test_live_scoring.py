"""A score with parity, and that of the installed Brain-Score on the same recordings and model."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from brainscore_vision import load_ceiling, load_metric
from brainscore_vision.benchmark_helpers.neural_common import NeuralBenchmark, average_repetition
from brainscore_vision.model_helpers.activations.pytorch import PytorchWrapper, load_preprocess_images
from brainscore_vision.model_helpers.brain_transformation import ModelCommitment
from PIL import Image
from torch import nn

import adapters
import benchmarks_local.data.places as places
from benchmarks_local import score
from benchmarks_local.data import Dataset, Recordings, add_dataset, to_assembly

N_STIMULI, SIZE, LAYERS = 100, 12, ["0", "2", "5"]


@pytest.fixture
def model() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(512, 64)]
        return nn.Sequential(*layers).eval()


@pytest.fixture
def dataset(model: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Make recordings that follow layer 2, with noise; the table of stimuli is in no order."""
    monkeypatch.setattr(places, "_added", [])
    generator = np.random.default_rng(5)
    folder = tmp_path / "images"
    folder.mkdir()
    order = generator.permutation(N_STIMULI)
    paths = [folder / f"{number:04d}.png" for number in order]
    for path in paths:
        coarse = Image.fromarray(generator.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC).save(path)
    names = [f"object{number % 4}" for number in order]
    stimuli = pd.DataFrame({"stimulus_id": [path.stem for path in paths], "path": paths, "object_name": names})
    values = adapters.wrap(model, preprocessing=adapters.imagenet(SIZE))([str(path) for path in paths], ["2"]).values
    signal = values @ generator.normal(size=(values.shape[1], 7))
    signal = (signal - signal.mean(axis=0)) / signal.std(axis=0)
    neuroids = pd.DataFrame({"neuroid_id": [f"n{number}" for number in range(7)], "region": "IT"})
    recorded = signal + generator.normal(0, 0.7, (4, *signal.shape))
    recordings = Recordings(recorded, stimuli["stimulus_id"], neuroids, ((70, 170),))
    made = Dataset("Live2026", None, stimuli, recordings=recordings, stratify_on="object_name")
    add_dataset(made.save(tmp_path / "saved"))
    return made


def brainscore_benchmark(dataset: Dataset, metric: str) -> Any:
    assembly = to_assembly(dataset)
    averaged = average_repetition(assembly)
    for name in ("stimulus_set", "stimulus_set_identifier"):
        averaged.attrs[name] = assembly.attrs[name]
    ceiling = load_ceiling("internal_consistency")(assembly.squeeze("time_bin"))
    return NeuralBenchmark(
        f"Live2026.IT-{metric}",
        assembly=averaged.squeeze("time_bin"),
        similarity_metric=load_metric(metric, crossvalidation_kwargs={"stratification_coord": "object_name"}),
        visual_degrees=8,
        number_of_trials=1,
        version=1,
        ceiling_func=lambda: ceiling,
        parent="IT",
    )


@pytest.mark.parametrize("metric", ["pls", "ridge"])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_scores_as_in_brain_score(
    model: nn.Module, dataset: Dataset, layer: str, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "brainscore_vision.benchmark_helpers.neural_common.timebins_from_assembly", lambda _: [(70, 170)]
    )
    wrapper = PytorchWrapper(model, partial(load_preprocess_images, image_size=SIZE), identifier=f"live-{layer}")
    committed = ModelCommitment(f"live-{layer}", wrapper, LAYERS, region_layer_map={"IT": layer}, visual_degrees=8)
    theirs = brainscore_benchmark(dataset, metric)(committed)
    extractor = adapters.wrap(model, identifier="live", preprocessing=adapters.imagenet(SIZE))
    ours = score(extractor, f"Live2026.IT-{metric}", layers=layer, parity="brainscore-2.4")
    apart = 1e-6 if metric == "pls" else 1e-5  # there a ridge regression on float32 activations runs in float32
    assert ours.raw == pytest.approx(float(theirs.attrs["raw"]), abs=apart)
    assert ours.ceiling == pytest.approx(float(theirs.attrs["ceiling"]), abs=1e-9)
    assert ours.value == pytest.approx(float(theirs), abs=apart)
    assert ours.error == pytest.approx(float(theirs.attrs["error"]), abs=apart)
