"""Graphs as data: GraphDefs, the constants in them, and functions that are made of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from ...errors import UnsupportedModelError
from .tracing import EXCLUSIVE

__all__ = ["LightGraph", "functions_called", "graph_def_of", "lightened", "references_in"]

_MAX_BYTES = 4096


@dataclass(frozen=True)
class LightGraph:
    """A GraphDef whose larger constants, which are its weights, were taken out.

    Every function that is made of it, and every part that is cut out of one of these, uses the same tensors: a graph
    with the constants inside would hold all of them once more.

    Parameters
    ----------
    graph_def : GraphDef
        In the place of what was taken out there is something small of the same name and dtype.
    weights : dict of str to tf.Tensor
        What was taken out, by the name of its node.
    """

    graph_def: Any
    weights: dict[str, Any]

    def constants(self) -> Iterator[tuple[str, Any]]:
        """Yield the floating constants of the graph, and of the functions in it."""
        for node in self.graph_def.node:
            if _is_floating_constant(node):
                yield f"constant/{node.name}", self._value_of(node)
        for number, function in enumerate(functions_called(self.graph_def.node, self.graph_def.library)):
            for node in function.node_def:
                if _is_floating_constant(node):
                    yield f"constant/{number}/{node.name}", _value(node)

    def _value_of(self, node: Any) -> Any:
        return self.weights[node.name] if node.name in self.weights else _value(node)

    def function(self, images: str, names: Sequence[str], spec: Any) -> tuple[Any, list[Any]]:
        """Return a function of images with the graph in it, and some tensors of that.

        Parameters
        ----------
        images : str
            The tensor in the place of which the images are put.
        names : sequence of str
            Of the tensors.
        spec : tf.TensorSpec
            Of the images.
        """
        found: list[Any] = []

        def run(brain_adapters_images: Any) -> None:
            graph: Any = tf.compat.v1.get_default_graph()
            given = {images: brain_adapters_images}
            for number, (name, value) in enumerate(self.weights.items()):
                given[f"{name}:0"] = graph.capture(value, name=f"brain_adapters_weights_{number}")
            found.extend(tf.import_graph_def(self.graph_def, given, return_elements=list(names), name="") or ())

        with EXCLUSIVE, tf.init_scope():
            return tf.compat.v1.wrap_function(run, [spec]), found


def functions_called(nodes: Iterable[Any], library: Any) -> list[Any]:
    """Return the functions that nodes call, also from inside of each other, in the order of their first calls.

    A library has them in the order of names that TensorFlow numbers anew each time.

    Parameters
    ----------
    nodes : iterable of NodeDef
        Of a graph.
    library : FunctionDefLibrary
        Of that graph.
    """
    known = {each.signature.name: each for each in library.function}
    found: dict[str, Any] = {}
    waiting = list(nodes)[::-1]
    while waiting:
        node = waiting.pop()
        for name in (node.op, *(each.name for each in references_in(node))):
            if name in known and name not in found:
                found[name] = known[name]
                waiting.extend(reversed(known[name].node_def))
    return list(found.values())


def references_in(node: Any) -> Iterator[Any]:
    """Yield the attributes of a node that name a function."""
    for key in sorted(node.attr):
        value = node.attr[key]
        yield from ([value.func] if value.HasField("func") else value.list.func)


def lightened(graph_def: Any, device: str | None) -> LightGraph:
    """Return a copy of a graph with its weights beside it, whose random operations have seeds.

    Parameters
    ----------
    graph_def : GraphDef
        Left as it is, and not referred to: whoever has it may go on to change it.
    device : str, optional
        Where the weights are to be.
    """
    copied = tf.compat.v1.GraphDef()
    copied.CopyFrom(graph_def)
    functions = (node for function in copied.library.function for node in function.node_def)
    for number, node in enumerate(each for each in (*copied.node, *functions) if _draws(each)):
        if node.attr["seed"].i == node.attr["seed2"].i == 0:  # drawn anew each time it runs
            node.attr["seed"].i, node.attr["seed2"].i = 1, number + 1
    weights: dict[str, Any] = {}
    with tf.init_scope(), tf.device(device):
        for node in copied.node:
            if node.op == "Const" and _n_bytes(node) > _MAX_BYTES:
                weights[node.name] = tf.constant(_value(node))
                small = tf.zeros((), weights[node.name].dtype)
                node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(small.numpy()))
                node.attr.pop("_output_shapes", None)
    return LightGraph(copied, weights)


def graph_def_of(model: Any) -> Any:
    """Return the GraphDef of a `tf.Graph` or of a ``.pb`` file.

    Raises
    ------
    UnsupportedModelError
        If the file is none.
    """
    if isinstance(model, tf.Graph):
        return model.as_graph_def()
    if not isinstance(model, (str, Path)):
        return model
    graph_def = tf.compat.v1.GraphDef()
    try:
        graph_def.ParseFromString(Path(model).read_bytes())
    except Exception as error:  # protobuf's own error class differs between its versions
        raise UnsupportedModelError(
            f"{model} could not be read as a frozen graph: {error}. Expected a binary GraphDef; for a SavedModel pass "
            f"its folder."
        ) from error
    return graph_def


def _draws(node: Any) -> bool:
    return "seed" in node.attr and "seed2" in node.attr


def _is_floating_constant(node: Any) -> bool:
    return node.op == "Const" and bool(tf.as_dtype(node.attr["dtype"].type).is_floating)


def _value(node: Any) -> Any:
    return tf.make_ndarray(node.attr["value"].tensor)


def _n_bytes(node: Any) -> int:
    """Return what a constant takes in memory, 0 for texts; in a file one value can stand for all."""
    dtype = tf.as_dtype(node.attr["dtype"].type)
    if not (dtype.is_floating or dtype.is_integer or dtype.is_complex or dtype.is_bool):
        return 0
    return math.prod(length.size for length in node.attr["value"].tensor.tensor_shape.dim) * int(dtype.size)
