"""The PyTorch adapter: what the extractor asks, answered with the modules of this package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ...callables import PerImagePreprocessing, Preprocess
from ...contract import Adapter, Forward, InputSpec, is_instance_of
from ...errors import UnsupportedModelError
from ...layers import LayerRequest, Layers
from ...preprocessing import Preprocessing
from ...recorded import probe_images
from ...reducing import LayerReduction, Reducing
from .capture import Capture
from .fingerprint import numerics_of, structure_of
from .listing import list_layers
from .reducing import TorchMath
from .state import EXCLUSIVE, choose_device, prepared

__all__ = ["PyTorchAdapter"]

_PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


class PyTorchAdapter(Adapter):
    """Reads any ``torch.nn.Module`` through forward hooks.

    Compiled (``torch.compile``) and data-parallel models are unwrapped; TorchScript is refused with a reason.

    Parameters
    ----------
    model : torch.nn.Module
        Left as found: mode, hooks, device, flags and random state.
    device : str, optional
        ``'cpu'``, ``'cuda'``, ``'cuda:1'``, ``'mps'``; None takes CUDA or MPS when there is one.
    forward_kwargs : mapping, optional
        Passed to the model's forward beside the images, as they are: ``{"interpolate_pos_encoding": True}``, say.
    precision : {'float32', 'bfloat16', 'float16'}
        In which layers compute where autocast knows them to bear it; anything but float32 changes values in the third
        digit. Values come out as float32 all the same.
    channels_last : bool
        Whether images lie in memory as (row, column, channel), which convolutions on a GPU like; last bits may change.

    Raises
    ------
    UnsupportedModelError
        For TorchScript, or a model whose input is not an image.
    DeviceError
        If the device does not exist here.
    ValueError
        If there is no such precision.
    """

    framework: ClassVar[str] = "pytorch"

    def __init__(
        self,
        model: Any,
        *,
        device: str | None = None,
        forward_kwargs: Mapping[str, Any] | None = None,
        precision: str = "float32",
        channels_last: bool = False,
    ) -> None:
        super().__init__(_unwrapped(model), device=device)
        if precision not in _PRECISIONS:
            raise ValueError(f"precision={precision!r} is unknown. Use one of: {', '.join(map(repr, _PRECISIONS))}.")
        self._forward_kwargs = dict(forward_kwargs or {})
        self._autocast, self._channels_last = _PRECISIONS[precision], channels_last
        self._device = choose_device(self.model, device)
        self.asynchronous = self._device.type == "cuda"
        self._listed: dict[tuple[object, ...], Layers] = {}

    @classmethod
    def accepts(cls, model: object) -> bool:
        """Tell whether this is a ``torch.nn.Module``."""
        return is_instance_of(model, "torch.nn", "Module")

    @property
    def input(self) -> InputSpec:
        """Size from timm's or Hugging Face's configuration or torchvision's ``image_size``; channels from a conv."""
        convolution = next((module for module in self.model.modules() if isinstance(module, nn.Conv2d)), None)
        n_channels = convolution.in_channels if convolution is not None else 3
        return InputSpec(size=_size_of(self.model), n_channels=n_channels, channel_axis=1)

    def preprocessing(self) -> Preprocess | None:
        """Return timm's evaluation transform, which travels with the model; others keep theirs elsewhere."""
        configuration = getattr(self.model, "pretrained_cfg", None)
        if not isinstance(configuration, Mapping) or "crop_pct" not in configuration:
            return None
        size = _size_of(self.model) or configuration["input_size"][1:]
        configuration = {**configuration, "input_size": (configuration["input_size"][0], *size)}
        return _from_timm(configuration) or _made_by_timm(self.model)

    def layers(self, image_shape: tuple[int, ...]) -> Layers:
        """List the layers from recorded passes over grey gradients."""
        _require_initialised(self.model)
        key = (image_shape, *_structure(self.model))
        if key not in self._listed:
            with EXCLUSIVE, prepared(self.model, self._device):
                images = torch.from_numpy(probe_images(image_shape)).to(self._device, self._input_dtype())
                self._listed[key] = list_layers(self.model, self._run, images)
        return self._listed[key]

    @contextmanager
    def open(
        self,
        requests: Sequence[LayerRequest],
        image_shape: tuple[int, ...],
        reductions: Mapping[str, LayerReduction] | None = None,
    ) -> Iterator[Forward]:
        """Register the hooks once and give the forward pass; see `adapters.contract.Adapter.open`."""
        layers = self.layers(image_shape)
        with EXCLUSIVE, prepared(self.model, self._device, autocast=self._autocast):
            capture = Capture(
                self.model,
                requests,
                layers,
                forward=self._run,
                device=self._device,
                dtype=self._input_dtype(),
                reducing=Reducing(reductions, self.math),
            )
            with capture:
                yield capture

    @property
    def math(self) -> TorchMath:
        """What reductions compute with."""
        return TorchMath(self._device)

    def to_host(self, activations: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Wait for the copies of one batch, and give them as arrays; valid until the next but one forward pass."""
        event = getattr(activations, "event", None)
        if event is not None:
            event.synchronize()
        return {
            key: value.cpu().numpy() if isinstance(value, torch.Tensor) else value for key, value in activations.items()
        }

    def weights(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield parameters and buffers, also non-persistent ones, as contiguous arrays of their raw bytes."""
        for name, tensor in (*self.model.named_parameters(), *self.model.named_buffers()):
            yield name, tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()

    def structure(self, image_shape: tuple[int, ...]) -> Mapping[str, Any]:
        """Return modules, settings and hooks as they stand; see `adapters.contract.Adapter.structure`."""
        return structure_of(self.model, self._forward_kwargs)

    def numerics(self) -> Mapping[str, Any]:
        """Return flags, versions and device; see `adapters.contract.Adapter.numerics`."""
        found = numerics_of(self.model, self._device, self._input_dtype())
        asked = {"autocast": str(self._autocast)} if self._autocast is not None else {}
        layout = {"images": "channels last"} if self._channels_last else {}
        return {**found, "settings": {**found["settings"], **asked, **layout}}

    @property
    def imports(self) -> tuple[str, ...]:
        """Modules that must be there to run the model."""
        return ("torch",)

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Recognise CUDA's and MPS's out-of-memory errors."""
        return isinstance(error, torch.OutOfMemoryError) or "MPS backend out of memory" in str(error)

    def _input_dtype(self) -> torch.dtype:
        tensors = (*self.model.parameters(), *self.model.buffers())
        return next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), torch.float32)

    def _run(self, images: torch.Tensor) -> Any:
        if self._channels_last and images.ndim == 4:
            images = images.contiguous(memory_format=torch.channels_last)
        name = getattr(self.model, "main_input_name", None)  # Hugging Face says which argument takes the image
        args, named = ((), {name: images}) if isinstance(name, str) else ((images,), {})
        return self.model(*args, **named, **self._forward_kwargs)


def _unwrapped(model: Any) -> nn.Module:
    while True:
        if isinstance(model, torch.jit.ScriptModule):
            raise UnsupportedModelError(
                f"{type(model).__name__} is a TorchScript model: its layers run inside the TorchScript interpreter, "
                f"where hooks do not fire. Pass the torch.nn.Module that it was scripted or traced from."
            )
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        elif type(model).__name__ == "OptimizedModule" and hasattr(model, "_orig_mod"):
            model = model._orig_mod
        else:
            break
    name = getattr(model, "main_input_name", "pixel_values")
    if isinstance(name, str) and name not in ("pixel_values", "pixels", "images"):
        raise UnsupportedModelError(
            f"{type(model).__name__} takes {name!r} first, not images. Pass its vision part, for example "
            f"model.vision_model."
        )
    return model


def _require_initialised(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if any(is_lazy(own) for own in (*module._parameters.values(), *module._buffers.values())):
            raise UnsupportedModelError(
                f"Layer {name!r} of {type(model).__name__} is a {type(module).__name__} that has no weights yet; a run "
                f"would make some up, and change the model. Run the model on one batch first, or load its weights."
            )


def _structure(model: nn.Module) -> Iterator[object]:
    """Yield what a listing depends on: a model that was changed since is listed anew."""
    for name, module in model.named_modules(remove_duplicate=False):
        yield name, id(module), type(module)
        for own in (*module._parameters.values(), *module._buffers.values()):
            yield None if own is None else tuple(own.shape)


def _size_of(model: nn.Module) -> tuple[int, int] | None:
    config, patches = getattr(model, "config", None), getattr(model, "patch_embed", None)
    pretrained = getattr(model, "pretrained_cfg", None)
    for found in (
        getattr(patches, "img_size", None),  # timm's configuration keeps the old size when img_size is overridden
        pretrained.get("input_size", ())[1:] if isinstance(pretrained, Mapping) else None,
        getattr(config, "image_size", None),
        getattr(model, "image_size", None),
    ):
        if isinstance(found, int):
            return found, found
        if isinstance(found, (tuple, list)) and len(found) == 2 and all(isinstance(side, int) for side in found):
            return found[0], found[1]
    return None


def _from_timm(configuration: Mapping[str, Any]) -> Preprocessing | None:
    """Read timm's evaluation transform as data, where it is of the usual kind."""
    n_channels, height, width = configuration["input_size"]
    mode, percent = configuration.get("crop_mode", "center"), configuration["crop_pct"]
    is_squashed = mode == "squash"
    if n_channels != 3 or mode not in ("center", "squash") or (height != width and not is_squashed):
        return None
    rows, columns = int(height / percent), int(width / percent)
    return Preprocessing(
        size=(height, width),
        resize=(rows, columns) if is_squashed else rows,
        interpolation=configuration.get("interpolation", "bilinear"),
        mean=tuple(configuration["mean"]),
        std=tuple(configuration["std"]),
    )


def _made_by_timm(model: nn.Module) -> PerImagePreprocessing:
    """Let timm make the transform of a model whose configuration is of an unusual kind."""
    from timm.data import create_transform, resolve_model_data_config

    return PerImagePreprocessing(create_transform(**resolve_model_data_config(model), is_training=False))
