"""Keras on TensorFlow: one concrete function per request, without XLA, which is slower on CPUs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import DeviceError
from ...fingerprints import tensorflow_numerics
from .engine import Compute, Engine, device_parts

__all__ = ["TensorFlowEngine"]

_SEED = 0


class TensorFlowEngine(Engine):
    """See `Engine`; devices are ``'CPU:0'``, ``'GPU:0'`` or ``'cpu'``, ``'gpu'``."""

    def __init__(self, device: str | None) -> None:
        super().__init__(device)
        if device is not None:
            kind, number = device_parts(device)
            if number not in range(len(tf.config.list_logical_devices(kind.upper()))):
                known = [found.name for found in tf.config.list_logical_devices()]
                raise DeviceError(
                    f"device={device!r} was asked for, but TensorFlow {tf.__version__} finds {', '.join(known)} here. "
                    f"Leave device out to run on what there is."
                )
            self.device = f"{kind.upper()}:{number}"

    def scope(self) -> AbstractContextManager[Any]:
        """Place what runs on the device, if one was asked for."""
        return tf.device(self.device)

    def tensor(self, array: np.ndarray) -> Any:
        """Bring an array to the device."""
        with tf.device(self.device):
            return tf.convert_to_tensor(array)

    def trace(self, compute: Compute, values: Sequence[Any], images: np.ndarray) -> None:
        """Build a graph that nobody runs."""
        with tf.__internal__.FuncGraph("listing").as_default():
            compute(values, tf.compat.v1.placeholder(images.dtype, images.shape))

    def compile(self, compute: Compute, values: Sequence[Any], images: Any) -> Compute | None:
        """Trace a concrete function; autograph is off, for it would rewrite our own code."""

        def seeded(values: Sequence[Any], images: Any) -> Any:
            tf.compat.v1.set_random_seed(_SEED)  # of this graph only: what `tf.random` draws in it repeats itself
            return compute(values, images)

        specs = [tf.TensorSpec(value.shape, value.dtype) for value in values]
        concrete: Any = tf.function(seeded, autograph=False).get_concrete_function(
            specs, tf.TensorSpec(images.shape, images.dtype)
        )
        return lambda values, images: concrete(list(values), images)

    def values_of(self, variables: Sequence[Any]) -> list[Any]:
        """Return the values as tensors."""
        return [tf.convert_to_tensor(variable.value) for variable in variables]

    def numerics(self) -> dict[str, Any]:
        """See `Engine.numerics`."""
        return tensorflow_numerics(tf, self.device)

    def wait(self, values: Mapping[str, Any]) -> None:
        """Nothing to wait for: reading a value does."""
