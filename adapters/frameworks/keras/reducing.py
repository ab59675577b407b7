"""What reductions compute with in Keras, on any backend."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from ...errors import ReductionError
from ...reducing import Reducing
from .engine import Engine
from .layout import Layout, canonical

__all__ = ["KerasMath", "reduced"]


@dataclass(frozen=True)
class KerasMath:
    """Keras's, also while it is traced; see `adapters.device_math.DeviceMath`.

    Parameters
    ----------
    engine : Engine
        Of the backend.
    """

    engine: Engine

    def as_device(self, array: np.ndarray) -> Any:
        """Bring an array to the device."""
        return self.engine.tensor(array)

    def as_single(self, value: Any) -> Any:
        """See `DeviceMath.as_single`."""
        is_double = keras.backend.standardize_dtype(value.dtype) == "float64"
        return value if is_double else keras.ops.cast(value, "float32")

    def mean(self, value: Any, axes: tuple[int, ...]) -> Any:
        """See `DeviceMath.mean`."""
        return keras.ops.mean(self.as_single(value), axes)

    def maximum(self, value: Any, axes: tuple[int, ...]) -> Any:
        """See `DeviceMath.maximum`."""
        return self.as_single(keras.ops.max(value, axes))

    def product(self, value: Any, rows: Any, offset: Any = None) -> Any:
        """See `DeviceMath.product`."""
        flat = self._flat(value)
        if offset is not None:
            flat = flat - keras.ops.cast(offset, flat.dtype)
        with self.engine.exactly():
            return keras.ops.matmul(flat, keras.ops.transpose(keras.ops.cast(rows, flat.dtype)))

    def weighted_sums(self, value: Any, columns: Any, weights: Any) -> Any:
        """See `DeviceMath.weighted_sums`."""
        table = keras.ops.transpose(self._flat(value))
        weights = keras.ops.cast(weights, table.dtype)

        def row(entries: tuple[Any, Any]) -> Any:
            return keras.ops.matmul(entries[1], keras.ops.take(table, entries[0], axis=0))

        with self.engine.exactly():
            return keras.ops.transpose(keras.ops.map(row, (columns, weights)))

    def _flat(self, value: Any) -> Any:
        return keras.ops.reshape(self.as_single(value), (-1, math.prod(value.shape[1:])))


def reduced(
    reducing: Reducing, name: str, value: Any, layout: Layout, *, arrays: Mapping[str, Any] | None, is_traced: bool
) -> Any:
    """Return a layer's values as the contract wants them, after their reduction.

    Parameters
    ----------
    reducing : Reducing
        The reductions of the run.
    name : str
        Requested text.
    value : tensor of shape (n_images, ...)
        As the layer returned it.
    layout : Layout
        Of the value. What sums up over rows and columns does not reorder them first.
    arrays : mapping of str to tensor, optional
        Those of the reduction.
    is_traced : bool
        Whether a program is made, and nothing computed yet.

    Raises
    ------
    ReductionError
        If the reduction writes into the values, which the model goes on to use.
    """
    if layout.is_moved and reducing.follows_layout(name):
        return reducing(name, value, feature_axis=-1)
    if is_traced:
        return reducing.traced(name, canonical(value, layout), arrays)
    before = _version_of(value)
    result = reducing(name, canonical(value, layout), arrays)
    if _version_of(value) != before:
        raise ReductionError(
            f"The reduction of layer {name!r} changed the values that it was given, and with them what the model "
            f"computes next. Return a new array."
        )
    return result


def _version_of(value: Any) -> int:
    """Return what PyTorch counts up when somebody writes into a tensor; others cannot be written into."""
    try:
        return int(getattr(value, "_version", 0))
    except RuntimeError:  # tensors of inference mode have none
        return 0
