"""Keras on PyTorch: layers run as they come, so a value is copied at once and the pass stops after the last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import torch

from ...errors import ActivationShapeError, DeviceError
from ...fingerprints import torch_numerics
from .engine import Compute, Engine

__all__ = ["TorchEngine"]

_SEED = 0


class TorchEngine(Engine):
    """See `Engine`; devices are ``'cpu'``, ``'cuda'``, ``'cuda:1'``, ``'mps'``."""

    def __init__(self, device: str | None) -> None:
        super().__init__(device)
        asked = None if device is None else device.lower().replace("gpu", "cuda")
        if asked is not None and not _exists(asked):
            raise DeviceError(
                f"device={device!r} was asked for, but PyTorch {torch.__version__} finds no such device here. Leave "
                f"device out to run on what there is, or see `brain-adapters doctor`."
            )
        # Keras puts what it makes on a device of its own choice, and its layers there as well
        self._device = torch.device(asked or keras.ops.zeros(()).device)
        self.takes_weights = asked is not None

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Switch gradients off, seed the random state and choose the device, then restore all."""
        devices = [self._device] if self._device.type == "cuda" else []
        with (
            torch.random.fork_rng(devices=devices),
            torch.inference_mode(False),
            torch.no_grad(),
            torch.autocast(self._device.type, enabled=False),
            keras.device(str(self._device)),
        ):
            torch.default_generator.manual_seed(_SEED)
            if devices:
                torch.cuda.manual_seed(_SEED)
            yield

    def tensor(self, array: np.ndarray) -> Any:
        """Bring an array to the device."""
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)

    def trace(self, compute: Compute, values: Sequence[Any], images: np.ndarray) -> None:
        """Run for real."""
        compute(values, self.tensor(images))

    def compile(self, compute: Compute, values: Sequence[Any], images: Any) -> Compute | None:
        """Compile nothing."""
        return None

    def values_of(self, variables: Sequence[Any]) -> list[Any]:
        """Return the values on the device."""
        return [variable.value.detach().to(self._device) for variable in variables]

    def keep(self, value: Any, out: np.ndarray | None) -> Any:
        """Copy a value, into the memory offered for it where it can be."""
        value = value.detach()
        if out is None or value.device.type != "cpu":
            return value.to(copy=True, memory_format=torch.contiguous_format, dtype=value.dtype)
        if value[0].numel() != out.shape[1]:
            raise ActivationShapeError(
                f"A layer returned shape {tuple(value.shape)}, but {out.shape[1]} values per image before. A layer "
                f"must have one shape for all images; preprocess them to one size."
            )
        place = torch.from_numpy(out).view(value.shape)
        if value.dim() == 4 and value.stride(1) == 1:  # channels come last in memory
            for image, copied in zip(value, place, strict=True):  # a matrix is turned faster than an array of rank 4
                copied.flatten(1).copy_(image.flatten(1))
        else:
            place.copy_(value)
        return out

    def numerics(self) -> dict[str, Any]:
        """See `Engine.numerics`."""
        return torch_numerics(torch, self._device)

    def wait(self, values: Mapping[str, Any]) -> None:
        """Nothing to wait for: reading a value does."""

    def to_host(self, value: Any) -> np.ndarray:
        """Return a value as an array."""
        array: np.ndarray = value.cpu().numpy() if isinstance(value, torch.Tensor) else value
        return array


def _exists(name: str) -> bool:
    try:
        device = torch.device(name)
    except RuntimeError:
        return False
    present = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    return (device.index or 0) < present.get(device.type, 0)
