"""Forward hooks that copy each requested value the moment it exists, and stop the forward pass after the last."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ...errors import ActivationShapeError
from ...layers import LOGITS, LayerRequest, Layers
from ...reducing import Reducing
from ...requested import is_due, never_reached, part_of
from .listing import pick_tensor
from .reducing import TorchMath, reduced

__all__ = ["Capture"]


class _Stop(BaseException):
    """Ends a forward pass; no model code that catches Exception can swallow it."""


class Capture:
    """The hooks of one run, and the forward pass that goes with them.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode, on ``device``.
    requests : sequence of LayerRequest
        What to read.
    layers : Layers
        What the model offers, with the number of calls of each.
    forward : callable
        Runs the model on a batch that is on the device.
    device : torch.device
        Where the model is.
    dtype : torch.dtype
        Of the model's input.
    reducing : Reducing, optional
        What is done to values at once, so that only the result is copied.
    """

    def __init__(
        self,
        model: nn.Module,
        requests: Sequence[LayerRequest],
        layers: Layers,
        *,
        forward: Callable[[torch.Tensor], Any],
        device: torch.device,
        dtype: torch.dtype,
        reducing: Reducing | None = None,
    ) -> None:
        self._model, self._requests, self._layers = model, tuple(requests), layers
        self._forward, self._device, self._dtype = forward, device, dtype
        self._reducing = reducing or Reducing(None, TorchMath(device))
        self._handles: list[Any] = []
        self._buffers = _PinnedBuffers() if device.type == "cuda" else None
        self._thread = -1  # the thread whose forward pass is ours; other threads' calls of the model are not
        self._n_images = 0
        self._counts: dict[int, int] = {}
        self._values: dict[str, Any] = {}
        self._out: Mapping[str, np.ndarray] = {}

    def __enter__(self) -> Capture:
        modules = dict(self._model.named_modules(remove_duplicate=False))
        modules[LOGITS] = self._model
        wanted: dict[int, list[LayerRequest]] = {}
        for request in self._requests:
            wanted.setdefault(id(modules[request.name]), []).append(request)
        try:
            for request in self._requests:
                module = modules[request.name]
                if (requests := wanted.pop(id(module), None)) is not None:
                    self._handles.append(module.register_forward_hook(self._make_hook(requests)))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _make_hook(self, requests: list[LayerRequest]) -> Callable[..., None]:
        def hook(module: nn.Module, _inputs: Any, output: Any) -> None:
            if threading.get_ident() != self._thread:
                return
            call = self._counts[id(module)] = self._counts.get(id(module), -1) + 1
            for request in requests:
                if is_due(request, call, self._layers):
                    part = part_of(request, call, self._layers)
                    value = pick_tensor(output, part, request.name, self._n_images)
                    value = reduced(self._reducing, request.requested, value.detach())
                    self._values[request.requested] = self._keep(request.requested, value)
            if len(self._values) == len(self._requests):
                raise _Stop

        return hook

    def _keep(self, key: str, value: torch.Tensor) -> Any:
        """Copy a value to where no later operation of the model can reach it."""
        value = value.detach()
        if self._buffers is not None:
            return self._buffers.fill(key, value)
        out = self._out.get(key)
        if out is None or value.device.type != "cpu":
            return value.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        if value[0].numel() != out.shape[1]:
            raise ActivationShapeError(
                f"Layer {key!r} returned shape {tuple(value.shape)}, but {out.shape[1]} values per image before. A "
                f"layer must have one shape for all images; preprocess them to one size."
            )
        torch.from_numpy(out).view(value.shape).copy_(value)
        return out

    def __call__(self, batch: np.ndarray, out: Mapping[str, np.ndarray] | None = None) -> dict[str, Any]:
        """Run one batch; see `adapters.contract.Forward`."""
        self._n_images, self._out = len(batch), out or {}
        self._counts, self._values = {}, {}
        if self._buffers is not None:
            self._buffers.turn()
        images = torch.from_numpy(np.ascontiguousarray(batch)).to(self._device, self._dtype)
        self._thread = threading.get_ident()
        try:
            self._forward(images)
        except _Stop:
            pass
        finally:
            self._thread = -1
        values = {request.requested: self._values.get(request.requested) for request in self._requests}
        self._values, self._out = {}, {}
        for request in self._requests:
            if values[request.requested] is None:
                raise never_reached(request, type(self._model).__name__)
        return _AfterEvent(values, self._buffers.record()) if self._buffers is not None else values


class _AfterEvent(dict[str, Any]):
    """Values in pinned memory, complete once the event has happened."""

    def __init__(self, values: Mapping[str, Any], event: Any) -> None:
        super().__init__(values)
        self.event = event


class _PinnedBuffers:
    """Two sets of page-locked host buffers: one fills from the device while the other is being read."""

    def __init__(self) -> None:
        self._sets: tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]] = ({}, {})
        self._current = 0

    def turn(self) -> None:
        self._current = 1 - self._current

    def fill(self, key: str, value: torch.Tensor) -> torch.Tensor:
        buffers = self._sets[self._current]
        buffer = buffers.get(key)
        if buffer is None or buffer.shape[0] < value.shape[0] or buffer.shape[1:] != value.shape[1:]:
            buffer = buffers[key] = torch.empty(value.shape, dtype=torch.float32, pin_memory=True)
        # queued on the stream of the forward pass, hence before whatever the model does to the value next
        destination = buffer[: value.shape[0]]
        return destination.copy_(value.to(torch.float32).contiguous(), non_blocking=True)

    def record(self) -> torch.cuda.Event:
        event = torch.cuda.Event()
        event.record()
        return event
