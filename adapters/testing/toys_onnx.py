"""The toy network as an ONNX graph; see `adapters.testing.toys` for what each layer does."""

from __future__ import annotations

import functools
import hashlib
from typing import Any

import numpy as np

from .case import AdapterCase, ModelState
from .toys import LAYERS, NORM_EPSILON, TOKEN_NORM_EPSILON, Toy

__all__ = ["onnx_case"]

# without `shared`, whose two calls are the nodes shared and shared_1
_NAMES = {**{name: name for name in LAYERS if name != "shared"}, "unused": "unused", "pool_alias": "pooled"}
_PLACES = ("probe.start", "probe.middle", "probe.head")
_TYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": np.float32}  # that ONNX Runtime computes with
_OPSETS = {"": 18, "toys": 1}


def onnx_case() -> AdapterCase:
    """Return the case of our own ONNX adapter, on the CPU; imports onnx and onnxruntime."""
    from ..frameworks.onnx import OnnxAdapter

    return AdapterCase(
        name="onnx",
        adapter=OnnxAdapter,
        build_model=_build,
        snapshot=_snapshot,
        layer_names=_NAMES,
        device="cpu",
        expected_failures={
            "check_repeated_layer": "a node of a graph runs once; a module that ran twice was exported as two nodes",
        },
    )


def _build(toy: Toy) -> Any:
    """Return the parsed model; where a check watches it, a session that calls the probe, as no graph can."""
    model = _model(toy)
    return model if toy.probe is Toy().probe else _probed(toy)(model.SerializeToString())


def _model(toy: Toy) -> Any:
    import onnx
    from onnx import helper

    kind = helper.np_dtype_to_tensor_dtype(np.dtype(_TYPES[toy.dtype]))
    graph = helper.make_graph(
        _nodes(toy, kind),
        "toy_network",
        [helper.make_tensor_value_info("images", kind, ["n_images", 3, "n_rows", "n_columns"])],
        [helper.make_tensor_value_info("output", kind, ["n_images", 5])],
        _initializers(toy),
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS.items()]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, functions=_functions(), ir_version=8)
    return model


def _initializers(toy: Toy) -> list[Any]:
    """Return the weights; in bfloat16, which ONNX Runtime stores but does not compute with, under a name of its own."""
    from onnx import helper, numpy_helper

    if toy.dtype == "bfloat16":
        kind = helper.TensorProto.BFLOAT16
        found = [
            helper.make_tensor(f"{name}.stored", kind, value.shape, value.ravel())
            for name, value in toy.weights.items()
        ]
    else:
        found = [numpy_helper.from_array(value.astype(toy.dtype), name) for name, value in toy.weights.items()]
    return [*found, numpy_helper.from_array(np.array([0, 12, 6]), "tokens.shape")]


def _nodes(toy: Toy, kind: int) -> list[Any]:
    from onnx.helper import make_node
    from onnx.numpy_helper import from_array

    def dense(source: str, result: str, weights: str) -> Any:
        inputs = [source, f"{weights}.kernel", f"{weights}.bias"]
        return make_node("Dense", inputs, [f"{result}.values"], name=result, domain="toys")

    norm = [f"norm.{each}" for each in ("scale", "offset", "mean", "variance")]
    stored = toy.weights if toy.dtype == "bfloat16" else ()
    return [
        *(make_node("Cast", [f"{name}.stored"], [name], to=kind) for name in stored),
        make_node("Identity", ["images"], ["probe.start"]),
        make_node("Conv", ["probe.start", "conv1.kernel", "conv1.bias"], ["c1"], name="conv1", pads=[1] * 4),
        make_node("Relu", ["c1"], ["r1"], name="relu1"),
        make_node("MaxPool", ["r1"], ["pooled"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        make_node("Identity", ["pooled"], ["probe.middle"]),
        make_node(
            "Conv", ["probe.middle", "conv2.kernel", "conv2.bias"], ["c2"], name="conv2", pads=[1] * 4, strides=[2, 2]
        ),
        make_node("BatchNormalization", ["c2", *norm], ["n2"], name="norm", epsilon=NORM_EPSILON),
        make_node("Transpose", ["n2"], ["n2.last"], perm=[0, 2, 3, 1]),
        make_node("Reshape", ["n2.last", "tokens.shape"], ["tokens"]),
        make_node(
            "LayerNormalization",
            ["tokens", "token_norm.scale", "token_norm.offset"],
            ["token_norm.values"],
            name="token_norm",
            epsilon=TOKEN_NORM_EPSILON,
        ),
        dense("token_norm.values", "shared", "shared"),
        make_node("Branch", ["shared.values"], ["position", "doubled", "mean"], name="branch", domain="toys"),
        dense("mean", "shared_1", "shared"),
        make_node("Dropout", ["shared_1.values"], ["dropped"], name="dropout"),
        make_node("RandomNormalLike", ["dropped"], ["draw"]),
        make_node("Mul", ["draw", "noise.scale"], ["scaled"]),
        make_node("Add", ["dropped", "scaled"], ["noisy"], name="noise"),
        dense("noisy", "unused", "unused"),
        make_node("Identity", ["noisy"], ["probe.head"]),
        dense("probe.head", "head", "head"),
        make_node("Constant", [], ["half"], value=from_array(np.array(0.5, _TYPES[toy.dtype]))),
        make_node("Mul", ["head.values", "half"], ["output"]),
    ]


def _functions() -> list[Any]:
    """Return the layers that ONNX has no operator for: functions, in which a model keeps what was a module."""
    from onnx.helper import make_function, make_node, make_opsetid

    opsets = [make_opsetid("", _OPSETS[""])]
    dense = [make_node("MatMul", ["values", "kernel"], ["product"]), make_node("Add", ["product", "bias"], ["result"])]
    branch = [
        make_node("Constant", [], ["position"], value_ints=list(range(12))),
        make_node("Shape", ["tokens"], ["sizes"], end=2),
        make_node("Expand", ["position", "sizes"], ["0"]),
        make_node("Add", ["tokens", "tokens"], ["1"]),
        make_node("Constant", [], ["axis"], value_ints=[1]),
        make_node("ReduceMean", ["tokens", "axis"], ["2.mean"], keepdims=0),
    ]
    return [
        make_function("toys", "Dense", ["values", "kernel", "bias"], ["result"], dense, opsets),
        make_function("toys", "Branch", ["tokens"], ["0", "1", "2.mean"], branch, opsets),
    ]


def _probed(toy: Toy) -> Any:
    """Return a class of sessions that show the probe what their graph computes at its places, if it gets there."""
    import onnx
    import onnxruntime

    class ProbedSession(onnxruntime.InferenceSession):
        def __init__(self, content: bytes, **options: Any) -> None:
            model = onnx.load_from_string(content)
            made = {tensor for node in model.graph.node for tensor in node.output}
            self._places = [place for place in _PLACES if place in made]
            known = {output.name for output in model.graph.output}
            model.graph.output.extend(onnx.ValueInfoProto(name=place) for place in self._places if place not in known)
            super().__init__(model.SerializeToString(), **options)
            self._model_bytes = content

        def run(self, names: Any, feeds: Any, options: Any = None) -> Any:
            values = super().run([*names, *self._places], feeds, options)
            for place, value in zip(self._places, values[len(names) :], strict=True):
                toy.probe(place.removeprefix("probe."), value)
            return values[: len(names)]

    return functools.partial(ProbedSession, providers=["CPUExecutionProvider"])


def _snapshot(model: Any) -> ModelState:
    import onnx

    parsed = model if isinstance(model, onnx.ModelProto) else onnx.load_from_string(model._model_bytes)
    content = parsed.SerializeToString()
    return ModelState(
        modes={"outputs": [output.name for output in parsed.graph.output], "n_nodes": len(parsed.graph.node)},
        weights={"everything": hashlib.sha256(content).digest()}
        | {each.name: each.SerializeToString() for each in parsed.graph.initializer},
    )
