"""Functions, classes and modules as data: the user's own by what they execute and look up, others by their version."""

from __future__ import annotations

import builtins
import enum
import functools
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import TYPE_CHECKING, Any

import numpy as np

from .bytecode import digest_of_code, lookups_in
from .digests import digest_of
from .libraries import is_library_code, library_of

if TYPE_CHECKING:
    from .describing import Describer

__all__ = ["class_reference", "describe_callable", "replaced_in"]

_BUILTIN = (BuiltinFunctionType, MethodDescriptorType, WrapperDescriptorType, ClassMethodDescriptorType, np.ufunc)
_DESCRIPTORS = (GetSetDescriptorType, MemberDescriptorType)
_CACHED = type(functools.lru_cache(maxsize=1)(len))
# what Python keeps in a class, and what says nothing about how its objects behave
_NOT_BODY = frozenset({
    *("__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__slots__", "__firstlineno__"),
    *("__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__", "__static_attributes__"),
    *("__abstractmethods__", "_abc_impl", "__slotnames__", "__parameters__", "__orig_bases__", "__match_args__"),
    *("__dataclass_fields__", "__dataclass_params__", "__non_callable_proto_members__", "_is_protocol"),
})  # fmt: skip


def describe_callable(value: Any, describer: Describer, where: str) -> Any:
    """Describe functions of every kind, classes and modules; see `Special`."""
    if isinstance(value, FunctionType):
        return _describe_function(value, describer, where)
    if isinstance(value, type):
        found = class_reference(value, describer, where)
        return {"class": found} if isinstance(found, str) else found
    if isinstance(value, MethodType):
        function = describer(value.__func__, f"the function of {where}")
        return {"method": function, "of": describer(value.__self__, f"the object of {where}")}
    if isinstance(value, ModuleType):
        return {"module": _named(value.__name__, value.__name__)}
    if isinstance(value, functools.partial):
        return describer.once(value, functools.partial(_describe_partial, value, describer, where))
    if isinstance(value, (staticmethod, classmethod)):
        return {type(value).__name__: describer(value.__func__, where)}
    if isinstance(value, property):
        return {"property": describer(value.fget, where)}
    if isinstance(value, functools.cached_property):
        return {"property": describer(value.func, where)}
    if isinstance(value, _CACHED):
        return {"cached": describer(value.__wrapped__, where)}
    if isinstance(value, (*_BUILTIN, MethodWrapperType)):
        return _describe_builtin(value, describer, where)
    return NotImplemented


def _named(name: str, module: str | None) -> str:
    """Return a name with the package that it is of."""
    library = library_of(module)
    return name if library in (None, "python") else f"{name} ({library})"


def _describe_builtin(value: Any, describer: Describer, where: str) -> dict[str, Any]:
    """Describe a function that is not written in Python by its name; one that is bound, by what it is bound to."""
    owner = getattr(value, "__self__", None)
    of = getattr(value, "__objclass__", owner if isinstance(owner, (type, ModuleType)) else None)
    module = getattr(value, "__module__", None) or getattr(of, "__module__", None) or getattr(of, "__name__", "")
    name = f"{module}.{getattr(value, '__qualname__', value.__name__)}"
    found: dict[str, Any] = {"builtin": _named(name, module)}
    if owner is not None and of is None:
        found["of"] = describer(owner, f"the object of {where}")
    return found


def _describe_partial(value: Any, describer: Describer, where: str) -> dict[str, Any]:
    keywords = {name: describer(item, f"argument {name!r} of {where}") for name, item in value.keywords.items()}
    arguments = describer(value.args, f"the arguments of {where}")
    return {"partial": describer(value.func, f"the function of {where}"), "arguments": arguments, "keywords": keywords}


def _describe_function(function: FunctionType, describer: Describer, where: str) -> Any:
    if is_library_code(function) and library_of(function.__module__) is not None and _is_found_by_name(function):
        name = f"{function.__module__}.{function.__qualname__}"
        return {"function": _named(name, function.__module__)}
    return describer.once(function, functools.partial(_describe_own, function, describer, where))


def _is_found_by_name(function: FunctionType) -> bool:
    """Tell whether the function's name says it all; one that was made inside another holds something of its own."""
    if function.__closure__ is None:
        return "<locals>" not in function.__qualname__
    found: Any = sys.modules.get(function.__module__)
    for name in function.__qualname__.split("."):
        found = getattr(found, name, None)
    return getattr(found, "__func__", found) is function


def _describe_own(function: FunctionType, describer: Describer, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {"function": function.__qualname__, "code": digest_of_code(function.__code__)}
    parts: dict[str, dict[Any, Any]] = {
        "closure": dict(_closure_of(function)),
        "defaults": dict(enumerate(function.__defaults__ or ())),
        "keywords": dict(function.__kwdefaults__ or {}),
        "attributes": {name: item for name, item in vars(function).items() if name != "__wrapped__"},
    }
    if not is_library_code(function):  # what an installed function looks up, its version tells
        parts["globals"] = dict(_globals_of(function))
        found["imports"] = dict(_imports_of(function))
    for part, items in parts.items():
        singular = {"closure": "variable", "defaults": "default", "globals": "global"}.get(part, "attribute")
        found[part] = {
            str(name): describer(item, f"{singular} {name!r} of {where}")
            for name, item in sorted(items.items(), key=lambda pair: str(pair[0]))
        }
    return {name: item for name, item in found.items() if item}


def _closure_of(function: FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not filled yet
            continue


def _globals_of(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield what a function looks up beside its arguments; of a module, what it uses of it."""
    for path in lookups_in(function.__code__).names:
        name, *attributes = path
        if name not in function.__globals__:
            continue  # of Python itself, or not there yet
        value, used = function.__globals__[name], name
        while isinstance(value, ModuleType) and attributes and hasattr(value, attributes[0]):
            value, used = getattr(value, attributes[0]), f"{used}.{attributes.pop(0)}"
        yield used, value


def _imports_of(function: FunctionType) -> Iterator[tuple[str, str]]:
    """Yield the user's own modules that a function imports when it runs, by the digest of their files."""
    for level, name in lookups_in(function.__code__).imports:
        try:
            full = importlib.util.resolve_name("." * level + name, str(function.__globals__.get("__package__") or ""))
            found = sys.modules.get(full)
            spec = getattr(found, "__spec__", None) or importlib.util.find_spec(full)
            origin = spec.origin if spec is not None else None
            if library_of(full) is None and origin is not None and Path(origin).is_file():
                yield full, digest_of(Path(origin).read_bytes())
        except (ImportError, ValueError, OSError):  # it will fail when it runs, or not be run
            continue


def class_reference(cls: type, describer: Describer, where: str) -> Any:
    """Return what stands for a class: name and version of an installed one, all that is in one of the user's own.

    Parameters
    ----------
    cls : type
        Any class.
    describer : Describer
        Refers to a class that came before by its number.
    where : str
        For messages.
    """
    if library_of(cls.__module__) is None:
        return describer.once(cls, functools.partial(_describe_class, cls, describer, where))
    name = _named(f"{cls.__module__}.{cls.__qualname__}", cls.__module__)
    replaced: dict[str, Any] = {}
    for base in cls.__mro__:
        replaced.update(replaced_in(vars(base)) if library_of(base.__module__) else {})
    if not replaced:
        return name
    return describer.once(
        cls,
        lambda: {
            "class": name,
            "replaced": {key: describer(item, f"method {key!r} of {name}") for key, item in sorted(replaced.items())},
        },
    )


def replaced_in(namespace: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    """Return the functions in a namespace of an installed package that came from somewhere else.

    Examples
    --------
    >>> import json
    >>> replaced_in(vars(json))
    {}
    """
    found: dict[str, Callable[..., Any]] = {}
    for name, item in namespace.items():
        function = getattr(item, "__func__", getattr(item, "fget", item))
        if isinstance(function, FunctionType) and not is_library_code(function):
            found[name] = function
    return found


def _describe_class(cls: type, describer: Describer, where: str) -> dict[str, Any]:
    inside = f"class {cls.__qualname__} ({where})"
    bases = [class_reference(base, describer, inside) for base in cls.__bases__ if base is not builtins.object]
    found: dict[str, Any] = {"class": cls.__qualname__, "bases": bases}
    found["body"] = {
        name: describer(item, f"{name!r} of {inside}") for name, item in sorted(_body_of(cls)) if name not in _NOT_BODY
    }
    return {name: item for name, item in found.items() if item}


def _body_of(cls: type) -> Iterator[tuple[str, Any]]:
    if issubclass(cls, enum.Enum):
        yield "members", [[name, member.value] for name, member in cls.__members__.items()]
    for name, item in vars(cls).items():
        is_kept_by_enum = issubclass(cls, enum.Enum) and (name.startswith("_") or name in cls.__members__)
        if not isinstance(item, _DESCRIPTORS) and not is_kept_by_enum:
            yield name, item
