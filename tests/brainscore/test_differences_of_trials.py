"""Where trials that differ go wrong in Brain-Score's extractor (2.4.2), and what ours does; see test_differences.py."""

from __future__ import annotations

import numpy as np
import pytest
from brainscore_vision.model_helpers.activations.core import ActivationsExtractorHelper
from torch import nn

import adapters
from adapters.microsaccades import shift_image

from .comparing import images_of, wrap_both
from .networks import NETWORKS


def test_a_call_after_trials(make_stimulus_set):
    """brain-score/vision#1167: the number of trials stays, and every plain call afterwards fails."""
    ours, theirs = wrap_both(nn.Sequential(nn.Conv2d(3, 2, 3)), batch_size=1)
    stimuli = make_stimulus_set(2)
    for each in (ours, theirs):
        assert each(stimuli, ["0"], number_of_trials=3, require_variance=True).sizes["presentation"] == 6
    with pytest.raises(AssertionError):
        theirs(stimuli, ["0"])
    assert ours(stimuli, ["0"]).sizes["presentation"] == 2


def test_labels_of_trials(make_stimulus_set):
    """Theirs orders the values of a batch trial by trial and its labels stimulus by stimulus."""
    model = nn.Sequential(nn.Conv2d(3, 2, 3))
    ours, theirs = wrap_both(model, batch_size=4)
    stimuli = make_stimulus_set(3)
    paths = [stimuli.stimulus_paths[each] for each in stimuli["stimulus_id"]]
    unmoved = model(images_of(paths)).detach().flatten(1).numpy()
    found, wrong = (each(stimuli, ["0"], number_of_trials=2, require_variance=True) for each in (ours, theirs))
    assert list(found["stimulus_id"].values) == list(wrong["stimulus_id"].values)
    assert list(wrong["stimulus_id"].values[:2]) == ["stimulus_00"] * 2
    np.testing.assert_allclose(wrong.values[1], unmoved[1], atol=1e-5)  # stimulus 1, labelled as stimulus 0
    np.testing.assert_allclose(found.values[::2], unmoved, atol=1e-5)
    np.testing.assert_allclose(found.values[[0, 2, 4, 1, 3, 5]], wrong.values, atol=1e-5)


def test_the_same_stimulus_twice_with_trials(image_paths):
    ours, theirs = wrap_both(nn.Sequential(nn.Conv2d(3, 2, 3)), batch_size=1)
    twice = [image_paths[0]] * 2
    with pytest.raises(ValueError, match="conflicting sizes for dimension 'presentation'"):
        theirs(twice, ["0"], number_of_trials=3, require_variance=True)
    found = ours(twice, ["0"], number_of_trials=3, require_variance=True)
    np.testing.assert_array_equal(found.values[:3], found.values[3:])


def test_microsaccades_of_channels_last_images(image_paths):
    """Theirs takes height for channels and width for height: the extent is another, and colours are mixed."""
    wide, shift = adapters.Preprocessing(size=(24, 48)), 0.05 / 8 * np.sqrt(1 / 2)  # per row, in the second of 2 trials
    ours, reference = (
        adapters.wrap(NETWORKS[name]().model, identifier="net", preprocessing=wide)
        for name in ("flax_linen", "pytorch")
    )
    theirs = ActivationsExtractorHelper(ours.adapter, ours.preprocess, identifier="net")._microsaccade_helper
    theirs.number_of_trials, theirs.visual_degrees = 2, 8
    images, options = ours.preprocess(image_paths[:1]), {"number_of_trials": 2, "require_variance": True}
    moved = theirs.translate_images(images, image_paths[:1], trial_number=1, require_variance=True)
    for each in (ours, reference):
        each.set_visual_degrees(8)
    found, expected = (each(image_paths[:1], ["conv"], **options) for each in (ours, reference))
    np.testing.assert_allclose(np.hypot(*theirs.microsaccades["pixels"][image_paths[0]][1]), 48 * shift)
    taken = [found[f"microsaccade_shift_{axis}_pixels"].values[1] for axis in "xy"]
    np.testing.assert_allclose(np.hypot(*taken), 24 * shift)
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-5, atol=1e-5)
    rightly = np.moveaxis(shift_image(np.moveaxis(images[0], -1, 0), np.array(taken), 0), 0, -1)
    assert np.abs(moved[0] - rightly).max() > 0.05
