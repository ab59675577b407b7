"""What an ONNX model's values depend on beside its tensors, and how exactly they are computed here.

The nodes of the graph are described as they run, in inference, in their order, with the functions that they call. Where
the file lies, whether its weights lie beside it, who wrote it, and notes for people do not count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx
import onnxruntime

from ...fingerprints import Describer, NotFingerprintable, class_reference, digest_of, merkle
from ...fingerprints.libraries import full_version_of
from ...fingerprints.machines import device_class
from .graph import set_to_inference, tensors_in
from .sessions import Provider

__all__ = ["numerics_of", "structure_of"]

# domains of the operators that come with ONNX Runtime
_BUILT_IN = frozenset({"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "com.microsoft"})
_ADVICE = "Export the model with the operators of ONNX alone to have results kept."
_DRIVER = Path("/proc/driver/nvidia/gpus")


def structure_of(model: onnx.ModelProto, name: str) -> dict[str, Any]:
    """Return the nodes of a model, by number of each kind and digest; see `Adapter.structure`.

    Parameters
    ----------
    model : onnx.ModelProto
        Left as it is.
    name : str
        Of the model, for messages.

    Raises
    ------
    NotFingerprintable
        If it has operators of another package, whose code nobody sees.
    """
    copied = onnx.ModelProto(functions=model.functions, opset_import=model.opset_import)
    copied.graph.node.extend(model.graph.node)
    copied.graph.output.extend(model.graph.output)
    set_to_inference(copied)
    _require_known(copied, name)
    for holder in (copied.graph, *copied.functions):
        _without_notes(holder)
    ends = [[each.name, digest_of(_bytes_of(each.type))] for each in (*model.graph.input, *model.graph.output)]
    parts = (*copied.graph.node, *copied.functions)
    return {
        "ir version": model.ir_version,
        "opsets": sorted([each.domain, each.version] for each in model.opset_import),
        "ends": ends,
        "operations": dict(Counter(node.op_type for node in copied.graph.node)),
        "nodes": merkle(digest_of(_bytes_of(part)) for part in parts),
        "tensors": {name: [int(tensor.data_type), list(tensor.dims)] for name, tensor in tensors_in(model)},
    }


def _bytes_of(part: Any) -> bytes:
    return bytes(part.SerializeToString(deterministic=True))


def _require_known(model: onnx.ModelProto, name: str) -> None:
    own = {(function.domain, function.name) for function in model.functions}
    for node in _nodes_in([model.graph, *model.functions]):
        if node.domain not in _BUILT_IN and (node.domain, node.op_type) not in own:
            reason = f"the code of its operator {node.domain}.{node.op_type} is in another package"
            raise NotFingerprintable.because(
                node, f"node {node.name or node.output[0]!r} of {name}", reason, advice=_ADVICE
            )


def _nodes_in(holders: Iterable[Any]) -> Iterator[Any]:
    for holder in holders:
        for node in holder.node:
            yield node
            yield from _nodes_in(_graphs_of(node))


def _graphs_of(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        yield from ([attribute.g] if attribute.HasField("g") else attribute.graphs)


def _without_notes(holder: Any) -> None:
    """Leave of a graph or a function, and of the nodes in it, what is computed."""
    holder.ClearField("doc_string")
    for field in ("metadata_props", "value_info"):
        if field in holder.DESCRIPTOR.fields_by_name:
            holder.ClearField(field)
    for node in holder.node:
        node.ClearField("doc_string")
        if "metadata_props" in node.DESCRIPTOR.fields_by_name:
            node.ClearField("metadata_props")
        if node.op_type == "Dropout":  # it infers, and draws nothing
            kept = [each for each in node.attribute if each.name != "seed"]
            del node.attribute[:]
            node.attribute.extend(kept)
        for attribute in node.attribute:
            attribute.ClearField("doc_string")
        for graph in _graphs_of(node):
            _without_notes(graph)


def numerics_of(providers: Sequence[Provider], session: Any) -> dict[str, Any]:
    """Return options, versions and the class of the device; see `adapters.contract.Adapter.numerics`.

    Parameters
    ----------
    providers : sequence of str or (str, dict)
        Where it runs.
    session : onnxruntime.InferenceSession, optional
        The user's own, whose options ours have as well.
    """
    names = [each if isinstance(each, str) else each[0] for each in providers]
    number = next((str(each[1].get("device_id", 0)) for each in providers if not isinstance(each, str)), "0")
    options = None if session is None else session.get_session_options()
    settings = {
        "providers": names,
        "optimized": "default" if options is None else str(options.graph_optimization_level),
        "in order": "default" if options is None else str(options.execution_mode),
        "session": None if session is None else class_reference(type(session), Describer(), "the session"),
    }
    is_on_gpu = names[0].startswith(("CUDA", "Tensorrt"))
    device = device_class("cuda", detail=_gpu(int(number))) if is_on_gpu else device_class()
    build = str(onnxruntime.get_build_info()) if is_on_gpu else ""
    return {
        "settings": settings,
        "versions": {"onnxruntime": full_version_of("onnxruntime") or str(onnxruntime.__version__)},
        "device": {"class": device, "build": build},
    }


def _gpu(number: int) -> str:
    """Return the model of a GPU, which ONNX Runtime does not tell; empty where nobody does."""
    try:
        tables = sorted(_DRIVER.glob("*/information"))
        lines = tables[number].read_text(encoding="utf-8").splitlines()
    except (OSError, IndexError):
        return ""
    found = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return found.get("Model", "").lower().replace(" ", "-")
