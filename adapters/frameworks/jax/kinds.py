"""Which kind of JAX model an object is; nothing is imported to find out."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import FunctionType, MethodType

from ...contract import is_instance_of
from .network import Network

__all__ = ["KINDS", "Kind", "kind_of"]


@dataclass(frozen=True)
class Kind:
    """One kind of model.

    Parameters
    ----------
    name : str
        For messages.
    matches : callable
        Tells whether an object is of this kind, by `sys.modules`.
    module, network : str
        Where its `Network` is.
    """

    name: str
    matches: Callable[[object], bool]
    module: str
    network: str

    def network_of(self, model: object) -> Network:
        """Return what reads the model."""
        network: Network = getattr(importlib.import_module(self.module, __package__), self.network)(model)
        return network


def _is_a(model: object, module: str, *names: str) -> bool:
    return any(is_instance_of(model, module, name) for name in names)


def _is_linen(model: object) -> bool:
    first, *rest = _parts(model)
    is_module = _is_a(first, "flax.linen", "Module") and len(rest) < 2
    is_swapped = isinstance(first, Mapping) and len(rest) == 1 and _is_a(rest[0], "flax.linen", "Module")
    return is_module or is_swapped or _is_a(model, "flax.training.train_state", "TrainState")


def _is_nnx(model: object) -> bool:
    return _is_a(model, "flax.nnx", "Module") or _is_a(_parts(model)[0], "flax.nnx", "GraphDef")


def _is_equinox(model: object) -> bool:
    first, *rest = _parts(model)
    has_rest = not rest or (len(rest) == 1 and _is_a(rest[0], "equinox.nn", "State"))
    return _is_a(first, "equinox", "Module") and callable(first) and has_rest


def _is_haiku(model: object) -> bool:
    return _is_a(_parts(model)[0], "haiku", "Transformed", "TransformedWithState")


def _is_function(model: object) -> bool:
    """Recognise a pair of a function and its parameters; a bare function could be anything, unless jax compiled it."""
    if _is_compiled(model):
        return True
    if not (type(model) is tuple and len(model) == 2) or "jax" not in sys.modules:
        return False
    function, params = model
    is_function = isinstance(function, (FunctionType, MethodType, partial)) or _is_compiled(function)
    return is_function and (isinstance(params, (Mapping, tuple, list)) or _holds_arrays(params))


def _holds_arrays(params: object) -> bool:
    """Tell whether something is an array of jax or NumPy, or a record of them."""
    leaves = sys.modules["jax"].tree_util.tree_leaves(params)
    return bool(leaves) and all(_is_a(leaf, "jax", "Array") or _is_a(leaf, "numpy", "ndarray") for leaf in leaves)


def _is_compiled(model: object) -> bool:
    return type(model).__name__ == "PjitFunction"


def _parts(model: object) -> tuple[object, ...]:
    """Return what a tuple of a model and its weights consists of; records such as haiku's are one thing."""
    return model if type(model) is tuple and model else (model,)


# Order matters: the more particular kinds come first.
KINDS: tuple[Kind, ...] = (
    Kind("flax linen (module, variables), bound, or a TrainState", _is_linen, ".linen", "LinenNetwork"),
    Kind("flax nnx", _is_nnx, ".nnx", "NnxNetwork"),
    Kind("equinox", _is_equinox, ".equinox", "EquinoxNetwork"),
    Kind("haiku (transformed, params, state)", _is_haiku, ".haiku", "HaikuNetwork"),
    Kind("(function, params)", _is_function, ".functions", "FunctionNetwork"),
)


def kind_of(model: object) -> Kind | None:
    """Return the kind of a model, or None."""
    return next((kind for kind in KINDS if kind.matches(model)), None)
