"""Compile a model to the values that are requested, once per batch shape, and run it batch by batch."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ...errors import ActivationShapeError
from ...layers import LayerRequest, Layers
from ...outputs import pick
from ...reducing import Reducing
from ...requested import is_due, never_reached, part_of
from .layouts import is_spatial
from .network import Snapshot
from .reading import canonical, is_floating_array, visit
from .tagging import Call

__all__ = ["Capture", "Compiled", "Values", "compile_requests"]

_BLOCK = 448
_TRACER = re.compile(r"\ban? \w*Tracer\b")  # what an array is while the model is traced


class Values(dict[str, Any]):
    """Layers' values on the device; rows after the first ``n_images`` are padding."""

    def __init__(self, values: Mapping[str, Any], n_images: int) -> None:
        super().__init__(values)
        self.n_images = n_images


class _Complete(Exception):
    """Everything that was requested is there."""


class Compiled(NamedTuple):
    """A compiled forward pass.

    Parameters
    ----------
    function : callable
        Takes the model's arrays, those of the reductions, and images. It gives two dicts: values in their final order,
        and values that are still (image, row, column, channel).
    reducing : Reducing
        The reductions that are compiled, too, or will have to be made later.
    """

    function: Any
    reducing: Reducing


def compile_requests(
    snapshot: Snapshot, requests: Sequence[LayerRequest], layers: Layers, *, on_host: bool, reducing: Reducing
) -> Compiled:
    """Compile what computes the requests and nothing else.

    With ``on_host``, values come with channels last where that is so: they are reordered while they are copied, which
    compiles and runs faster than two steps. Nothing of the arrays of the snapshot or of the reductions is kept.
    """
    snapshot, reducing = replace(snapshot, arrays=None), reducing.without_arrays()

    def read(arrays: Any, others: Mapping[str, Any], images: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        reader = _Requests(
            snapshot, requests, layers, n_images=images.shape[0], reorders=not on_host, reducing=reducing, arrays=others
        )
        with suppress(_Complete):
            visit(snapshot, arrays, images, reader.see, on_hidden=reader.hide)
        return reader.complete()

    return Compiled(jax.jit(read), reducing)


class _Requests:
    """What was requested, filled while the model is traced."""

    def __init__(
        self,
        snapshot: Snapshot,
        requests: Sequence[LayerRequest],
        layers: Layers,
        *,
        n_images: int,
        reorders: bool,
        reducing: Reducing,
        arrays: Mapping[str, Any],
    ) -> None:
        self._snapshot, self._requests, self._layers = snapshot, tuple(requests), layers
        self._n_images, self._reorders = n_images, reorders
        self._reducing, self._arrays = reducing, arrays
        self._counts: dict[str, int] = {}
        self._values: dict[str, Any] = {}
        self._channels_last: set[str] = set()
        self._hidden: set[str] = set()

    def hide(self, call: Call, _within: str) -> None:
        """Take note of a layer of which not all calls can be seen, so that none of them passes for another."""
        self._hidden.add(call.name)

    def see(self, call: Call, output: Any, axes: dict[int, int]) -> None:
        """Keep the output where it is requested; ``axes`` says where its arrays have their channels."""
        if call.name in self._hidden:
            return
        number = self._counts[call.name] = self._counts.get(call.name, -1) + 1
        for request in self._requests:
            if self._primary(request.name) == call.name and is_due(request, number, self._layers):
                self._values[request.requested] = self._read(output, request, number, axes)
        if len(self._values) == len(self._requests):
            raise _Complete

    def _primary(self, name: str) -> str:
        return self._layers[name].name if name in self._layers else name

    def _read(self, output: Any, request: LayerRequest, number: int, axes: dict[int, int]) -> Any:
        part = part_of(request, number, self._layers)
        try:
            value = pick(output, part, layer=request.name, n_images=self._n_images, is_floating_array=is_floating_array)
        except ActivationShapeError as error:
            raise ActivationShapeError(_TRACER.sub("an array", str(error))) from error
        axis, name = axes.get(id(value)), request.requested
        if name in self._reducing:  # the compiler does not reorder what is summed up
            value = self._reducing.traced(name, canonical(value, axis), self._arrays.get(name))
        elif not self._reorders and axis == value.ndim - 1 and is_spatial(value.ndim, axis):
            self._channels_last.add(name)
        else:
            value = canonical(value, axis)
        return value if value.dtype == jnp.float64 else value.astype(jnp.float32)

    def complete(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the values in their final order, and those with channels last.

        Raises
        ------
        LayerNeverRanError
            If a layer was not reached.
        ActivationShapeError
            If it cannot be reached.
        """
        for request in self._requests:
            if request.requested not in self._values:
                if (reason := self._layers.unreadable.get(request.name)) is not None:
                    raise ActivationShapeError(f"{request.requested!r} cannot be read: {reason}")
                raise never_reached(request, self._snapshot.kind)
        final = {name: value for name, value in self._values.items() if name not in self._channels_last}
        return final, {name: self._values[name] for name in self._channels_last}


class Capture:
    """The forward pass of one run.

    The first batch of a run sets the shape that is compiled for; a shorter one is padded by its last image.

    Parameters
    ----------
    compiled : Compiled
        From `compile_requests`.
    arrays : pytree
        The model's arrays, on the device.
    device : jax.Device
        Where to run.
    dtype : dtype
        Of the model's input.
    pool : ThreadPoolExecutor
        Copies layers side by side, where values are on the host already.
    reducing : Reducing
        The reductions with their arrays.
    """

    def __init__(
        self,
        compiled: Compiled,
        arrays: Any,
        *,
        device: Any,
        dtype: Any,
        pool: ThreadPoolExecutor,
        reducing: Reducing,
    ) -> None:
        self._compiled, self._arrays, self._device, self._dtype, self._pool = compiled, arrays, device, dtype, pool
        self._reducing = reducing
        self._n_compiled = 0

    def __call__(self, batch: np.ndarray, out: Mapping[str, np.ndarray] | None = None) -> Values:
        """Run one batch; see `adapters.contract.Forward`."""
        final, channels_last = self._compiled.function(self._arrays, self._reducing.arrays, self._on_device(batch))
        final = self._reducing.finished(final, self._compiled.reducing)
        if self._device.platform != "cpu":
            for value in final.values():
                value.copy_to_host_async()
            return Values(final, len(batch))
        jax.block_until_ready((final, channels_last))  # an error of the model shall be raised here
        values = {name: np.asarray(value)[: len(batch)] for name, value in {**final, **channels_last}.items()}
        return Values(self._on_host(values, channels_last, out or {}), len(batch))

    def _on_host(
        self, values: Mapping[str, np.ndarray], channels_last: Collection[str], out: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Bring channels to the front: as a view, or while values are copied to the memory that is offered for them."""

        def place(name: str) -> np.ndarray:
            value, is_reordered = values[name], name in channels_last
            if name in out and out[name].shape == (len(value), math.prod(value.shape[1:])):
                for row, image in zip(out[name], value, strict=True):
                    _copy(image, row, reorders=is_reordered)
                return out[name]
            return np.moveaxis(value, -1, 1) if is_reordered else value

        placed = self._pool.map(place, values) if out else map(place, values)
        return dict(zip(values, placed, strict=True))

    def lowered(self, batch: np.ndarray) -> str:
        """Return the program that is compiled for a batch, for those who want to see what it computes."""
        program: str = self._compiled.function.lower(
            self._arrays, self._reducing.arrays, self._on_device(batch)
        ).as_text()
        return program

    def _on_device(self, batch: np.ndarray) -> Any:
        self._n_compiled = max(self._n_compiled, len(batch))
        if len(batch) < self._n_compiled:
            batch = np.concatenate([batch, np.repeat(batch[-1:], self._n_compiled - len(batch), axis=0)])
        return jax.device_put(np.ascontiguousarray(batch).astype(self._dtype, copy=False), self._device)


def _copy(image: np.ndarray, row: np.ndarray, *, reorders: bool) -> None:
    """Copy (row, column, channel) to a flat row in (channel, row, column) order, in blocks that fit a cache."""
    if not reorders:
        row[...] = image.reshape(-1)
        return
    positions = image.reshape(-1, image.shape[-1])
    channels = row.reshape(image.shape[-1], -1)
    for start in range(0, len(positions), _BLOCK):
        channels[:, start : start + _BLOCK] = positions[start : start + _BLOCK].T
