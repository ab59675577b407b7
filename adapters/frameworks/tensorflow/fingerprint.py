"""What a TensorFlow model's values depend on, and how exactly they are computed here.

The graph that runs is described, for images of the shape that it runs for: operations with all their attributes, in
order, and every value that the graph refers to. Names that TensorFlow numbers anew in each process do not count, nor
does what was noted for people. A model whose Python looks at values has no graph, and cannot be told by its content.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ...fingerprints import NotFingerprintable, describe, digest_of, key_of, merkle, tensorflow_numerics
from .graphs import functions_called, references_in
from .network import Call, Place, Program, Traced, is_floating
from .session_state import needed_for
from .tracing import EXCLUSIVE

__all__ = ["numerics_of", "structure_of"]

_EAGER = "its Python looks at values, so that there is no graph of it"
_GRAPH = "Write it with operations of TensorFlow alone, such as tf.cond and tf.where, to have results kept."
_RESOURCE = "it is a resource and no variable, as a table is"
_CALLBACKS = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})
_PYTHON = "it calls a Python function, whose code is not in the graph"
# what says for which shapes or by whom something was made, and not what it computes
_NOTES = ("_output_shapes", "_input_shapes", "_class", "_construction_context", "api_implements")
_NAMES = ("forward_function_name", "backward_function_name")


def structure_of(model: object, program: Program) -> dict[str, Any]:
    """Return the graph of a program, what it refers to, and which tensors are which layers.

    Parameters
    ----------
    model : object
        For the message.
    program : Program
        Of the adapter, as it will run.

    Raises
    ------
    NotFingerprintable
        If it runs without a graph, or refers to something whose content cannot be read.
    """
    traced = program.traced
    if traced is None:
        raise NotFingerprintable.because(model, "the model", _EAGER, advice=_GRAPH)
    with EXCLUSIVE:
        tensors = [leaf for call in traced.calls for leaf in tf.nest.flatten(call.output) if is_floating(leaf)]
        operations = needed_for(tensors)
        _require_no_python(operations)
        needed = {operation.name for operation in operations}
        return {
            "graph": _described_graph(traced.graph.as_graph_def(), needed),
            "captured": list(_captured(traced, needed)),
            "layers": key_of(list(_layers(program.places, traced.calls))),
            "settings": describe(traced.settings, where="a setting of the model"),
        }


def _require_no_python(operations: Iterable[Any]) -> None:
    for operation in operations:
        if operation.type in _CALLBACKS:
            raise NotFingerprintable.because(operation, f"operation {operation.name!r}", _PYTHON, advice=_GRAPH)


def _layers(places: Sequence[Place], calls: Sequence[Call]) -> Iterator[list[Any]]:
    """Yield the name of each layer with the structure of tensors that each of its calls returned."""
    outputs: dict[Any, list[str]] = {}
    for call in calls:
        names = tf.nest.map_structure(lambda leaf: getattr(leaf, "name", type(leaf).__name__), call.output)
        outputs.setdefault(call.key, []).append(repr(names))
    for place in places:
        yield [place.name, outputs.get(place.key, [])]


def _captured(traced: Traced, needed: set[str]) -> Iterator[list[Any]]:
    """Yield what values from outside of the graph are, by the name of the placeholder that they fill."""
    known = traced.graph.variables if traced.captures else ()
    variables = {id(variable.handle): variable for variable in known if hasattr(variable, "handle")}
    for outer, inner in traced.captures:
        if inner.op.name in needed:
            yield [inner.op.name, *_value_of(variables.get(id(outer), outer), f"captured tensor {inner.op.name!r}")]


def _value_of(value: Any, where: str) -> list[Any]:
    if value.dtype in (tf.resource, tf.variant):
        raise NotFingerprintable.because(value, where, _RESOURCE, advice=_GRAPH)
    array = np.asarray(value)
    if array.dtype == object:  # texts
        return [value.dtype.name, list(array.shape), digest_of(repr(array.tolist()).encode())]
    return [value.dtype.name, list(array.shape), digest_of(array)]


def _described_graph(graph_def: Any, needed: set[str]) -> dict[str, Any]:
    """Return how many operations of which kind some nodes are, and a digest of them and of the functions they call."""
    nodes = [node for node in graph_def.node if node.name in needed]
    functions = functions_called(nodes, graph_def.library)
    names = {each.signature.name: f"function_{number}" for number, each in enumerate(functions)}
    for node in nodes:
        _clean(node, names)
    for function in functions:
        _clean_function(function, names)
    parts = [*nodes, *functions]
    digests = (digest_of(part.SerializeToString(deterministic=True)) for part in parts)
    return {"operations": dict(Counter(node.op for node in nodes)), "digest": merkle(digests)}


def _clean(node: Any, names: dict[str, str]) -> None:
    """Leave of a node what it computes."""
    node.op = names.get(node.op, node.op)
    for called in references_in(node):
        called.name = names.get(called.name, called.name)
    node.ClearField("experimental_debug_info")
    for note in _NOTES:
        node.attr.pop(note, None)


def _clean_function(function: Any, names: dict[str, str]) -> None:
    function.signature.name = names[function.signature.name]
    for note in (*_NOTES, *_NAMES):
        function.attr.pop(note, None)
    function.ClearField("arg_attr")
    function.ClearField("resource_arg_unique_id")
    for node in function.node_def:
        _clean(node, names)


def numerics_of(device: str | None) -> dict[str, Any]:
    """Return flags, versions and the class of the device; see `adapters.contract.Adapter.numerics`.

    Parameters
    ----------
    device : str, optional
        As the adapter was asked for.
    """
    return tensorflow_numerics(tf, device)
