"""Stimuli on screen, pixel by pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks_local.screen import fit_to_screen, place_on_screen
from benchmarks_local.stimuli import stimulus_table


def make_image(width: int, height: int) -> Image.Image:
    pixels = np.arange(width * height * 3, dtype=np.uint8).reshape(height, width, 3)
    return Image.fromarray(pixels)


def test_a_larger_screen_pads_with_grey_around_the_untouched_image() -> None:
    image = make_image(10, 8)
    placed = np.asarray(fit_to_screen(image, 2.0))
    assert placed.shape == (16, 20, 3)
    np.testing.assert_array_equal(placed[4:12, 5:15], np.asarray(image))
    outside = np.ones((16, 20), dtype=bool)
    outside[4:12, 5:15] = False
    assert (placed[outside] == 128).all()


def test_a_smaller_screen_shows_the_centre() -> None:
    image = make_image(10, 8)
    placed = np.asarray(fit_to_screen(image, 0.5))
    np.testing.assert_array_equal(placed, np.asarray(image)[2:6, 2:7])


def test_sizes_are_rounded() -> None:
    assert fit_to_screen(make_image(10, 10), 1.25).size == (12, 12)  # 12.5 goes to the even number
    assert fit_to_screen(make_image(10, 10), 0.77).size == (8, 8)


def test_a_grey_image_is_padded_in_rgb() -> None:
    placed = fit_to_screen(Image.new("L", (4, 4), 7), 2.0)
    assert placed.mode == "RGB"
    assert placed.getpixel((4, 4)) == (7, 7, 7)


def make_table(folder: Path) -> object:
    paths = {}
    for name in ("a", "b"):
        (folder / name).mkdir()
        paths[name] = folder / name / "same.jpg"
        Image.new("RGB", (6, 6), (200, 0, 0) if name == "a" else (0, 0, 200)).save(paths[name], quality=100)
    return stimulus_table("two", {"stimulus_id": ["b", "a"], "object_name": ["blue", "red"]}, paths)


def test_stimuli_keep_order_and_columns_and_get_their_own_files(tmp_path: Path) -> None:
    stimuli = make_table(tmp_path)
    (tmp_path / "screen").mkdir()
    placed = place_on_screen(stimuli, 16, 8, tmp_path / "screen")
    assert list(placed["stimulus_id"]) == ["b", "a"]
    assert list(placed["object_name"]) == ["blue", "red"]
    assert list(placed["degrees"]) == [16, 16]
    assert placed.identifier == "two--target16.00--source8.00"
    with Image.open(placed.get_stimulus("b")) as image:
        assert image.size == (12, 12)
        assert image.getpixel((6, 6))[2] > 150
    with Image.open(placed.get_stimulus("a")) as image:
        assert image.getpixel((6, 6))[0] > 150
    assert {path.parent for path in placed.stimulus_paths.values()} == {tmp_path / "screen"}
    assert "degrees" not in stimuli.columns


@pytest.mark.parametrize("degrees", [8, 8.0])
def test_equal_degrees_leave_the_stimuli_as_they_are(tmp_path: Path, degrees: float) -> None:
    stimuli = make_table(tmp_path)
    assert place_on_screen(stimuli, degrees, 8, tmp_path) is stimuli
