"""Tell arrays of any Keras backend from other things, and bring channels before rows and columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras

from ...outputs import pick
from .walking import Place

__all__ = ["canonical", "canonical_shape", "default_format", "is_floating_array", "pick_tensor", "shape_of"]

_HALF = ("float16", "bfloat16")
_SPATIAL_RANK = 4


def is_floating_array(value: Any) -> bool:
    """Tell a tensor of floating dtype from anything else."""
    return keras.ops.is_tensor(value) and "float" in keras.backend.standardize_dtype(value.dtype)


def shape_of(value: Any) -> tuple[int | None, ...]:
    """Return the shape; None for an axis that a traced graph does not know."""
    return tuple(length if isinstance(length, int) else None for length in value.shape)


def pick_tensor(output: Any, path: Sequence[str], layer: str, n_images: int) -> Any:
    """Return the tensor that a request means."""
    return pick(output, path, layer=layer, n_images=n_images, is_floating_array=is_floating_array)


def default_format(places: Iterable[Place]) -> str:
    """Return the layout of a model: what its first layer that has one says, else Keras's setting."""
    said = (place.data_format for place in places if place.data_format is not None)
    return next(said, keras.config.image_data_format())


def canonical(value: Any, place: Place | None, path: Sequence[str], default: str) -> Any:
    """Return a picked value in float32 unless it is float64, and in (channel, row, column) order.

    Parameters
    ----------
    value : tensor of shape (n_images, ...)
        Of the backend.
    place : Place, optional
        Where it comes from; None for the model's final output.
    path : sequence of str
        Which part of the layer's output it is.
    default : str
        Layout of layers that do not say theirs.
    """
    if keras.backend.standardize_dtype(value.dtype) in _HALF:
        value = keras.ops.cast(value, "float32")
    return keras.ops.moveaxis(value, -1, 1) if _is_channels_last(len(value.shape), place, path, default) else value


def canonical_shape(shape: tuple[int, ...], place: Place | None, path: Sequence[str], default: str) -> tuple[int, ...]:
    """Return the shape that `canonical` gives a value of a shape."""
    return (shape[0], shape[-1], *shape[1:-1]) if _is_channels_last(len(shape), place, path, default) else shape


def _is_channels_last(rank: int, place: Place | None, path: Sequence[str], default: str) -> bool:
    if rank < _SPATIAL_RANK:
        return False
    if place is None:
        return default == "channels_last"
    is_scores = place.is_inside_attention or (place.is_attention and tuple(path[:1]) == ("1",))
    return not is_scores and (place.data_format or default) == "channels_last"
