"""Which tensors of a graph have rows, columns and channels, and in which order; TensorFlow itself does not say."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

__all__ = ["canonical", "canonical_shape", "is_channels_last"]

_SPATIAL_RANK = 4
_MAX_STEPS = 256
# what these return is laid out in heads and positions, as the scores of an attention
_NEVER_SPATIAL = frozenset({"BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "XlaEinsum"})
_TO_CHANNELS_FIRST, _TO_CHANNELS_LAST = [0, 3, 1, 2], [0, 2, 3, 1]


def is_channels_last(tensor: Any, default: bool) -> bool:
    """Tell whether a tensor is (image, row, column, channel), by the operations that it comes from.

    Parameters
    ----------
    tensor : tf.Tensor
        Of a graph; of an eager one only the rank is known, and the default decides.
    default : bool
        Whether the model takes its images in this layout: what counts where no operation says it.
    """
    if tensor.shape.rank not in (_SPATIAL_RANK, None):
        return False
    if not hasattr(tensor, "graph") or (tf.is_tensor(tensor) and hasattr(tensor, "numpy")):
        return default
    for _ in range(_MAX_STEPS):
        operation = tensor.op
        said = _data_format(operation)
        if said is not None:
            return said
        if operation.type in _NEVER_SPATIAL:
            return False
        if operation.type == "Transpose":
            order = tf.get_static_value(operation.inputs[1])
            known = {tuple(_TO_CHANNELS_FIRST): False, tuple(_TO_CHANNELS_LAST): True}
            return known.get(tuple(order), False) if order is not None else default
        before = [each for each in operation.inputs if each.dtype.is_floating and each.shape.rank == _SPATIAL_RANK]
        if not before:
            return default
        tensor = before[0]
    return default


def _data_format(operation: Any) -> bool | None:
    """Return whether an operation says that channels come last, None where it says nothing."""
    try:
        said = operation.get_attr("data_format")
    except ValueError:
        return None
    return {b"NHWC": True, b"NCHW": False}.get(said)


def canonical(value: Any, channels_last: bool) -> Any:
    """Bring (image, row, column, channel) to (image, channel, row, column), and half precision to float32."""
    is_half = value.dtype in (tf.float16, tf.bfloat16)
    value = tf.cast(value, tf.float32) if is_half else value
    return tf.transpose(value, [0, 3, 1, 2]) if channels_last and len(value.shape) == _SPATIAL_RANK else value


def canonical_shape(shape: tuple[int, ...], channels_last: bool) -> tuple[int, ...]:
    """Return the shape that `canonical` gives a value of a shape."""
    is_moved = channels_last and len(shape) == _SPATIAL_RANK
    return (shape[0], shape[3], shape[1], shape[2]) if is_moved else shape
