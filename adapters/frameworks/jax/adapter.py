"""The JAX adapter: what the extractor asks, answered for every kind of model by the modules of this package."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from ...contract import Adapter, Forward, InputSpec, Parameter
from ...errors import DeviceError, UnsupportedModelError
from ...layers import LayerRequest, Layers
from ...reducing import LayerReduction, Reducing
from .capture import Capture, Values, compile_requests
from .fingerprint import numerics_of, structure_of
from .kinds import KINDS, kind_of
from .listing import list_layers
from .network import Snapshot
from .recent import Recent
from .reducing import JaxMath

__all__ = ["JaxAdapter"]

_MAX_KEPT = 16
_MAX_THREADS = 4


class JaxAdapter(Adapter):
    """Reads flax linen and nnx modules, equinox modules, haiku's transformed functions, and plain functions.

    Everything is compiled once per set of layers and batch shape, and to no more than the layers need.

    Parameters
    ----------
    model : object
        A linen module with its variables, as ``(module, variables)`` or bound; an nnx module; an equinox module or
        ``(module, state)``; haiku's ``(transformed, params)`` or ``(transformed, params, state)``; or
        ``(function, params)``. Left as found.
    device : str, optional
        ``'cpu'``, ``'gpu'``, ``'cuda:1'``, ``'tpu'``; None takes jax's default device.

    Raises
    ------
    UnsupportedModelError
        If the model comes without what it needs to run, with the form in which to pass it.
    DeviceError
        If the device does not exist here.
    """

    framework: ClassVar[str] = "jax"

    def __init__(self, model: Any, *, device: str | None = None) -> None:
        super().__init__(model, device=device)
        kind = kind_of(model)
        if kind is None:
            raise UnsupportedModelError(
                f"{type(model)} is no model that the JAX adapter reads. Supported: "
                f"{', '.join(kind.name for kind in KINDS)}. Pass one of these."
            )
        self._network = kind.network_of(model)
        self._device = _choose_device(device)
        self.asynchronous = self._device.platform != "cpu"
        self._listed, self._compiled = Recent(_MAX_KEPT), Recent(_MAX_KEPT)
        self._described: Mapping[str, Any] = {}

    @classmethod
    def accepts(cls, model: object) -> bool:
        """Tell whether this is one of the kinds of model that JAX libraries have."""
        return kind_of(model) is not None

    @property
    def identifier(self) -> str:
        """Name of the module's class, or of the function."""
        return self._network.kind

    @property
    def input(self) -> InputSpec:
        """Channels as the convolutions' kernels say; the size is not written in a JAX model."""
        axis, position = (-1, -2) if self._network.channels_last else (1, 1)
        kernels = [value for _, value in self._network.weights() if getattr(value, "ndim", 0) == 4]
        n_channels = [int(kernel.shape[position]) for kernel in kernels]
        return InputSpec(n_channels=3 if 3 in n_channels or not n_channels else n_channels[0], channel_axis=axis)

    def layers(self, image_shape: tuple[int, ...]) -> Layers:
        """List the layers from two traced passes, which compute nothing."""
        return self._list(self._network.snapshot(), tuple(image_shape))

    def _list(self, snapshot: Snapshot, image_shape: tuple[int, ...]) -> Layers:
        layers: Layers = self._listed.get(
            (image_shape, *_structure(snapshot)), lambda: list_layers(snapshot, image_shape, _input_dtype(snapshot))
        )
        return layers

    @contextmanager
    def open(
        self,
        requests: Sequence[LayerRequest],
        image_shape: tuple[int, ...],
        reductions: Mapping[str, LayerReduction] | None = None,
    ) -> Iterator[Forward]:
        """Give the compiled forward pass; see `adapters.contract.Adapter.open`."""
        snapshot, reducing = self._network.snapshot(), Reducing(reductions, self.math)
        layers = self._list(snapshot, tuple(image_shape))
        on_host = self._device.platform == "cpu"
        compiled = self._compiled.get(
            (tuple(requests), reducing.key, tuple(image_shape), *_structure(snapshot)),
            lambda: compile_requests(snapshot, requests, layers, on_host=on_host, reducing=reducing),
        )
        arrays = jax.device_put(snapshot.arrays, self._device)
        with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
            dtype = _input_dtype(snapshot)
            yield Capture(compiled, arrays, device=self._device, dtype=dtype, pool=pool, reducing=reducing)

    @property
    def math(self) -> JaxMath:
        """What reductions compute with."""
        return JaxMath(self._device)

    def to_host(self, activations: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Wait for the values of one batch and give them without padding; on the CPU they are there already."""
        n_images = activations.n_images if isinstance(activations, Values) else None
        return {
            layer: value if isinstance(value, np.ndarray) else np.asarray(value)[:n_images]
            for layer, value in activations.items()
        }

    def weights(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield parameters and buffers as arrays of their raw bytes."""
        for name, value in self._network.weights():
            is_key = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
            array = np.asarray(jax.random.key_data(value) if is_key else value)
            yield name, np.ascontiguousarray(array).reshape(-1).view(np.uint8)

    def parameters(self) -> Iterator[Parameter]:
        """Yield all arrays of floating dtype; those that are no parameters, as running averages, as not trained."""
        for name, value in self._network.weights():
            if _is_floating(value):
                yield Parameter(tuple(value.shape), int(value.nbytes), self._network.is_trained(name))

    def structure(self, image_shape: tuple[int, ...]) -> Mapping[str, Any]:
        """Return the program of a forward pass; see `adapters.contract.Adapter.structure`.

        What was compiled before something changed is forgotten, so that what runs next is what was described.
        """
        snapshot = self._network.snapshot()
        found = structure_of(snapshot, self._network.weights(), tuple(image_shape), _input_dtype(snapshot))
        if found != self._described:
            self._described, self._listed, self._compiled = found, Recent(_MAX_KEPT), Recent(_MAX_KEPT)
        return found

    def numerics(self) -> Mapping[str, Any]:
        """Return settings, versions and device; see `adapters.contract.Adapter.numerics`."""
        return numerics_of(self._device, _input_dtype(self._network.snapshot()))

    @property
    def imports(self) -> tuple[str, ...]:
        """Modules that must be there to run the model, beside those that its own classes are made of."""
        return ("jax",)

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Recognise XLA's out-of-memory error."""
        return "RESOURCE_EXHAUSTED" in str(error) and type(error).__name__ in ("XlaRuntimeError", "JaxRuntimeError")


def _input_dtype(snapshot: Snapshot) -> Any:
    """Return the dtype of all weights; float32 where they differ, as layers convert what they are given."""
    dtypes = {np.dtype(leaf.dtype) for leaf in jax.tree_util.tree_leaves(snapshot.arrays) if _is_floating(leaf)}
    return dtypes.pop() if len(dtypes) == 1 else np.dtype(np.float32)


def _is_floating(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)


def _structure(snapshot: Snapshot) -> Iterator[Any]:
    """Yield what a listing depends on: a model that was changed since is listed anew."""
    leaves, structure = jax.tree_util.tree_flatten(snapshot.arrays)
    yield snapshot.structure
    yield structure
    yield tuple((np.shape(leaf), str(getattr(leaf, "dtype", type(leaf)))) for leaf in leaves)


def _choose_device(asked: str | None) -> Any:
    if asked is None:
        chosen = jax.config.jax_default_device
        if isinstance(chosen, jax.Device):
            return chosen
        return jax.local_devices(backend=chosen)[0]
    platform, _, number = asked.partition(":")
    try:
        return jax.local_devices(backend=platform)[int(number or 0)]
    except (RuntimeError, ValueError, IndexError) as error:
        present = ", ".join(sorted(f"{device.platform}:{device.id}" for device in jax.local_devices()))
        raise DeviceError(
            f"device={asked!r} was asked for, but jax {jax.__version__} finds no such device here; it has: {present}. "
            f"Leave device out to run on what there is, or see `brain-adapters doctor`."
        ) from error
