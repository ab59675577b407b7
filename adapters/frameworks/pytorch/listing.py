"""Learn from recorded forward passes which layers a model has, in which order they run, and what they return."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ...errors import BudgetError, ModelForwardError
from ...layers import LOGITS, Layer, Layers
from ...outputs import describe, floating_leaves, pick

__all__ = ["N_PROBES", "is_floating_tensor", "list_layers", "pick_tensor"]

# Two passes of different length: an axis that has the batch's length in both is the batch.
N_PROBES = (2, 3)
Path = tuple[str, ...]


def is_floating_tensor(value: Any) -> bool:
    """Tell a tensor of floating dtype from anything else."""
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def pick_tensor(output: Any, path: Path, layer: str, n_images: int) -> torch.Tensor:
    """Return the tensor that a request means."""
    tensor: torch.Tensor = pick(output, path, layer=layer, n_images=n_images, is_floating_array=is_floating_tensor)
    return tensor


@dataclass(frozen=True)
class _Tensor:
    """One tensor of one call's output: its shape, and what makes it the same tensor as another module's."""

    shape: tuple[int, ...]
    identity: tuple[int, int]


@dataclass
class _Seen:
    """What one module did during one recorded pass."""

    module: nn.Module
    names: list[str]
    first_position: int = -1
    calls: list[dict[Path, _Tensor]] = field(default_factory=list)
    description: str = ""


@dataclass
class _Ran:
    """A module that ran and can be read: per call, which part of its output is read, and its shape per image."""

    module: nn.Module
    names: list[str]
    first_position: int
    parts: list[Path]
    shapes: list[tuple[int, ...]]
    identities: list[tuple[int, int]]


class _Recorder:
    """Hooks on every module of a model, for one forward pass."""

    def __init__(self, model: nn.Module) -> None:
        self.seen: dict[int, _Seen] = {}
        for name, module in model.named_modules(remove_duplicate=False):
            if name != LOGITS:  # that name is the final output's; a submodule of this name is not listed
                self.seen.setdefault(id(module), _Seen(module, [])).names.append(name)
        self._position = 0
        self._alive: list[Any] = []  # keeps ids unique for the length of the pass

    def _hook(self, module: nn.Module, _inputs: Any, output: Any) -> None:
        seen = self.seen[id(module)]
        if seen.first_position < 0:
            seen.first_position = self._position
        self._position += 1
        leaves = floating_leaves(output, is_floating_tensor)
        self._alive.append(leaves)
        seen.description = describe(output)
        seen.calls.append({path: _Tensor(tuple(leaf.shape), self._identity(leaf)) for path, leaf in leaves.items()})

    def _identity(self, tensor: torch.Tensor) -> tuple[int, int]:
        # what a model computes in inference mode has no version: count it as changed, so that nothing is taken for it
        return id(tensor), -self._position if tensor.is_inference() else tensor._version

    def run(self, forward: Any, batch: torch.Tensor) -> dict[int, _Seen]:
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
        return self.seen


def list_layers(model: nn.Module, forward: Any, images: torch.Tensor) -> Layers:
    """Run the model on a few images and list what ran.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode, on its device.
    forward : callable
        Runs the model on a batch.
    images : tensor of shape (max(N_PROBES), ...)
        On the model's device, in its dtype.

    Raises
    ------
    ModelForwardError
        If the model raises on this input.
    BudgetError
        If the device cannot hold it.
    """
    short, long = (_recorded(model, forward, images[:n_images]) for n_images in N_PROBES)
    ran: list[_Ran] = []
    unreadable: dict[str, str] = {}
    not_run: list[str] = []
    for key, seen in short.items():
        if isinstance(seen.module, torch.jit.ScriptModule):
            reason = "it is TorchScript, inside which hooks do not fire. Replace it by the module it was made from."
            unreadable.update(dict.fromkeys(seen.names, reason))
        elif not seen.calls:
            not_run += seen.names
        elif (readable := _readable(seen, long[key], prefers_logits=seen.module is model)) is None:
            unreadable.update(dict.fromkeys(seen.names, _why(seen, long[key])))
        else:
            ran.append(readable)
    output = next((found for found in ran if found.module is model), None)
    if output is None:
        unreadable[LOGITS] = unreadable.pop("", "it was not called as a module. Request another layer.")
    ran = sorted((found for found in ran if found is not output), key=lambda found: found.first_position)
    return Layers(
        _layers(ran),
        model=type(model).__name__,
        output=None if output is None else _layer(output, LOGITS, ()),
        not_run=[name for name in not_run if name],
        unreadable=unreadable,
    )


def _recorded(model: nn.Module, forward: Any, batch: torch.Tensor) -> dict[int, _Seen]:
    try:
        return _Recorder(model).run(forward, batch)
    except torch.OutOfMemoryError as error:
        raise BudgetError(
            f"{type(model).__name__} runs out of device memory on {len(batch)} images of shape "
            f"{tuple(batch.shape[1:])}: {error}. Use device='cpu', or smaller images."
        ) from error
    except Exception as error:
        raise ModelForwardError(
            f"{type(model).__name__} raised {type(error).__name__} on a batch of shape {tuple(batch.shape)}: {error}. "
            f"If it expects another size or layout, say so with preprocessing=, for example adapters.imagenet(224)."
        ) from error


def _readable(short: _Seen, long: _Seen, *, prefers_logits: bool) -> _Ran | None:
    """Find in each call's output the first tensor with one row per image; None if one of the calls has none."""
    parts: list[Path] = []
    for call, tensors in enumerate(short.calls):
        in_long = long.calls[call] if call < len(long.calls) else {}
        rows = [path for path in tensors if _has_rows(path, tensors, in_long)]
        if prefers_logits:
            rows.sort(key=lambda path: path != (LOGITS,))
        if not rows:
            return None
        parts.append(rows[0])
    tensors_read = [tensors[part] for tensors, part in zip(short.calls, parts, strict=True)]
    return _Ran(
        short.module,
        [name for name in short.names if name] or [LOGITS],
        short.first_position,
        parts,
        [tensor.shape[1:] for tensor in tensors_read],
        [tensor.identity for tensor in tensors_read],
    )


def _has_rows(path: Path, short: dict[Path, _Tensor], long: dict[Path, _Tensor]) -> bool:
    return all(
        path in tensors and tensors[path].shape[:1] == (n_images,)
        for tensors, n_images in zip((short, long), N_PROBES, strict=True)
    )


def _why(short: _Seen, long: _Seen) -> str:
    """Say why a module cannot be read."""
    for seen, n_images in zip((short, long), N_PROBES, strict=True):
        for tensors in seen.calls:
            if not tensors:
                return f"it returned {seen.description}, which holds no floating-point array. Request another layer."
            if all(tensor.shape[:1] != (n_images,) for tensor in tensors.values()):
                shapes = ", ".join(str(tensor.shape) for tensor in tensors.values())
                return (
                    f"it returned shape {shapes} for {n_images} images; the first axis must be the batch. Request "
                    f"another layer, or one after which the batch axis is first again."
                )
    return "no part of its output has one row per image. Request another layer."


def _layers(ran: list[_Ran]) -> list[Layer]:
    same_as = _containers_of_their_last_child(ran)
    layers = []
    for found in ran:
        if id(found.module) in same_as:
            continue
        containers = [other for other in ran if same_as.get(id(other.module)) == id(found.module)]
        aliases = (*found.names[1:], *(name for other in containers for name in other.names))
        layers.append(_layer(found, found.names[0], aliases))
    return layers


def _layer(found: _Ran, name: str, aliases: tuple[str, ...]) -> Layer:
    n_calls = len(found.shapes)
    return Layer(
        name=name,
        kind=type(found.module).__name__,
        shape=found.shapes[-1],
        n_calls=n_calls,
        aliases=aliases,
        call_shapes=tuple(found.shapes) if n_calls > 1 else (),
        call_parts=tuple(found.parts) if any(found.parts) else (),
    )


def _containers_of_their_last_child(ran: list[_Ran]) -> dict[int, int]:
    """Find modules that return the very tensor of one of their children, as Sequential does: {container: child}."""
    makers: dict[tuple[int, int], _Ran] = {}
    same_as: dict[int, int] = {}
    for found in ran:  # in order of completion, so the child comes first
        if len(found.identities) != 1:
            continue
        maker = makers.setdefault(found.identities[0], found)
        is_child = any(inner.startswith(outer + ".") for outer in found.names for inner in maker.names)
        if maker is not found and is_child:
            same_as[id(found.module)] = id(maker.module)
    return same_as
