"""In ONNX reductions are nodes of the graph, whatever its version, types and layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.random_projection import SparseRandomProjection

import adapters
from adapters.frameworks.onnx import OnnxAdapter
from adapters.layers import resolve
from adapters.reductions import as_reductions

SHAPE = (3, 6, 8)
MEAN, COMPONENTS = np.linspace(0, 1, 192, dtype=np.float32), np.random.default_rng(1).random((5, 192), np.float32)


def images(n_images: int = 4, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n_images, *shape)).astype(np.float32)


def model_of(
    *, opset: int = 18, kind: int = TensorProto.FLOAT, n_images: Any = "n", channels_last: bool = False
) -> onnx.ModelProto:
    """Return four maps made of the three channels of an image, and the same as 48 tokens."""
    node = helper.make_node
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    weights = np.array([1, -2, 0.3, 0.5]).reshape(4, 1, 1).astype(dtype)
    shape = (*SHAPE[1:], 3) if channels_last else SHAPE
    first = "image"
    nodes = []
    if channels_last:
        nodes.append(node("Transpose", ["image"], [first := "first"], name="to_first", perm=[0, 3, 1, 2]))
    nodes += [
        node("Gather", [first, "channels"], ["taken"], name="take", axis=1),
        node("Mul", ["taken", "weights"], ["maps"], name="conv"),
    ]
    if channels_last:
        nodes.append(node("Transpose", ["maps"], ["last"], name="to_last", perm=[0, 2, 3, 1]))
    nodes += [
        node("Reshape", ["maps", "rows"], ["flat"], name="flat"),
        node("Transpose", ["flat"], ["tokens"], name="tokens", perm=[0, 2, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", kind, (n_images, *shape))],
        [onnx.ValueInfoProto(name="tokens"), *([onnx.ValueInfoProto(name="last")] if channels_last else [])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([0, 1, 2, 0]), "channels"),
            numpy_helper.from_array(np.array([0, 4, 48]), "rows"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def run(model: onnx.ModelProto, reduce: dict[str, Any], batch: np.ndarray) -> dict[str, np.ndarray]:
    adapter, shape = OnnxAdapter(model, device="cpu"), batch.shape[1:]
    layers = adapter.layers(shape)
    requests = resolve(list(reduce), layers)
    shapes = {request.requested: layers[request.name].shape for request in requests}
    reductions = as_reductions(reduce, requests, shapes, n_presentations=len(batch), adapter=adapter)
    with adapter.open(requests, shape, reductions) as forward:
        return adapter.to_host(forward(batch))


PLANS: tuple[dict[str, Any], ...] = (
    {"conv": "mean", "tokens": "cls"},
    {"conv": "max", "tokens": "tokens"},
    {"conv": adapters.FittedPCA(5, {"conv": (MEAN, COMPONENTS)}), "tokens": "mean"},
    {"conv": adapters.SparseRandomProjection(6, seed=1), "tokens": adapters.Einops("token e -> e token", "mean")},
    {"conv": None, "tokens": lambda tokens: tokens[:, 3]},
)


def wanted(plan: dict[str, Any], plain: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    maps, tokens = plain["conv"].astype(np.float64), plain["tokens"]
    flat = maps.reshape(len(maps), -1)
    return [
        {"conv": maps.mean((2, 3)), "tokens": tokens[:, 0]},
        {"conv": maps.max((2, 3)), "tokens": tokens[:, 1:]},
        {"conv": (flat - MEAN) @ COMPONENTS.T, "tokens": tokens.mean(1)},
        {
            "conv": SparseRandomProjection(6, random_state=1).fit(flat).transform(flat),
            "tokens": tokens.swapaxes(1, 2),
        },
        {"conv": maps, "tokens": tokens[:, 3]},
    ][PLANS.index(plan)]


def require_same(model: onnx.ModelProto, plan: dict[str, Any], batch: np.ndarray, tolerance: float = 1e-5) -> None:
    plain, found = run(model, {"conv": None, "tokens": None}, batch), run(model, plan, batch)
    for name, value in wanted(plan, plain).items():
        scale = np.abs(value).max()
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=tolerance * scale, err_msg=f"{name} {plan}")
        assert found[name].shape == value.shape
        assert found[name].dtype == plain[name].dtype


@pytest.mark.parametrize("opset", [8, 11, 13, 18, 20])
def test_graphs_of_every_version(opset: int):
    for plan in PLANS:
        require_same(model_of(opset=opset), plan, images())


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        ({"kind": TensorProto.DOUBLE}, 1e-6),
        ({"kind": TensorProto.FLOAT16}, 2e-3),  # a graph without the output may not round to half precision on the way
        ({"n_images": 3}, 1e-5),
        ({"n_images": 1}, 1e-5),
    ],
    ids=["double", "half", "three images at a time", "one image at a time"],
)
def test_graphs_of_other_types_and_fixed_batches(options: dict[str, Any], tolerance: float):
    for plan in PLANS:
        require_same(model_of(**options), plan, images(), tolerance)


def test_what_python_makes_of_values_holds_no_more_than_it_is():
    """A view would keep the whole value, which a store then has in its queue."""
    found = run(model_of(), {"tokens": lambda tokens: tokens[:, 3]}, images())["tokens"]
    assert found.shape == (4, 4)
    assert found.base is None


def test_channels_last():
    """A tensor that has its channels last is summed up where it is, and reordered before it is multiplied."""
    model, batch = model_of(channels_last=True), images(shape=(6, 8, 3))
    first = run(model, {"conv": None, "to_last": None}, batch)
    np.testing.assert_array_equal(first["to_last"], first["conv"])
    for plan in PLANS[:4]:
        found = run(
            model,
            {
                "to_last": plan["conv"]
                if not isinstance(plan["conv"], adapters.FittedPCA)
                else adapters.FittedPCA(5, {"to_last": (MEAN, COMPONENTS)})
            },
            batch,
        )["to_last"]
        expected = wanted(plan, {"conv": first["conv"], "tokens": first["conv"].reshape(4, 4, 48).swapaxes(1, 2)})[
            "conv"
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_the_session_returns_nothing_but_results():
    """Two reductions of one tensor by two names, and an output that is also wanted as it is."""
    adapter = OnnxAdapter(model_of(), device="cpu")
    layers = adapter.layers(SHAPE)
    requests = resolve(["conv", "maps", "tokens"], layers)
    shapes = {request.requested: layers[request.name].shape for request in requests}
    seen: list[list[str]] = []
    for reduce in ({"conv": "mean", "maps": "max"}, {"conv": "mean"}):
        reductions = as_reductions(reduce, requests, shapes, n_presentations=4, adapter=adapter)
        with adapter.open(requests, SHAPE, reductions) as forward:
            values = forward(images())
            reading = next(cell.cell_contents for cell in forward.__closure__ if hasattr(cell.cell_contents, "types"))
            seen.append(list(reading.types))
        maps = run(model_of(), {"conv": None}, images())["conv"]
        np.testing.assert_allclose(values["conv"], maps.mean((2, 3)), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(values["maps"], maps.max((2, 3)) if "maps" in reduce else maps, rtol=1e-5, atol=1e-6)
    assert [len(names) for names in seen] == [3, 3]
    assert "maps" not in seen[0]
    assert "maps" in seen[1]
