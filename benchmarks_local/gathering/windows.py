"""Part of a layer: neighbouring units, cut out on the device, for layers that are wider than the memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters.device_math import DeviceMath
from adapters.reducing import LayerReduction

__all__ = ["UnitWindow", "next_window"]


@dataclass(frozen=True)
class UnitWindow(LayerReduction):
    """Neighbouring units of a layer, as ``reduce=`` of an extractor.

    A range along one axis of the values, all axes after it whole, and one index of each axis before it: no array has
    to be flattened for that, so it is written alike for every framework.

    Attributes
    ----------
    shape : tuple of int
        Of the layer's values per image, in (channel, row, column) order where there are channels and space.
    lead : tuple of int
        Index along each of the first axes.
    first, last : int
        Range along the next axis; ``last`` is not in it.

    Examples
    --------
    >>> UnitWindow((64, 56, 56), (), 0, 16).n_units
    50176
    """

    shape: tuple[int, ...]
    lead: tuple[int, ...]
    first: int
    last: int

    @property
    def name(self) -> str:
        """The indices, as NumPy writes them."""
        return f"units[{', '.join([*map(str, self.lead), f'{self.first}:{self.last}'])}]"

    @property
    def n_units(self) -> int:
        """Values per image."""
        return math.prod(self.shape_of(self.shape))

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """See `LayerReduction.shape_of`."""
        return (*(1 for _ in self.lead), self.last - self.first, *shape[len(self.lead) + 1 :])

    def to_dict(self) -> dict[str, Any]:
        """See `LayerReduction.to_dict`."""
        return {"reduction": "units", "lead": list(self.lead), "first": self.first, "last": self.last}

    def __call__(self, value: Any, math: DeviceMath, arrays: Mapping[str, Any]) -> Any:
        """See `LayerReduction.__call__`."""
        return value[(slice(None), *(slice(at, at + 1) for at in self.lead), slice(self.first, self.last))]


def next_window(shape: tuple[int, ...], start: int, room: int) -> UnitWindow | None:
    """Return the largest window that begins at a unit and has room; None where not even one unit has.

    Parameters
    ----------
    shape : tuple of int
        Of the layer's values per image.
    start : int
        The first unit, counted through the flattened values.
    room : int
        Units that fit.

    Examples
    --------
    >>> next_window((64, 56, 56), start=0, room=10_000).name
    'units[0:3]'
    >>> next_window((64, 56, 56), start=3136, room=1000).name
    'units[1, 0:17]'
    """
    for axis, length in enumerate(shape):
        n_inner = math.prod(shape[axis + 1 :])
        if start % n_inner or n_inner > room:
            continue
        first = start // n_inner % length
        last = min(length, first + room // n_inner)
        return UnitWindow(tuple(shape), _indices(shape[:axis], start // (n_inner * length)), first, last)
    return None


def _indices(shape: tuple[int, ...], position: int) -> tuple[int, ...]:
    """Return the indices of a flat position."""
    indices: list[int] = []
    for length in reversed(shape):
        position, index = divmod(position, length)
        indices.insert(0, index)
    return tuple(indices)
