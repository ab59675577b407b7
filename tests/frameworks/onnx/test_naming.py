"""Which names nodes have, and what a graph says of its input."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import adapters
from adapters import InputSpec

from .graphs import SHAPE, draw, model_of, residual_network

node = helper.make_node


def layers_of(model: onnx.ModelProto, image_shape: tuple[int, ...] = SHAPE) -> Any:
    return adapters.wrap(model).adapter.layers(image_shape)


def test_node_names_where_they_are_unique_else_tensors():
    nodes = [
        node("Neg", ["image"], ["t1"]),
        node("Neg", ["t1"], ["t2"], name="twice"),
        node("Neg", ["t2"], ["t3"], name="twice"),
        node("Neg", ["t3"], ["t4"], name="t1"),  # the name of another node's tensor
        node("Neg", ["t4"], ["t5"], name="t5"),
        node("Neg", ["t5"], ["logits"], name="named"),
        node("Exp", ["logits"], ["output"], name="exp"),
    ]
    layers = layers_of(model_of(nodes))
    assert list(layers) == ["t1", "t2", "t3", "t4", "t5", "named", "exp"]
    assert layers["exp"].aliases == ("output",)
    assert all(layers[name].aliases == () for name in ("t1", "t2", "t3", "t4", "t5", "named"))


@pytest.mark.parametrize("name", ["neg", ""])
def test_a_tensor_called_logits_is_the_final_output(name: str, read, batch):
    """Also where the graph goes on, to probabilities; whether its node has a name of its own or not."""
    images = batch(2, *SHAPE)
    flat = images.reshape(2, -1)
    nodes = [node("Neg", ["image"], ["logits"], name=name), node("Exp", ["logits"], ["output"], name="exp")]
    for outputs in (["output"], ["output", "logits"]):
        model = model_of(nodes, outputs)
        np.testing.assert_array_equal(read(model, images, ["logits"]).values, -flat)
        both = read(model, images, ["logits:output", "exp"]).values
        np.testing.assert_allclose(both, np.hstack([np.exp(-flat)] * 2), rtol=1e-5)
    layers = layers_of(model_of(nodes))
    assert list(layers) == [name or "logits", "exp"]
    every = read(model_of(nodes), images, "*")
    for layer, expected in {name or "logits": -flat, "exp": np.exp(-flat)}.items():
        np.testing.assert_allclose(every.values[:, every["layer"].values == layer], expected, rtol=1e-5)


def test_a_node_called_logits_is_the_final_output(read, batch):
    images = batch(2, *SHAPE)
    nodes = [node("Neg", ["image"], ["t"], name="logits"), node("Exp", ["t"], ["output"], name="exp")]
    flat = -images.reshape(2, -1)
    np.testing.assert_array_equal(read(model_of(nodes), images, ["logits"]).values, flat)
    np.testing.assert_array_equal(read(model_of(nodes), images, ["t"]).values, flat)
    every = read(model_of(nodes), images, "*").values
    np.testing.assert_allclose(every, np.hstack([flat, np.exp(flat)]), rtol=1e-5)


def test_logits_that_are_no_numbers_are_not_the_output(read, batch):
    images = batch(2, *SHAPE)
    nodes = [node("Cast", ["image"], ["logits"], to=6), node("Cast", ["logits"], ["output"], name="back", to=1)]
    found = read(model_of(nodes), images, ["logits"]).values
    np.testing.assert_array_equal(found, np.trunc(images.reshape(2, -1)))


def test_input_of_the_old_kind_lists_the_weights_too(read, batch):
    """Before IR version 4, every initializer had to be an input as well."""
    model, images = residual_network(ir_version=3), batch(2, *SHAPE)
    for each in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(each.name, each.data_type, each.dims))
    np.testing.assert_array_equal(read(model, images).values, read(residual_network(), images).values)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (("n", 3, 32, 48), InputSpec(size=(32, 48))),
        (("n", 3, "rows", "columns"), InputSpec()),
        (("n", 1, 28, 28), InputSpec(size=(28, 28), n_channels=1)),
        (("n", "channels", 32, 32), InputSpec(size=(32, 32))),
        ((1, 32, 48, 3), InputSpec(size=(32, 48), channel_axis=-1)),
        (("n", "rows", "columns", 3), InputSpec(channel_axis=-1)),
        (("n", 12), InputSpec()),
    ],
)
def test_input_as_the_graph_says(image: tuple[Any, ...], expected: InputSpec):
    model = model_of([node("Neg", ["image"], ["output"])], image=image)
    assert adapters.wrap(model).adapter.input == expected


def test_channels_last_input_with_channels_first_inside(read, batch):
    """As tf2onnx exports: a Transpose comes first."""
    nodes = [node("Transpose", ["image"], ["t"], name="first", perm=[0, 3, 1, 2]), node("Neg", ["t"], ["output"])]
    images = batch(2, 8, 9, 3)
    found = read(model_of(nodes, image=("n", 8, 9, 3)), images, ["first"])
    np.testing.assert_array_equal(found.values, np.moveaxis(images, -1, 1).reshape(2, -1))
    assert found["channel"].values.max() == 2


def test_channels_last_input_with_both_orders_inside(read, batch):
    """What tf2onnx makes of a Keras model: convolutions between two Transposes, dense layers after the second."""
    images, kernel, dense = batch(2, 8, 9, 3), draw(4, 3, 1, 1), draw(4, 5)
    nodes = [
        node("Neg", ["image"], ["negative"], name="negate"),
        node("Transpose", ["negative"], ["t"], name="first", perm=[0, 3, 1, 2]),
        node("Conv", ["t", "kernel"], ["c"], name="conv"),
        node("Transpose", ["c"], ["last"], name="last", perm=[0, 2, 3, 1]),
        node("MatMul", ["last", "dense"], ["m"], name="dense"),
        node("Relu", ["m"], ["output"], name="relu"),
    ]
    model = model_of(nodes, weights={"kernel": kernel, "dense": dense}, image=("n", 8, 9, 3))
    first = -np.moveaxis(images, -1, 1)
    conv = np.einsum("oc,nchw->nohw", kernel[:, :, 0, 0], first)
    out = np.einsum("cd,nchw->ndhw", dense, conv)
    layers = layers_of(model, (8, 9, 3))
    for names, expected in {
        ("negate", "first"): first,
        ("conv", "last"): conv,
        ("dense",): out,
        ("relu", "logits"): np.maximum(out, 0),
    }.items():
        for name in names:
            found = read(model, images, [name])
            assert layers.find(name).shape == expected.shape[1:]
            np.testing.assert_allclose(found.values, expected.reshape(2, -1), rtol=1e-4, atol=1e-5, err_msg=name)
            assert found["channel"].values.max() == expected.shape[1] - 1
            assert found["channel_x"].values.max() in (7, 8)


def test_accepts_models_only():
    accepts = adapters.find_adapter(residual_network()).accepts
    assert accepts("model.onnx")
    assert accepts(residual_network().SerializeToString())
    for other in ("model.pt", b"PK\x03\x04", b"", residual_network().graph, 3):
        assert not accepts(other)
