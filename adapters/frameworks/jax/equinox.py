"""Equinox: modules that take one image, and ``(module, state)`` pairs of stateful ones."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...errors import UnsupportedModelError
from ...inference import inference_arguments
from .network import Network, Snapshot, named_arrays, random_arguments, seeded_key
from .ordering import in_order, order_of
from .tagging import tag_calls

__all__ = ["EquinoxNetwork"]


class EquinoxNetwork(Network):
    """Runs the module in inference mode under `jax.vmap`, image by image, each with a random key of its own.

    Parameters
    ----------
    model : equinox.Module or (Module, State)
        Takes one image of shape (channel, row, column), and the state where it has one.

    Raises
    ------
    UnsupportedModelError
        If the module takes a state and came without.
    """

    channels_last = False

    def __init__(self, model: Any) -> None:
        model, self._state = model if isinstance(model, tuple) else (model, None)
        self._model = _unwrapped(model)
        self.kind = type(self._model).__name__
        if self._state is None and _needs_state(type(self._model).__call__):
            raise UnsupportedModelError(
                f"The equinox module {self.kind} takes a state, which did not come with it. Pass "
                f"adapters.wrap((model, state)), with model, state = equinox.nn.make_with_state({self.kind})(...) or "
                f"your trained ones."
            )

    def advise(self, error: Exception, image_shape: tuple[int, ...]) -> str:
        """See `Network.advise`."""
        if isinstance(error, KeyError) and self._state is not None:
            return "The state holds no such entry; pass the one that equinox.nn.make_with_state made with this model."
        return super().advise(error, image_shape)

    def snapshot(self) -> Snapshot:
        """See `Network.snapshot`."""
        copy = jax.tree_util.tree_map(lambda leaf: leaf, eqx.nn.inference_mode(self._model))
        named = [(name, module) for name, module in _modules_in(copy) if name and callable(module)]
        for name, module in named:
            tag_calls(module, name)
        arrays, rest = eqx.partition(copy, _is_array)
        leaves, structure = jax.tree_util.tree_flatten(self._state)
        method = type(self._model).__call__
        options = inference_arguments(method)
        orders: list[Any] = []

        def run(arrays: Any, images: Any) -> Any:
            module = eqx.combine(arrays[0], rest)

            def run_one(image: Any, number: Any) -> Any:
                randomness = random_arguments(method, jax.random.fold_in(seeded_key(), number))
                state = () if self._state is None else (jax.tree_util.tree_unflatten(structure, arrays[1]),)
                output = module(image, *state, **options, **randomness)
                output = output[0] if state and isinstance(output, tuple) and len(output) == 2 else output
                orders[:] = [order_of(output)]
                return output

            outputs = jax.vmap(run_one, axis_name="batch")(images, jnp.arange(len(images)))
            return in_order(outputs, orders[0])

        return Snapshot(
            arrays=(arrays, leaves),
            run=run,
            kind=self.kind,
            advise=self.advise,
            channels_last=self.channels_last,
            structure=tuple(jax.tree_util.tree_leaves(rest)),
            module_names=tuple(name for name, _ in named),
        )

    def weights(self) -> Iterable[tuple[str, Any]]:
        """See `Network.weights`."""
        arrays = [*named_arrays(self._model, "."), *named_arrays({"state": self._state}, ".")]
        return [(name, leaf) for name, leaf in arrays if _is_array(leaf)]

    def is_trained(self, name: str) -> bool:
        """See `Network.is_trained`."""
        return not name.startswith("state.")


def _unwrapped(model: Any) -> Any:
    """Return the module that `equinox.filter_jit` compiled; any other as it is."""
    wrapped = getattr(model, "__wrapped__", None) if type(model).__name__ == "_JitWrapper" else None
    return wrapped if isinstance(wrapped, eqx.Module) else model


def _needs_state(method: Any) -> bool:
    parameter = inspect.signature(method).parameters.get("state")
    return parameter is not None and parameter.default is inspect.Parameter.empty


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, (jax.Array, np.ndarray))


def _modules_in(module: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a module and all within it, by attribute path."""
    yield name, module
    found, _ = jax.tree_util.tree_flatten_with_path(
        module, is_leaf=lambda node: node is not module and isinstance(node, eqx.Module)
    )
    for path, node in found:
        if isinstance(node, eqx.Module):
            step = jax.tree_util.keystr(path, simple=True, separator=".")
            yield from _modules_in(node, f"{name}.{step}" if name else step)
