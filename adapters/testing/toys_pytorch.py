"""The toy network in PyTorch; see `adapters.testing.toys` for what each layer does."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .case import AdapterCase, ModelState
from .toys import NORM_EPSILON, TOKEN_NORM_EPSILON, Toy

__all__ = ["pytorch_case"]

_NAMES = {
    "conv1": "stem.0",
    "relu1": "stem.1",
    "pool": "stem.2",
    "pool_alias": "stem",
    **{name: name for name in ("conv2", "norm", "token_norm", "shared", "branch")},
    **{name: name for name in ("dropout", "noise", "head", "unused")},
}


def pytorch_case() -> AdapterCase:
    """Return the case of our own PyTorch adapter, on the CPU; imports torch."""
    from ..frameworks.pytorch import PyTorchAdapter

    return AdapterCase(
        name="pytorch",
        adapter=PyTorchAdapter,
        build_model=_build,
        snapshot=_snapshot,
        layer_names=_NAMES,
        image_shape=(3, 10, 14),
        device="cpu",
    )


@functools.cache
def _network() -> Any:
    """Return the class of the network, defined at first use because its base is torch's."""
    import torch
    from torch import nn

    class Branch(nn.Module):
        def forward(self, tokens: Any) -> Any:
            positions = torch.arange(tokens.shape[1], device=tokens.device).expand(tokens.shape[:2])
            return positions, 2 * tokens, {"mean": tokens.mean(1)}

    class Noise(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.zeros(1))

        def forward(self, values: Any) -> Any:
            return values + self.scale * torch.randn_like(values)

    class ToyNetwork(nn.Module):
        def __init__(self, toy: Toy) -> None:
            super().__init__()
            self.toy = toy
            self.head = nn.Linear(6, 5)  # registered first and run last: the order of a listing is that of execution
            self.unused = nn.Linear(6, 2)
            self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2))
            self.conv2 = nn.Conv2d(4, 6, 3, stride=2, padding=1)
            self.norm = nn.BatchNorm2d(6, eps=NORM_EPSILON)
            self.token_norm = nn.LayerNorm(6, eps=TOKEN_NORM_EPSILON)
            self.shared = nn.Linear(6, 6)
            self.branch = Branch()
            self.dropout = nn.Dropout(0.5)
            self.noise = Noise()

        def forward(self, images: Any) -> Any:
            self.toy.probe("start", images)
            values = self.stem(images)
            self.toy.probe("middle", values)
            values = self.norm(self.conv2(values))
            tokens = self.shared(self.token_norm(values.flatten(2).transpose(1, 2)))
            _, _, parts = self.branch(tokens)
            values = self.noise(self.dropout(self.shared(parts["mean"])))
            self.toy.probe("head", values)
            return self.head(values) / 2

    return ToyNetwork


def _build(toy: Toy) -> Any:
    """Build the network as a training script leaves it: in training mode, but for one frozen layer."""
    import torch

    model = _network()(toy)
    with torch.no_grad():
        for name, tensor in _tensors(model).items():
            value = toy.weights[name]
            is_dense = value.ndim == 2  # torch keeps dense kernels as (output, input)
            tensor.copy_(torch.from_numpy(np.array(value.T if is_dense else value)))
    model.to(getattr(torch, toy.dtype)).train()
    model.token_norm.eval()
    return model


def _tensors(model: Any) -> dict[str, Any]:
    tensors = {"noise.scale": model.noise.scale}
    for name, module in {"conv1": model.stem[0], **dict(model.named_children())}.items():
        if name in ("conv1", "conv2", "shared", "unused", "head"):
            tensors.update({f"{name}.kernel": module.weight, f"{name}.bias": module.bias})
        elif name in ("norm", "token_norm"):
            tensors.update({f"{name}.scale": module.weight, f"{name}.offset": module.bias})
    tensors.update({"norm.mean": model.norm.running_mean, "norm.variance": model.norm.running_var})
    return tensors


def _snapshot(model: Any) -> ModelState:
    import torch

    registries = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    flags = {
        "torch.is_grad_enabled()": torch.is_grad_enabled(),
        "torch.backends.mha.get_fastpath_enabled()": torch.backends.mha.get_fastpath_enabled(),
        **{f"{name}.requires_grad": parameter.requires_grad for name, parameter in model.named_parameters()},
        **{f"{name}.device": str(parameter.device) for name, parameter in model.named_parameters()},
    }
    modes = {f"{name or 'model'}.training": module.training for name, module in model.named_modules()}
    return ModelState(
        modes={**flags, **modes},
        n_hooks=sum(len(getattr(module, registry)) for module in model.modules() for registry in registries),
        random_state=torch.get_rng_state().numpy().tobytes(),
        weights={
            name: tensor.cpu().contiguous().view(torch.uint8).numpy().tobytes()
            for name, tensor in ((name, tensor.flatten()) for name, tensor in model.state_dict().items())
        },
    )
