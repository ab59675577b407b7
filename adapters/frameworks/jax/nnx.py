"""flax nnx: modules, read on a copy so that the user's object keeps its mode, its random state and its arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import jax
from flax import nnx

from ...errors import UnsupportedModelError
from ...inference import inference_arguments, parameters_of
from .network import Network, Snapshot, named_arrays, random_arguments, seeded_key
from .tagging import tag_calls

__all__ = ["NnxNetwork"]

_RECORD = "VariableState"  # what a state holds in place of a variable before flax 0.12


class NnxNetwork(Network):
    """Runs a copy of the module in evaluation mode; its submodules are of classes that tag what they return.

    Parameters
    ----------
    model : flax.nnx.Module
        Left as found.

    Raises
    ------
    UnsupportedModelError
        If the module came in parts.
    """

    def __init__(self, model: Any) -> None:
        if isinstance(model, tuple):
            raise UnsupportedModelError(
                f"An nnx module came in {len(model)} parts, as nnx.split leaves it. Pass the module itself, or put it "
                f"together: adapters.wrap(nnx.merge(*parts))."
            )
        self._model = model
        self.kind = type(model).__name__

    def snapshot(self) -> Snapshot:
        """See `Network.snapshot`."""
        copy = nnx.merge(*nnx.split(self._model))
        copy.eval()
        modules = [(_name_of(path), node) for path, node in nnx.iter_graph(copy) if isinstance(node, nnx.Module)]
        named = [(name, node) for name, node in modules if name and callable(node)]
        for name, node in named:
            tag_calls(node, name)
        graph, state = nnx.split(copy)
        method = type(self._model).__call__
        options = {**inference_arguments(method), **random_arguments(method, seeded_key())}

        def run(state: Any, images: Any) -> Any:
            rngs = {"rngs": nnx.Rngs(0)} if "rngs" in parameters_of(method) else {}
            return nnx.merge(graph, state)(images, **options, **rngs)

        return Snapshot(
            arrays=_reseeded(state),
            run=run,
            kind=self.kind,
            advise=self.advise,
            channels_last=self.channels_last,
            module_names=tuple(name for name, _ in named),
            structure=_frozen(graph),
        )

    def weights(self) -> Iterable[tuple[str, Any]]:
        """See `Network.weights`; random keys are no weights, as a run brings its own."""
        return [
            (f"{name}.{inner}".strip("."), leaf)
            for name, variable in self._variables().items()
            if not issubclass(_type_of(variable), nnx.RngState)
            for inner, leaf in named_arrays(variable, ".")
        ]

    def is_trained(self, name: str) -> bool:
        """See `Network.is_trained`."""
        variables = self._variables()
        variable = variables.get(name, variables.get(name.rpartition(".")[0]))
        return variable is not None and issubclass(_type_of(variable), nnx.Param)

    def _variables(self) -> dict[str, Any]:
        state = nnx.split(self._model)[1]
        variables = jax.tree_util.tree_flatten_with_path(state, is_leaf=_is_variable)[0]
        return {jax.tree_util.keystr(path, simple=True, separator="."): variable for path, variable in variables}


def _frozen(value: Any) -> Any:
    """Return what a graph holds, such that a plain dict or list in the model that changes later does not change it."""
    if isinstance(value, Mapping):
        return dict, tuple((key, _frozen(each)) for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return type(value), tuple(_frozen(each) for each in value)
    if isinstance(value, set):
        return frozenset(value)
    if is_dataclass(value) and not isinstance(value, type):
        return type(value), tuple(_frozen(getattr(value, field.name, None)) for field in fields(value))
    return value


def _name_of(path: Iterable[Any]) -> str:
    return ".".join(str(step) for step in path)


def _is_variable(value: Any) -> bool:
    return isinstance(value, nnx.Variable) or type(value).__name__ == _RECORD


def _type_of(variable: Any) -> type:
    """Return the class of a variable, which nnx's states hold as such or as a record of it."""
    kind: type = variable.type if type(variable).__name__ == _RECORD else type(variable)
    return kind


def _reseeded(state: Any) -> Any:
    """Return the state with the random keys of every run, and none drawn from them yet."""

    def reseeded(variable: Any) -> Any:
        if not _is_variable(variable) or not issubclass(_type_of(variable), nnx.RngState):
            return variable
        leaves, structure = jax.tree_util.tree_flatten(variable)
        return jax.tree_util.tree_unflatten(structure, [_seeded_like(leaf) for leaf in leaves])

    return jax.tree_util.tree_map(reseeded, state, is_leaf=_is_variable)


def _seeded_like(leaf: Any) -> Any:
    if not jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.numpy.zeros_like(leaf)
    key = jax.random.key(0, impl=jax.random.key_impl(leaf))
    return key if leaf.shape == () else jax.random.split(key, leaf.shape)
