"""Find what belongs to an object: the modules in it, by the path of attributes that leads to each, and its arrays."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import tensorflow as tf

__all__ = ["arrays_in", "channels_of", "modules_in", "structure_of"]

_MAX_DEPTH = 12
_SIMPLE = (bool, int, float, complex, str, bytes, type(None))
_LIBRARIES = ("tensorflow", "keras", "tf_keras", "numpy")
_COMPILED = tf.types.experimental.PolymorphicFunction


def modules_in(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield every module below a `tf.Module` with its path, as ``blocks.0.conv``; one under two names comes twice."""
    yield from _modules(model, (), (id(model),))


def _modules(outer: Any, path: tuple[str, ...], ancestors: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    for name, value in _attributes(outer):
        for step, module in _within(value, (name,)):
            if id(module) not in ancestors:
                inner = (*path, *step)
                yield ".".join(inner), module
                yield from _modules(module, inner, (*ancestors, id(module)))


def _attributes(module: Any) -> Iterator[tuple[str, Any]]:
    ignored: frozenset[str] = getattr(type(module), "_TF_MODULE_IGNORED_PROPERTIES", frozenset())
    for name, value in vars(module).items():
        if name not in ignored and not name.startswith(("_self_", "_tf_", "_obj_")):
            yield name, value


def _within(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the modules in nested containers."""
    if isinstance(value, tf.Module):
        yield path, value
    elif isinstance(value, Mapping) and len(path) < _MAX_DEPTH:
        for key, item in value.items():
            yield from _within(item, (*path, str(key)))
    elif isinstance(value, (list, tuple)) and len(path) < _MAX_DEPTH:
        for position, item in enumerate(value):
            yield from _within(item, (*path, str(position)))


def arrays_in(thing: Any) -> Iterator[tuple[str, Any]]:
    """Yield every variable, tensor and array that an object or a function refers to, once, by its path."""
    for path, value in _reached(thing):
        if isinstance(value, (tf.Variable, tf.Tensor, np.ndarray)):
            yield path, value


def structure_of(thing: Any) -> tuple[Hashable, ...]:
    """Return what tracing an object or a function depends on, beside the values of its variables."""
    return tuple((path, _mark(value)) for path, value in _reached(thing))


def _mark(value: Any) -> Hashable:
    if isinstance(value, _SIMPLE):
        return (type(value).__name__, value)
    if isinstance(value, tf.Variable):
        return id(value), tuple(value.shape), value.dtype.name
    if isinstance(value, np.ndarray):  # its values become part of the graph
        return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest() if value.dtype != object else id(value)
    return type(value).__name__, id(value)


def channels_of(arrays: Iterable[Any]) -> int:
    """Return how many channels the images have: 3 if some kernel takes 3, else what the first kernel takes."""
    found = [int(array.shape[2]) for array in arrays if len(array.shape) == 4]
    return 3 if 3 in found or not found else found[0]


def _reached(thing: Any) -> Iterator[tuple[str, Any]]:
    seen: set[int] = set()
    waiting: list[tuple[str, Any, int]] = [("", thing, 0)]
    while waiting:
        path, value, depth = waiting.pop()
        yield path, value
        if isinstance(value, _SIMPLE) or depth > _MAX_DEPTH or id(value) in seen:
            continue
        seen.add(id(value))
        inner = [(f"{path}.{name}" if path else name, item, depth + 1) for name, item in _parts(value)]
        waiting.extend(reversed(inner))


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a value consists of; what belongs to a library has no parts."""
    if isinstance(value, (tf.Variable, tf.Tensor, np.ndarray, type)):
        return
    if isinstance(value, Mapping):
        yield from ((str(key), item) for key, item in value.items())
    elif isinstance(value, (list, tuple)):
        yield from ((str(position), item) for position, item in enumerate(value))
    elif isinstance(value, _COMPILED):
        yield "function", getattr(value, "python_function", None)
    elif isinstance(value, MethodType):
        yield from (("self", value.__self__), ("function", value.__func__))
    elif isinstance(value, partial):
        yield from (("function", value.func), ("arguments", value.args), ("keywords", value.keywords))
    elif isinstance(value, FunctionType):
        yield from _parts_of_function(value)
    elif isinstance(value, tf.Module):
        yield from _attributes(value)
    elif hasattr(value, "__dict__") and not _is_of_a_library(type(value).__module__):
        yield from vars(value).items()


def _parts_of_function(function: Any) -> Iterator[tuple[str, Any]]:
    yield "code", function.__code__
    if _is_of_a_library(function.__module__ or ""):
        return
    cells: tuple[Any, ...] = function.__closure__ or ()
    for name, cell in zip(function.__code__.co_freevars, cells, strict=True):
        value = _content(cell)
        yield name, value
    for position, value in enumerate(function.__defaults__ or ()):
        yield f"default{position}", value
    for name in function.__code__.co_names:
        if name in function.__globals__:
            yield name, function.__globals__[name]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _is_of_a_library(module: str) -> bool:
    root = module.partition(".")[0]
    return root in _LIBRARIES or (root in sys.stdlib_module_names and root != "__main__")
