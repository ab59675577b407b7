"""Compile a model to the values that are requested, once per batch shape, and run it batch by batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...errors import LayerNeverRanError
from ...layers import LayerRequest, Layers
from ...outputs import pick
from .network import Snapshot
from .reading import canonical, is_floating_array, visit
from .tagging import Call

__all__ = ["Capture", "Values", "compile_requests"]


class Values(dict[str, Any]):
    """Layers' values on the device; rows after the first ``n_images`` are padding."""

    def __init__(self, values: Mapping[str, Any], n_images: int) -> None:
        super().__init__(values)
        self.n_images = n_images


class _Complete(Exception):
    """Everything that was requested is there."""


def compile_requests(snapshot: Snapshot, requests: Sequence[LayerRequest], layers: Layers) -> Any:
    """Return a compiled function of (arrays, images) that computes the requests and nothing else."""

    def read(arrays: Any, images: Any) -> dict[str, Any]:
        reader = _Requests(snapshot, requests, layers, n_images=images.shape[0])
        with suppress(_Complete):
            visit(snapshot, arrays, images, reader.see)
        return reader.in_order()

    return jax.jit(read)


class _Requests:
    """What was requested, filled while the model is traced."""

    def __init__(self, snapshot: Snapshot, requests: Sequence[LayerRequest], layers: Layers, *, n_images: int) -> None:
        self._snapshot, self._requests, self._layers, self._n_images = snapshot, tuple(requests), layers, n_images
        self._counts: dict[str, int] = {}
        self._values: dict[str, Any] = {}

    def see(self, call: Call, output: Any) -> None:
        """Keep the output where it is requested."""
        number = self._counts[call.name] = self._counts.get(call.name, -1) + 1
        for request in self._requests:
            if self._primary(request.name) == call.name and number == self._wanted_call(request):
                self._values[request.requested] = self._read(call, output, request, number)
        if len(self._values) == len(self._requests):
            raise _Complete

    def _primary(self, name: str) -> str:
        return self._layers[name].name if name in self._layers else name

    def _wanted_call(self, request: LayerRequest) -> int:
        n_calls = self._layers[request.name].n_calls if request.name in self._layers else 1
        return n_calls - 1 if request.call is None else request.call

    def _read(self, call: Call, output: Any, request: LayerRequest, number: int) -> Any:
        part = request.path or (self._layers[request.name].part_of(number) if request.name in self._layers else ())
        value = pick(output, part, layer=request.name, n_images=self._n_images, is_floating_array=is_floating_array)
        value = canonical(value, call.kind, channels_last=self._snapshot.channels_last)
        return value if value.dtype == jnp.float64 else value.astype(jnp.float32)

    def in_order(self) -> dict[str, Any]:
        """Return the values in the order of the requests.

        Raises
        ------
        LayerNeverRanError
            If a layer was not reached.
        """
        for request in self._requests:
            if request.requested not in self._values:
                raise LayerNeverRanError(
                    f"Layer {request.requested!r} of {self._snapshot.kind} was not reached in this forward pass, "
                    f"though it ran in a trial pass. The model's path depends on the batch; request layers that "
                    f"always run."
                )
        return {request.requested: self._values[request.requested] for request in self._requests}


class Capture:
    """The forward pass of one run.

    The first batch of a run sets the shape that is compiled for; a shorter one is padded by its last image.

    Parameters
    ----------
    function : callable
        From `compile_requests`.
    arrays : pytree
        The model's arrays, on the device.
    device : jax.Device
        Where to run.
    dtype : dtype
        Of the model's input.
    """

    def __init__(self, function: Any, arrays: Any, *, device: Any, dtype: Any) -> None:
        self._function, self._arrays, self._device, self._dtype = function, arrays, device, dtype
        self._n_compiled = 0

    def __call__(self, batch: np.ndarray, out: Mapping[str, np.ndarray] | None = None) -> Values:
        """Run one batch; see `adapters.contract.Forward`."""
        values = self._function(self._arrays, self._on_device(batch))
        if self._device.platform == "cpu":
            jax.block_until_ready(values)  # an error of the model shall be raised here
        else:
            for value in values.values():
                value.copy_to_host_async()
        return Values(values, len(batch))

    def lowered(self, batch: np.ndarray) -> str:
        """Return the program that is compiled for a batch, for those who want to see what it computes."""
        program: str = self._function.lower(self._arrays, self._on_device(batch)).as_text()
        return program

    def _on_device(self, batch: np.ndarray) -> Any:
        self._n_compiled = max(self._n_compiled, len(batch))
        if len(batch) < self._n_compiled:
            batch = np.concatenate([batch, np.repeat(batch[-1:], self._n_compiled - len(batch), axis=0)])
        return jax.device_put(np.ascontiguousarray(batch).astype(self._dtype, copy=False), self._device)
