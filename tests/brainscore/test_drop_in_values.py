"""The same assembly as Brain-Score's own ``PytorchWrapper`` gives, for models and layers where that one is right."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from brainscore_vision.model_helpers.activations.pytorch import PytorchWrapper, load_preprocess_images
from torch import nn

import adapters

from .comparing import assert_same, coordinates


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.Flatten(), nn.Linear(5 * 20 * 20, 10))


def resnet18() -> nn.Module:
    return torchvision.models.resnet18(weights=None)


def alexnet() -> nn.Module:
    return torchvision.models.alexnet(weights=None)


# (model, size in pixels, layers in the order in which they run)
MODELS: dict[str, tuple[Callable[[], nn.Module], int, list[str]]] = {
    "small": (small, 24, ["0", "1", "2", "4", "logits"]),
    "resnet18": (
        resnet18,
        48,
        ["conv1", "maxpool", "layer1.0.conv1", "layer2.0.downsample.0", "layer4", "avgpool", "fc"],
    ),
    "alexnet": (alexnet, 64, ["features.2", "features.5", "features.12", "avgpool", "classifier.5", "classifier.6"]),
}


@pytest.fixture(scope="module", params=list(MODELS))
def pair(request: pytest.FixtureRequest) -> tuple[Any, Any, list[str]]:
    """Ours and theirs around one model, which theirs puts into evaluation mode."""
    build, size, layers = MODELS[request.param]
    torch.manual_seed(0)
    model = build()
    preprocessing = functools.partial(load_preprocess_images, image_size=size)
    theirs = PytorchWrapper(model, preprocessing, identifier=request.param, batch_size=4)
    ours = adapters.wrap(model, identifier=request.param, preprocessing=adapters.imagenet(size), batch_size=4)
    for each in (ours, theirs):
        each._extractor.set_visual_degrees(8)
    return ours, theirs, layers


def test_all_layers_of_paths(pair, image_paths):
    ours, theirs, layers = pair
    assert_same(ours(image_paths[:5], layers), theirs(image_paths[:5], layers))


def test_each_layer_alone(pair, image_paths):
    """Alone, a layer's coordinates are whole numbers where in company with a dense layer they are not."""
    ours, theirs, layers = pair
    for layer in layers:
        assert_same(ours(image_paths[:2], [layer]), theirs(image_paths[:2], [layer]))


def test_stimulus_set(pair, make_stimulus_set):
    ours, theirs, layers = pair
    found, expected = (each(make_stimulus_set(5), layers=layers[-2:]) for each in (ours, theirs))
    assert_same(found, expected)
    assert {"stimulus_id", "image_label", "object_name"} <= coordinates(found).keys()
    assert "stimulus_path" not in coordinates(found)


def test_duplicates(pair, image_paths):
    ours, theirs, layers = pair
    paths = [image_paths[index] for index in (2, 0, 2, 1, 0)]
    assert_same(ours(paths, layers[:1]), theirs(paths, layers[:1]))


def test_users_preprocessing_of_a_list_of_paths(pair, image_paths):
    """The callable of a plugin, unchanged."""
    ours, theirs, layers = pair
    again = adapters.wrap(ours.adapter, identifier=ours.identifier, preprocessing=theirs._extractor.preprocess)
    assert_same(again(image_paths[:3], layers[:1]), theirs(image_paths[:3], layers[:1]))


@pytest.mark.parametrize("n_trials", [1, 4])
def test_microsaccades(pair, make_stimulus_set, n_trials):
    """Shifts agree exactly, shifted images to rounding; one stimulus per batch, where theirs labels trials rightly."""
    ours, theirs, layers = pair
    theirs._extractor._batch_size = 1
    stimuli = make_stimulus_set(3)
    try:
        expected = theirs(stimuli, layers=layers, number_of_trials=n_trials, require_variance=True)
    finally:
        theirs._extractor._batch_size = 4
        theirs._extractor._microsaccade_helper.number_of_trials = 1  # stays otherwise
    found = ours(stimuli, layers=layers, number_of_trials=n_trials, require_variance=True)
    assert_same(found, expected, rtol=2e-6)
    shifts = found["microsaccade_shift_x_pixels"].values.reshape(3, n_trials)
    assert len(np.unique(shifts)) == n_trials
    assert found.sizes["presentation"] == 3 * n_trials


def test_number_of_trials_alone_changes_nothing(pair, make_stimulus_set):
    ours, theirs, layers = pair
    assert_same(*(each(make_stimulus_set(2), layers=layers[:1], number_of_trials=3) for each in (ours, theirs)))


def test_batch_hook_that_reduces(pair, image_paths):
    ours, theirs, layers = pair
    handles = [each.register_batch_activations_hook(first_seven) for each in (ours, theirs)]
    assert_same(*(each(image_paths[:5], layers=layers) for each in (ours, theirs)))
    for handle in handles:
        handle.remove()
    assert ours(image_paths[:1], layers=layers[:1]).sizes["neuroid"] > 7


def first_seven(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {layer: values.reshape(len(values), -1)[:, :7] for layer, values in batch.items()}
