"""What to tell a user whose model no adapter accepts: what it is instead, and what to pass."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path

from .errors import UnsupportedModelError, listing
from .frameworks import Framework

__all__ = ["unsupported"]


def unsupported(
    model: object, frameworks: Sequence[Framework], framework_of: Callable[[object], str | None]
) -> UnsupportedModelError:
    """Return the error for what no adapter accepts, with the advice that fits it.

    Parameters
    ----------
    model : object
        What the user gave.
    frameworks : sequence of Framework
        What is supported.
    framework_of : callable
        Returns the framework that accepts an object, or None.
    """
    known = ", ".join(entry.name for entry in frameworks)
    if isinstance(model, (str, PathLike)):
        files = ", ".join(name for entry in frameworks for name in entry.files)
        found = "is no model file that is known" if Path(model).exists() else "is no file or folder here"
        return UnsupportedModelError(
            f"{str(model)!r} {found}. Pass a model object of {known}; or a file or folder with one of: {files}; a "
            f"model that is registered is built by registry.get_model(identifier)."
        )
    parts = list(model.values()) if isinstance(model, Mapping) else model if isinstance(model, (list, tuple)) else []
    if any(map(framework_of, parts)):
        return _several(model, parts, framework_of)
    if type(model).__name__ in ("Session", "InteractiveSession"):
        return UnsupportedModelError(
            "A session does not say where images enter it and which of its tensors are layers. Pass "
            "adapters.frameworks.tensorflow.TF1Model(session, inputs, endpoints)."
        )
    if inspect.ismethod(model):
        owner = type(model.__self__).__name__
        return UnsupportedModelError(
            f"{model.__name__} is a method of a {owner}, not a model. Wrap the {owner} itself; in flax the pair "
            f"(module, variables)."
        )
    if isinstance(model, tuple) and model and isinstance(model[0], type):
        name = model[0].__name__
        return UnsupportedModelError(
            f"The tuple holds the class {name}; a model was expected. Make one of it: ({name}(...), variables)."
        )
    if isinstance(model, type) or inspect.isroutine(model):
        kind, name = "class" if isinstance(model, type) else "function", getattr(model, "__name__", "it")
        return UnsupportedModelError(
            f"{name} is a {kind}, and no adapter accepts it as a model. If it makes the model, call it first: "
            f"wrap({name}()). If it is the model itself, say of which framework: framework='jax' takes a pair "
            f"(function, parameters), framework='tensorflow' a function of images."
        )
    if isinstance(model, Mapping):
        return UnsupportedModelError(
            f"{type(model).__name__} with {len(model)} items was given, as weights come; expected a model. Build the "
            f"model and load the weights into it (in PyTorch: model.load_state_dict(...)), or in flax pass (module, "
            f"variables)."
        )
    bases = sorted({base.__module__.partition(".")[0] for base in type(model).__mro__} - {"builtins"})
    origin = f" (its bases come from: {', '.join(bases)})" if bases else ""
    return UnsupportedModelError(
        f"No adapter accepts {type(model)}{origin}. Supported: {known}. Pass a model of one of these, or write an "
        f"Adapter (docs/extending.md)."
    )


def _several(
    container: object, parts: Sequence[object], framework_of: Callable[[object], str | None]
) -> UnsupportedModelError:
    models = [type(part).__name__ for part in parts if framework_of(part)]
    others = [type(part).__name__ for part in parts if not framework_of(part)]
    if len(models) == 1 and others and not isinstance(container, Mapping):
        return UnsupportedModelError(
            f"The {type(container).__name__} holds a model, {models[0]}, beside {listing(others)}. If these are its "
            f"weights, pass a pair of the module and all its variables, in this order: (module, {{'params': ..., "
            f"'batch_stats': ...}}). Otherwise wrap the model alone."
        )
    return UnsupportedModelError(
        f"The {type(container).__name__} holds {listing(models)}; one model was expected. Wrap one of them, each by "
        f"itself, or write one model that calls them."
    )
