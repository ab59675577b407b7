"""Mark the output of a layer while a model is traced, so that it can be found again in the traced program.

A value that is merely remembered would be lost inside `jax.vmap`, `jax.jit`, `jax.lax.scan` or `jax.checkpoint`: what
Python sees there is not the value of the batch. A mark is an operation of its own, and survives all of them.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from .ordering import in_order, order_of

__all__ = ["TAG", "Call", "is_mark", "tag", "tag_calls", "tagging", "unnumbered"]

TAG = Primitive("brain_adapters_tag")
TAG.def_impl(lambda value, **_: value)
TAG.def_abstract_eval(lambda value, **_: value)
mlir.register_lowering(TAG, lambda _context, value, **_: [value])
ad.deflinear2(TAG, lambda cotangent, _value, **_: [cotangent])


def _batched(values: Sequence[Any], axes: Sequence[int], **parameters: Any) -> tuple[Any, int]:
    """Keep the axis of every `jax.vmap` in front, the outermost first: the batch, then say tokens."""
    return TAG.bind(jnp.moveaxis(values[0], axes[0], 0), **parameters), 0


batching.primitive_batchers[TAG] = _batched


# Open while this thread is tracing a model to read it. A function that jax has traced before is traced again only in a
# context that it was not traced in, so each mark is followed by a new number: a block that is called twice gets marks
# with the names of both, and one that ran before it was tagged gets marks at all.
_TRACE: ContextVar[ExitStack | None] = ContextVar("trace", default=None)
_NUMBERS = itertools.count(1)
_NUMBER = "brain_adapters"


def _renumber(trace: ExitStack) -> None:
    trace.enter_context(set_xla_metadata(**{_NUMBER: next(_NUMBERS)}))


def unnumbered() -> Any:
    """Return a context in which the operations of a traced program are without the numbers that they got there."""
    return set_xla_metadata(**{_NUMBER: None})


def is_mark(equation: Any) -> bool:
    """Tell whether an operation marks a value: as ours do, or as `jax.ad_checkpoint.checkpoint_name`."""
    return equation.primitive is TAG or equation.primitive.name == "name"


class Call:
    """One call of a layer, as it was traced; equal only to itself, for jax to tell calls apart.

    Parameters
    ----------
    name : str
        Of the layer.
    kind : str
        Class of the module.
    structure : jax.tree_util.PyTreeDef
        Of the layer's output.
    leaves : sequence
        Leaves of the output; those in ``positions`` are arrays and marked.
    positions : sequence of int
        Which leaves are marked.
    order : object
        From `order_of`: how the keys of its dicts follow each other.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        structure: Any,
        leaves: Sequence[Any],
        positions: Sequence[int],
        order: Any = None,
    ) -> None:
        self.name, self.kind, self.n_marked = name, kind, len(positions)
        self._structure, self._positions, self._order = structure, tuple(positions), order
        self._others = [None if position in positions else leaf for position, leaf in enumerate(leaves)]

    def __repr__(self) -> str:
        return f"Call({self.name!r}, {self.kind!r}, {self._structure}, {self._positions}, {self._order})"

    def output(self, marked: Sequence[Any]) -> Any:
        """Return the layer's output with these values in place of the marked leaves."""
        leaves = list(self._others)
        for position, value in zip(self._positions, marked, strict=True):
            leaves[position] = value
        return in_order(jax.tree_util.tree_unflatten(self._structure, leaves), self._order)


@contextmanager
def tagging() -> Iterator[None]:
    """Have `tag` mark what it is given, in this thread."""
    with ExitStack() as trace:
        _renumber(trace)
        token = _TRACE.set(trace)
        try:
            yield
        finally:
            _TRACE.reset(token)


def tag(name: str, kind: str, output: Any) -> Any:
    """Return a layer's output with all its arrays marked; unchanged outside of `tagging`."""
    trace = _TRACE.get()
    if trace is None:
        return output
    leaves, structure = jax.tree_util.tree_flatten(output, is_leaf=_is_opaque)
    positions = [position for position, leaf in enumerate(leaves) if isinstance(leaf, jax.Array)]
    call = Call(name, kind, structure, leaves, positions, order_of(output))
    marked = [TAG.bind(leaves[position], call=call, number=number) for number, position in enumerate(positions)]
    _renumber(trace)
    return call.output(marked)


def _is_opaque(value: Any) -> bool:
    """Leave equinox's states alone: they may be taken apart only once."""
    return type(value).__name__ == "State" and type(value).__module__.startswith("equinox.")


def tag_calls(module: Any, name: str) -> None:
    """Make a module of our own, a copy, mark what its ``__call__`` returns, by giving it a class that does.

    The name is part of the class, not of the object: jax takes modules apart and builds them anew.
    """
    cls: Any = type(module)
    object.__setattr__(module, "__class__", _tagged_class(cls, name))


@functools.lru_cache(maxsize=4096)  # each class is registered with jax for good
def _tagged_class(cls: Any, name: str) -> type:

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        return tag(name, cls.__name__, cls.__call__(self, *args, **kwargs))

    body = {"__call__": __call__, "__module__": cls.__module__, "__qualname__": cls.__qualname__}
    return type(cls)(cls.__name__, (cls,), body)
