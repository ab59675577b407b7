"""Find what belongs to an object: the modules in it, by the path of attributes that leads to each, and its arrays."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from types import FunctionType, MethodType, SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as tf

from ...structure import Same, comparable

__all__ = [
    "LIBRARIES",
    "arrays_in",
    "channels_of",
    "class_attributes",
    "dtype_of",
    "is_of_a_library",
    "modules_in",
    "structure_of",
    "variables_in",
]

_MAX_DEPTH = 12
_SIMPLE = (bool, int, float, complex, str, bytes, type(None), np.generic)
_ARRAYS = (tf.Variable, tf.Tensor, np.ndarray)
_N_COMPARED = 2**12  # values of a tensor that is compared by them
LIBRARIES = ("tensorflow", "keras", "tf_keras", "numpy")
"""Packages whose objects are not looked into."""
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
        if isinstance(value, _ARRAYS):
            yield path, value


def variables_in(thing: Any) -> list[Any]:
    """Return every variable that an object or a function refers to, the state of random generators among them."""
    found = {id(value): value for _, value in _reached(thing) if isinstance(value, tf.Variable)}
    return list(found.values())


def dtype_of(thing: Any) -> Any:
    """Return the dtype of the first kernel, which is what images meet; else that of the first weights."""
    floating = [variable for variable in variables_in(thing) if variable.dtype.is_floating]
    floating.sort(key=lambda variable: variable.shape.rank != 4)
    return floating[0].dtype if floating else tf.float32


def structure_of(thing: Any) -> tuple[object, ...]:
    """Return what tracing an object or a function depends on, beside the values of its variables.

    It keeps what it refers to alive: a new object can then not be taken for an old one whose place it got.
    """
    return tuple((path, _mark(value)) for path, value in _reached(thing))


def _mark(value: Any) -> object:
    if isinstance(value, (*_SIMPLE, np.ndarray)):  # its values become part of the graph
        return comparable(value)
    if isinstance(value, tf.Variable):
        return Same(value), tuple(value.shape), value.dtype.name
    if _is_small(value):
        return comparable(np.asarray(value))
    if isinstance(value, (MethodType, partial)):  # made anew each time one looks; their parts follow
        return type(value).__name__
    return Same(value)


def _is_small(value: Any) -> bool:
    """Tell a tensor with values, and not too many of them to be looked at."""
    if not isinstance(value, tf.Tensor) or not hasattr(value, "numpy"):
        return False
    is_numeric = value.dtype.is_floating or value.dtype.is_integer or value.dtype.is_bool
    return bool(is_numeric and value.shape.num_elements() <= _N_COMPARED)


def channels_of(arrays: Iterable[Any]) -> int:
    """Return how many channels the images have: 3 if some kernel takes 3, else what the first kernel takes."""
    found = [int(array.shape[2]) for array in arrays if len(array.shape) == 4]
    return 3 if 3 in found or not found else found[0]


def _reached(thing: Any) -> Iterator[tuple[str, Any]]:
    seen: dict[int, Any] = {}  # with the values, which may be made at this moment: their ids stay theirs
    waiting: list[tuple[str, Any, int]] = [("", thing, 0)]
    while waiting:
        path, value, depth = waiting.pop()
        yield path, value
        if isinstance(value, _SIMPLE) or depth > _MAX_DEPTH or id(value) in seen:
            continue
        seen[id(value)] = value
        inner = [(f"{path}.{name}" if path else name, item, depth + 1) for name, item in _parts(value)]
        waiting.extend(reversed(inner))


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a value consists of; what belongs to a library has no parts."""
    if isinstance(value, (*_ARRAYS, type)):
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
    elif isinstance(value, tf.random.Generator):
        yield "state", value.state
    elif isinstance(value, tf.Module):
        yield from _attributes(value)
        yield from class_attributes(value)
    elif isinstance(value, (SimpleNamespace, Namespace)):  # of Python itself, and made for settings
        yield from vars(value).items()
    elif hasattr(value, "__dict__") and not is_of_a_library(type(value).__module__):
        yield from vars(value).items()
        yield from class_attributes(value)


def class_attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield settings and arrays that a value has from its classes."""
    hidden = set(vars(value))
    for cls in type(value).__mro__:
        if is_of_a_library(cls.__module__):
            continue
        for name, item in tuple(vars(cls).items()):
            is_setting = isinstance(item, (*_SIMPLE, *_ARRAYS, list, tuple, Mapping)) and not name.startswith("__")
            if name not in hidden and is_setting:
                yield name, item
            function = getattr(item, "python_function", item)
            if isinstance(function, FunctionType):
                yield from ((f"{name}.{used}", found) for used, found in _settings_used(function))
            hidden.add(name)


def _settings_used(method: FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield the globals that a method uses, if they are settings or arrays; lists may be what it writes notes into."""
    for name in method.__code__.co_names:
        value = method.__globals__.get(name)
        if isinstance(value, (*_SIMPLE, *_ARRAYS, Mapping, SimpleNamespace, Namespace)) and name in method.__globals__:
            yield name, value


def _parts_of_function(function: Any) -> Iterator[tuple[str, Any]]:
    yield "code", function.__code__
    if is_of_a_library(function.__module__ or ""):
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


def is_of_a_library(module: str) -> bool:
    """Tell the modules of Python, NumPy, TensorFlow and Keras, whose objects are no part of a user's model."""
    root = module.partition(".")[0]
    return root in LIBRARIES or (root in sys.stdlib_module_names and root != "__main__")
