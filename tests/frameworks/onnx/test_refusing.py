"""Models and devices that cannot be used: each is refused with what was given, what was expected, and what to do."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

import adapters
from adapters.errors import BudgetError, DeviceError, LayerNotFoundError, ModelForwardError, UnsupportedModelError

from .graphs import SHAPE, model_of, residual_network

node = helper.make_node


def test_several_inputs_are_refused_until_the_others_are_fixed(read, batch):
    size = helper.make_tensor_value_info("shift", TensorProto.FLOAT, [1])
    model = model_of([node("Add", ["image", "shift"], ["output"], name="add")], others=[size])
    with pytest.raises(
        UnsupportedModelError, match=r"takes 2 inputs \(image, shift\); expected one.*add an initializer"
    ):
        adapters.wrap(model)
    model.graph.initializer.append(helper.make_tensor("shift", TensorProto.FLOAT, [1], [2.0]))
    images = batch(2, *SHAPE)
    np.testing.assert_allclose(read(model, images).values, images.reshape(2, -1) + 2)


def test_input_that_is_no_floating_point_array():
    model = model_of([node("Cast", ["image"], ["output"], to=1)], kind=TensorProto.UINT8)
    with pytest.raises(
        UnsupportedModelError,
        match=r"Input 'image' of small is of type UINT8, nx3x8x9; expected a floating-point.*put a Cast in front",
    ):
        adapters.wrap(model)


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        ({"opset": 99}, ("opsets ai.onnx 99, elsewhere 1", "onnx.version_converter")),
        ({"ir_version": 99}, ("IR version 99", "max supported IR version", "Update it")),
    ],
)
def test_versions_that_onnx_runtime_does_not_have(options: dict[str, int], fragments: tuple[str, ...]):
    extractor = adapters.wrap(residual_network(**options), preprocessing=adapters.raw(8))
    with pytest.raises(UnsupportedModelError) as caught:
        _ = extractor.layers
    assert all(each in str(caught.value) for each in ("cannot load small", onnxruntime.__version__, *fragments))


def test_operators_that_onnx_runtime_does_not_have():
    model = model_of([node("Foo", ["image"], ["output"], domain="elsewhere")])
    with pytest.raises(UnsupportedModelError, match=r"elsewhere:Foo.*pass an InferenceSession whose options register"):
        _ = adapters.wrap(model, preprocessing=adapters.raw(8)).layers


def test_wrong_size_is_reported_with_what_the_graph_expects():
    extractor = adapters.wrap(residual_network(), preprocessing=adapters.raw(16))
    with pytest.raises(ModelForwardError, match=r"(?s)shape \(2, 3, 16, 16\).*Got: 16 Expected: 8.*preprocessing="):
        _ = extractor.layers


def test_layer_in_the_style_of_another_framework(batch, read):
    with pytest.raises(LayerNotFoundError, match=r"small has no layer 'block.conv'. Did you mean 'block/conv'"):
        read(residual_network(), batch(1, *SHAPE), ["block.conv"])


@pytest.mark.parametrize("device", ["cuda", "CUDAExecutionProvider", "tpu", "cpu:first"])
def test_device_that_is_not_there(device: str):
    with pytest.raises(DeviceError) as caught:
        adapters.wrap(residual_network(), device=device)
    assert f"device={device!r}" in str(caught.value)
    assert all(each in str(caught.value) for each in ("CPUExecutionProvider", "Leave device out", "onnxruntime-gpu"))


@pytest.mark.parametrize("device", ["cpu", "CPU", "CPUExecutionProvider", "cpu:0", None])
def test_device_in_onnx_runtimes_words(device: str | None, batch, read):
    assert read(residual_network(), batch(1, *SHAPE), device=device).shape == (1, 5)


@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_provider_that_does_not_start(monkeypatch: pytest.MonkeyPatch):
    """As a CUDA build does on a machine without a driver: it warns and would run on the CPU."""
    real = onnxruntime.get_available_providers()
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", *real])
    extractor = adapters.wrap(residual_network(), device="cuda:1", preprocessing=adapters.raw(8))
    with pytest.raises(DeviceError, match=r"could not start CUDAExecutionProvider for small.*pass device='cpu'"):
        _ = extractor.layers
    unasked = adapters.wrap(residual_network(), preprocessing=adapters.already_preprocessed())
    assert unasked(np.zeros((1, *SHAPE), np.float32)).shape == (1, 5)


def out_of_memory_above(n_images: int):
    """Return a model that asks for 16 terabytes as soon as it gets more images than that."""
    nodes = [
        node("Shape", ["image"], ["n"], end=1),
        node("Greater", ["n", "limit"], ["is_many"]),
        node("Where", ["is_many", "many", "one"], ["times"]),
        node("ReduceSum", ["image"], ["sum"], keepdims=1),
        node("Expand", ["sum", "times"], ["large"]),
        node("ReduceMax", ["large"], ["largest"], keepdims=1),
        node("Add", ["image", "largest"], ["output"], name="add"),
    ]
    one, many = np.ones(1, np.int64), np.full(1, 4 * 10**12)
    return model_of(nodes, weights={"limit": np.array([n_images]), "one": one, "many": many})


def test_full_memory_halves_the_batch(batch, read):
    images = batch(12, *SHAPE)
    extractor = adapters.wrap(out_of_memory_above(4), preprocessing=adapters.already_preprocessed(), batch_size=12)
    assert extractor(images, ["add"]).sizes["presentation"] == 12
    assert extractor.batch_size == 3


def test_full_memory_while_listing_is_said(batch, read):
    with pytest.raises(BudgetError, match=r"small runs out of device memory on 2 images of shape \(3, 8, 9\)"):
        read(out_of_memory_above(1), batch(2, *SHAPE), ["add"])
