"""Learn from recorded forward passes which layers a model has, in which order they run, and what they return."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from ...layers import LOGITS, Layers
from ...outputs import pick
from ...recorded import N_PROBES, Part, Path, Recording, forward_failed, layers_of

__all__ = ["is_floating_tensor", "list_layers", "pick_tensor"]

_OTHERS = frozenset(("keras", "tf_keras", "tensorflow", "flax", "equinox", "haiku"))
_TORCHSCRIPT = "it is TorchScript, inside which hooks do not fire. Replace it by the module it was made from."


def is_floating_tensor(value: Any) -> bool:
    """Tell a tensor of floating dtype from anything else."""
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def pick_tensor(output: Any, path: Path, layer: str, n_images: int) -> torch.Tensor:
    """Return the tensor that a request means."""
    tensor: torch.Tensor = pick(output, path, layer=layer, n_images=n_images, is_floating_array=is_floating_tensor)
    return tensor


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
    return layers_of(short, long, model=type(model).__name__)


def _recorded(model: nn.Module, forward: Any, batch: torch.Tensor) -> Recording:
    """Run one forward pass with a hook on every module."""
    recording = Recording(is_floating_tensor)
    handles = []

    def measure(_path: Path, tensor: torch.Tensor) -> Part:
        # what a model computes in inference mode has no version: count it as changed, so that nothing is taken for it
        version = -recording.n_heard if tensor.is_inference() else tensor._version
        return Part(tuple(tensor.shape), (id(tensor), version))

    def hook(module: nn.Module, _inputs: Any, output: Any) -> None:
        recording.hear(LOGITS if module is model else id(module), output, measure)

    for name, module in model.named_modules(remove_duplicate=False):
        if name == LOGITS:  # that name is the final output's; a submodule of this name is not listed
            continue
        is_script = isinstance(module, torch.jit.ScriptModule)
        key = LOGITS if module is model else id(module)
        if key not in recording and not is_script:
            handles.append(module.register_forward_hook(hook))
        recording.expect(key, name or LOGITS, type(module).__name__, unreadable=_TORCHSCRIPT if is_script else "")
    for name, part, framework in _of_other_frameworks(model):
        recording.expect(
            id(part),
            name,
            type(part).__name__,
            unreadable=f"it is of {framework}, and hooks of PyTorch do not reach it. Wrap it by itself, or request the "
            f"modules before and after it.",
        )
    try:
        forward(batch)
    except Exception as error:
        is_full = isinstance(error, torch.OutOfMemoryError)
        shape = tuple(batch.shape)
        raise forward_failed(error, model=type(model).__name__, batch_shape=shape, is_out_of_memory=is_full) from error
    finally:
        for handle in handles:
            handle.remove()
        recording.close()
    return recording


def _of_other_frameworks(model: nn.Module) -> Iterator[tuple[str, Any, str]]:
    """Yield name, object and framework of what looks like a layer and is no module; imports nothing to find out."""
    for outer, module in model.named_modules():
        for attribute, part in vars(module).items():
            roots = {base.__module__.partition(".")[0] for base in type(part).__mro__} & _OTHERS
            if roots and callable(part):
                yield f"{outer}.{attribute}" if outer else attribute, part, min(roots)
