"""The functions of the hand-written ``models`` module that older code expects, answered from a registry."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from types import ModuleType
from typing import Any, Literal

from adapters.errors import ModelNotFoundError, did_you_mean

from .brainscore import find_plugins, list_plugins, load_plugin, plugin_bibtex, plugin_layers
from .commitment import commit
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


def list_models(pattern: str = "*", *, source: Literal["registered", "brainscore"] = "registered") -> list[str]:
    """Return the identifiers that match a pattern, sorted.

    Parameters
    ----------
    pattern : str
        Shell pattern, such as ``"alex*"``; case matters.
    source : {"registered", "brainscore"}
        Registered models, or the hundreds that ``brainscore_vision`` brings along as plugins.

    Returns
    -------
    list of str
        Identifiers of base and brain models.

    Raises
    ------
    MissingFrameworkError
        If Brain-Score's are asked for, and it is not installed.
    """
    if source == "brainscore":
        return list_plugins(pattern)
    if source != "registered":
        raise ValueError(f"source={source!r} is unknown. Use 'registered' or 'brainscore'.")
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
    """Build a registered model, or load one of Brain-Score's.

    Parameters
    ----------
    identifier : str
        As registered; if it is not, as a plugin of ``brainscore_vision`` registers it.

    Returns
    -------
    ActivationsExtractor or brain model
        See :meth:`ModelEntry.build`. For a plugin an extractor of its network, too, with its preprocessing; and the
        ``BrainModel`` itself where that is all there is: see :func:`registry.brainscore.load_plugin`.

    Raises
    ------
    ModelNotFoundError
        If there is no such model.
    PluginError
        If Brain-Score's plugin cannot be imported.
    """
    return load_plugin(identifier) if _is_plugin(identifier) else get_entry(identifier).build()


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
    """Return the layers of a model; a registered one is built only if they are not given as plain names.

    Raises
    ------
    ModelNotFoundError
        If there is no such model, registered or among Brain-Score's.
    """
    return plugin_layers(identifier) if _is_plugin(identifier) else get_entry(identifier).resolved_layers()


def get_bibtex(identifier: str) -> str:
    """Return the reference of a model, registered or one of Brain-Score's.

    Raises
    ------
    ModelNotFoundError
        If there is no such model.
    """
    return plugin_bibtex(identifier) if _is_plugin(identifier) else get_entry(identifier).bibtex


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
        With ``get_model_list``, ``get_model``, ``get_bibtex`` and, for base models, ``get_layers``. Brain models are as
        :func:`commit` returns them.

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
    build = ModelEntry.build if kind == "base" else commit
    functions: dict[str, Callable[..., Any]] = {
        "get_model_list": lambda: sorted(key for key, entry in models.items() if entry.kind == kind),
        "get_model": lambda identifier: build(models[identifier]),
        "get_bibtex": lambda model_identifier: models[model_identifier].bibtex,
    }
    if kind == "base":
        functions["get_layers"] = lambda identifier: models[identifier].resolved_layers()
    for function_name, function in functions.items():
        function.__name__ = function.__qualname__ = function_name
        function.__module__ = name
        setattr(module, function_name, function)
    return module


def _is_plugin(identifier: str) -> bool:
    """Tell whether only Brain-Score knows a model; raise if nobody does, with the nearest of its identifiers."""
    try:
        get_entry(identifier)
        return False
    except ModelNotFoundError as error:
        plugins = find_plugins()
        if identifier in plugins:
            return True
        hint = did_you_mean(identifier, plugins) if isinstance(identifier, str) else ""
        raise ModelNotFoundError(f"{error} Among Brain-Score's: {hint}" if hint else str(error)) from None
