"""A network, and what is compared with it."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

LAYERS = ["conv1", "relu1", "pool", "conv2", "head"]


def network() -> nn.Module:
    """Make a network that overwrites the output of its first layer, of 8 x 12 x 12 values."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = nn.Sequential()
        model.add_module("conv1", nn.Conv2d(3, 8, 3, padding=1))
        model.add_module("relu1", nn.ReLU(inplace=True))
        model.add_module("pool", nn.MaxPool2d(2))
        model.add_module("conv2", nn.Conv2d(8, 4, 3))
        model.add_module("flatten", nn.Flatten())
        model.add_module("head", nn.Linear(4 * 16, 7))
    return model


def centred_gram(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean(axis=0)
    return centred @ centred.T


def assert_gathered(features, values):
    """Compare with all values at once; activations are float32, and batches of other sizes differ in the last bits."""
    assert list(features) == [name for name in features if name in values]
    for name, found in features.items():
        scale = np.abs(centred_gram(values[name])).max()
        np.testing.assert_allclose(found.gram, centred_gram(values[name]), rtol=0, atol=1e-6 * scale)
        assert found.gram.dtype == np.float64
        assert (found.n_features, found.n_stimuli) == (values[name].shape[1], len(values[name]))
        np.testing.assert_allclose(found.correlation_rdm(), 1 - np.corrcoef(values[name]), atol=1e-5)
