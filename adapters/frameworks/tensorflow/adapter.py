"""The TensorFlow adapter: what the extractor asks, answered for every kind of model by the modules of this package."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from ...callables import Preprocess
from ...contract import Adapter, Forward, InputSpec, Parameter, is_instance_of
from ...device_math import DeviceMath, HostMath
from ...errors import DeviceError, UnsupportedModelError
from ...layers import LayerRequest, Layers
from ...reducing import LayerReduction, Reducing
from .fingerprint import numerics_of, structure_of
from .kinds import KINDS, kind_of
from .network import Program
from .reducing import TensorFlowMath
from .tracing import EXCLUSIVE

__all__ = ["TensorFlowAdapter"]

_N_KEPT = 2


class TensorFlowAdapter(Adapter):
    """Reads `tf.Module`, tf_keras, `tf.function`, SavedModels, and graphs and sessions of TensorFlow 1.

    The model's own forward pass is traced once; what no requested layer needs is cut away and never computed.
    Modules and Keras layers are listed by their own names. Where there are only operations (SavedModels, functions,
    frozen graphs), those are listed that compute something from the images: floating, one row per image. Constants and
    weights are left out, identities are aliases of what they pass on, and operations that only rearrange values
    (reshape, squeeze, expand_dims, transpose) are refused with the name of the operation whose values they rearrange.

    Parameters
    ----------
    model : object
        A `tf.Module`; a tf_keras layer or model; a `tf.function`, a concrete function, or a function of images; a
        SavedModel, as folder, as loaded object or as one of its signatures; a frozen graph as ``.pb`` file, GraphDef or
        `tf.Graph`; a `TF1Model`. Left as found.
    device : str, optional
        ``'cpu'``, ``'gpu'``, ``'GPU:1'``; None leaves the choice to TensorFlow.

    Raises
    ------
    UnsupportedModelError
        If the model comes without what it needs to run, or takes anything else than one batch of images.
    DeviceError
        If the device does not exist here.
    """

    framework: ClassVar[str] = "tensorflow"

    def __init__(self, model: Any, *, device: str | None = None) -> None:
        super().__init__(model, device=device)
        kind = kind_of(model, or_function=True)
        if kind is None:
            raise UnsupportedModelError(
                f"{type(model)} is no model that the TensorFlow adapter reads. Supported: "
                f"{', '.join(kind.name for kind in KINDS)}, a function of images. Pass one of these."
            )
        self._device = _choose_device(device)
        self._network = kind.network_of(model, self._device)
        self.asynchronous = not self._network.places_on_host and _is_accelerator(self._device)
        self._structure: object = None
        self._programs: OrderedDict[tuple[int, ...], Program] = OrderedDict()

    @classmethod
    def accepts(cls, model: object) -> bool:
        """Tell whether this is one of the kinds of model that TensorFlow has; a plain function could be anybody's."""
        return kind_of(model) is not None

    @classmethod
    def accepts_if_named(cls, model: object) -> bool:
        """Tell whether this is one of these kinds, or a function of images."""
        return kind_of(model, or_function=True) is not None

    @property
    def identifier(self) -> str:
        """Name of the model's class, of the function, or of the file."""
        return self._network.identifier

    @property
    def input(self) -> InputSpec:
        """What the model says: a signature, a placeholder, or the kernels of its convolutions."""
        return self._network.input

    def preprocessing(self) -> Preprocess | None:
        """Return how files reach a graph that reads them itself, or what tf_keras.applications does; else None."""
        return self._network.preprocessing()

    def layers(self, image_shape: tuple[int, ...]) -> Layers:
        """List the layers from one traced graph, run on a few images for the shapes."""
        return self._listed(tuple(image_shape))[1]

    @contextmanager
    def open(
        self,
        requests: Sequence[LayerRequest],
        image_shape: tuple[int, ...],
        reductions: Mapping[str, LayerReduction] | None = None,
    ) -> Iterator[Forward]:
        """Give the pruned forward pass; see `adapters.contract.Adapter.open`."""
        program, _ = self._listed(tuple(image_shape))
        with program.open(requests, Reducing(reductions, self.math)) as read:

            def forward(batch: np.ndarray, out: Mapping[str, np.ndarray] | None = None) -> Mapping[str, Any]:
                return read(batch)

            yield forward

    @property
    def math(self) -> DeviceMath:
        """What reductions compute with: TensorFlow's functions, but NumPy's on what a session returned."""
        return HostMath() if self._network.places_on_host else TensorFlowMath(self._device)

    def to_host(self, activations: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Give what a forward pass returned as arrays; on the CPU this copies nothing."""
        return {layer: np.asarray(value) for layer, value in activations.items()}

    def weights(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield weights, buffers and constants by name, as arrays of their raw bytes."""
        for name, value in self._network.weights():
            array = np.ascontiguousarray(value)
            if array.dtype != object:
                yield name, array.reshape(-1).view(np.uint8)

    def parameters(self) -> Iterator[Parameter]:
        """Yield variables of floating dtype; of a model that was frozen its constants, none of which is trained."""
        for value, is_trained in self._network.parameters():
            array = np.asarray(value)
            if array.dtype != object and tf.as_dtype(array.dtype).is_floating:
                yield Parameter(array.shape, array.nbytes, is_trained)

    def structure(self, image_shape: tuple[int, ...]) -> Mapping[str, Any]:
        """Return the graph that runs for images of a shape; see `adapters.contract.Adapter.structure`."""
        return structure_of(self.model, self._listed(tuple(image_shape))[0])

    def numerics(self) -> Mapping[str, Any]:
        """Return flags, versions and device; see `adapters.contract.Adapter.numerics`."""
        return numerics_of(self._device)

    @property
    def imports(self) -> tuple[str, ...]:
        """Modules that must be there to run the model."""
        return ("tensorflow", *(["tf_keras"] if is_instance_of(self.model, "tf_keras.layers", "Layer") else []))

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Recognise TensorFlow's out-of-memory error."""
        return isinstance(error, tf.errors.ResourceExhaustedError)

    def _listed(self, image_shape: tuple[int, ...]) -> tuple[Program, Layers]:
        """Return the program for images of a shape, and its layers; a model that was changed since is traced anew."""
        with EXCLUSIVE:  # listing runs the model, too
            found = self._network.structure()
            if found != self._structure:
                self._structure = found
                self._programs.clear()
            program = self._programs.get(image_shape) or self._network.program(image_shape)
            self._programs[image_shape] = program
            self._programs.move_to_end(image_shape)
            while len(self._programs) > _N_KEPT:
                self._programs.popitem(last=False)
            return program, program.layers


def _choose_device(asked: str | None) -> str | None:
    if asked is None:
        return None
    kind, _, number = asked.lower().replace("cuda", "gpu").upper().strip("/").partition(":")
    present = tf.config.list_logical_devices(kind)
    if (number and not number.isdigit()) or int(number or 0) >= len(present):
        known = ", ".join(device.name.removeprefix("/device:") for device in tf.config.list_logical_devices())
        raise DeviceError(
            f"device={asked!r} was asked for, but TensorFlow {tf.__version__} finds {known} here. Leave device out to "
            f"run on what there is, or see `brain-adapters doctor`."
        )
    return f"{kind}:{number or 0}"


def _is_accelerator(device: str | None) -> bool:
    return bool(tf.config.list_logical_devices("GPU")) if device is None else not device.startswith("CPU")
