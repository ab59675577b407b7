"""What differs between Keras's backends: how a function is traced, compiled and run, and where."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np

from ...errors import UnsupportedModelError

__all__ = ["Compute", "Engine", "device_parts", "engine_for"]

_ENGINES = {"tensorflow": "TensorFlowEngine", "jax": "JaxEngine", "torch": "TorchEngine"}

Compute = Callable[[Sequence[Any], Any], Any]
"""Takes values of variables and a batch of images."""


class Engine(ABC):
    """One backend of Keras.

    Parameters
    ----------
    device : str, optional
        In the backend's words; None leaves the choice to it.

    Raises
    ------
    DeviceError
        If the device does not exist here.
    """

    takes_weights: bool = False
    """Whether a compiled function takes all weights as arguments, because it would freeze what it only refers to."""

    def __init__(self, device: str | None) -> None:
        self.device = device

    @abstractmethod
    def scope(self) -> AbstractContextManager[Any]:
        """Hold device, gradients and random state as a run needs them, then restore them."""

    @abstractmethod
    def tensor(self, array: np.ndarray) -> Any:
        """Bring an array to the device."""

    @abstractmethod
    def trace(self, compute: Compute, values: Sequence[Any], images: np.ndarray) -> None:
        """Run a function for what it does in Python; the backend need not compute anything."""

    @abstractmethod
    def compile(self, compute: Compute, values: Sequence[Any], images: Any) -> Compute | None:
        """Compile a function for arguments of these shapes; None where the backend runs everything as it comes."""

    def exactly(self) -> AbstractContextManager[Any]:
        """Have products of single precision computed in it, where an accelerator would round them to less."""
        return nullcontext()

    def values_of(self, variables: Sequence[Any]) -> list[Any]:
        """Return the values of variables on the device."""
        return [variable.value for variable in variables]

    def keep(self, value: Any, out: np.ndarray | None) -> Any:
        """Copy a value to where no later operation reaches it; tensors that cannot change are kept as they are."""
        return value

    @abstractmethod
    def wait(self, values: Mapping[str, Any]) -> None:
        """Return when the values are there, and raise what went wrong on the way."""

    def to_host(self, value: Any) -> np.ndarray:
        """Return a value as an array."""
        return np.asarray(value)

    @abstractmethod
    def numerics(self) -> dict[str, Any]:
        """Return what decides the bits of the backend's results; see `adapters.contract.Adapter.numerics`."""

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Recognise the backend's out-of-memory error."""
        return "RESOURCE_EXHAUSTED" in str(error) or type(error).__name__ in (
            "ResourceExhaustedError",
            "OutOfMemoryError",
        )


def engine_for(device: str | None) -> Engine:
    """Return the engine of the backend that Keras runs on in this process.

    Raises
    ------
    UnsupportedModelError
        For a backend that is not one of the three.
    """
    backend = keras.config.backend()
    if backend not in _ENGINES:
        raise UnsupportedModelError(
            f"Keras runs on the backend {backend!r} here. Supported: {', '.join(_ENGINES)}. Set KERAS_BACKEND before "
            f"keras is imported."
        )
    module = importlib.import_module(f".on_{backend}", __package__)
    engine: Engine = getattr(module, _ENGINES[backend])(device)
    return engine


def device_parts(device: str) -> tuple[str, int]:
    """Return kind and number of a device in anybody's words; -1 where that is no number.

    Examples
    --------
    >>> device_parts("CUDA:1"), device_parts("/cpu"), device_parts("gpu:-1")
    (('gpu', 1), ('cpu', 0), ('gpu', -1))
    """
    kind, colon, number = device.lower().strip("/").removeprefix("device:").partition(":")
    is_number = number.isascii() and number.isdigit()
    return kind.replace("cuda", "gpu"), int(number) if is_number else -1 if colon else 0
