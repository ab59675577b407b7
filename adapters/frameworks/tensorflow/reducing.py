"""What reductions compute with in TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ...reducing import Reducing
from .layout import SPATIAL_RANKS, canonical

__all__ = ["TensorFlowMath", "reduced"]


@dataclass(frozen=True)
class TensorFlowMath:
    """TensorFlow's, also in a graph; see `adapters.device_math.DeviceMath`.

    Parameters
    ----------
    device : str, optional
        Where the model runs; None leaves the choice to TensorFlow.
    """

    device: str | None

    def as_device(self, array: np.ndarray) -> tf.Tensor:
        """Bring an array to the device."""
        with tf.device(self.device):
            return tf.constant(array)

    def as_single(self, value: Any) -> tf.Tensor:
        """See `DeviceMath.as_single`."""
        return value if value.dtype == tf.float64 else tf.cast(value, tf.float32)

    def mean(self, value: Any, axes: tuple[int, ...]) -> tf.Tensor:
        """See `DeviceMath.mean`."""
        return tf.reduce_mean(self.as_single(value), axes)

    def maximum(self, value: Any, axes: tuple[int, ...]) -> tf.Tensor:
        """See `DeviceMath.maximum`."""
        return self.as_single(tf.reduce_max(value, axes))

    def product(self, value: Any, rows: Any, offset: Any = None) -> tf.Tensor:
        """See `DeviceMath.product`."""
        flat = self._flat(value)
        centred = flat if offset is None else flat - tf.cast(offset, flat.dtype)
        return tf.matmul(centred, tf.cast(rows, flat.dtype), transpose_b=True)

    def weighted_sums(self, value: Any, columns: Any, weights: Any) -> tf.Tensor:
        """See `DeviceMath.weighted_sums`."""
        table = tf.transpose(self._flat(value))
        weights = tf.cast(weights, table.dtype)

        def row(entries: tuple[Any, Any]) -> Any:
            return tf.linalg.matvec(tf.gather(table, entries[0]), entries[1], transpose_a=True)

        return tf.transpose(tf.map_fn(row, (columns, weights), fn_output_signature=table.dtype))

    def _flat(self, value: Any) -> tf.Tensor:
        return tf.reshape(self.as_single(value), (tf.shape(value)[0], -1))


def reduced(reducing: Reducing, name: str, value: Any, channels_last: bool) -> Any:
    """Return a layer's values as the contract wants them, after their reduction.

    Parameters
    ----------
    reducing : Reducing
        The reductions of the run.
    name : str
        Requested text.
    value : tf.Tensor of shape (n_images, ...)
        As the layer returned it.
    channels_last : bool
        Whether it is (image, row, column, channel). What sums up over rows and columns does not reorder them first.
    """
    if channels_last and reducing.follows_layout(name) and len(value.shape) in SPATIAL_RANKS:
        return reducing(name, value, feature_axis=-1)
    value = canonical(value, channels_last)
    if tf.executing_eagerly():
        return value if name in reducing.later else reducing(name, value)
    return reducing.traced(name, value, reducing.arrays.get(name))
