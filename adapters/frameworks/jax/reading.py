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

__all__ = ["canonical", "is_floating_array", "visit"]

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


def canonical(value: Any, kind: str, *, channels_last: bool) -> Any:
    """Bring (image, row, column, channel) to (image, channel, row, column); leave other ranks alone."""
    is_spatial = value.ndim == 4 and channels_last and kind not in _NEVER_SPATIAL
    return jnp.moveaxis(value, -1, 1) if is_spatial else value


def visit(snapshot: Snapshot, arrays: Any, images: Any, visitor: Visitor) -> None:
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
    """

    def run(arrays: Any, images: Any) -> Any:
        return jax.tree_util.tree_leaves(tag(LOGITS, snapshot.kind, snapshot.run(arrays, images)))

    with tagging():
        program = jax.make_jaxpr(run)(arrays, images)
    marked: list[Any] = []

    def see(call: Call, number: int, value: Any) -> None:
        if number == 0:
            marked.clear()
        marked.append(value)
        if len(marked) == call.n_marked:
            visitor(call, call.output(marked))

    inputs = jax.tree_util.tree_leaves((arrays, images))
    _Reader(see, reads_names=snapshot.reads_names).run(program.jaxpr, program.consts, inputs)


class _Reader:
    """Evaluates a jaxpr, looking into the bodies of nested ones where there are marks."""

    def __init__(self, see: Callable[[Call, int, Any], None], *, reads_names: bool) -> None:
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
        if primitive is TAG:
            self._see(parameters["call"], parameters["number"], inputs[0])
            return inputs
        if primitive.name == "name" and self._reads_names:
            leaf = jax.tree_util.tree_structure(0)
            self._see(Call(parameters["name"], "checkpoint_name", leaf, [None], [0]), 0, inputs[0])
            return inputs
        if any(self._has_marks(body) for body in _bodies(parameters)):
            if primitive.name == "scan":
                return self._scan(parameters, inputs)
            body = next((parameters[name] for name in _BODIES if name in parameters), None)
            if primitive.name in _INLINE and body is not None:
                return self.run(getattr(body, "jaxpr", body), getattr(body, "consts", ()), inputs)
        return _bind(equation, inputs)

    def _has_marks(self, jaxpr: Any) -> bool:
        return any(
            equation.primitive is TAG
            or (equation.primitive.name == "name" and self._reads_names)
            or any(self._has_marks(body) for body in _bodies(equation.params))
            for equation in jaxpr.eqns
        )

    def _scan(self, parameters: dict[str, Any], inputs: list[Any]) -> list[Any]:
        """Run a loop so that the marked values of each step come out, too; a layer in it is called once per step."""
        n_consts, n_carry = parameters["num_consts"], parameters["num_carry"]
        consts, start, rows = inputs[:n_consts], inputs[n_consts : n_consts + n_carry], inputs[n_consts + n_carry :]
        body = parameters["jaxpr"]
        marks: list[tuple[Call, int]] = []

        def step(carry: list[Any], row: list[Any]) -> tuple[list[Any], tuple[list[Any], list[Any]]]:
            found: list[tuple[Call, int, Any]] = []
            reader = _Reader(lambda *mark: found.append(mark), reads_names=self._reads_names)
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


def _bind(equation: Any, inputs: list[Any]) -> Sequence[Any]:
    """Apply one operation as it is."""
    found = equation.primitive.get_bind_params(equation.params)
    functions, parameters = found if isinstance(found, tuple) else ((), found)  # a pair before jax 0.7
    with equation.ctx.manager:
        outputs = equation.primitive.bind(*functions, *inputs, **parameters)
    return outputs if equation.primitive.multiple_results else [outputs]
