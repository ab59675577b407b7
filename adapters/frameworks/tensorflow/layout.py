"""Which tensors of a graph have rows, columns and channels, and in which order; TensorFlow itself does not say."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

__all__ = ["SPATIAL_RANKS", "canonical", "canonical_shape", "is_channels_last"]

SPATIAL_RANKS = (4, 5)
"""Of a batch of images, and of one of volumes: (image, time, row, column, channel)."""

_IMAGE_RANK = 4
_MAX_STEPS = 256
# what these return is laid out in heads and positions, as the scores of an attention
_NEVER_SPATIAL = frozenset({"BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "XlaEinsum"})
_TO_CHANNELS_FIRST = {4: [0, 3, 1, 2], 5: [0, 4, 1, 2, 3]}
_TO_CHANNELS_LAST = {4: [0, 2, 3, 1], 5: [0, 2, 3, 4, 1]}


def is_channels_last(tensor: Any, default: bool) -> bool:
    """Tell whether a tensor is (image, row, column, channel), by the operations that it comes from.

    With a time before the rows it is that only if an operation says so, as `tf.nn.conv3d` does.

    Parameters
    ----------
    tensor : tf.Tensor
        Of a graph; of an eager one only the rank is known, and the default decides.
    default : bool
        Whether the model takes its images in this layout: what counts where no operation says it.
    """
    if tensor.shape.rank not in (*SPATIAL_RANKS, None):
        return False
    rank = tensor.shape.rank or _IMAGE_RANK
    default = default and rank == _IMAGE_RANK
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
            return default if order is None else list(order) == _TO_CHANNELS_LAST[rank]
        if operation.type == "Reshape" and _splits_channels(operation):
            return False
        before = [each for each in operation.inputs if each.dtype.is_floating and each.shape.rank == rank]
        if not before:
            return default
        tensor = before[0]
    return default


def _splits_channels(reshape: Any) -> bool:
    """Tell whether the channels of tokens are dealt out to heads, from whether tokens become an image."""
    before, after = reshape.inputs[0].shape, reshape.outputs[0].shape
    return (
        before.rank == 3 and after.rank == _IMAGE_RANK and None not in (before[2], after[3]) and before[2] != after[3]
    )


def _data_format(operation: Any) -> bool | None:
    """Return whether an operation says that channels come last, None where it says nothing."""
    try:
        said = operation.get_attr("data_format")
    except ValueError:
        return None
    return {b"NHWC": True, b"NDHWC": True, b"NCHW": False, b"NCDHW": False}.get(said)


def canonical(value: Any, channels_last: bool) -> Any:
    """Bring channels before time, rows and columns, and half precision to float32."""
    is_half = value.dtype in (tf.float16, tf.bfloat16)
    value = tf.cast(value, tf.float32) if is_half else value
    order = _TO_CHANNELS_FIRST.get(len(value.shape)) if channels_last else None
    return value if order is None else tf.transpose(value, order)


def canonical_shape(shape: tuple[int, ...], channels_last: bool) -> tuple[int, ...]:
    """Return the shape that `canonical` gives a value of a shape."""
    order = _TO_CHANNELS_FIRST.get(len(shape)) if channels_last else None
    return shape if order is None else tuple(shape[axis] for axis in order)
