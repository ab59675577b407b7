"""The two decorators that put a function into the registry."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict, TypeVar, Unpack, overload

from adapters.errors import AdapterError

from .entry import LayerChoice, ModelEntry
from .store import Registry, default_registry
from .weights import Weights

__all__ = ["ModelFunctionError", "ModelOptions", "register_brain_model", "register_model"]

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class ModelOptions(TypedDict, total=False):
    """Options of a registration; each is a field of :class:`ModelEntry` and described there."""

    layers: LayerChoice
    preprocessing: Any
    bibtex: str
    visual_degrees: float
    behavioral_readout_layer: str | None
    region_layer_map: Mapping[str, str | Sequence[str]] | None
    weights: Sequence[Weights]
    requirements: Sequence[str]
    batch_size: int


class ModelFunctionError(AdapterError, TypeError):
    """What was decorated is not a function that can be called without arguments."""


@overload
def register_model(identifier: FunctionT, /) -> FunctionT: ...
@overload
def register_model(
    identifier: str | None = None, *, registry: Registry | None = None, **options: Unpack[ModelOptions]
) -> Callable[[FunctionT], FunctionT]: ...
def register_model(
    identifier: str | Callable[..., Any] | None = None,
    *,
    registry: Registry | None = None,
    **options: Unpack[ModelOptions],
) -> Any:
    """Register a function that returns a model.

    The function runs when the model is asked for, not before. It returns a model of any supported framework, or an
    extractor made with :func:`adapters.wrap`. It is returned unchanged.

    Parameters
    ----------
    identifier : str, optional
        Unique name of the model; the function's name if not given.
    registry : Registry, optional
        Where to register; the default registry if not given.
    **options
        ``layers, preprocessing, bibtex, visual_degrees, behavioral_readout_layer, region_layer_map, weights,
        requirements, batch_size``: see :class:`ModelEntry`.

    Returns
    -------
    callable
        The function itself.

    Raises
    ------
    IdentifierError, DuplicateModelError, ModelOptionError, ModelFunctionError
        If the name, an option or the function cannot be used; nothing is registered then.

    Examples
    --------
    >>> from registry import Registry, register_model
    >>> models = Registry()
    >>> @register_model(layers=["features.5", "features.12"], registry=models)
    ... def my_alexnet():
    ...     import torchvision
    ...     return torchvision.models.alexnet()
    >>> models["my_alexnet"].layers
    ('features.5', 'features.12')
    """
    return _register("base", identifier, registry, options)


@overload
def register_brain_model(identifier: FunctionT, /) -> FunctionT: ...
@overload
def register_brain_model(
    identifier: str | None = None, *, registry: Registry | None = None, **options: Unpack[ModelOptions]
) -> Callable[[FunctionT], FunctionT]: ...
def register_brain_model(
    identifier: str | Callable[..., Any] | None = None,
    *,
    registry: Registry | None = None,
    **options: Unpack[ModelOptions],
) -> Any:
    """Register a function that returns an object which implements Brain-Score's ``BrainModel`` itself.

    Parameters
    ----------
    identifier : str, optional
        Unique name of the model; the function's name if not given.
    registry : Registry, optional
        Where to register; the default registry if not given.
    **options
        ``bibtex, weights, requirements`` and the others of :class:`ModelEntry`.

    Returns
    -------
    callable
        The function itself.

    Raises
    ------
    IdentifierError, DuplicateModelError, ModelOptionError, ModelFunctionError
        As for :func:`register_model`.

    Examples
    --------
    >>> from registry import Registry, register_brain_model
    >>> models = Registry()
    >>> @register_brain_model(registry=models)
    ... class BlankBrain:
    ...     identifier = "BlankBrain"
    >>> models["BlankBrain"].kind
    'brain'
    """
    return _register("brain", identifier, registry, options)


def _register(kind: Literal["base", "brain"], identifier: Any, registry: Registry | None, options: ModelOptions) -> Any:
    if callable(identifier):
        return _decorate(kind, identifier, None, registry, options)
    return lambda function: _decorate(kind, function, identifier, registry, options)


def _decorate(
    kind: Literal["base", "brain"],
    function: Callable[..., Any],
    identifier: str | None,
    registry: Registry | None,
    options: ModelOptions,
) -> Callable[..., Any]:
    _check_function(function, identifier)
    _check_options(options)
    name = function.__name__ if identifier is None else identifier
    entry = ModelEntry(identifier=name, function=function, kind=kind, **options)
    (default_registry if registry is None else registry).register(entry)
    return function


def _check_function(function: Any, identifier: str | None) -> None:
    if not (callable(function) and hasattr(function, "__name__")):
        raise ModelFunctionError(
            f"register_model was put on {function!r}; expected a function which returns a model. "
            "Write: @register_model, and below it: def my_model(): return ..."
        )
    if identifier is None and function.__name__ == "<lambda>":
        raise ModelFunctionError("A lambda has no name to register it by. Pass one: register_model('my_model')(...).")
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise ModelFunctionError(
            f"{function.__name__!r} cannot be called without arguments ({error}); a registered function is. "
            "Give its arguments defaults, or register a small function that calls it."
        ) from None
    except ValueError:  # a builtin without a signature
        return


def _check_options(options: ModelOptions) -> None:
    known = list(ModelOptions.__annotations__)
    unknown = [name for name in options if name not in known]
    if unknown:
        raise ModelFunctionError(
            f"register_model was given {unknown[0]}=; it takes {', '.join(known)}, identifier and registry."
        )
