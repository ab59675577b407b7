"""Keras on JAX: one compiled program per request, the weights being arguments of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import numpy as np

from ...errors import DeviceError
from ...fingerprints import jax_numerics
from .engine import Compute, Engine, device_parts

__all__ = ["JaxEngine"]


class JaxEngine(Engine):
    """See `Engine`; devices are ``'cpu'``, ``'gpu'``, ``'gpu:1'``, ``'tpu'``."""

    takes_weights = True

    def __init__(self, device: str | None) -> None:
        super().__init__(device)
        self._device: Any = None
        if device is not None:
            kind, number = device_parts(device)
            try:
                self._device = dict(enumerate(jax.devices(kind)))[number]
            except (RuntimeError, KeyError) as error:
                raise DeviceError(
                    f"device={device!r} was asked for, but JAX {jax.__version__} finds {jax.devices()} here. Leave "
                    f"device out to run on what there is."
                ) from error

    def scope(self) -> AbstractContextManager[Any]:
        """Place what runs on the device, if one was asked for."""
        scope: AbstractContextManager[Any] = nullcontext() if self._device is None else jax.default_device(self._device)
        return scope

    def tensor(self, array: np.ndarray) -> Any:
        """Bring an array to the device."""
        return jax.device_put(array, self._device)

    def trace(self, compute: Compute, values: Sequence[Any], images: np.ndarray) -> None:
        """Trace without computing."""

        def traced(values: Sequence[Any], images: Any) -> None:
            compute(values, images)

        jax.eval_shape(traced, list(values), jax.ShapeDtypeStruct(images.shape, images.dtype))

    def compile(self, compute: Compute, values: Sequence[Any], images: Any) -> Compute | None:
        """Compile for these shapes; the compiler removes what no requested value needs."""
        program: Any = jax.jit(lambda values, images: compute(values, images)).lower(list(values), images).compile()
        return lambda values, images: program(list(values), images)

    def exactly(self) -> AbstractContextManager[Any]:
        """See `Engine.exactly`."""
        scope: AbstractContextManager[Any] = jax.default_matmul_precision("highest")
        return scope

    def values_of(self, variables: Sequence[Any]) -> list[Any]:
        """Return the values on the device."""
        return [jax.device_put(variable.value, self._device) for variable in variables]

    def numerics(self) -> dict[str, Any]:
        """See `Engine.numerics`."""
        return jax_numerics(jax, self._device or jax.local_devices()[0])

    def wait(self, values: Mapping[str, Any]) -> None:
        """Wait for the program, which started running when it was called."""
        jax.block_until_ready(values)
