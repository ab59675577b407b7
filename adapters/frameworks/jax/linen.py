"""flax linen: bound modules, ``(module, variables)`` pairs, and the state of a training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
from flax import linen as nn

from ...errors import UnsupportedModelError
from ...inference import inference_arguments
from .network import Network, Snapshot, named_arrays, seeded_key
from .tagging import tag

__all__ = ["LinenNetwork"]

_HOW = (
    "Pass the pair: adapters.wrap((module, variables)), with variables = module.init(key, images) or your trained "
    "{'params': ..., 'batch_stats': ...}; or a bound module: adapters.wrap(module.bind(variables))."
)
# flax's errors about variables that a module asks for and that are not there
_MISSING = ("ScopeCollectionNotFound", "ScopeParamNotFoundError", "ScopeVariableNotFoundError")


class LinenNetwork(Network):
    """Runs ``module.apply`` and tags the ``__call__`` of every module, in BatchNorm's and Dropout's inference mode.

    Parameters
    ----------
    model : flax.linen.Module, (Module, variables) or flax.training.train_state.TrainState
        A module must be bound. Of a state, the parameters and every other mapping in it (``batch_stats``) are taken.

    Raises
    ------
    UnsupportedModelError
        If there are no variables.
    """

    def __init__(self, model: Any) -> None:
        self._module, self._variables = _parts_of(model)
        self.kind = type(self._module).__name__
        if not isinstance(self._variables, Mapping):
            raise UnsupportedModelError(
                f"{self.kind} came with a {type(self._variables).__name__} in place of its variables. {_HOW}"
            )
        if self._variables and not {"params", "batch_stats"} & set(self._variables):
            raise UnsupportedModelError(
                f"{self.kind} came with variables whose collections are {sorted(map(str, self._variables))}; expected "
                f"'params' among them. If these are the parameters themselves, pass (module, {{'params': params}})."
            )

    def snapshot(self) -> Snapshot:
        """See `Network.snapshot`."""
        names = {name for collection in self._variables.values() for name in _modules_in(collection)}
        return Snapshot(
            arrays=self._variables,
            run=self._run,
            kind=self.kind,
            advise=self.advise,
            channels_last=self.channels_last,
            module_names=tuple(sorted(names)),
        )

    def _run(self, variables: Any, images: Any) -> Any:
        module = self._module
        writable = [name for name in variables if name != "params"]  # some modules insist on writing; it is dropped
        key = jax.random.wrap_key_data(seeded_key())
        with nn.intercept_methods(_intercept):
            output, _ = module.apply(
                variables, images, rngs={"params": key}, mutable=writable, **inference_arguments(module.__call__)
            )
        return output

    def advise(self, error: Exception, image_shape: tuple[int, ...]) -> str:
        """See `Network.advise`."""
        if type(error).__name__ in _MISSING:
            return (
                f"It came with {sorted(map(str, self._variables))}. Pass all collections that module.init returned or "
                f"training kept for this very module, for example {{'params': ..., 'batch_stats': ...}}."
            )
        advice = super().advise(error, image_shape)
        if type(error).__name__ == "ScopeParamShapeError" and not advice:
            return "The variables are of another module, or were made for images of another size; pass its own."
        return advice

    def weights(self) -> Iterable[tuple[str, Any]]:
        """See `Network.weights`."""
        return named_arrays(self._variables, "/")

    def is_trained(self, name: str) -> bool:
        """See `Network.is_trained`."""
        return name.startswith("params/")


def _parts_of(model: Any) -> tuple[nn.Module, Any]:
    if isinstance(model, tuple):
        module, variables = model
        if not isinstance(module, nn.Module):
            raise UnsupportedModelError(
                f"The variables came first, and then the flax linen module {type(variables).__name__}. {_HOW}"
            )
        return module, variables
    return _unbound(model) if isinstance(model, nn.Module) else _of_training(model)


def _of_training(state: Any) -> tuple[nn.Module, Any]:
    """Take module and variables out of a TrainState."""
    module = getattr(state.apply_fn, "__self__", None)
    if not isinstance(module, nn.Module):
        raise UnsupportedModelError(
            f"The apply_fn of this {type(state).__name__} is {state.apply_fn!r}, which does not say its module; "
            f"expected module.apply. Pass the pair: adapters.wrap((module, {{'params': state.params}}))."
        )
    collections = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
    others = {name: value for name, value in collections.items() if name not in ("params", "opt_state")}
    return module, {"params": state.params} | {n: value for n, value in others.items() if isinstance(value, Mapping)}


def _unbound(module: Any) -> tuple[Any, Any]:
    if module.scope is None:
        raise UnsupportedModelError(f"The flax linen module {type(module).__name__} came without its variables. {_HOW}")
    return module.unbind()


def _modules_in(collection: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the paths of modules that own variables; the root has none."""
    if not isinstance(collection, Mapping):
        return
    if path and any(not isinstance(value, Mapping) for value in collection.values()):
        yield "/".join(path)
    for name, value in collection.items():
        yield from _modules_in(value, (*path, name))


def _intercept(call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
    module = context.module
    if context.method_name != "__call__":
        return call(*args, **kwargs)
    if isinstance(module, nn.Dropout):
        output = args[0] if args else kwargs["inputs"]
    elif isinstance(module, nn.BatchNorm):
        # the module is a copy that lives as long as this call; its own setting and the argument exclude each other
        object.__setattr__(module, "use_running_average", True)
        kwargs = {name: value for name, value in kwargs.items() if name != "use_running_average"}
        output = call(*args[:1], **kwargs)
    else:
        output = call(*args, **kwargs)
    return tag("/".join(module.path), type(module).__name__, output) if module.path else output
