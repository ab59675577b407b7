"""Large architectures with random weights, layer by layer against the framework's own ways of reading them.

tests/adapters/pytorch/test_architectures.py does the same for small ones, and covers aliases and known shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
import transformers
from torch import nn
from torchvision.models.detection.backbone_utils import mobilenet_backbone
from torchvision.models.feature_extraction import create_feature_extractor

import adapters


class CORblock(nn.Module):
    """A block of CORnet-S: one set of convolutions that runs several times, with norms of its own for each time.

    References
    ----------
    Kubilius et al. 2019, https://arxiv.org/abs/1909.06161
    """

    def __init__(self, n_in: int, n_out: int, n_times: int) -> None:
        super().__init__()
        self.n_times = n_times
        self.conv_input = nn.Conv2d(n_in, n_out, 1, bias=False)
        self.skip = nn.Conv2d(n_out, n_out, 1, stride=2, bias=False)
        self.norm_skip = nn.BatchNorm2d(n_out)
        self.conv1, self.nonlin1 = nn.Conv2d(n_out, 2 * n_out, 1, bias=False), nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(2 * n_out, 2 * n_out, 3, stride=2, padding=1, bias=False)
        self.nonlin2, self.conv3 = nn.ReLU(inplace=True), nn.Conv2d(2 * n_out, n_out, 1, bias=False)
        self.nonlin3, self.output = nn.ReLU(inplace=True), nn.Identity()
        for time in range(n_times):
            for number, width in enumerate((2 * n_out, 2 * n_out, n_out), start=1):
                setattr(self, f"norm{number}_{time}", nn.BatchNorm2d(width))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.conv_input(images)
        for time in range(self.n_times):
            skip = self.norm_skip(self.skip(x)) if time == 0 else x
            self.conv2.stride = (2, 2) if time == 0 else (1, 1)
            x = self.nonlin1(getattr(self, f"norm1_{time}")(self.conv1(x)))
            x = self.nonlin2(getattr(self, f"norm2_{time}")(self.conv2(x)))
            x = self.nonlin3(getattr(self, f"norm3_{time}")(self.conv3(x)) + skip)
            output = self.output(x)
        return output


def cornet() -> nn.Module:
    stem = nn.Sequential(nn.Conv2d(3, 16, 7, stride=2, padding=3), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1))
    blocks = {"V1": stem, "V2": CORblock(16, 16, 2), "V4": CORblock(16, 24, 4), "IT": CORblock(24, 32, 2)}
    decoder = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
    model = nn.Sequential()
    for name, block in {**blocks, "decoder": decoder}.items():
        model.add_module(name, block)
    return model


def clip_tower() -> nn.Module:
    sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 48}
    configuration = transformers.CLIPVisionConfig(**sizes, image_size=32, patch_size=8, projection_dim=16)
    return transformers.CLIPVisionModelWithProjection(configuration)


# Of each: how it is made, and the side of its images in pixels.
ARCHITECTURES: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "resnet50": (torchvision.models.resnet50, 64),
    "vgg16": (lambda: torchvision.models.vgg16(init_weights=False), 32),
    "convnext_tiny": (torchvision.models.convnext_tiny, 32),
    "clip": (clip_tower, 32),
    "cornet": (cornet, 64),
    "mobilenet_fpn": (lambda: mobilenet_backbone(backbone_name="mobilenet_v3_small", weights=None, fpn=True), 64),
}


@cache
def built(architecture: str) -> tuple[nn.Module, np.ndarray]:
    """Return a model, made once as every test leaves it as it was, and three images for it."""
    make, size = ARCHITECTURES[architecture]
    torch.manual_seed(7)
    return make().eval(), np.random.default_rng(0).standard_normal((3, 3, size, size), dtype=np.float32)


def first_tensor(output: Any) -> torch.Tensor:
    while not isinstance(output, torch.Tensor):
        output = next(iter(output.values() if hasattr(output, "values") else output))
    return output


def every_call(model: nn.Module, images: np.ndarray) -> dict[str, list[np.ndarray]]:
    """Return what each module returned in each call of one plain forward pass, copied before anything changes it."""
    found: dict[str, list[np.ndarray]] = {}

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            found.setdefault(name, []).append(first_tensor(output).detach().clone().flatten(1).numpy())

        return hook

    handles = [module.register_forward_hook(keep(name or "logits")) for name, module in model.named_modules()]
    with torch.no_grad():
        model(torch.from_numpy(images))
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_call_of_every_layer_bit_for_bit(read, architecture):
    model, images = built(architecture)
    expected = every_call(model, images)
    layers = adapters.find_adapter(model)(model).layers(images.shape[1:])
    known = {alias for name in layers for alias in (name, *layers[name].aliases)}
    assert known | set(layers.unreadable) == set(expected) - {"logits"}
    assembly = read(model, images, [*layers, "logits"], calls="all")
    names, start = assembly["layer"].values, 0
    for layer in (*layers, "logits"):
        calls = expected[layer]
        assert (layers[layer].n_calls if layer in layers else 1) == len(calls)
        for call, values in enumerate(calls):
            columns = slice(start, start + values.shape[1])
            np.testing.assert_array_equal(assembly.values[:, columns], values, err_msg=f"{layer}@{call}")
            assert names[start] == (layer if len(calls) == 1 else f"{layer}@{call}")
            start += values.shape[1]
    assert start == assembly.sizes["neuroid"]


def test_layers_of_vgg16_are_its_modules_in_order():
    model, images = built("vgg16")
    names = [f"features.{n}" for n in range(31)] + ["avgpool"] + [f"classifier.{n}" for n in range(7)]
    assert list(adapters.find_adapter(model)(model).layers(images.shape[1:])) == names


@pytest.mark.parametrize(
    ("architecture", "layers"),
    [
        ("resnet50", ["conv1", "layer1.2.relu", "layer2", "layer4.2", "avgpool"]),
        ("vgg16", ["features.4", "features.30", "classifier.3"]),
        ("convnext_tiny", ["features.1", "features.3.2", "features.7", "classifier.1"]),
    ],
)
def test_torchvisions_feature_extractor_agrees(read, architecture, layers):
    """Traced to a graph, a network has no modules that could be hooked: another way of reading the same layer."""
    model, images = built(architecture)
    nodes = {name: name for name in layers}
    if architecture == "resnet50":  # one module, three calls; the graph names the last of them so
        nodes["layer1.2.relu"] = "layer1.2.relu_2"
    with torch.no_grad():
        features = create_feature_extractor(model, {node: name for name, node in nodes.items()})(
            torch.from_numpy(images)
        )
    assembly = read(model, images, layers)
    for name in layers:
        np.testing.assert_array_equal(assembly.sel(layer=name).values, features[name].flatten(1).numpy(), err_msg=name)


def test_intermediates_of_a_timm_vit(read, batch):
    model, images = timm.create_model("vit_tiny_patch16_224", pretrained=False, img_size=32).eval(), batch(3, 3, 32, 32)
    with torch.no_grad():
        tensor = torch.from_numpy(images)
        blocks = model.forward_intermediates(
            tensor, norm=False, output_fmt="NLC", return_prefix_tokens=True, intermediates_only=True
        )
        pooled = model.forward_head(model.forward_features(tensor), pre_logits=True)
    names = [f"blocks.{number}" for number in range(12)]
    assembly = read(model, images, [*names, "head_drop"])
    for name, (patches, prefix) in zip(names, blocks, strict=True):
        tokens = torch.cat([prefix, patches], dim=1)
        np.testing.assert_allclose(
            assembly.sel(layer=name).values, tokens.flatten(1).numpy(), rtol=1e-4, atol=1e-5, err_msg=name
        )
    np.testing.assert_allclose(assembly.sel(layer="head_drop").values, pooled.numpy(), rtol=1e-4, atol=1e-5)


def test_hidden_states_and_embedding_of_clip(read):
    model, images = built("clip")
    with torch.no_grad():
        output = model(pixel_values=torch.from_numpy(images), output_hidden_states=True)
    blocks = {f"vision_model.encoder.layers.{number}": output.hidden_states[number + 1] for number in range(3)}
    expected = {
        "vision_model.pre_layrnorm": output.hidden_states[0],
        **blocks,
        "visual_projection": output.image_embeds,
        "logits:image_embeds": output.image_embeds,
        "logits:last_hidden_state": output.last_hidden_state,
    }
    assembly = read(model, images, list(expected))
    for name, tensor in expected.items():
        np.testing.assert_array_equal(assembly.sel(layer=name).values, tensor.flatten(1).numpy(), err_msg=name)


def test_time_steps_of_a_recurrent_network(read):
    model, images = built("cornet")
    expected = every_call(model, images)
    assembly = read(model, images, ["V4.output", "IT.output"], calls="all")
    first = assembly.isel(neuroid=(assembly["layer"] == "V4.output@2").values)
    assert set(first["time_step"].values) == {2}
    for step in range(4):
        selected = assembly.isel(neuroid=(assembly["layer"] == f"V4.output@{step}").values)
        np.testing.assert_array_equal(selected.values, expected["V4.output"][step])
    steps = np.unique(assembly["time_step"].values[assembly["layer"].str.startswith("IT").values])
    np.testing.assert_array_equal(steps, [0, 1])


def test_calls_of_one_module_with_different_shapes(read):
    """The first step of CORnet's second convolution has stride 2: later steps have a quarter of its input."""
    model, images = built("cornet")
    expected = every_call(model, images)["IT.conv1"]
    assert expected[0].shape != expected[1].shape
    for step in (1, 0):
        np.testing.assert_array_equal(read(model, images, [f"IT.conv1@{step}"]).values, expected[step])


@pytest.mark.parametrize("part", ["0", "1", "pool"])
def test_levels_of_a_detection_backbone(read, part):
    """Both the body, an IntermediateLayerGetter, and the pyramid return dicts."""
    model, images = built("mobilenet_fpn")
    with torch.no_grad():
        tensor = torch.from_numpy(images)
        levels, body = model(tensor), model.body(tensor)
    np.testing.assert_array_equal(read(model, images, [f"fpn:{part}"]).values, levels[part].flatten(1).numpy())
    if part in body:
        np.testing.assert_array_equal(read(model, images, [f"body:{part}"]).values, body[part].flatten(1).numpy())
