"""Which tensors of a graph have rows, columns and channels, and in which order; TensorFlow itself does not say.

A graph is followed from its images on. Where the channels of a tensor are follows from the first rule that applies:

1. The images have the layout of the model's input, and an operation with a ``data_format`` the one that it names. Only
   ``BiasAdd`` is not believed when it says "last": it says so of any dense layer.
2. A transpose moves the channels with the other axes.
3. A product with weights leaves them where they were. A product of two tensors that both come from the images is an
   attention, and not an image: unless one of the two is, as the values that are weighted in an axial attention, and the
   result has its shape.
4. A reshape, and whatever else changes the rank, gives an image if its rows and columns are those of an image that it
   comes from, or 1 and 1. Tokens and blocks may also be laid out in other rows and columns of the same proportion, as
   by patches or a pixel shuffle. Tokens that are dealt out to heads are no image. Where no image is known before, the
   layout of the model's input counts.
5. All other operations keep the layout of their operands, an image before what is none.

Operands that do not come from the images (weights, zeros, shapes) count nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import tensorflow as tf

__all__ = ["SPATIAL_RANKS", "canonical", "canonical_shape", "is_channels_last"]

SPATIAL_RANKS = (4, 5)
"""Of a batch of images, and of one of volumes: (image, time, row, column, channel)."""

_IMAGE_RANK, _TOKENS_RANK = 4, 3
_NO_IMAGE = -1
_INPUTS = frozenset({"Placeholder", "PlaceholderV2", "PlaceholderWithDefault", "IteratorGetNext", "_Arg"})
_NO_IMAGES = (tf.resource, tf.variant, tf.bool)
_SHAPES = frozenset({"Shape", "ShapeN", "Size", "Rank"})
_LOOPS = frozenset({"While", "StatelessWhile"})
_EINSUMS = frozenset({"Einsum", "XlaEinsum"})
_PRODUCTS = _EINSUMS | {"BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"}
_FORMATS = {b"NHWC": True, b"NDHWC": True, b"NCHW": False, b"NCDHW": False}
_TO_CHANNELS_FIRST = {4: [0, 3, 1, 2], 5: [0, 4, 1, 2, 3]}


def is_channels_last(tensor: Any, default: bool) -> bool:
    """Tell whether a tensor is (image, row, column, channel), by the operations that it comes from.

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
    if not hasattr(tensor, "graph") or (tf.is_tensor(tensor) and hasattr(tensor, "numpy")):
        return default and rank == _IMAGE_RANK
    followed = _FOLLOWED.setdefault(tensor.graph, {})
    if default not in followed:
        followed[default] = _Followed(default)
    axis = followed[default].channel_axis(tensor)
    return default and rank == _IMAGE_RANK if axis is None else axis == rank - 1


class _Grid(NamedTuple):
    """Time, rows and columns of an image, and whether its channels come after them."""

    lengths: tuple[int | None, ...]
    channels_last: bool


class _Followed:
    """What is known of the tensors of one graph that come from its images."""

    def __init__(self, default: bool) -> None:
        self._default, self._n_seen = default, 0
        self._axes: dict[tuple[str, int], int] = {}
        self._grids: dict[str, tuple[_Grid, ...]] = {}  # of every operation that comes from the images; nearest first

    def channel_axis(self, tensor: Any) -> int | None:
        """Return where the channels are, -1 where there are none, None for what does not come from images."""
        operations = tensor.graph.get_operations()
        captured = {each.op.name for each in getattr(tensor.graph, "internal_captures", ())}
        for operation in operations[self._n_seen :]:  # in an order of execution, but for the way back in loops of TF1
            if operation.type not in _SHAPES:
                self._follow(operation, captured)
        self._n_seen = len(operations)
        return self._axes.get((tensor.op.name, tensor.value_index))

    def _follow(self, operation: Any, captured: set[str]) -> None:
        inputs = [each for each in operation.inputs if each.op.name in self._grids]
        if not inputs and not _gives_images(operation, captured):
            return
        before = tuple(dict.fromkeys(grid for each in inputs for grid in self._grids[each.op.name]))
        new = []
        for output in operation.outputs:
            rank = output.shape.rank
            if rank not in (*SPATIAL_RANKS, None):
                continue
            axis = self._axis(operation, output, inputs, before) if inputs else self._default_axis(rank)
            self._axes[operation.name, output.value_index] = axis
            if rank is not None and axis in (1, rank - 1):
                lengths = output.shape.as_list()[1:-1] if axis == rank - 1 else output.shape.as_list()[2:]
                if set(lengths) != {1}:
                    new.append(_Grid(tuple(lengths), axis == rank - 1))
        self._grids[operation.name] = tuple(dict.fromkeys((*new, *before)))

    def _default_axis(self, rank: int | None) -> int:
        return (rank or _IMAGE_RANK) - 1 if self._default else 1

    def _axis(self, operation: Any, output: Any, inputs: Sequence[Any], before: Sequence[_Grid]) -> int:
        rank = output.shape.rank
        said = _data_format(operation)
        if said is not None:
            return (rank or _IMAGE_RANK) - 1 if said else 1
        if operation.type in _LOOPS:
            inputs = [each for each in inputs if each is operation.inputs[output.value_index]] or inputs
        same_rank = [each for each in inputs if each.shape.rank == rank or None in (each.shape.rank, rank)]
        axes = [axis for each in same_rank if (axis := self._axes.get((each.op.name, each.value_index))) is not None]
        if operation.type in _PRODUCTS and len(inputs) > 1:
            images = [each for each in inputs if self._axes.get((each.op.name, each.value_index), _NO_IMAGE) > 0]
            is_weighted = len(images) == 1 and images[0].shape.as_list() == output.shape.as_list()
            return self._axes[images[0].op.name, images[0].value_index] if is_weighted else _NO_IMAGE
        if operation.type == "Reshape" or not axes:
            return self._axis_by_lengths(operation, output.shape, before)
        axis = next((each for each in axes if each > 0), _NO_IMAGE)
        return _moved(operation, same_rank[0], axis) if axis > 0 else axis

    def _axis_by_lengths(self, operation: Any, shape: Any, before: Sequence[_Grid]) -> int:
        if shape.rank is None or (not before and shape.rank == _IMAGE_RANK):
            return self._default_axis(shape.rank)
        lengths, last = shape.as_list(), shape.rank - 1
        is_single = [set(each) == {1} for each in (lengths[1:-1], lengths[2:])]
        if shape.rank == _IMAGE_RANK and any(is_single):
            return self._default_axis(shape.rank) if all(is_single) else last if is_single[0] else 1
        splits_channels = _splits_channels(operation)
        for grid in before:
            fits_last = not splits_channels and _fits(lengths[1:-1], grid, operation)
            if fits_last and (grid.channels_last or not _fits(lengths[2:], grid)):
                return last
            if fits_last or _fits(lengths[2:], grid):
                return 1
        return _NO_IMAGE


_FOLLOWED: WeakKeyDictionary[Any, dict[bool, _Followed]] = WeakKeyDictionary()
"""Does not keep graphs alive."""


def _gives_images(operation: Any, captured: set[str]) -> bool:
    """Tell what takes images or makes them of files; a function also takes the variables that it uses."""
    if operation.type not in _INPUTS or operation.name in captured:
        return False
    given = operation.outputs[0]
    return given.shape.rank != 0 and given.dtype not in _NO_IMAGES


def _data_format(operation: Any) -> bool | None:
    """Return whether an operation says that channels come last, None where it says nothing."""
    if "data_format" not in operation.node_def.attr:
        return None
    said = _FORMATS.get(operation.get_attr("data_format"))
    return None if said and operation.type == "BiasAdd" else said


def _moved(operation: Any, operand: Any, axis: int) -> int:
    """Return where an operation puts the channels of its operand."""
    if operation.type == "Transpose":
        order = tf.get_static_value(operation.inputs[1])
        return axis if order is None else list(order).index(axis)
    if operation.type in _EINSUMS:
        return _moved_by_einsum(operation, operand, axis)
    if operation.type in _PRODUCTS and axis >= (rank := operand.shape.rank or _IMAGE_RANK) - 2:
        is_first = operation.inputs[0] is operand
        return 2 * rank - 3 - axis if operation.get_attr("adj_x" if is_first else "adj_y") else axis
    return axis


def _moved_by_einsum(operation: Any, operand: Any, axis: int) -> int:
    """Follow the letter of the channels; where it is summed over, the one new letter has taken its place."""
    terms, _, result = operation.get_attr("equation").decode().replace(" ", "").partition("->")
    term = terms.split(",")[[each is operand for each in operation.inputs].index(True)]
    leading = "0123456789"[: operand.shape.rank - len(term.replace("...", ""))]
    term, result = term.replace("...", leading), result.replace("...", leading)
    new = [letter for letter in result if letter not in term]
    letter = term[axis] if term[axis] in result else new[0] if len(new) == 1 else None
    return _NO_IMAGE if letter is None else result.index(letter)


def _splits_channels(operation: Any) -> bool:
    """Tell whether the channels of tokens are dealt out to heads, from whether tokens become an image."""
    if operation.type != "Reshape":
        return False
    before, after = operation.inputs[0].shape, operation.outputs[0].shape
    return before.rank == _TOKENS_RANK and None not in (before[2], after[-1]) and before[2] != after[-1]


def _fits(lengths: Sequence[int | None], grid: _Grid, laid_out_by: Any = None) -> bool:
    """Tell whether rows and columns are those of an image, or those of another size of it that a reshape made."""
    known = grid.lengths[-len(lengths) :]
    if len(known) != len(lengths) or tuple(lengths) == known or set(lengths) == {None}:
        return len(known) == len(lengths)
    if laid_out_by is None or laid_out_by.type != "Reshape" or None in (*lengths, *known) or 1 in (*lengths, *known):
        return False
    is_of_blocks = laid_out_by.inputs[0].shape.rank != len(lengths) + 2
    ratios = {(each or 0) / (length or 1) for each, length in zip(lengths, known, strict=True)}
    ratio = ratios.pop()
    return is_of_blocks and not ratios and (ratio.is_integer() or (1 / ratio).is_integer())


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
