"""What a JAX model's values depend on beside its arrays, and how exactly they are computed here.

The program that a forward pass traces to is described, for images of the shape that it runs for, with every mark of a
layer: it holds all that closures, globals and settings of the model come to. Addresses, names of variables and how
gradients would be computed do not count; what tells the time or calls Python back from the device counts by its code.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from ...fingerprints import Describer, jax_numerics, key_of
from ...layers import LOGITS
from .network import Snapshot
from .tagging import Call, tag, tagging

__all__ = ["numerics_of", "structure_of"]

_N_IMAGES = 2
_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
# how derivatives are computed, and what a compiled function was called
_UNUSED = frozenset({
    *("jvp_jaxpr_fun", "jvp_jaxpr_thunk", "fwd_jaxpr_thunk", "fwd", "bwd", "symbolic_zeros", "differentiated"),
    *("linear", "transpose", "transpose_jaxpr_thunk", "res_tree", "donated_invars", "keep_unused", "inline"),
})  # fmt: skip
_NAMED = frozenset({"jit", "pjit", "closed_call", "core_call"})


def structure_of(
    snapshot: Snapshot, weights: Iterable[tuple[str, Any]], image_shape: tuple[int, ...], dtype: Any
) -> dict[str, Any]:
    """Return the program of a forward pass, as counts of its operations and a digest; see `Adapter.structure`.

    Parameters
    ----------
    snapshot : Snapshot
        The model as it is now.
    weights : iterable of (str, array)
        Its arrays by name.
    image_shape : tuple of int
        Of one image.
    dtype : dtype
        Of the images.

    Raises
    ------
    NotFingerprintable
        If the program calls back something that cannot be told by its content.
    """

    def run(arrays: Any, images: Any) -> Any:
        return jax.tree_util.tree_leaves(tag(LOGITS, snapshot.kind, snapshot.run(arrays, images)))

    with tagging():
        program = jax.make_jaxpr(run)(snapshot.arrays, jax.ShapeDtypeStruct((_N_IMAGES, *image_shape), dtype))
    found = _Program()
    return {
        "kind": snapshot.kind,
        "channels last": snapshot.channels_last,
        "reads names": snapshot.reads_names,
        "program": key_of(found.closed(program)),
        "operations": dict(found.counts),
        "tensors": {name: [_dtype_of(leaf), list(jnp.shape(leaf))] for name, leaf in weights},
    }


def _dtype_of(leaf: Any) -> str:
    return str(getattr(leaf, "dtype", type(leaf).__name__))


class _Program:
    """Writes a jaxpr as data, with variables by number."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._describe = Describer(self._describe_special)

    def closed(self, program: Any) -> list[Any]:
        consts = [self._describe(value, "a constant of the program") for value in program.consts]
        return [consts, self.open(program.jaxpr)]

    def open(self, jaxpr: Any) -> list[Any]:
        numbers: dict[Any, int] = {}

        def define(variables: Any) -> list[str]:
            for variable in variables:
                numbers[variable] = len(numbers)
            return [str(variable.aval) for variable in variables]

        inputs = define((*jaxpr.constvars, *jaxpr.invars))
        equations = []
        for equation in jaxpr.eqns:
            self.counts[equation.primitive.name] += 1
            atoms = [self._atom(atom, numbers) for atom in equation.invars]
            parameters = dict(self._parameters(equation))
            equations.append([equation.primitive.name, parameters, atoms, define(equation.outvars)])
        return [inputs, equations, [self._atom(atom, numbers) for atom in jaxpr.outvars]]

    def _atom(self, atom: Any, numbers: Mapping[Any, int]) -> Any:
        if isinstance(atom, Literal):
            return [str(atom.aval), self._describe(atom.val, "a number in the program")]
        return numbers[atom]

    def _parameters(self, equation: Any) -> Iterator[tuple[str, Any]]:
        name = equation.primitive.name
        for key, value in sorted(equation.params.items()):
            if key not in _UNUSED and not (key == "name" and name in _NAMED):
                yield key, self._describe(value, f"parameter {key!r} of operation {name!r}")

    def _describe_special(self, value: Any, describer: Describer, where: str) -> Any:
        """Describe what programs of JAX consist of; see `adapters.fingerprints.Special`."""
        if isinstance(value, Call):
            return {"call": _ADDRESS.sub("", repr(value))}
        if hasattr(value, "jaxpr") and hasattr(value, "consts"):
            return {"program": self.closed(value)}
        if hasattr(value, "eqns"):
            return {"program": self.open(value)}
        if isinstance(value, jax.Array):
            is_key = jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
            return {"key": describer(jax.random.key_data(value), where)} if is_key else NotImplemented
        is_internal = type(value).__module__.partition(".")[0] in ("jax", "jaxlib")
        if is_internal and hasattr(value, "__array__"):
            return describer(np.asarray(value), where)
        is_mesh = type(value).__name__.endswith("Mesh")  # one can be called, as a decorator
        if is_internal and (is_mesh or not callable(value)):  # what an operation is told, in JAX's own words
            return {type(value).__name__: _ADDRESS.sub("", str(value))}
        return NotImplemented


def numerics_of(device: Any, dtype: Any) -> dict[str, Any]:
    """Return settings, versions and the class of the device; see `adapters.contract.Adapter.numerics`.

    Parameters
    ----------
    device : jax.Device
        Where it runs.
    dtype : dtype
        Of the images.
    """
    found = jax_numerics(jax, device)
    return {**found, "settings": {**found["settings"], "input": str(dtype)}}
