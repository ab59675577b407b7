"""The mock benchmark is reproducible, has the ceiling that its noise leaves, and shows what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks_local.drawing import OBJECTS, Scene, draw
from benchmarks_local.mock import draw_stimuli, mock_benchmark


def test_the_same_seed_gives_the_same_files_and_recordings(tmp_path: Path, benchmark_mock: Any) -> None:
    again = mock_benchmark(tmp_path)
    np.testing.assert_array_equal(again.recordings, benchmark_mock.recordings)
    for stimulus_id in again.stimuli["stimulus_id"]:
        assert again.stimuli.get_stimulus(stimulus_id).read_bytes() == (
            benchmark_mock.stimuli.get_stimulus(stimulus_id).read_bytes()
        )


def test_another_seed_gives_other_recordings(tmp_path: Path, benchmark_mock: Any) -> None:
    assert not np.allclose(mock_benchmark(tmp_path, seed=1).recordings, benchmark_mock.recordings)


def test_the_parts_show_different_stimuli(tmp_path: Path, benchmark_mock: Any) -> None:
    selection = mock_benchmark(tmp_path, part="selection")
    assert not set(selection.stimuli["stimulus_id"]) & set(benchmark_mock.stimuli["stimulus_id"])
    assert not set(selection.stimuli.stimulus_paths.values()) & set(benchmark_mock.stimuli.stimulus_paths.values())


def test_shapes_and_balance(benchmark_mock: Any) -> None:
    assert benchmark_mock.recordings.shape == (10, 128, 32)
    assert benchmark_mock.stimuli["stimulus_id"].is_unique
    assert dict(benchmark_mock.stimuli["object_name"].value_counts()) == dict.fromkeys(OBJECTS, 16)


def test_ceiling_is_what_the_noise_leaves(benchmark_mock: Any) -> None:
    # Noise of the signal's variance in each of 10 repetitions: reliability of the average is 1 / (1 + 1/10).
    assert benchmark_mock.ceiling == pytest.approx(10 / 11, abs=0.02)


def test_no_global_randomness_is_used(tmp_path: Path) -> None:
    np.random.seed(3)  # noqa: NPY002 - the global state is what is tested
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    mock_benchmark(tmp_path)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_is_drawn_where_and_as_large_as_the_scene_says(name: str) -> None:
    scene = Scene(name, x=0.4, y=-0.4, size=0.2, angle=0.3, brightness=1.0, background_seed=5)
    image, content = draw(scene)
    rows, columns = np.nonzero((np.asarray(image) >= 250).all(axis=2))
    assert (columns.min() + columns.max()) / 2 == pytest.approx(96 * 0.7, abs=10)
    assert (rows.min() + rows.max()) / 2 == pytest.approx(96 * 0.3, abs=10)
    assert np.hypot(rows - 96 * 0.3, columns - 96 * 0.7).max() < 96 * 0.2 * 1.5
    assert content[: len(OBJECTS)].tolist() == [float(other == name) for other in OBJECTS]


def test_objects_look_different() -> None:
    scenes = [Scene(name, 0.0, 0.0, 0.3, 0.0, 1.0, background_seed=5) for name in OBJECTS]
    images = {draw(scene)[0].tobytes() for scene in scenes}
    assert len(images) == len(OBJECTS)


def test_stimuli_are_numbered_across_calls(tmp_path: Path) -> None:
    stimuli, content = draw_stimuli(tmp_path, range(5, 8))
    assert list(stimuli["stimulus_id"]) == ["mock_0005", "mock_0006", "mock_0007"]
    assert content.shape[0] == 3
    with Image.open(stimuli.get_stimulus("mock_0006")) as image:
        assert (image.mode, image.size) == ("RGB", (96, 96))
