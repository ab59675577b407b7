"""What an object's attributes are at one moment, in a form that is compared later, to see whether it was changed.

A forward pass that was compiled, or a listing, holds for the model that it was made of. What a model computes with is
not only its weights: a stride, an array and a setting in a dictionary are plain attributes, which no framework watches.
"""

from __future__ import annotations

import hashlib
import types
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["Same", "comparable"]

_SCALARS = (bool, int, float, complex, str, bytes, type(None), np.generic)
_IN_ORDER = (list, tuple, deque)
_OPAQUE = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType)
_MAX_DEPTH = 4
_MAX_ITEMS = 10_000  # this runs at every call of an extractor: a list of a whole data set is not looked into
_MAX_BYTES = 2**22
_N_SAMPLED = 2**12


class Same:
    """Stands for one object, equal only to itself; keeps it alive, for an id is given away again after an object's end.

    Examples
    --------
    >>> one, other = [1], [1]
    >>> Same(one) == Same(one), Same(one) == Same(other)
    (True, False)
    """

    __slots__ = ("_held",)

    def __init__(self, held: Any) -> None:
        self._held = held

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other._held is self._held

    def __hash__(self) -> int:
        return id(self._held)


def comparable(value: Any, opaque: Sequence[str] = ()) -> object:
    """Return what equals another moment's, if and only if the value was not changed in between.

    Numbers and texts count by value, NumPy arrays by what they hold (large ones by sample, and by which array it is),
    lists, tuples, sets, mappings and plain objects by their parts; what is deeper than four levels, functions and all
    other objects by which object it is.

    Parameters
    ----------
    value : object
        Anything; it is not changed.
    opaque : sequence of str
        Packages whose objects are not looked into.

    Examples
    --------
    >>> settings = {"k": [1, 2]}
    >>> before = comparable(settings)
    >>> before == comparable(settings)
    True
    >>> settings["k"].append(3)
    >>> before == comparable(settings)
    False
    """
    return _comparable(value, frozenset(opaque), 0, set())


def _comparable(value: Any, opaque: frozenset[str], depth: int, seen: set[int]) -> object:
    if isinstance(value, _SCALARS):
        return type(value), value
    if isinstance(value, np.ndarray):
        return _of_array(value)
    is_known = id(value) in seen  # a part may hold the whole
    seen.add(id(value))
    if is_known or depth == _MAX_DEPTH or isinstance(value, _OPAQUE):
        return Same(value)
    if isinstance(value, Mapping):
        parts: Sequence[Any] = [part for item in value.items() for part in item] if len(value) <= _MAX_ITEMS else ()
        return _of_parts(value, parts, len(value), opaque, depth, seen)
    if isinstance(value, _IN_ORDER):
        return _of_parts(value, value if len(value) <= _MAX_ITEMS else (), len(value), opaque, depth, seen)
    if isinstance(value, (set, frozenset)):
        found = (_comparable(item, opaque, depth + 1, seen) for item in value) if len(value) <= _MAX_ITEMS else ()
        return type(value), len(value), frozenset(found)
    own = getattr(value, "__dict__", None)
    if not isinstance(own, dict) or type(value).__module__.partition(".")[0] in opaque:
        return Same(value)
    return Same(value), _comparable(own, opaque, depth, seen)


def _of_parts(
    value: Any, parts: Any, n_parts: int, opaque: frozenset[str], depth: int, seen: set[int]
) -> tuple[object, ...]:
    if len(parts) < n_parts:
        return Same(value), n_parts
    return type(value), *(_comparable(part, opaque, depth + 1, seen) for part in parts)


def _of_array(value: np.ndarray) -> tuple[object, ...]:
    shape, dtype = value.shape, value.dtype
    if dtype.hasobject:
        return Same(value), shape
    if value.nbytes <= _MAX_BYTES:
        return shape, dtype, hashlib.blake2b(np.ascontiguousarray(value).tobytes()).digest()
    sample = value.flat[:: max(1, value.size // _N_SAMPLED)]
    return Same(value), shape, dtype, hashlib.blake2b(sample.tobytes()).digest()
