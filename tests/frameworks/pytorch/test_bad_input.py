"""What a PyTorch model is asked for that it cannot give: each a message that says what to do instead."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch
import torchvision
from flax import linen
from torch import nn

import adapters
from adapters.errors import (
    ActivationShapeError,
    DeviceError,
    LayerNotFoundError,
    ModelForwardError,
    UnsupportedModelError,
)


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    return torchvision.models.resnet18()


@pytest.fixture(scope="module")
def vgg() -> nn.Module:
    return torchvision.models.vgg11(init_weights=False)


@pytest.fixture
def dense() -> Any:
    layer = keras.layers.Dense(3)
    layer.build((None, 144))
    return layer


class Mixed(nn.Module):
    """A convolution of PyTorch whose values go to something of another framework."""

    def __init__(self, head: Any) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), head

    def forward(self, images: torch.Tensor) -> Any:
        values = self.head(self.conv(images).flatten(1).numpy())
        return torch.from_numpy(np.array(values)) if type(self.head).__module__.startswith("flax") else values


class Outer(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: torch.Tensor) -> Any:
        return self.inner(images)


def test_keras_layer_inside_a_module(read, batch, dense):
    model, images = Mixed(dense), batch(2, 3, 8, 8)
    np.testing.assert_array_equal(
        read(model, images, ["conv"]).values, model.conv(torch.from_numpy(images)).detach().flatten(1).numpy()
    )
    with pytest.raises(
        ActivationShapeError, match=r"'head' of Mixed cannot be read: it is of keras.*Wrap it by itself"
    ):
        read(model, images, ["head"])
    with pytest.raises(ActivationShapeError, match=r"'inner\.head' of Outer cannot be read: it is of keras"):
        read(Outer(model), images, ["inner.head"])
    with pytest.raises(ActivationShapeError, match="'logits' of Mixed cannot be read: it returned"):
        read(model, images, ["logits"])


def test_flax_module_inside_a_module(read, batch):
    """Unbound it does not run; bound it runs, but only the PyTorch part can be read."""
    images, unbound = batch(2, 3, 8, 8), linen.Dense(3)
    with pytest.raises(
        ModelForwardError, match=r"Mixed raised CallCompactUnboundModuleError on a batch of shape \(2, 3"
    ):
        read(Mixed(unbound), images, ["conv"])
    bound = unbound.bind({"params": {"kernel": np.ones((144, 3), np.float32), "bias": np.zeros(3, np.float32)}})
    model = Mixed(bound)
    with torch.no_grad():
        expected = model.conv(torch.from_numpy(images)).flatten(1).sum(1).numpy()
    values = read(model, images, ["logits"]).values
    np.testing.assert_allclose(values, np.stack([expected] * 3, axis=1), rtol=1e-4, atol=1e-4)
    with pytest.raises(ActivationShapeError, match="'head' of Mixed cannot be read: it is of flax"):
        read(model, images, ["head"])


def test_modules_of_pytorch_only_have_no_unreadable_parts(resnet):
    assert not adapters.find_adapter(resnet)(resnet).layers((3, 32, 32)).unreadable


def test_two_models_in_a_list(resnet, vgg):
    with pytest.raises(UnsupportedModelError, match="The list holds ResNet, VGG; one model was expected"):
        adapters.wrap([resnet, vgg])


def test_module_list_runs_nothing(read, batch, resnet, vgg):
    with pytest.raises(ModelForwardError, match=r"(?s)ModuleList raised NotImplementedError.*\"forward\" function"):
        read(nn.ModuleList([resnet, vgg]), batch(1, 3, 32, 32), ["logits"])


@pytest.mark.parametrize(
    ("layer", "hint"),
    [
        ("block1_conv1", "VGG has no layer 'block1_conv1'. It has 29 layers"),  # Keras
        ("features/0", "Did you mean 'features.0'?"),  # TensorFlow, slim
        ("features_0", "Did you mean 'features.0'?"),  # flax
        ("layers/conv1", "VGG has no layer 'layers/conv1'."),
    ],
)
def test_layer_name_in_the_style_of_another_framework(read, batch, vgg, layer, hint):
    with pytest.raises(LayerNotFoundError) as caught:
        read(vgg, batch(1, 3, 32, 32), [layer])
    assert hint in str(caught.value)
    assert "list them with extractor.layers" in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((2, 32, 32, 3), "expected input[2, 32, 32, 3] to have 3 channels, but got 32 channels"),
        ((2, 4, 32, 32), "to have 3 channels, but got 4 channels"),
        ((2, 3, 8, 8), "Output size is too small"),
    ],
)
def test_wrong_input_shape(read, vgg, shape, words):
    with pytest.raises(ModelForwardError) as caught:
        read(vgg, np.zeros(shape, np.float32), ["features.0"])
    message = str(caught.value)
    assert message.startswith(f"VGG raised RuntimeError on a batch of shape {shape}: ")
    assert words in message
    assert "say so with preprocessing=" in message
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_fixed_input_size_is_said(read):
    model = torchvision.models.VisionTransformer(32, 8, 1, 2, 32, 48)
    with pytest.raises(ModelForwardError, match="Wrong image height! Expected 32 but got 40"):
        read(model, np.zeros((1, 3, 40, 40), np.float32), ["logits"])


def test_device_in_the_words_of_another_framework(resnet):
    with pytest.raises(DeviceError, match=r"device='gpu:0' is no device that PyTorch knows\. Use 'cpu', 'cuda'"):
        adapters.wrap(resnet, device="gpu:0")
