"""The example of a brain model passes the check, and its recordings are the time steps of its network."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

import adapters
import registry
from benchmarks_local import check_model

EXAMPLE = Path(__file__).parents[2] / "examples" / "brain_model.py"


@pytest.fixture
def example() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("example_brain_model", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    registry.unregister("recurrent_cortex")


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def rates_by_hand(cortex: torch.nn.Module, picture: np.ndarray) -> list[np.ndarray]:
    image = torch.from_numpy(adapters.imagenet(64)(Image.fromarray(picture)))[None]
    with torch.no_grad():
        drive = cortex.retina(image)
        rates = [torch.relu(drive)]
        for _ in range(3):
            rates.append(torch.relu(drive + cortex.lateral(rates[-1])))
    return [rate.flatten(1).numpy() for rate in rates]


def test_brain_model_passes_the_check(example: ModuleType) -> None:
    assert registry.get_entry("recurrent_cortex").kind == "brain"
    stream = io.StringIO()
    report = check_model("recurrent_cortex", stream=stream)
    assert stream.getvalue().endswith("Test successful, you are ready to submit!\n")
    assert report.warnings == ()


def test_time_bins_read_the_time_step_in_their_middle(example: ModuleType, picture: np.ndarray) -> None:
    model = registry.get_model("recurrent_cortex")
    bins, steps = [(-50, 0), (0, 50), (70, 170), (150, 200), (300, 400)], [0, 0, 2, 3, 3]
    model.start_recording("V4", time_bins=bins)
    recordings = model.look_at([picture])
    expected = rates_by_hand(model.extractor.adapter.model, picture)
    assert recordings.dims == ("presentation", "neuroid", "time_bin")
    assert list(zip(recordings["time_bin_start"].values, recordings["time_bin_end"].values, strict=True)) == bins
    assert set(recordings["region"].values) == {"V4"}
    for position, step in enumerate(steps):
        np.testing.assert_array_equal(recordings.isel(time_bin=position).values, expected[step])


def test_one_time_bin_is_no_dimension(example: ModuleType, picture: np.ndarray) -> None:
    model = registry.get_model("recurrent_cortex")
    model.start_recording("IT", time_bins=[(70, 170)])
    assert model.look_at([picture]).dims == ("presentation", "neuroid")


def test_other_tasks_are_refused(example: ModuleType) -> None:
    with pytest.raises(NotImplementedError, match="cannot do the task 'odd_one_out', only 'probabilities'"):
        registry.get_model("recurrent_cortex").start_task("odd_one_out", None)


def test_example_is_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 60
