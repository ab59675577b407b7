"""Learn from one recorded forward pass which layers a model has, in which order they run, and what they return."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ...errors import ActivationShapeError, BudgetError, ModelForwardError
from ...layers import LOGITS, Layer, Layers
from ...outputs import pick

__all__ = ["N_PROBE", "is_floating_tensor", "list_layers", "pick_tensor"]

N_PROBE = 2  # with one image, any axis of length 1 would look like the batch


def is_floating_tensor(value: Any) -> bool:
    """Tell a tensor of floating dtype from anything else."""
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def pick_tensor(output: Any, path: tuple[str, ...], layer: str, n_images: int) -> torch.Tensor:
    """Return the tensor that a request means; the model's final output is by preference its logits."""
    if layer == LOGITS and not path:
        logits = output.get(LOGITS) if isinstance(output, dict) else getattr(output, LOGITS, None)
        output = logits if is_floating_tensor(logits) else output
    tensor: torch.Tensor = pick(output, path, layer=layer, n_images=n_images, is_floating_array=is_floating_tensor)
    return tensor


@dataclass
class _Seen:
    """What one module did during the recorded pass."""

    module: nn.Module
    names: list[str]
    first_position: int = -1
    outputs: list[tuple[int, int]] = field(default_factory=list)  # (id, version) of the tensor of each call
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    unreadable: str = ""


class _Recorder:
    """Hooks on every module of a model, for one forward pass."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.seen: dict[int, _Seen] = {}
        for name, module in model.named_modules(remove_duplicate=False):
            if name != LOGITS:  # that name is the final output's; a submodule of this name is not listed
                self.seen.setdefault(id(module), _Seen(module, [])).names.append(name)
        self._position = 0
        self._alive: list[torch.Tensor] = []  # keeps ids unique for the length of the pass

    def _hook(self, module: nn.Module, _inputs: Any, output: Any) -> None:
        seen = self.seen[id(module)]
        if seen.first_position < 0:
            seen.first_position = self._position
        self._position += 1
        layer = LOGITS if module is self.model else seen.names[0]
        try:
            tensor = pick_tensor(output, (), layer, N_PROBE)
        except ActivationShapeError as error:
            seen.unreadable = str(error)
            return
        self._alive.append(tensor)
        # what a model computes in inference mode has no version: count it as changed, so that nothing is taken for it
        version = -self._position if tensor.is_inference() else tensor._version
        seen.outputs.append((id(tensor), version))
        seen.shapes.append(tuple(tensor.shape[1:]))

    def run(self, forward: Any, batch: torch.Tensor) -> None:
        handles = [
            seen.module.register_forward_hook(self._hook)
            for seen in self.seen.values()
            if not isinstance(seen.module, torch.jit.ScriptModule)
        ]
        try:
            forward(batch)
        finally:
            for handle in handles:
                handle.remove()
            self._alive.clear()


def list_layers(model: nn.Module, forward: Any, batch: torch.Tensor) -> Layers:
    """Run the model once on `N_PROBE` images and list what ran.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode, on its device.
    forward : callable
        Runs the model on a batch.
    batch : tensor of shape (N_PROBE, ...)
        On the model's device, in its dtype.

    Raises
    ------
    ModelForwardError
        If the model raises on this input.
    BudgetError
        If the device cannot hold it.
    """
    recorder = _Recorder(model)
    try:
        recorder.run(forward, batch)
    except torch.OutOfMemoryError as error:
        raise BudgetError(
            f"{type(model).__name__} runs out of device memory on {N_PROBE} images of shape {tuple(batch.shape[1:])}: "
            f"{error}. Use device='cpu', or smaller images."
        ) from error
    except Exception as error:
        raise ModelForwardError(
            f"{type(model).__name__} raised {type(error).__name__} on a batch of shape {tuple(batch.shape)}: {error}. "
            f"If it expects another size or layout, say so with preprocessing=, for example adapters.imagenet(224)."
        ) from error
    seen_root = recorder.seen.pop(id(model))
    ran = sorted((seen for seen in recorder.seen.values() if seen.shapes), key=lambda seen: seen.first_position)
    same_as = _containers_of_their_last_child(ran)
    layers = []
    for seen in ran:
        if id(seen.module) in same_as:
            continue
        containers = [other for other in ran if same_as.get(id(other.module)) == id(seen.module)]
        aliases = (*seen.names[1:], *(name for other in containers for name in other.names))
        layers.append(_layer(seen, aliases))
    if not seen_root.shapes:
        raise ModelForwardError(seen_root.unreadable or f"{type(model).__name__} was not called as a module.")
    silent = [seen for seen in recorder.seen.values() if not seen.shapes]
    return Layers(
        layers,
        model=type(model).__name__,
        output=Layer(LOGITS, type(model).__name__, seen_root.shapes[-1]),
        not_run=[name for seen in silent if not seen.unreadable for name in seen.names],
        unreadable={name: seen.unreadable for seen in silent if seen.unreadable for name in seen.names},
    )


def _layer(seen: _Seen, aliases: tuple[str, ...]) -> Layer:
    return Layer(
        name=seen.names[0],
        kind=type(seen.module).__name__,
        shape=seen.shapes[-1],
        n_calls=len(seen.shapes),
        aliases=aliases,
        call_shapes=tuple(seen.shapes) if len(seen.shapes) > 1 else (),
    )


def _containers_of_their_last_child(ran: list[_Seen]) -> dict[int, int]:
    """Find modules that return the very tensor of one of their children, as Sequential does: {container: child}."""
    makers: dict[tuple[int, int], _Seen] = {}
    same_as: dict[int, int] = {}
    for seen in ran:  # in order of completion, so the child comes first
        if len(seen.outputs) != 1:
            continue
        maker = makers.setdefault(seen.outputs[0], seen)
        is_child = any(inner.startswith(outer + ".") for outer in seen.names for inner in maker.names)
        if maker is not seen and is_child:
            same_as[id(seen.module)] = id(maker.module)
    return same_as
