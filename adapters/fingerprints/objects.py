"""Objects as data: small ones by what they are, others by class and attributes; what has no content is refused."""

from __future__ import annotations

import enum
import functools
import logging
import random
import re
import threading
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePath
from types import EllipsisType, GenericAlias, MemberDescriptorType, NotImplementedType, UnionType
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np

from .digests import digest_of
from .errors import NotFingerprintable
from .functions import class_reference

if TYPE_CHECKING:
    from .describing import Describer

__all__ = ["describe_object", "describe_small", "is_random_source"]

_BY_REPR = (
    *(range, slice, EllipsisType, NotImplementedType, PurePath, re.Pattern, GenericAlias, UnionType),
    *(date, time, timedelta, tzinfo, Decimal, Fraction, UUID),
)
_LOCKS = (type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Event, threading.Semaphore)
_RANDOM = (random.Random, np.random.Generator, np.random.BitGenerator, np.random.RandomState)
_LIVING = frozenset({"asyncio", "concurrent", "io", "_io", "multiprocessing", "select", "selectors", "socket"})
_LIVING_TOO = frozenset({"sqlite3", "ssl", "subprocess", "tempfile", "threading", "_thread", "ctypes", "_ctypes"})
_CONTAINERS = (dict, list, tuple, set, frozenset, deque)
_NO_SEED = "what it draws depends on its state, which a run does not set"
_MANAGED_DICT = 1 << 4  # flag of classes whose instances keep their dict outside of their own memory


def is_random_source(value: object) -> bool:
    """Tell whether this draws random numbers from a state of its own."""
    return isinstance(value, _RANDOM)


def describe_small(value: Any, describer: Describer, where: str) -> Any:
    """Describe what is a value rather than an object, and what has no content that matters; see `Special`."""
    if isinstance(value, enum.Enum):
        cls = class_reference(type(value), describer, where)
        return {"enum": [cls, value.name, describer(value.value, f"the value of {where}")]}
    if isinstance(value, np.generic):
        return {"scalar": [str(value.dtype), value.item() if _is_readable(value) else value.tobytes().hex()]}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {type(value).__name__: digest_of(bytes(value))}
    if isinstance(value, np.dtype):
        return {"dtype": repr(value)}
    if type(value) is complex:
        return {"complex": repr(value)}
    if isinstance(value, _BY_REPR) or type(value).__module__ == "typing":
        return {type(value).__name__: repr(value)}
    if isinstance(value, _LOCKS):
        return {"lock": type(value).__name__}
    if isinstance(value, logging.Logger):
        return {"logger": value.name}
    if isinstance(value, weakref.ref):
        return {"weak": describer(value(), f"the target of {where}")}
    if isinstance(value, (weakref.WeakKeyDictionary, weakref.WeakValueDictionary)):
        return {"weak": describer.unordered(list(value.items()), f"an item of {where}")}
    return NotImplemented


def _is_readable(value: np.generic) -> bool:
    return value.dtype.kind in "biuU" or (value.dtype.kind == "f" and value.dtype.itemsize <= 8 and np.isfinite(value))


def describe_object(value: Any, describer: Describer, where: str) -> Any:
    """Describe an object by its class, its attributes, the items that it holds, and what C code keeps in it.

    Raises
    ------
    NotFingerprintable
        If it is an open file, a thread or the like, draws random numbers, or hides what it holds.
    """
    root = type(value).__module__.partition(".")[0]
    if is_random_source(value):
        raise NotFingerprintable.because(value, where, _NO_SEED)
    if root in _LIVING or root in _LIVING_TOO:
        raise NotFingerprintable.because(value, where, "it stands for something outside of the program's memory")
    return describer.once(value, functools.partial(_describe_parts, value, describer, where))


def _describe_parts(value: Any, describer: Describer, where: str) -> dict[str, Any]:
    cls = type(value)
    found: dict[str, Any] = {"object": class_reference(cls, describer, where)}
    state = {name: describer(item, f"attribute {name!r} of {where}") for name, item in _state_of(value)}
    if state:
        found["state"] = state
    if isinstance(value, _CONTAINERS):
        found["items"] = _describe_items(value, describer, where)
    if isinstance(value, (str, int, float)):  # of a class derived from these
        plain: Any = next(base for base in (str, int, float) if isinstance(value, base))
        found["value"] = describer(plain(value), where)
    elif _has_hidden_state(cls):
        found["hidden"] = _describe_hidden(value, describer, where)
    return found


def _describe_items(value: Any, describer: Describer, where: str) -> Any:
    if isinstance(value, (set, frozenset)):
        return describer.unordered(value, f"an item of {where}")
    pairs = value.items() if isinstance(value, Mapping) else value
    return describer(list(pairs), f"the items of {where}")


def _state_of(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield attributes by name, but for those that are computed from others when they are first asked for."""
    derived = {
        name
        for base in type(value).__mro__
        for name, item in vars(base).items()
        if isinstance(item, functools.cached_property)
    }
    slots = {
        name: getattr(value, name)
        for base in type(value).__mro__
        for name, item in vars(base).items()
        if isinstance(item, MemberDescriptorType)
        and base.__module__ != "builtins"
        and not name.startswith("__")
        and hasattr(value, name)
    }
    own = getattr(value, "__dict__", {})
    for name, item in sorted({**slots, **own}.items(), key=lambda pair: str(pair[0])):
        if name not in derived:
            yield str(name), item


def _has_hidden_state(cls: type) -> bool:
    """Tell whether instances hold more than attributes and items, by the rule by which Python itself finds out."""
    base = next((base for base in cls.__mro__ if base in _CONTAINERS), object)
    expected = base.__basicsize__
    for each in cls.__mro__:
        if "__slots__" in vars(each) and each.__module__ != "builtins":
            names = vars(each)["__slots__"]
            names = (names,) if isinstance(names, str) else tuple(names)
            expected += 8 * len([name for name in names if name not in ("__dict__", "__weakref__")])
    has_own_dict = cls.__dictoffset__ > base.__dictoffset__ and not cls.__flags__ & _MANAGED_DICT
    expected += 8 * has_own_dict + 8 * (cls.__weakrefoffset__ > base.__weakrefoffset__)
    return cls.__basicsize__ > expected


def _describe_hidden(value: Any, describer: Describer, where: str) -> Any:
    """Describe what an object says that is needed to make another one like it."""
    try:
        parts = value.__reduce_ex__(4)
    except Exception as error:
        raise NotFingerprintable.because(value, where, f"what it holds is hidden in it ({error})") from error
    if isinstance(parts, str):
        return parts
    lists = [list(part) if isinstance(part, Iterator) else part for part in parts]
    return describer(lists, f"the content of {where}")
