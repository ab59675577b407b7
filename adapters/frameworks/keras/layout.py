"""Tell arrays of any Keras backend from other things, and bring channels before rows and columns.

Which values are maps, with channels to be brought forward, follows the images through the model:

- The images are maps if they have rows and columns. Their layout is that of the first layer with a kernel or a pool
  (else of the first other one that has a layout of its own, else Keras's setting), unless the model's input shape says
  otherwise: colours are 1, 3 or 4.
- A layer with a ``data_format`` returns maps in it. Layers that prepare images are not asked: theirs is Keras's own.
- Any other layer returns maps if it was given maps of that many axes. What came before counts for a layer that is made
  of layers, or that was given what no layer returned: the layer that ran before.
- ``Permute`` takes the channels along. ``Reshape`` ends maps, unless it leaves the channels where they are.
- Whatever has the shape of the last maps that it comes from is maps again: tokens put back into rows and columns.
- All else is left as it is: queries, keys and heads made of tokens, and the scores of an attention.

The rule is the same for values with more axes: (time, row, column, channel) becomes (channel, time, row, column).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras

from ...outputs import floating_leaves, pick
from .listening import Call
from .walking import Place

__all__ = [
    "MAP_AXES",
    "Layout",
    "Layouts",
    "canonical",
    "canonical_shape",
    "image_format",
    "is_floating_array",
    "own_format",
    "pick_tensor",
    "shape_of",
]

MAP_AXES = 3
"""Of maps, without the batch; there may be more."""

_HALF = ("float16", "bfloat16")
_COLOURS = (1, 3, 4)
_MIXING = ("Reshape", "Matmul", "Einsum", "Dot", "Tensordot")  # what they return has other axes than what they take
Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Layout:
    """How one value is laid out.

    Parameters
    ----------
    is_maps : bool
        Whether it has channels, rows and columns.
    data_format : {'channels_first', 'channels_last'}
        Of the value, or of the last maps that it comes from.
    shape : tuple of int or None
        Of these maps, without the batch.
    """

    is_maps: bool
    data_format: str
    shape: Shape

    @property
    def is_moved(self) -> bool:
        """Whether the channels are last and have to come first."""
        return self.is_maps and self.data_format == "channels_last"


class Layouts:
    """The layouts of what the layers return in one pass.

    Parameters
    ----------
    images : Layout
        Of the batch.
    """

    def __init__(self, images: Layout) -> None:
        self._last = images
        self._known: dict[int, tuple[Layout, Any]] = {}  # with the value, whose id is not given away while it is held

    def hear(self, call: Call, place: Place | None) -> dict[tuple[str, ...], Layout]:
        """Return the layouts of what one call of a layer returned, by the path in its output.

        Parameters
        ----------
        call : Call
            In the order in which calls end.
        place : Place, optional
            The layer; None for the model itself.
        """
        before = self._before(call)
        found = {}
        for path, value in floating_leaves(call.output, is_floating_array).items():
            if id(value) not in self._known:
                self._known[id(value)] = _layout_of(shape_of(value)[1:], call, place, path, before), value
            found[path] = self._known[id(value)][0]
        self._last = next(iter(found.values()), self._last)
        return found

    def _before(self, call: Call) -> Layout:
        """Return the layout of what a layer was given."""
        if call.has_inner:
            return self._last
        given = floating_leaves(call.inputs, is_floating_array).values()
        known = [self._known[id(value)][0] for value in given if id(value) in self._known]
        maps = [layout for layout in known if layout.is_maps]
        return next(iter(maps or (known if len(known) == len(given) else ())), self._last)


def _layout_of(shape: Shape, call: Call, place: Place | None, path: tuple[str, ...], before: Layout) -> Layout:
    rest = replace(before, is_maps=False)
    if len(shape) < MAP_AXES or (place is not None and place.is_scores(path)):
        return rest
    operation = call.operation
    said = own_format(operation)
    if said is not None:
        return Layout(True, said, shape)
    name = type(operation).__name__
    if before.is_maps and len(shape) == len(before.shape):
        if name in ("Permute", "Transpose"):
            said = _permuted(operation, before)
            return rest if said is None else Layout(True, said, shape)
        if name not in _MIXING or _channels(shape, before) == _channels(before.shape, before):
            return Layout(True, before.data_format, shape)
    is_restored = shape == before.shape and None not in shape
    return Layout(True, before.data_format, shape) if is_restored else rest


def _channels(shape: Shape, like: Layout) -> int | None:
    return shape[-1 if like.data_format == "channels_last" else 0]


def _permuted(operation: Any, before: Layout) -> str | None:
    """Return where the channels are after axes changed places; None where they are between others."""
    n_axes = len(before.shape)
    order = getattr(operation, "dims", None) or getattr(operation, "axes", None) or range(n_axes, -1, -1)
    order = [axis % (n_axes + 1) for axis in order if axis != 0]
    channel = n_axes if before.data_format == "channels_last" else 1
    return {0: "channels_first", n_axes - 1: "channels_last"}.get(order.index(channel)) if channel in order else None


def own_format(operation: Any) -> str | None:
    """Return the layout that a layer has of its own; None where it has none, or follows Keras's setting."""
    prepares = any(".preprocessing." in cls.__module__ for cls in type(operation).__mro__)
    said = None if prepares else getattr(operation, "data_format", None)
    return said if said in ("channels_first", "channels_last") else None


def image_format(operations: Sequence[Any], input_shape: Shape | None) -> str:
    """Return the layout of the images that a model takes.

    Parameters
    ----------
    operations : sequence of keras.Operation
        Its layers, in order.
    input_shape : tuple of int or None, optional
        What it says itself, without the batch.
    """
    saying = [operation for operation in operations if own_format(operation) is not None]
    saying.sort(key=lambda operation: not (hasattr(operation, "kernel_size") or hasattr(operation, "pool_size")))
    said = next((own_format(operation) for operation in saying), None) or keras.config.image_data_format()
    if input_shape is not None and len(input_shape) >= MAP_AXES:
        places = {"channels_first": input_shape[0], "channels_last": input_shape[-1]}
        other = "channels_first" if said == "channels_last" else "channels_last"
        if places[other] in _COLOURS and places[said] is not None and places[said] not in _COLOURS:
            return other
    return str(said)


def is_floating_array(value: Any) -> bool:
    """Tell a tensor of floating dtype from anything else."""
    return keras.ops.is_tensor(value) and "float" in keras.backend.standardize_dtype(value.dtype)


def shape_of(value: Any) -> Shape:
    """Return the shape; None for an axis that a traced graph does not know."""
    return tuple(length if isinstance(length, int) else None for length in value.shape)


def pick_tensor(output: Any, path: Sequence[str], layer: str, n_images: int) -> Any:
    """Return the tensor that a request means."""
    return pick(output, path, layer=layer, n_images=n_images, is_floating_array=is_floating_array)


def canonical(value: Any, layout: Layout) -> Any:
    """Return a picked value in float32 unless it is float64, and in (channel, row, column) order.

    Parameters
    ----------
    value : tensor of shape (n_images, ...)
        Of the backend.
    layout : Layout
        Of the value.
    """
    if keras.backend.standardize_dtype(value.dtype) in _HALF:
        value = keras.ops.cast(value, "float32")
    return keras.ops.moveaxis(value, -1, 1) if layout.is_moved else value


def canonical_shape(shape: tuple[int, ...], layout: Layout) -> tuple[int, ...]:
    """Return the shape that `canonical` gives a value of a shape."""
    return (shape[0], shape[-1], *shape[1:-1]) if layout.is_moved else shape
