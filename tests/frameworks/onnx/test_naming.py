"""Which names nodes have, and what a graph says of its input."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import adapters
from adapters import InputSpec

from .graphs import SHAPE, model_of, residual_network

node = helper.make_node


def layers_of(model: onnx.ModelProto) -> Any:
    return adapters.wrap(model).adapter.layers(SHAPE)


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


def test_logits_is_the_output_and_not_a_tensor_of_this_name(read, batch):
    images = batch(2, *SHAPE)
    first = [node("Neg", ["image"], ["logits"], name="neg"), node("Exp", ["logits"], ["output"], name="exp")]
    flat = images.reshape(2, -1)
    np.testing.assert_allclose(read(model_of(first), images, ["logits"]).values, np.exp(-flat), rtol=1e-5)
    np.testing.assert_array_equal(read(model_of(first, ["output", "logits"]), images, ["logits"]).values, -flat)
    both = read(model_of(first, ["output", "logits"]), images, ["logits:output", "neg"])
    np.testing.assert_allclose(both.values, np.hstack([np.exp(-flat), -flat]), rtol=1e-5)


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


def test_accepts_models_only():
    accepts = adapters.find_adapter(residual_network()).accepts
    assert accepts("model.onnx")
    assert accepts(residual_network().SerializeToString())
    for other in ("model.pt", b"PK\x03\x04", b"", residual_network().graph, 3):
        assert not accepts(other)
