"""How an assembly of ours is held against one of Brain-Score's, and against what a model itself computes."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from brainscore_vision.model_helpers.activations.pytorch import PytorchWrapper, load_preprocess_images
from torch import nn

import adapters

__all__ = ["SIDE", "assert_same", "assert_values", "coordinates", "images_of", "wrap_both"]

SIDE = 8
_PREPROCESSING = functools.partial(load_preprocess_images, image_size=SIDE)


def wrap_both(model: nn.Module, batch_size: int = 4) -> tuple[Any, PytorchWrapper]:
    """Wrap one model, for images of 8 x 8 pixels, in ours and in Brain-Score's."""
    theirs = PytorchWrapper(model, _PREPROCESSING, identifier="net", batch_size=batch_size)
    ours = adapters.wrap(model, identifier="net", preprocessing=adapters.imagenet(SIDE), batch_size=batch_size)
    for each in (ours, theirs):
        each._extractor.set_visual_degrees(8)
    return ours, theirs


def images_of(paths: list[str], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return the images as both models see them."""
    return torch.from_numpy(_PREPROCESSING(paths)).to(dtype)


def assert_values(assembly: Any, expected: torch.Tensor, rtol: float = 1e-5) -> None:
    """Compare an assembly with what a plain forward pass gave."""
    values = expected.detach().float().flatten(1).numpy()
    np.testing.assert_allclose(assembly.values, values, rtol=rtol, atol=rtol * np.abs(values).max())


def coordinates(assembly: Any) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Return every coordinate by name, those in a MultiIndex included, with its dims and values."""
    from brainscore_core.supported_data_standards.brainio.assemblies import walk_coords

    return {name: (tuple(dims), np.asarray(values)) for name, dims, values in walk_coords(assembly)}


def assert_same(ours: Any, theirs: Any, *, rtol: float = 1e-6) -> None:
    """Compare two assemblies: coordinates exactly and with their dtypes, values relative to the largest of a layer."""
    assert type(ours) is type(theirs)
    assert ours.dims == theirs.dims
    assert ours.shape == theirs.shape
    mine, others = coordinates(ours), coordinates(theirs)
    assert mine.keys() == others.keys()
    for name, (dims, values) in others.items():
        assert mine[name][0] == dims
        assert mine[name][1].dtype == values.dtype
        np.testing.assert_array_equal(mine[name][1], values, err_msg=name)
    assert ours.dtype == theirs.dtype
    layers = theirs["layer"].values
    for layer in dict.fromkeys(layers):
        expected = theirs.values[:, layers == layer]
        found = ours.values[:, layers == layer]
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * np.abs(expected).max(), err_msg=str(layer))
