"""Mark the output of a layer while a model is traced, so that it can be found again in the traced program.

A value that is merely remembered would be lost inside `jax.vmap`, `jax.jit`, `jax.lax.scan` or `jax.checkpoint`: what
Python sees there is not the value of the batch. A mark is an operation of its own, and survives all of them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

__all__ = ["TAG", "Call", "tag", "tag_calls", "tagging"]

TAG = Primitive("brain_adapters_tag")
TAG.def_impl(lambda value, **_: value)
TAG.def_abstract_eval(lambda value, **_: value)
mlir.register_lowering(TAG, lambda _context, value, **_: [value])
ad.deflinear2(TAG, lambda cotangent, _value, **_: [cotangent])


def _batched(values: Sequence[Any], axes: Sequence[int], **parameters: Any) -> tuple[Any, int]:
    """Keep the axis of every `jax.vmap` in front, the outermost first: the batch, then say tokens."""
    return TAG.bind(jnp.moveaxis(values[0], axes[0], 0), **parameters), 0


batching.primitive_batchers[TAG] = _batched


@dataclass
class _Trace:
    """One pass through a model: in which layout its values are at the moment."""

    channels_last: bool


# Set while this thread is tracing a model to read it. Inner functions that jax has compiled before keep their marks.
_TRACE: ContextVar[_Trace | None] = ContextVar("trace", default=None)


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
    channels_last : bool
        Whether what has rank 4 is (image, row, column, channel).
    """

    def __init__(
        self,
        name: str,
        kind: str,
        structure: Any,
        leaves: Sequence[Any],
        positions: Sequence[int],
        *,
        channels_last: bool,
    ) -> None:
        self.name, self.kind, self.n_marked, self.channels_last = name, kind, len(positions), channels_last
        self._structure, self._positions = structure, tuple(positions)
        self._others = [None if position in positions else leaf for position, leaf in enumerate(leaves)]

    def output(self, marked: Sequence[Any]) -> Any:
        """Return the layer's output with these values in place of the marked leaves."""
        leaves = list(self._others)
        for position, value in zip(self._positions, marked, strict=True):
            leaves[position] = value
        return jax.tree_util.tree_unflatten(self._structure, leaves)


@contextmanager
def tagging(*, channels_last: bool) -> Iterator[None]:
    """Have `tag` mark what it is given, in this thread; ``channels_last`` is the layout of the images."""
    token = _TRACE.set(_Trace(channels_last))
    try:
        yield
    finally:
        _TRACE.reset(token)


def tag(name: str, kind: str, output: Any, *, channels_last: bool | None = None) -> Any:
    """Return a layer's output with all its arrays marked; unchanged outside of `tagging`.

    A layer that knows its layout says so by ``channels_last``; it holds for what follows, until another one says so.
    """
    trace = _TRACE.get()
    if trace is None:
        return output
    if channels_last is not None:
        trace.channels_last = channels_last
    leaves, structure = jax.tree_util.tree_flatten(output, is_leaf=_is_opaque)
    positions = [position for position, leaf in enumerate(leaves) if isinstance(leaf, jax.Array)]
    call = Call(name, kind, structure, leaves, positions, channels_last=trace.channels_last)
    marked = [TAG.bind(leaves[position], call=call, number=number) for number, position in enumerate(positions)]
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
