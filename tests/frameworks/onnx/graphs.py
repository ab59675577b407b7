"""Small ONNX models, written down node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SHAPE = (3, 8, 9)


def model_of(
    nodes: Sequence[onnx.NodeProto],
    outputs: Sequence[str] = ("output",),
    *,
    weights: Mapping[str, np.ndarray] | None = None,
    image: Sequence[Any] = ("n", *SHAPE),
    kind: int = TensorProto.FLOAT,
    others: Sequence[onnx.ValueInfoProto] = (),
    opset: int = 18,
    ir_version: int = 8,
) -> onnx.ModelProto:
    """Return a model of one graph, with an input ``image`` and outputs whose type is left to ONNX Runtime."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", kind, image), *others],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("elsewhere", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return 0.3 * np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def residual_network(**options: Any) -> onnx.ModelProto:
    """Return conv - relu - (conv - norm) + shortcut - pool - dense."""
    node = helper.make_node
    nodes = [
        node("Conv", ["image", "k1", "b1"], ["t1"], name="stem", pads=[1] * 4),
        node("Relu", ["t1"], ["t2"], name="stem/relu"),
        node("Conv", ["t2", "k2"], ["t3"], name="block/conv", pads=[1] * 4),
        node("BatchNormalization", ["t3", "scale", "offset", "mean", "variance"], ["t4"], name="block/norm"),
        node("Add", ["t4", "t2"], ["t5"], name="block/add"),
        node("MaxPool", ["t5"], ["t6"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("GlobalAveragePool", ["t6"], ["t7"], name="average"),
        node("Flatten", ["t7"], ["t8"], name="flatten"),
        node("Gemm", ["t8", "dense", "bias"], ["output"], name="head"),
    ]
    weights = {
        "k1": draw(4, 3, 3, 3),
        "b1": draw(4),
        "k2": draw(4, 4, 3, 3, seed=1),
        "dense": draw(4, 5),
        "bias": draw(5),
    }
    norm = {
        "scale": 1 + draw(4),
        "offset": draw(4, seed=2),
        "mean": draw(4, seed=3),
        "variance": 1 + draw(4, seed=4) ** 2,
    }
    return model_of(nodes, weights={**weights, **norm}, **options)
