"""Learn from two passes that read every node which layers a graph has, and which tensor a request means."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from ...errors import ActivationShapeError, did_you_mean
from ...layers import LOGITS, LayerRequest, Layers
from ...recorded import N_PROBES, Part, Recording, forward_failed, layers_of, probe_images
from ...requested import part_of
from .graph import Node, nodes_of, output_parts
from .sessions import Reading

__all__ = ["Listing", "is_floating_array", "list_nodes"]

_FLOATING = ("tensor(float)", "tensor(float16)", "tensor(bfloat16)", "tensor(double)")
_BFLOAT16 = "tensor(bfloat16)"
_MIXED = "its first axis is as long as the batch of this graph, but is not the batch. Request another layer."
_CONSTANT = "it does not depend on the images. Request another layer."


@dataclass(frozen=True)
class Listing:
    """What a graph offers.

    Parameters
    ----------
    layers : Layers
        Its nodes that can be read.
    parts : mapping of str to mapping of str to str
        Name of a node -> part of its output -> tensor.
    types : mapping of str to str
        Tensor -> its type, in ONNX Runtime's words.
    ranks : mapping of str to int
        Tensor -> the number of its axes, the batch among them.
    """

    layers: Layers
    parts: Mapping[str, Mapping[str, str]]
    types: Mapping[str, str]
    ranks: Mapping[str, int]

    def tensor_of(self, request: LayerRequest) -> str:
        """Return the tensor that a request means.

        Raises
        ------
        ActivationShapeError
            If the node has no such part, or it holds no floating-point numbers.
        """
        parts = self.parts[request.name]
        path = part_of(request, 0, self.layers)
        part, tensors = ".".join(path), list(parts.values())
        if part in parts or not path:
            tensor = parts[part] if path else tensors[0]
        elif part in tensors or (part.isdigit() and int(part) < len(tensors)):
            tensor = part if part in tensors else tensors[int(part)]
        else:
            raise ActivationShapeError(
                f"Layer {request.name!r} has no part {request.requested!r}; its outputs are: {', '.join(parts)}. "
                f"{did_you_mean(part, parts)}".rstrip()
            )
        if self.types.get(tensor) not in _FLOATING:
            raise ActivationShapeError(
                f"{request.requested!r} is of type {self.types.get(tensor)}, which holds no floating-point numbers. "
                f"Request another part or layer."
            )
        return tensor


def is_floating_array(value: Any) -> bool:
    """Tell an array of floating-point numbers from anything else."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def list_nodes(
    model: onnx.ModelProto,
    image: str,
    image_shape: tuple[int, ...],
    read: Callable[[Sequence[str], Mapping[str, str]], Reading],
    name: str,
    is_out_of_memory: Callable[[BaseException], bool],
) -> Listing:
    """Run a graph on two and on three images and list what it computes from them.

    Parameters
    ----------
    model : onnx.ModelProto
        What is listed.
    image : str
        Its input.
    image_shape : tuple of int
        One image in the layout of the model.
    read : callable
        Takes tensors and their types, as far as they are known, and returns what reads them.
    name : str
        Of the model, for messages.
    is_out_of_memory : callable
        Recognises the error of a device whose memory is full.

    Raises
    ------
    ModelForwardError
        If the model raises on this input.
    BudgetError
        If it does not fit into the memory of the device.
    """
    nodes = nodes_of(model, image)
    outputs = output_parts(model, nodes)
    seen = [node for node in nodes if node.is_needed and node.sees_image]
    tensors = list(dict.fromkeys([*(tensor for node in seen for tensor in node.parts.values()), *outputs.values()]))
    reading = read(tensors, {})
    types = reading.types
    floating = [tensor for tensor in tensors if types[tensor] in _FLOATING]
    # NumPy has no bfloat16: to be read it must be known beforehand
    reading = read(floating, types) if _BFLOAT16 in types.values() else reading.narrowed_to(floating)
    images = probe_images(image_shape)
    recordings: list[Recording] = []
    mixed: set[str] = set()
    for n_images in N_PROBES:
        try:
            values = reading(images[:n_images])
            mixed = mixed if recordings else reading.mixed(images)
        except Exception as error:
            is_full, shape = is_out_of_memory(error), (n_images, *image_shape)
            raise forward_failed(error, model=name, batch_shape=shape, is_out_of_memory=is_full) from error
        values = {tensor: value for tensor, value in values.items() if tensor not in mixed}
        ranks = {tensor: value.ndim for tensor, value in values.items()}
        recordings.append(_recorded(nodes, outputs, types, values, mixed))
    layers = layers_of(*recordings, model=name)
    parts = {each: node.parts for node in nodes for each in node.names} | {LOGITS: outputs}
    return Listing(layers, parts, types, ranks)


def _recorded(
    nodes: Sequence[Node],
    outputs: Mapping[str, str],
    types: Mapping[str, str],
    values: Mapping[str, Any],
    mixed: Collection[str],
) -> Recording:
    recording = Recording(is_floating_array)
    output = Node((LOGITS,), "ModelProto", dict(outputs), is_needed=True, sees_image=True)
    for key, node in [*enumerate(nodes), (LOGITS, output)]:
        found = {part: values[tensor] for part, tensor in node.parts.items() if tensor in values}
        reason = ""
        if node.is_needed and not found:
            kinds = ", ".join(types[tensor] for tensor in node.parts.values() if tensor in types)
            reason = f"it returns {kinds}, no floating-point numbers. Request another layer." if kinds else _CONSTANT
            reason = _MIXED if any(tensor in mixed for tensor in node.parts.values()) else reason
        for each in node.names:
            recording.expect(key, each, node.kind, unreadable=reason)
        if found:
            value = found if len(node.parts) > 1 else next(iter(found.values()))
            recording.hear(key, value, lambda _path, leaf: Part(leaf.shape, id(leaf)))
    recording.close()
    return recording
