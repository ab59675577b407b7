"""Run a traced program operation by operation, and hand out every marked value on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Literal

from ...layers import LOGITS
from ...outputs import describe
from .layouts import channel_axes, is_spatial
from .network import Snapshot
from .programs import bodies, inline_body
from .tagging import TAG, Call, is_mark, tag, tagging, unnumbered

__all__ = ["canonical", "canonical_shape", "describe_traced", "is_floating_array", "visit"]

Visitor = Callable[[Call, Any, dict[int, int]], None]


def is_floating_array(value: Any) -> bool:
    """Tell an array of floating dtype from anything else."""
    return isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jnp.floating)


def describe_traced(value: Any) -> str:
    """Say in a few words what a layer returned; how jax traces an array is nobody's business."""
    return "an array" if isinstance(value, jax.Array) else describe(value)


def canonical_shape(shape: tuple[int, ...], axis: int | None) -> tuple[int, ...]:
    """Return the shape of a value with its channels, on this axis, brought behind the batch."""
    if axis is None or not is_spatial(len(shape), axis):
        return shape
    return (shape[0], shape[axis], *shape[1:axis], *shape[axis + 1 :])


def canonical(value: Any, axis: int | None) -> Any:
    """Bring (image, row, column, channel) to (image, channel, row, column); leave alone what has no channels."""
    return value if axis is None or not is_spatial(value.ndim, axis) else jnp.moveaxis(value, axis, 1)


def visit(
    snapshot: Snapshot,
    arrays: Any,
    images: Any,
    visitor: Visitor,
    *,
    on_hidden: Callable[[Call, str], None] | None = None,
) -> None:
    """Run a model under tracing; hand each layer's output to a visitor, in the order in which layers return.

    The last one is the model's own, by the name ``'logits'``. A visitor that raises ends the run: what comes later
    does not even enter the compiled program.

    Parameters
    ----------
    snapshot : Snapshot
        The model.
    arrays : pytree
        Its arrays; tracers.
    images : tracer of shape (n_images, ...)
        In the layout of the model.
    visitor : callable
        Takes a `Call`; the output, tracers in the structure that the layer returned; and on which axis of each tracer,
        by its id, the channels are.
    on_hidden : callable, optional
        Takes a call within an operation that gives nothing away, and the name of that operation; comes before all.
    """

    def run(arrays: Any, images: Any) -> Any:
        return jax.tree_util.tree_leaves(tag(LOGITS, snapshot.kind, snapshot.run(arrays, images)))

    with tagging():
        program = jax.make_jaxpr(run)(arrays, images)
    inputs = jax.tree_util.tree_leaves((arrays, images))
    axes = channel_axes(program.jaxpr, n_arrays=len(inputs) - 1, channels_last=snapshot.channels_last)
    if on_hidden is not None:
        _Reader(lambda *_: None, reads_names=snapshot.reads_names).find_hidden(program.jaxpr, on_hidden)
    marked: list[Any] = []
    marked_axes: dict[int, int] = {}

    def see(mark: _Mark, value: Any) -> None:
        if mark.number == 0:
            marked.clear()
            marked_axes.clear()
        marked.append(value)
        if mark.equation in axes:
            marked_axes[id(value)] = axes[mark.equation]
        if len(marked) == mark.call.n_marked:
            visitor(mark.call, mark.call.output(marked), marked_axes)

    _Reader(see, reads_names=snapshot.reads_names).run(program.jaxpr, program.consts, inputs)


class _Mark(NamedTuple):
    """Which call an operation marks, its how manieth array, and the operation's id."""

    call: Call
    number: int
    equation: int


class _Reader:
    """Evaluates a jaxpr, looking into the bodies of nested ones where there are marks."""

    def __init__(self, see: Callable[[_Mark, Any], None], *, reads_names: bool) -> None:
        self._see, self._reads_names = see, reads_names

    def run(self, jaxpr: Any, consts: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        values: dict[Any, Any] = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *inputs), strict=True))

        def read(atom: Any) -> Any:
            return atom.val if isinstance(atom, Literal) else values[atom]

        for equation in jaxpr.eqns:
            outputs = self._apply(equation, [read(atom) for atom in equation.invars])
            values.update(zip(equation.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _apply(self, equation: Any, inputs: list[Any]) -> Sequence[Any]:
        primitive, parameters = equation.primitive, equation.params
        if (mark := self._mark(equation)) is not None:
            self._see(mark, inputs[0])
            return inputs
        if primitive.name == "scan" and any(self._has_marks(body) for body in bodies(parameters)):
            return self._scan(parameters, inputs)
        if (body := inline_body(equation)) is not None:
            return self.run(getattr(body, "jaxpr", body), getattr(body, "consts", ()), inputs)
        return _bind(equation, inputs)

    def _mark(self, equation: Any) -> _Mark | None:
        if equation.primitive is TAG:
            return _Mark(equation.params["call"], equation.params["number"], id(equation))
        if self._reads_names and is_mark(equation):
            leaf = jax.tree_util.tree_structure(0)
            return _Mark(Call(equation.params["name"], "checkpoint_name", leaf, [None], [0]), 0, id(equation))
        return None

    def _has_marks(self, jaxpr: Any) -> bool:
        return any(
            self._mark(equation) is not None or any(self._has_marks(body) for body in bodies(equation.params))
            for equation in jaxpr.eqns
        )

    def find_hidden(self, jaxpr: Any, on_hidden: Callable[[Call, str], None], within: str = "") -> None:
        """Report every mark that `run` cannot come by, and the operation that it is in."""
        for equation in jaxpr.eqns:
            mark = self._mark(equation)
            if mark is not None and within:
                on_hidden(mark.call, within)
            is_open = equation.primitive.name == "scan" or inline_body(equation) is not None
            for body in bodies(equation.params):
                self.find_hidden(body, on_hidden, within or ("" if is_open else equation.primitive.name))

    def _scan(self, parameters: dict[str, Any], inputs: list[Any]) -> list[Any]:
        """Run a loop so that the marked values of each step come out, too; a layer in it is called once per step."""
        n_consts, n_carry = parameters["num_consts"], parameters["num_carry"]
        consts, start, rows = inputs[:n_consts], inputs[n_consts : n_consts + n_carry], inputs[n_consts + n_carry :]
        body = parameters["jaxpr"]
        marks: list[_Mark] = []

        def step(carry: list[Any], row: list[Any]) -> tuple[list[Any], tuple[list[Any], list[Any]]]:
            found: list[tuple[_Mark, Any]] = []
            reader = _Reader(lambda *seen: found.append(seen), reads_names=self._reads_names)
            outputs = reader.run(body.jaxpr, body.consts, [*consts, *carry, *row])
            marks[:] = [mark for mark, _ in found]
            return outputs[:n_carry], (outputs[n_carry:], [value for _, value in found])

        options = {name: parameters[name] for name in ("length", "reverse", "unroll")}
        end, (results, stacked) = jax.lax.scan(step, start, rows, **options)
        for position in reversed(range(options["length"])) if options["reverse"] else range(options["length"]):
            for mark, values in zip(marks, stacked, strict=True):
                self._see(mark, values[position])
        return [*end, *results]


def _bind(equation: Any, inputs: list[Any]) -> Sequence[Any]:
    """Apply one operation as it is."""
    found = equation.primitive.get_bind_params(equation.params)
    functions, parameters = found if isinstance(found, tuple) else ((), found)  # a pair before jax 0.7
    with equation.ctx.manager, unnumbered():
        outputs = equation.primitive.bind(*functions, *inputs, **parameters)
    return outputs if equation.primitive.multiple_results else [outputs]
