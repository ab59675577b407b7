"""Run a traced program operation by operation, and hand out every marked value on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Literal

from ...layers import LOGITS
from .network import Snapshot
from .tagging import TAG, Call, tag, tagging

__all__ = ["canonical", "is_channels_last", "is_floating_array", "visit"]

Visitor = Callable[[Call, Any], None]
# What these return is not laid out in rows and columns, whatever its rank: (tokens, heads, dimensions), for example.
_NEVER_SPATIAL = frozenset({"DenseGeneral", "LinearGeneral", "Einsum"})
_BODIES = ("jaxpr", "call_jaxpr", "fun_jaxpr")
# Operations whose body runs exactly once, with the operation's own inputs.
_INLINE = frozenset({
    *("jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint", "custom_lin"),
    *("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"),
})  # fmt: skip


def is_floating_array(value: Any) -> bool:
    """Tell an array of floating dtype from anything else."""
    return isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jnp.floating)


def is_channels_last(value: Any, call: Call) -> bool:
    """Tell whether an array of a layer's output is (image, row, column, channel)."""
    return value.ndim == 4 and call.channels_last and call.kind not in _NEVER_SPATIAL


def canonical(value: Any, call: Call) -> Any:
    """Bring (image, row, column, channel) to (image, channel, row, column); leave everything else alone."""
    return jnp.moveaxis(value, -1, 1) if is_channels_last(value, call) else value


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
        Takes a `Call` and the output, tracers in the structure that the layer returned.
    on_hidden : callable, optional
        Takes a call within an operation that gives nothing away, and the name of that operation; comes before all.
    """

    def run(arrays: Any, images: Any) -> Any:
        return jax.tree_util.tree_leaves(tag(LOGITS, snapshot.kind, snapshot.run(arrays, images)))

    with tagging(channels_last=snapshot.channels_last):
        program = jax.make_jaxpr(run)(arrays, images)
    reader_options = {"reads_names": snapshot.reads_names, "channels_last": snapshot.channels_last}
    if on_hidden is not None:
        _Reader(lambda *_: None, **reader_options).find_hidden(program.jaxpr, on_hidden)
    marked: list[Any] = []

    def see(call: Call, number: int, value: Any) -> None:
        if number == 0:
            marked.clear()
        marked.append(value)
        if len(marked) == call.n_marked:
            visitor(call, call.output(marked))

    inputs = jax.tree_util.tree_leaves((arrays, images))
    _Reader(see, **reader_options).run(program.jaxpr, program.consts, inputs)


class _Reader:
    """Evaluates a jaxpr, looking into the bodies of nested ones where there are marks."""

    def __init__(self, see: Callable[[Call, int, Any], None], *, reads_names: bool, channels_last: bool) -> None:
        self._see, self._reads_names, self._channels_last = see, reads_names, channels_last

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
            self._see(*mark, inputs[0])
            return inputs
        if any(self._has_marks(body) for body in _bodies(parameters)):
            if primitive.name == "scan":
                return self._scan(parameters, inputs)
            if (body := _inline_body(equation)) is not None:
                return self.run(getattr(body, "jaxpr", body), getattr(body, "consts", ()), inputs)
        return _bind(equation, inputs)

    def _mark(self, equation: Any) -> tuple[Call, int] | None:
        """Return which call an operation marks, and its how manieth array."""
        if equation.primitive is TAG:
            return equation.params["call"], equation.params["number"]
        if equation.primitive.name == "name" and self._reads_names:
            leaf, name = jax.tree_util.tree_structure(0), equation.params["name"]
            return Call(name, "checkpoint_name", leaf, [None], [0], channels_last=self._channels_last), 0
        return None

    def _has_marks(self, jaxpr: Any) -> bool:
        return any(
            self._mark(equation) is not None or any(self._has_marks(body) for body in _bodies(equation.params))
            for equation in jaxpr.eqns
        )

    def find_hidden(self, jaxpr: Any, on_hidden: Callable[[Call, str], None], within: str = "") -> None:
        """Report every mark that `run` cannot come by, and the operation that it is in."""
        for equation in jaxpr.eqns:
            mark = self._mark(equation)
            if mark is not None and within:
                on_hidden(mark[0], within)
            is_open = equation.primitive.name == "scan" or _inline_body(equation) is not None
            for body in _bodies(equation.params):
                self.find_hidden(body, on_hidden, within or ("" if is_open else equation.primitive.name))

    def _scan(self, parameters: dict[str, Any], inputs: list[Any]) -> list[Any]:
        """Run a loop so that the marked values of each step come out, too; a layer in it is called once per step."""
        n_consts, n_carry = parameters["num_consts"], parameters["num_carry"]
        consts, start, rows = inputs[:n_consts], inputs[n_consts : n_consts + n_carry], inputs[n_consts + n_carry :]
        body = parameters["jaxpr"]
        marks: list[tuple[Call, int]] = []

        def step(carry: list[Any], row: list[Any]) -> tuple[list[Any], tuple[list[Any], list[Any]]]:
            found: list[tuple[Call, int, Any]] = []
            reader = _Reader(
                lambda *mark: found.append(mark), reads_names=self._reads_names, channels_last=self._channels_last
            )
            outputs = reader.run(body.jaxpr, body.consts, [*consts, *carry, *row])
            marks[:] = [(call, number) for call, number, _ in found]
            return outputs[:n_carry], (outputs[n_carry:], [value for _, _, value in found])

        options = {name: parameters[name] for name in ("length", "reverse", "unroll")}
        end, (results, stacked) = jax.lax.scan(step, start, rows, **options)
        for position in reversed(range(options["length"])) if options["reverse"] else range(options["length"]):
            for (call, number), values in zip(marks, stacked, strict=True):
                self._see(call, number, values[position])
        return [*end, *results]


def _bodies(parameters: dict[str, Any]) -> list[Any]:
    """Return the programs within an operation."""
    candidates = [
        each for value in parameters.values() for each in (value if isinstance(value, (tuple, list)) else (value,))
    ]
    programs = [getattr(each, "jaxpr", each) for each in candidates]
    return [program for program in programs if hasattr(program, "eqns")]


def _inline_body(equation: Any) -> Any:
    """Return the program of an operation that runs exactly once, with the operation's own inputs; None for others."""
    names = _BODIES if equation.primitive.name in _INLINE else ()
    return next((equation.params[name] for name in names if name in equation.params), None)


def _bind(equation: Any, inputs: list[Any]) -> Sequence[Any]:
    """Apply one operation as it is."""
    found = equation.primitive.get_bind_params(equation.params)
    functions, parameters = found if isinstance(found, tuple) else ((), found)  # a pair before jax 0.7
    with equation.ctx.manager:
        outputs = equation.primitive.bind(*functions, *inputs, **parameters)
    return outputs if equation.primitive.multiple_results else [outputs]
