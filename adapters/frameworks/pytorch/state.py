"""Put a model into the state in which it is read, and back into the state in which the user left it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from ...errors import DeviceError
from ...turns import turn_of

__all__ = ["EXCLUSIVE", "choose_device", "device_of", "prepared"]

_SEED = 0
# Hooks, modes and devices belong to the module, random state and backend flags to the process, and none of them to the
# thread: runs take turns.
EXCLUSIVE = turn_of("torch")


def device_of(model: nn.Module) -> torch.device | None:
    """Return the device of the model's tensors; None when it has none or they are spread over several."""
    devices = {tensor.device for tensor in (*model.parameters(), *model.buffers())}
    return devices.pop() if len(devices) == 1 else None


def choose_device(model: nn.Module, asked: str | None) -> torch.device:
    """Pick where to run: what was asked for, else where the model is unless an accelerator is free.

    Raises
    ------
    DeviceError
        If the device asked for does not exist here.
    """
    if asked is not None:
        _require(asked)
        return torch.device(asked)
    found = device_of(model)
    has_tensors = next(iter((*model.parameters(), *model.buffers())), None) is not None
    if has_tensors and (found is None or found.type != "cpu"):
        return found if found is not None else next(model.parameters()).device
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def _require(asked: str) -> None:
    try:
        kind = torch.device(asked).type
    except RuntimeError as error:
        raise DeviceError(
            f"device={asked!r} is no device that PyTorch knows. Use 'cpu', 'cuda', 'cuda:1' or 'mps'."
        ) from error
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not present.get(kind, True):
        raise DeviceError(
            f"device={asked!r} was asked for, but PyTorch {torch.__version__} finds no such device here. Leave device "
            f"out to run on what there is, or see `brain-adapters doctor`."
        )


@contextmanager
def prepared(model: nn.Module, device: torch.device, *, autocast: torch.dtype | None = None) -> Iterator[None]:
    """Hold the model in evaluation mode on the device, with seeded random state and no gradients, then restore all.

    Parameters
    ----------
    model : torch.nn.Module
        Left as found.
    device : torch.device
        Where it runs.
    autocast : torch.dtype, optional
        Of automatic mixed precision; None switches it off.
    """
    original = device_of(model)
    modes = [(module, module.training) for module in model.modules()]
    with ExitStack() as stack:
        stack.enter_context(_seeded(device))
        # not inference_mode, not even the caller's: what a model caches must stay usable for training
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        # nor do values depend on the caller's
        stack.enter_context(torch.autocast(device.type, dtype=autocast, enabled=autocast is not None))
        stack.enter_context(_plain_attention())
        stack.enter_context(_eager(model))
        try:
            if original is not None and original != device:
                model.to(device)
            model.eval()
            yield
        finally:
            for module, training in modes:
                module.training = training
            if original is not None and original != device:
                model.to(original)


@contextmanager
def _seeded(device: torch.device) -> Iterator[None]:
    """Seed the generators of the CPU and of this device, and no other's; restore both."""
    generators = [torch.default_generator]
    if device.type == "cuda":
        torch.cuda.init()
        index = torch.cuda.current_device() if device.index is None else device.index
        generators.append(torch.cuda.default_generators[index])
    elif device.type == "mps":
        generators.append(torch.mps._get_default_mps_generator())
    states = [generator.get_state() for generator in generators]
    try:
        for generator in generators:
            generator.manual_seed(_SEED)
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Switch off the fused transformer path: it would come and go with the hooks, and its values differ slightly."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


@contextmanager
def _eager(model: nn.Module) -> Iterator[None]:
    """Run compiled parts eagerly: hooks that come after compilation do not fire in the compiled code."""
    is_compiled = any(
        type(module).__name__ == "OptimizedModule" or getattr(module, "_compiled_call_impl", None) is not None
        for module in model.modules()
    )
    if not is_compiled:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
