"""The functions of the hand-written ``models`` module that older code expects, answered from a registry."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from types import ModuleType
from typing import Any, Literal

from .entry import ModelEntry
from .store import Registry, default_registry

__all__ = [
    "get_bibtex",
    "get_entry",
    "get_layers",
    "get_model",
    "get_model_list",
    "list_models",
    "models_module",
    "unregister",
]


def list_models(pattern: str = "*") -> list[str]:
    """Return the identifiers that match a pattern, sorted.

    Parameters
    ----------
    pattern : str
        Shell pattern, such as ``"alex*"``; case matters.

    Returns
    -------
    list of str
        Identifiers of base and brain models.
    """
    return sorted(fnmatch.filter(default_registry, pattern) if pattern != "*" else default_registry)


def get_entry(identifier: str) -> ModelEntry:
    """Return what is registered under an identifier, without building the model.

    Raises
    ------
    ModelNotFoundError
        If nothing is.
    """
    return default_registry[identifier]


def get_model(identifier: str) -> Any:
    """Build a registered model.

    Parameters
    ----------
    identifier : str
        As registered.

    Returns
    -------
    ActivationsExtractor or brain model
        See :meth:`ModelEntry.build`.

    Raises
    ------
    ModelNotFoundError
        If it is not registered.
    """
    return get_entry(identifier).build()


def unregister(identifier: str) -> None:
    """Forget a registered model.

    Raises
    ------
    ModelNotFoundError
        If it is not registered.
    """
    default_registry.unregister(identifier)


def get_model_list() -> list[str]:
    """Return all identifiers, sorted; the name that Brain-Score's templates use."""
    return list_models()


def get_layers(identifier: str) -> list[str]:
    """Return the layers of a registered model; it is built only if they are not given as plain names.

    Raises
    ------
    ModelNotFoundError
        If it is not registered.
    """
    return get_entry(identifier).resolved_layers()


def get_bibtex(identifier: str) -> str:
    """Return the reference of a registered model.

    Raises
    ------
    ModelNotFoundError
        If it is not registered.
    """
    return get_entry(identifier).bibtex


def models_module(
    name: str = "models", kind: Literal["base", "brain"] = "base", *, registry: Registry | None = None
) -> ModuleType:
    """Return a module with the four functions that the hand-written ``models`` module used to have.

    Parameters
    ----------
    name : str
        Name of the module. Code that imports it by name finds it after ``sys.modules[name] = module``.
    kind : {"base", "brain"}
        Which models it lists: base models, or brain models (which have no ``get_layers``).
    registry : Registry, optional
        Where the models are; the default registry if not given.

    Returns
    -------
    module
        With ``get_model_list``, ``get_model``, ``get_bibtex`` and, for base models, ``get_layers``.

    Examples
    --------
    >>> from registry import ModelEntry, Registry, models_module
    >>> models = Registry([ModelEntry("my_net", function=lambda: None, layers=["conv1"])])
    >>> module = models_module(registry=models)
    >>> module.get_model_list(), module.get_layers("my_net")
    (['my_net'], ['conv1'])
    """
    models = default_registry if registry is None else registry
    module = ModuleType(name, f"The {kind} models of a brain-adapters registry.")
    functions: dict[str, Callable[..., Any]] = {
        "get_model_list": lambda: sorted(key for key, entry in models.items() if entry.kind == kind),
        "get_model": lambda identifier: models[identifier].build(),
        "get_bibtex": lambda model_identifier: models[model_identifier].bibtex,
    }
    if kind == "base":
        functions["get_layers"] = lambda identifier: models[identifier].resolved_layers()
    for function_name, function in functions.items():
        function.__name__ = function.__qualname__ = function_name
        function.__module__ = name
        setattr(module, function_name, function)
    return module
