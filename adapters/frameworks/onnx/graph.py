"""What an ONNX graph consists of, and how a part of it is cut out: protobufs in, protobufs out."""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import TensorProto, defs, helper

from ...errors import UnsupportedModelError, listing
from ...layers import LOGITS

__all__ = [
    "Node",
    "cut_to",
    "digest_of",
    "files_of",
    "image_input",
    "nodes_of",
    "output_parts",
    "seed_random_nodes",
    "set_to_inference",
    "tensors_in",
]

AS_FLOAT = "/float32"
_IMAGE_TYPES = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
_RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli")
_N_SEEDS = 1 << 20  # seeds are float32, which counts exactly that far and further


@dataclass(frozen=True)
class Node:
    """A node of a graph, as a layer.

    Parameters
    ----------
    names : tuple of str
        Its name, then its aliases.
    kind : str
        The operator.
    parts : dict of str to str
        From a part of its output, as the operator calls it, to the name of the tensor.
    is_needed : bool
        Whether an output of the graph needs it.
    sees_image : bool
        Whether it depends on the images.
    """

    names: tuple[str, ...]
    kind: str
    parts: dict[str, str]
    is_needed: bool
    sees_image: bool


def image_input(model: onnx.ModelProto, name: str) -> onnx.ValueInfoProto:
    """Return the one input of a graph that is not given by an initializer.

    Raises
    ------
    UnsupportedModelError
        If there are several, or it is no floating-point array.
    """
    given = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in given]
    if len(inputs) != 1:
        raise UnsupportedModelError(
            f"{name} takes {len(inputs)} inputs ({listing([each.name for each in inputs]) or 'none'}); expected one, a "
            f"batch of images. Give the others fixed values: add an initializer of the same name to model.graph."
        )
    if inputs[0].type.tensor_type.elem_type not in _IMAGE_TYPES:
        what = helper.printable_type(inputs[0].type)
        raise UnsupportedModelError(
            f"Input {inputs[0].name!r} of {name} is of type {what}; expected a floating-point array of images. Export "
            f"the model with a floating-point input, or put a Cast in front of it."
        )
    return inputs[0]


def nodes_of(model: onnx.ModelProto, image: str) -> list[Node]:
    """Return the nodes of a graph in its order, which ONNX wants to be one in which they can run.

    A node is called by its name, where that is its alone and no other node's tensor, else by its first output tensor.
    """
    nodes = [node for node in model.graph.node if any(node.output)]
    count = Counter(node.name for node in nodes)
    made_by = {tensor: number for number, node in enumerate(nodes) for tensor in node.output}
    needed = _needed(model.graph, [each.name for each in model.graph.output])
    depending = {image}
    found = []
    for number, node in enumerate(nodes):
        sees_image = not depending.isdisjoint(_inputs_of(node))
        depending.update(node.output if sees_image else ())
        parts = _parts_of(node, model)
        tensor = next(iter(parts.values()))
        is_own = node.name and count[node.name] == 1 and made_by.get(node.name, number) == number
        name = node.name if is_own else tensor
        aliases = (tensor,) if tensor not in (name, LOGITS) else ()
        found.append(Node((name, *aliases), node.op_type, parts, not needed.isdisjoint(node.output), sees_image))
    return found


def output_parts(model: onnx.ModelProto, nodes: Sequence[Node]) -> dict[str, str]:
    """Return the outputs of the graph by name; a node or tensor of its own that is called logits is one, too."""
    outputs = {each.name: each.name for each in model.graph.output}
    computed = [node for node in nodes if node.is_needed and node.sees_image]
    tensors = {tensor for node in computed for tensor in node.parts.values()}
    named = [next(iter(node.parts.values())) for node in computed if node.names[0] == LOGITS]
    if LOGITS in outputs or not (named or LOGITS in tensors):
        return outputs
    return {LOGITS: LOGITS if LOGITS in tensors else named[0], **outputs}


def cut_to(
    model: onnx.ModelProto, image: onnx.ValueInfoProto, tensors: Sequence[str], *, halves: Collection[str] = ()
) -> onnx.ModelProto:
    """Return a model that takes images in float32, gives some tensors, and holds nothing that these do not need.

    Parameters
    ----------
    model : onnx.ModelProto
        Left as it is.
    image : onnx.ValueInfoProto
        Its input.
    tensors : sequence of str
        Tensors of its graph; they become the outputs, in this order.
    halves : collection of str
        Those of them that are in half precision, and come out as float32.
    """
    graph, needed = model.graph, _needed(model.graph, tensors)
    cut = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    cut.graph.name = graph.name or "cut"
    cut.graph.initializer.extend(each for each in graph.initializer if each.name in needed)
    cut.graph.sparse_initializer.extend(each for each in graph.sparse_initializer if each.values.name in needed)
    cut.graph.input.append(image)
    kind = image.type.tensor_type.elem_type
    if kind != TensorProto.FLOAT:
        cut.graph.input[0].name += AS_FLOAT
        cut.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
        cut.graph.node.append(helper.make_node("Cast", [image.name + AS_FLOAT], [image.name], to=kind))
    count = Counter(node.name for node in graph.node)
    for node in graph.node:
        if not needed.isdisjoint(node.output):
            cut.graph.node.append(node)
            if count[node.name] > 1:
                cut.graph.node[-1].name = ""  # ONNX Runtime refuses two nodes of one name
    for tensor in tensors:
        output = tensor + AS_FLOAT if tensor in halves else tensor
        if tensor in halves:
            cut.graph.node.append(helper.make_node("Cast", [tensor], [output], to=TensorProto.FLOAT))
        cut.graph.output.append(onnx.ValueInfoProto(name=output))  # ONNX Runtime finds the type by itself
    return cut


def seed_random_nodes(model: onnx.ModelProto) -> bool:
    """Give every node that draws random numbers a seed that its name decides, and say whether there is one."""
    is_random = False
    for node in _all_nodes([model.graph, *model.functions]):
        if node.op_type in _RANDOM:
            is_random = True
            if all(attribute.name != "seed" for attribute in node.attribute):
                seed = zlib.crc32(node.output[0].encode()) % _N_SEEDS
                node.attribute.append(helper.make_attribute("seed", float(seed)))
    return is_random


def set_to_inference(model: onnx.ModelProto) -> None:
    """Have no node drop values at random or take its statistics from the batch, as exports for training do."""
    holders = [model.graph, *model.functions]
    used = {tensor for node in _all_nodes(holders) for tensor in node.input}
    used.update(each.name for graph in [model.graph, *_subgraphs(holders)] for each in graph.output)
    used.update(tensor for function in model.functions for tensor in function.output)
    for node in _all_nodes(holders):
        if node.op_type == "Dropout":
            del node.input[2:]  # training_mode
        elif node.op_type == "BatchNormalization" and used.isdisjoint(node.output[1:]):
            del node.output[1:]  # running statistics, which only training has
            kept = [each for each in node.attribute if each.name != "training_mode"]
            del node.attribute[:]
            node.attribute.extend(kept)


def tensors_in(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Yield every tensor that a model is made of: initializers, and constants in nodes, also of functions."""
    for graph in [model.graph, *_subgraphs([model.graph, *model.functions])]:
        yield from ((tensor.name, tensor) for tensor in graph.initializer)
        for sparse in graph.sparse_initializer:
            yield from ((f"{sparse.values.name}/{part}", getattr(sparse, part)) for part in ("values", "indices"))
    for node in _all_nodes([model.graph, *model.functions]):
        for attribute in node.attribute:
            for number, tensor in enumerate([*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors]):
                yield f"{next(iter(node.output), '')}/{attribute.name}/{number}", tensor


def files_of(model: onnx.ModelProto) -> list[str]:
    """Return the files that hold tensors of a model, relative to its own; only where they were not read into it."""
    outside = (tensor for _, tensor in tensors_in(model) if tensor.data_location == TensorProto.EXTERNAL)
    entries = (entry for tensor in outside for entry in tensor.external_data)
    return list(dict.fromkeys(entry.value for entry in entries if entry.key == "location"))


def digest_of(model: onnx.ModelProto) -> bytes:
    """Return what changes with the model; part by part, as a copy of all weights at once takes thrice as long."""
    digest, graph = hashlib.sha256(), model.graph
    parts = (graph.initializer, graph.sparse_initializer, graph.node, graph.input, graph.output, model.functions)
    for part in (each for kind in parts for each in kind):
        digest.update(part.SerializeToString())
    return digest.digest()


def _needed(graph: onnx.GraphProto, tensors: Iterable[str]) -> set[str]:
    """Return the names of all tensors that some tensors are computed from, and their own."""
    made_by = {tensor: node for node in graph.node for tensor in node.output if tensor}
    needed: set[str] = set()
    waiting = list(tensors)
    while waiting:
        tensor = waiting.pop()
        if tensor not in needed:
            needed.add(tensor)
            waiting.extend(_inputs_of(made_by[tensor]) if tensor in made_by else ())
    return needed


def _inputs_of(node: onnx.NodeProto) -> set[str]:
    """Return what a node reads, also from inside its branches and loops, which see the tensors around them."""
    names = set(node.input)
    for graph in _graphs_of(node):
        names.update(*(_inputs_of(inner) for inner in graph.node), (each.name for each in graph.output))
    return names - {""}


def _graphs_of(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        yield from ([attribute.g] if attribute.HasField("g") else attribute.graphs)


def _subgraphs(holders: Iterable[Any]) -> Iterator[onnx.GraphProto]:
    for holder in holders:
        for node in holder.node:
            graphs = list(_graphs_of(node))
            yield from graphs
            yield from _subgraphs(graphs)


def _all_nodes(holders: Sequence[Any]) -> Iterator[onnx.NodeProto]:
    for holder in [*holders, *_subgraphs(holders)]:
        yield from holder.node


def _parts_of(node: onnx.NodeProto, model: onnx.ModelProto) -> dict[str, str]:
    """Name the outputs of a node as its operator or function does, by number where that gives several one name."""
    formal: list[str] = []
    if node.op_type == "BatchNormalization":  # the others are statistics of a batch in training
        return {"0": node.output[0]}
    if len(node.output) > 1:
        own = next((each for each in model.functions if (each.domain, each.name) == (node.domain, node.op_type)), None)
        formal = list(own.output) if own is not None else _formal_outputs(node, model)
    named = enumerate(node.output)
    return {formal[number] if number < len(formal) else str(number): tensor for number, tensor in named if tensor}


def _formal_outputs(node: onnx.NodeProto, model: onnx.ModelProto) -> list[str]:
    versions = {each.domain: each.version for each in model.opset_import}
    try:
        schema = defs.get_schema(node.op_type, versions.get(node.domain, 1), node.domain)
    except defs.SchemaError:  # an operator of another package
        return []
    is_variadic = any(each.option == defs.OpSchema.FormalParameterOption.Variadic for each in schema.outputs)
    return [] if is_variadic else [each.name for each in schema.outputs]
