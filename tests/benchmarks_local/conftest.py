"""NumPy-only extractors and brain models, so that scoring is tested without any framework."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from benchmarks_local.mock import mock_benchmark


@dataclass(frozen=True)
class ToyLayer:
    shape: tuple[int, ...]

    @property
    def n_neuroids(self) -> int:
        return int(np.prod(self.shape))


class ToyHandle:
    def __init__(self, hooks: list[Any], hook: Any) -> None:
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        self._hooks.remove(self._hook)


class ToyExtractor:
    """Reads images as 24 x 24 grey pixels; every layer is a function of these, batch by batch.

    ``layers`` maps names to functions from pixels of shape (n_batch, 576) to activations.
    """

    def __init__(self, functions: dict[str, Any], identifier: str = "toy", batch_size: int = 50) -> None:
        self.functions = functions
        self.identifier = identifier
        self.hooks: list[Any] = []
        self.identifiers_seen: list[str] = []
        self._batch_size = batch_size
        probe = np.zeros((1, 576))
        self.layers = {name: ToyLayer(function(probe).shape[1:]) for name, function in functions.items()}

    def register_batch_activations_hook(self, hook: Any) -> ToyHandle:
        self.hooks.append(hook)
        return ToyHandle(self.hooks, hook)

    def __call__(self, stimuli: Any, layers: Any) -> xr.DataArray:
        self.identifiers_seen.append(self.identifier)
        pixels = np.stack([_read(stimuli.get_stimulus(stimulus_id)) for stimulus_id in stimuli["stimulus_id"]])
        batches = []
        for start in range(0, len(pixels), self._batch_size):
            batch = pixels[start : start + self._batch_size]
            activations: Any = OrderedDict((layer, self.functions[layer](batch)) for layer in layers)
            for hook in list(self.hooks):
                activations = hook(activations)
            batches.append(activations)
        values = {
            name: np.concatenate([batch[name].reshape(len(batch[name]), -1) for batch in batches]) for name in layers
        }
        return self._package(values, stimuli)

    def _package(self, values: dict[str, np.ndarray], stimuli: Any) -> xr.DataArray:
        names = np.repeat(list(values), [array.shape[1] for array in values.values()])
        numbers = np.concatenate([np.arange(array.shape[1]) for array in values.values()])
        ids = [f"{self.identifier}.{name}.{number}" for name, number in zip(names, numbers, strict=True)]
        columns = ["stimulus_id", "object_name", "image_label"]
        return xr.DataArray(
            np.concatenate(list(values.values()), axis=1),
            dims=("presentation", "neuroid"),
            coords={
                **{column: ("presentation", list(stimuli[column])) for column in columns},
                **{"layer": ("neuroid", names), "neuroid_num": ("neuroid", numbers), "neuroid_id": ("neuroid", ids)},
            },
        ).set_index(presentation=columns, neuroid=["layer", "neuroid_num", "neuroid_id"])


class ToyBrainModel:
    """A brain model that records from pixels and answers the probabilities task at chance."""

    def __init__(self, degrees: float = 8.0) -> None:
        self.identifier = "toy_brain"
        self.degrees = degrees
        self.extractor = ToyExtractor({"pixels": lambda pixels: pixels})
        self.choices: list[str] = []

    def visual_degrees(self) -> float:
        return self.degrees

    def start_recording(self, recording_target: str, time_bins: Any) -> None:
        self.choices, self.region = [], recording_target

    def start_task(self, task: str, fitting_stimuli: Any) -> None:
        self.choices = sorted(set(fitting_stimuli["image_label"]))

    def look_at(self, stimuli: Any, number_of_trials: int = 1) -> xr.DataArray:
        if not self.choices:
            return self.extractor(stimuli, layers=["pixels"])
        return xr.DataArray(
            np.full((len(stimuli), len(self.choices)), 1 / len(self.choices)),
            dims=("presentation", "choice"),
            coords={"stimulus_id": ("presentation", list(stimuli["stimulus_id"])), "choice": self.choices},
        )


def _read(path: Any) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L").resize((24, 24)), dtype=np.float64).ravel() / 255


def random_layer(n_features: int, seed: int) -> Any:
    """Return a layer of random rectified mixtures of pixels."""
    weights = np.random.default_rng(seed).normal(size=(576, n_features)) / 24
    return lambda pixels: np.maximum((pixels - 0.5) @ weights, 0)


@pytest.fixture
def toy_extractor() -> ToyExtractor:
    functions = {
        "early": lambda pixels: pixels.reshape(-1, 24, 24),
        "middle": random_layer(200, 1),
        "late": random_layer(60, 2),
    }
    return ToyExtractor(functions)


@pytest.fixture
def make_extractor() -> type[ToyExtractor]:
    return ToyExtractor


@pytest.fixture
def make_brain_model() -> type[ToyBrainModel]:
    return ToyBrainModel


@pytest.fixture
def make_layer() -> Any:
    return random_layer


@pytest.fixture(scope="session")
def benchmark_mock(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return mock_benchmark(tmp_path_factory.mktemp("mock"))
