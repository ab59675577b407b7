"""Values of internal tensors: the same as the reference evaluator of onnx computes, and as PyTorch before an export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
import torch
import torchvision
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

import adapters
from adapters.errors import ActivationShapeError

from .graphs import SHAPE, draw, model_of, residual_network

node = helper.make_node


def reference(model: onnx.ModelProto, images: np.ndarray) -> dict[str, np.ndarray]:
    """Return every tensor of the graph, computed by onnx in NumPy."""
    return ReferenceEvaluator(model).run(None, {"image": images}, intermediate=True)


def test_every_node_has_the_value_of_the_reference(read, batch):
    model, images = residual_network(), batch(5, *SHAPE)
    expected = reference(model, images)
    layers = adapters.wrap(model, preprocessing=adapters.already_preprocessed()).adapter.layers(SHAPE)
    assert list(layers) == [each.name for each in model.graph.node]
    for each in model.graph.node:
        value = expected[each.output[0]]
        assert layers[each.name].shape == value.shape[1:]
        assert layers[each.name].kind == each.op_type
        for name in (each.name, each.output[0]):
            found = read(model, images, [name], batch_size=2).values
            np.testing.assert_allclose(found, value.reshape(5, -1), rtol=1e-4, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(read(model, images).values, expected["output"], rtol=1e-4, atol=1e-5)
    everything = read(model, images, "*").values  # and in one pass, where nothing can be fused
    stacked = np.hstack([expected[each.output[0]].reshape(5, -1) for each in model.graph.node])
    np.testing.assert_allclose(everything, stacked, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def resnet18(tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.nn.Module, Path]:
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    path = tmp_path_factory.mktemp("exported") / "resnet18.onnx"
    torch.onnx.export(
        model, (torch.zeros(1, 3, 64, 64),), path, dynamo=False, input_names=["image"], dynamic_axes={"image": {0: "n"}}
    )
    return model, path


def test_exported_resnet18_has_the_values_of_pytorch(resnet18: tuple[torch.nn.Module, Path], batch):
    model, path = resnet18
    images = batch(3, 3, 64, 64)
    options: dict[str, Any] = {"preprocessing": adapters.already_preprocessed(), "batch_size": 2}
    exported, original = adapters.wrap(path, **options), adapters.wrap(model, device="cpu", **options)
    assert exported.identifier == "resnet18"
    assert exported.adapter.input == adapters.InputSpec(size=(64, 64), n_channels=3, channel_axis=1)
    pairs = {  # the exporter puts the normalisation into the convolution, so from there on names differ
        "/relu/Relu": "relu",
        "/maxpool/MaxPool": "maxpool",
        "/layer1/layer1.0/relu_1/Relu": "layer1.0",
        "/layer2/layer2.0/downsample/downsample.0/Conv": "layer2.0.downsample.1",
        "/layer2/layer2.0/conv2/Conv": "layer2.0.bn2",
        "/layer4/layer4.1/relu_1/Relu": "layer4.1",
        "/avgpool/GlobalAveragePool": "avgpool",
        "/fc/Gemm": "fc",
        "logits": "logits",
    }
    found, expected = exported(images, list(pairs)), original(images, list(pairs.values()))
    assert found.sizes == expected.sizes
    for new, old in pairs.items():
        values = expected.values[:, expected["layer"].values == old]
        limit = 1e-4 * np.abs(values).max()
        np.testing.assert_allclose(found.values[:, found["layer"].values == new], values, rtol=1e-4, atol=limit)
    for label in ("channel", "channel_x", "channel_y"):
        np.testing.assert_array_equal(found[label].values, expected[label].values)


@pytest.mark.parametrize(("kind", "dtype"), [(TensorProto.FLOAT16, np.float16), (TensorProto.BFLOAT16, None)])
def test_half_precision_is_read_as_float32(read, batch, kind: int, dtype: Any):
    """Of bfloat16, ONNX Runtime on a CPU has the casts only."""
    images = batch(3, *SHAPE)
    if dtype is None:
        nodes = [node("Cast", ["image"], ["half"], name="half", to=kind), node("Cast", ["half"], ["output"], to=1)]
        model, expected = model_of(nodes), images.astype(ml_dtypes.bfloat16).astype(np.float32)
    else:
        nodes = [node("Relu", ["image"], ["half"], name="half"), node("Neg", ["half"], ["output"])]
        model, expected = model_of(nodes, kind=kind), np.maximum(images.astype(dtype), 0).astype(np.float32)
    found = read(model, images, ["half"])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.values, expected.reshape(3, -1))
    assert read(model, images).dtype == np.float32


def test_double_precision_stays_until_it_is_stored(batch):
    model, images = (
        model_of([node("Neg", ["image"], ["output"], name="neg")], kind=TensorProto.DOUBLE),
        batch(2, *SHAPE),
    )
    adapter = adapters.wrap(model).adapter
    from adapters.layers import resolve

    with adapter.open(resolve("neg", adapter.layers(SHAPE)), SHAPE) as forward:
        host = adapter.to_host(forward(images))
    assert host["neg"].dtype == np.float64
    np.testing.assert_array_equal(host["neg"], -images.astype(np.float64))


def test_parts_of_a_node_by_number_and_by_the_operators_name(read, batch):
    """Split numbers its outputs, TopK calls them Values and Indices; a tensor's own name works as well."""
    halves, images = np.array([2, 6], np.int64), batch(3, *SHAPE)
    nodes = [
        node("Split", ["image", "halves"], ["top", "bottom"], name="split", axis=2),
        node("TopK", ["bottom", "k"], ["largest", "where"], name="topk", axis=3),
        node("ReduceSum", ["largest"], ["output"], name="sum", keepdims=1),
    ]
    model = model_of(nodes, weights={"halves": halves, "k": np.array([2], np.int64)})
    expected = reference(model, images)
    pairs = {"split": "top", "split:0": "top", "split:1": "bottom", "split:bottom": "bottom", "topk:Values": "largest"}
    for request, tensor in pairs.items():
        np.testing.assert_array_equal(read(model, images, [request]).values, expected[tensor].reshape(3, -1))
    with pytest.raises(ActivationShapeError, match=r"'topk:Indices' is of type tensor\(int64\).*Request another part"):
        read(model, images, ["topk:Indices"])
    with pytest.raises(ActivationShapeError, match=r"has no part 'topk:Value'.*Values, Indices. Did you mean 'Values'"):
        read(model, images, ["topk:Value"])


def test_nodes_that_hold_no_rows_of_images_say_why(batch):
    nodes = [
        node("Shape", ["image"], ["sizes"], name="sizes"),
        node("Transpose", ["image"], ["last"], name="last", perm=[1, 2, 3, 0]),
        node("Neg", ["weight"], ["negative"], name="constant"),
        node("Add", ["image", "negative"], ["sum"], name="sum"),
        node("Add", ["sum", "back"], ["output"], name="add"),
        node("Transpose", ["last"], ["back"], name="back", perm=[3, 0, 1, 2]),
        node("Cast", ["sizes"], ["lengths"], to=1),
    ]
    nodes.insert(4, nodes.pop(5))
    model = model_of(nodes, ["output", "lengths"], weights={"weight": np.ones(1, np.float32)})
    layers = adapters.wrap(model).adapter.layers(SHAPE)
    assert list(layers) == ["sum", "back", "add"]
    for name, why in {
        "sizes": r"tensor\(int64\), no floating-point numbers",
        "last": "the first axis must be the batch",
        "constant": "does not depend on the images",
    }.items():
        with pytest.raises(ActivationShapeError, match=why):
            layers.find(name)


def test_branches_see_the_tensors_around_them(read, batch):
    """What the body of an If reads from outside must survive when the graph is cut."""
    images = batch(3, *SHAPE)
    bodies = [
        helper.make_graph(
            [node(kind, ["shifted"], [f"{kind}.out"])], kind, [], [onnx.ValueInfoProto(name=f"{kind}.out")]
        )
        for kind in ("Relu", "Neg")
    ]
    for body in bodies:
        body.output[0].type.CopyFrom(helper.make_tensor_type_proto(TensorProto.FLOAT, ["n", *SHAPE]))
    nodes = [
        node("Add", ["image", "shift"], ["shifted"], name="shift"),
        node("If", ["is_on"], ["chosen"], name="if", then_branch=bodies[0], else_branch=bodies[1]),
        node("Neg", ["chosen"], ["output"], name="neg"),
    ]
    nodes.insert(1, node("Less", ["first", "limit"], ["is_on"]))
    nodes.insert(1, node("ReduceMax", ["image"], ["first"], keepdims=0))
    model = model_of(nodes, weights={"shift": draw(1), "limit": np.array(1e6, np.float32)})
    expected = np.maximum(images + draw(1), 0)
    np.testing.assert_allclose(read(model, images, ["if"]).values, expected.reshape(3, -1))


@pytest.mark.parametrize("ratio", [0.5, 0.0])
def test_nodes_that_are_set_to_training_infer(ratio: float, read, batch):
    """As `torch.onnx.export(training=TrainingMode.TRAINING)` writes them."""
    images, names = batch(6, *SHAPE), ("scale", "offset", "mean", "variance")
    norm = ["image", *names]
    values = {name: 1 + draw(3, seed=number) ** 2 for number, name in enumerate(names)}
    inference = [node("BatchNormalization", norm, ["n"], name="norm"), node("Identity", ["n"], ["output"], name="drop")]
    training = [
        node("BatchNormalization", norm, ["n", "new_mean", "new_variance"], name="norm", training_mode=1),
        node("Dropout", ["n", "ratio", "is_training"], ["output"], name="drop"),
    ]
    switches = {"ratio": np.float32(ratio), "is_training": np.array(True)}
    expected = reference(model_of(inference, weights=values), images)["output"].reshape(6, -1)
    model = model_of(training, weights={**values, **switches})
    content = model.SerializeToString()
    for layer in ("norm", "drop", "logits"):
        for size in (2, 6):
            found = read(model, images, [layer], batch_size=size).values
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert model.SerializeToString() == content
