"""Real architectures with random weights, bit for bit against a forward pass that is hooked by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import timm
import torch
import torchvision
import transformers
from torch import nn
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

import adapters

TINY = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 48}


def hugging_face_vit() -> nn.Module:
    configuration = transformers.ViTConfig(**TINY, image_size=32, patch_size=8, num_labels=7)
    return transformers.ViTForImageClassification(configuration)


def clip_vision_tower() -> nn.Module:
    return transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**TINY, image_size=32, patch_size=8))


def hugging_face_resnet() -> nn.Module:
    configuration = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    return transformers.ResNetForImageClassification(configuration)


ARCHITECTURES: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "alexnet": (torchvision.models.alexnet, 224),
    "resnet18": (torchvision.models.resnet18, 64),
    "torchvision-vit": (lambda: torchvision.models.VisionTransformer(32, 8, 2, 2, 32, 48), 32),
    "timm-vit": (lambda: timm.create_model("vit_tiny_patch16_224", pretrained=False), 224),
    "timm-resnet": (lambda: timm.create_model("test_resnet", pretrained=False), 64),
    "hf-vit": (hugging_face_vit, 32),
    "hf-resnet": (hugging_face_resnet, 64),
    "clip": (clip_vision_tower, 32),
    "fpn": (lambda: resnet_fpn_backbone(backbone_name="resnet18", weights=None), 64),
}
BATCH_SIZE = 2


@cache
def built(architecture: str) -> tuple[nn.Module, int, adapters.Layers]:
    """Return a model, its image size and its listed layers: made once, as every test leaves a model as it was."""
    make, size = ARCHITECTURES[architecture]
    model = make()
    return model, size, adapters.find_adapter(model)(model).layers((3, size, size))


def leaves(output):
    """Return the tensors of a structure in order."""
    if isinstance(output, torch.Tensor):
        return [output]
    items = output.values() if hasattr(output, "values") else output if isinstance(output, (tuple, list)) else []
    return [leaf for item in items for leaf in leaves(item)]


def forward_by_hand(model: nn.Module, images: np.ndarray, size: int = BATCH_SIZE) -> dict[str, np.ndarray]:
    """Return the last output of every module, and the model's own output under ''."""
    found: dict[str, list[np.ndarray]] = {}
    last: dict[str, torch.Tensor] = {}

    def keep(name):
        def hook(_module, _args, output):
            tensors = leaves(output)
            if tensors:
                last[name] = tensors[0].detach().clone()

        return hook

    handles = [m.register_forward_hook(keep(name)) for name, m in model.named_modules(remove_duplicate=False)]
    model.eval()
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad():
        for start in range(0, len(images), size):
            last.clear()
            model(torch.from_numpy(images[start : start + size]))
            for name, value in last.items():
                found.setdefault(name, []).append(value.flatten(1).numpy())
    torch.backends.mha.set_fastpath_enabled(fast)
    for handle in handles:
        handle.remove()
    return {name: np.concatenate(values) for name, values in found.items()}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_layer_equals_the_models_own_forward_bit_for_bit(read, batch, architecture):
    model, size, listed = built(architecture)
    images = batch(3, 3, size, size)
    expected = forward_by_hand(model, images)
    wanted = [*reversed(listed), "logits"]
    assembly = read(model, images, wanted, batch_size=BATCH_SIZE)
    assert set(listed) <= set(expected)
    start = 0
    for name in wanted:  # by position: selecting 150 layers among millions of neuroids takes a minute
        oracle = expected["" if name == "logits" else name]
        values = assembly.values[:, start : start + oracle.shape[1]]
        np.testing.assert_array_equal(values, oracle, err_msg=name)
        assert assembly["neuroid_id"][start].item() == f"{type(model).__name__}.{name}.0"
        start += oracle.shape[1]
    assert start == assembly.sizes["neuroid"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_modules_that_are_not_listed_are_aliases_or_cannot_be_read(architecture):
    model, _, layers = built(architecture)
    known = {alias for name in layers for alias in (name, *layers[name].aliases)}
    rest = {name for name, _ in model.named_modules(remove_duplicate=False) if name} - known
    assert rest == set(layers.not_run) | set(layers.unreadable)


@pytest.mark.parametrize(
    ("architecture", "layer", "shape"),
    [
        ("alexnet", "features.12", (256, 6, 6)),
        ("alexnet", "classifier.6", (1000,)),
        ("resnet18", "layer4.1", (512, 2, 2)),
        ("resnet18", "layer4", (512, 2, 2)),
        ("resnet18", "fc", (1000,)),
        ("timm-vit", "blocks.11", (197, 192)),
        ("timm-vit", "blocks.0.attn.qkv", (197, 576)),
        ("hf-vit", "vit.layernorm", (17, 32)),
        ("clip", "logits", (17, 32)),
        ("fpn", "logits", (256, 16, 16)),
        ("fpn", "body", (64, 16, 16)),
    ],
)
def test_known_shapes(architecture, layer, shape):
    assert built(architecture)[2][layer].shape == shape


@pytest.mark.parametrize("part", ["0", "1", "pool"])
def test_levels_of_a_detection_backbone(read, batch, part):
    model, size, _ = built("fpn")
    images = batch(2, 3, size, size)
    with torch.no_grad():
        expected = model.eval()(torch.from_numpy(images))[part].flatten(1).numpy()
    np.testing.assert_array_equal(read(model, images, [f"logits:{part}"]).values, expected)


def test_parts_of_a_hugging_face_output(read, batch):
    model, images = built("clip")[0], batch(2, 3, 32, 32)
    with torch.no_grad():
        expected = model.eval()(pixel_values=torch.from_numpy(images))
    assembly = read(model, images, ["logits:pooler_output", "logits:last_hidden_state", "logits"])
    for layer, name in [("logits:pooler_output",) * 2, ("logits:last_hidden_state",) * 2, ("logits", None)]:
        output = expected[(name or "logits:last_hidden_state").partition(":")[2]]
        np.testing.assert_array_equal(assembly.sel(layer=layer).values, output.flatten(1).numpy())


def test_size_is_read_from_the_configuration():
    assert adapters.find_adapter(model := hugging_face_vit())(model).input.size == (32, 32)
    assert adapters.find_adapter(model := clip_vision_tower())(model).input.size == (32, 32)
    assert adapters.find_adapter(model := timm.create_model("test_resnet"))(model).input.size == (160, 160)
    vision_transformer = torchvision.models.VisionTransformer(48, 8, 1, 2, 32, 48)
    assert adapters.find_adapter(vision_transformer)(vision_transformer).input.size == (48, 48)


def test_timm_model_built_for_another_image_size_is_read_at_that_size():
    model = timm.create_model("test_vit", pretrained=False, img_size=64)
    extractor = adapters.wrap(model)
    assert extractor.image_size == 64
    assert extractor(np.zeros((1, 80, 80, 3)), ["logits"]).sizes["neuroid"] == 1000
