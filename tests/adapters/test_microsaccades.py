"""Microsaccades against Brain-Score's formula, written out, and a bilinear shift written by hand.

Brain-Score shifts with OpenCV 4, whose bilinear warp places pixels on a grid of 1/32 pixel; the numbers for ties were
measured with OpenCV 4.10 and 4.12.
"""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

import adapters
from adapters.errors import PreprocessingError
from adapters.microsaccades import shift_image

COORDINATES = [f"microsaccade_shift_{axis}_{unit}" for unit in ("pixels", "degrees") for axis in "xy"]


def brain_score_shifts(n_trials, n_rows, visual_degrees):
    """Follow MicrosaccadeHelper.build_microsaccades line by line."""
    max_radius = 0.05 / visual_degrees * n_rows
    a = max_radius / np.sqrt(n_trials)
    pixels = []
    for i in range(n_trials):
        r = np.sqrt(i / n_trials) * max_radius
        theta = a * np.sqrt(i) * 2 * np.pi / max_radius
        pixels.append((r * np.cos(theta), r * np.sin(theta)))
    return np.array(pixels), np.array(pixels) / (n_rows / visual_degrees)


def bilinear(image, shift_x, shift_y):
    """Move a (channel, row, column) image pixel by pixel; outside is the nearest pixel of the border."""
    shift_x, shift_y = np.round(shift_x * 32) / 32, np.round(shift_y * 32) / 32
    _, n_rows, n_columns = image.shape
    moved = np.zeros(image.shape)
    for row in range(n_rows):
        for column in range(n_columns):
            y, x = row - shift_y, column - shift_x
            top, left = int(np.floor(y)), int(np.floor(x))
            for near_row, row_weight in ((top, top + 1 - y), (top + 1, y - top)):
                for near_column, column_weight in ((left, left + 1 - x), (left + 1, x - left)):
                    inside = image[:, min(max(near_row, 0), n_rows - 1), min(max(near_column, 0), n_columns - 1)]
                    moved[:, row, column] += row_weight * column_weight * inside
    return moved


def wrapped(**options):
    extractor = adapters.wrap(nn.Flatten(), preprocessing=adapters.already_preprocessed(), **options)
    extractor.set_visual_degrees(0.5)  # a small extent makes shifts of more than a pixel
    return extractor


@pytest.mark.parametrize("n_trials", [1, 2, 5])
@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_trials_are_inner_shifted_and_labelled(batch, n_trials, batch_size):
    images = batch(3, 2, 9, 7)
    assembly = wrapped(batch_size=batch_size)(images, ["logits"], None, n_trials, True)
    pixels, degrees = brain_score_shifts(n_trials, n_rows=9, visual_degrees=0.5)
    assert list(assembly["stimulus_id"].values) == [f"stimulus_{i:04d}" for i in range(3) for _ in range(n_trials)]
    for coordinate, values in zip(COORDINATES, np.concatenate([pixels.T, degrees.T]), strict=True):
        np.testing.assert_allclose(assembly[coordinate].values, np.tile(values, 3), rtol=1e-12, atol=1e-15)
    expected = np.stack([bilinear(image, x, y).ravel() for image in images for x, y in pixels])
    np.testing.assert_allclose(assembly.values, expected, atol=1e-5)


def test_first_trial_is_the_unmoved_image(batch):
    images = batch(2, 3, 6, 6)
    assembly = wrapped()(images, ["logits"], number_of_trials=3, require_variance=True)
    np.testing.assert_array_equal(assembly.values[::3], images.reshape(2, -1))
    assert (assembly.values[1] != assembly.values[0]).any()


@pytest.mark.parametrize("shift", [(0, 0), (1, 0), (0, -2), (0.3, -0.7), (-1.4, 2.6), (30, 0), (0.5, 0.25)], ids=str)
@pytest.mark.parametrize("channel_axis", [0, -1])
def test_shift_in_both_layouts(batch, shift, channel_axis):
    image = batch(2, 6, 5)
    given = image if channel_axis == 0 else image.transpose(1, 2, 0)
    moved = shift_image(given, np.array(shift), channel_axis)
    assert moved.dtype == np.float32
    moved = moved if channel_axis == 0 else moved.transpose(2, 0, 1)
    np.testing.assert_allclose(moved, bilinear(image, *shift), atol=1e-5)


@pytest.mark.parametrize(
    ("half_steps", "steps"), [(0.5, 0), (-0.5, -1), (1.5, 1), (-1.5, -2), (2.5, 2), (-2.5, -3)], ids=str
)
def test_ties_are_rounded_as_opencv_does(half_steps, steps):
    ramp = np.tile(np.arange(8, dtype=np.float32), (1, 8, 1))
    moved = shift_image(ramp, np.array([half_steps / 32, 0]), 0)
    assert (4 - moved[0, 4, 4]) * 32 == steps


def test_trials_without_variance_are_ignored(batch):
    images = batch(3, 2, 5, 5)
    assembly = wrapped()(images, ["logits"], number_of_trials=4)
    np.testing.assert_array_equal(assembly.values, images.reshape(3, -1))
    for coordinate in COORDINATES:
        np.testing.assert_array_equal(assembly[coordinate].values, np.zeros(3))


def test_a_call_with_variance_leaves_no_trace(batch):
    """Brain-Score issue 1167: there, the number of trials of one call breaks the next."""
    images = batch(3, 2, 5, 5)
    extractor = wrapped()
    before = extractor(images, ["logits"])
    extractor(images, ["logits"], number_of_trials=4, require_variance=True)
    after = extractor(images, ["logits"])
    np.testing.assert_array_equal(before.values, after.values)
    assert before.indexes["presentation"].equals(after.indexes["presentation"])
    varied = extractor(images[:2], ["logits"], number_of_trials=2, require_variance=True)
    assert varied.sizes["presentation"] == 4


def test_duplicates_are_all_shown_with_variance(counting, image_files):
    paths = image_files(2)
    extractor = adapters.wrap(counting, preprocessing=adapters.raw(6))
    extractor.set_visual_degrees(8)
    assembly = extractor([paths[1], paths[0], paths[1]], ["logits"], None, 2, True)
    assert list(assembly["stimulus_path"].values) == [paths[1]] * 2 + [paths[0]] * 2 + [paths[1]] * 2
    np.testing.assert_array_equal(assembly.values[:2], assembly.values[4:])


def test_extent_on_the_retina_must_be_known(batch):
    extractor = adapters.wrap(nn.Flatten(), preprocessing=adapters.already_preprocessed())
    with pytest.raises(PreprocessingError, match=r"set_visual_degrees\(8\)"):
        extractor(batch(1, 3, 4, 4), ["logits"], number_of_trials=2, require_variance=True)


@pytest.mark.parametrize("n_trials", [0, -1])
def test_number_of_trials_must_be_positive(batch, n_trials):
    with pytest.raises(ValueError, match=f"number_of_trials={n_trials}"):
        wrapped()(batch(1, 3, 4, 4), ["logits"], number_of_trials=n_trials, require_variance=True)
