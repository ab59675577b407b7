"""The Keras adapter: what the extractor asks, answered with the modules of this package."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import keras
import numpy as np

from ...callables import Preprocess
from ...contract import Adapter, Forward, InputSpec, is_instance_of
from ...errors import UnsupportedModelError
from ...layers import LayerRequest, Layers
from .capture import Capture, Programs
from .engine import engine_for
from .forward import State
from .layout import default_format
from .listing import list_layers
from .origin import preprocessing_of
from .walking import is_named_automatically, structure, walk

__all__ = ["KerasAdapter"]

# Wrapped calls belong to the layer and not to the thread: runs take turns.
_EXCLUSIVE = threading.RLock()


class KerasAdapter(Adapter):
    """Reads any built Keras 3 model, on the backend that Keras runs on in this process.

    Parameters
    ----------
    model : keras.Model or keras.Layer
        With weights; left as found.
    device : str, optional
        In the backend's words: ``'cpu'``, ``'gpu:0'``, ``'cuda'``; None leaves the choice to the backend.

    Raises
    ------
    UnsupportedModelError
        For a model that has no weights yet, or that takes anything else than one batch of images.
    DeviceError
        If the device does not exist here.
    """

    framework: ClassVar[str] = "keras"

    def __init__(self, model: Any, *, device: str | None = None) -> None:
        super().__init__(model, device=device)
        _require_supported(model)
        self._engine = engine_for(device)
        self._structure: tuple[object, ...] = ()
        self._listed: dict[tuple[int, ...], Layers] = {}
        self._programs = Programs()

    @classmethod
    def accepts(cls, model: object) -> bool:
        """Tell whether this is a Keras layer or model, whatever the backend made of it."""
        return is_instance_of(model, "keras.layers", "Layer")

    @property
    def identifier(self) -> str:
        """The model's own name, or its class's where Keras made the name up."""
        return type(self.model).__name__ if is_named_automatically(self.model) else str(self.model.name)

    @property
    def input(self) -> InputSpec:
        """Size and channels from the model's input shape, else from its first convolution; layout from its layers."""
        places = walk(self.model).values()
        is_last = default_format(places) == "channels_last"
        rows, columns, n_channels = None, None, None
        shape = _input_shape(self.model)
        if shape is not None and len(shape) == 4:
            rows, columns, n_channels = shape[1:] if is_last else (*shape[2:], shape[1])
        if n_channels is None:
            kernels = (getattr(place.operation, "kernel", None) for place in places if place.data_format is not None)
            n_channels = next((int(kernel.shape[-2]) for kernel in kernels if kernel is not None), 3)
        size = (int(rows), int(columns)) if rows is not None and columns is not None else None
        return InputSpec(size=size, n_channels=int(n_channels), channel_axis=-1 if is_last else 1)

    def preprocessing(self) -> Preprocess | None:
        """Return what `keras.applications` does before its models, as data; other models do not say."""
        return preprocessing_of(self.model, self.input.size)

    def layers(self, image_shape: tuple[int, ...]) -> Layers:
        """List the layers from two traced passes."""
        with _EXCLUSIVE, self._engine.scope():
            self._refresh()
            if image_shape not in self._listed:
                state = State(self.model, self._engine)
                self._listed[image_shape] = list_layers(self.model, state, self._engine, image_shape)
            return self._listed[image_shape]

    @contextmanager
    def open(self, requests: Sequence[LayerRequest], image_shape: tuple[int, ...]) -> Iterator[Forward]:
        """Give the forward pass; see `adapters.contract.Adapter.open`."""
        layers = self.layers(image_shape)
        with _EXCLUSIVE, self._engine.scope():
            yield Capture(
                self.model,
                requests,
                layers,
                state=State(self.model, self._engine),
                engine=self._engine,
                programs=self._programs,
            )

    def to_host(self, activations: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Give what a forward pass returned as arrays."""
        return {name: self._engine.to_host(value) for name, value in activations.items()}

    def weights(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield weights and statistics by position and name, as raw bytes; seeds of random layers are left out."""
        for number, variable in enumerate(self.model.weights):
            array = np.ascontiguousarray(keras.ops.convert_to_numpy(variable.value))
            yield f"{number}/{variable.name}", array.reshape(-1).view(np.uint8)

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Recognise the backend's out-of-memory error."""
        return self._engine.is_out_of_memory(error)

    def _refresh(self) -> None:
        """Forget what was learnt of a model that has changed since."""
        found = tuple(structure(self.model))
        if found != self._structure:
            self._structure, self._listed, self._programs = found, {}, Programs()


def _input_shape(model: Any) -> tuple[int | None, ...] | None:
    try:
        shape = model.input_shape
    except (AttributeError, ValueError):  # a subclassed model has none
        return None
    is_one = isinstance(shape, tuple) and all(length is None or isinstance(length, int) for length in shape)
    return shape if is_one else None


def _require_supported(model: Any) -> None:
    name = type(model).__name__
    if int(keras.__version__.partition(".")[0]) < 3:
        raise UnsupportedModelError(
            f"{name} is a model of Keras {keras.__version__}; this adapter reads Keras 3. Install it with: "
            f"pip install 'brain-adapters[keras]'."
        )
    inputs = getattr(model, "inputs", None) or ()
    n_inputs = len(inputs) if inputs else len(_required_arguments(model))
    if n_inputs > 1:
        what = [each.name for each in inputs] or _required_arguments(model)
        raise UnsupportedModelError(
            f"{name} takes {n_inputs} inputs ({', '.join(what)}), and stimuli are one. Pass the part of it that takes "
            f"the image, for example keras.Model(image_input, layer.output)."
        )
    if not model.built:
        raise UnsupportedModelError(
            f"{name} has no weights yet; a run would make some up, and change the model. Call it on one batch first, "
            f"or model.build((None, 224, 224, 3)), and load its weights."
        )


def _required_arguments(model: Any) -> list[str]:
    parameters = inspect.signature(model.call).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [each.name for each in parameters if each.kind in kinds and each.default is inspect.Parameter.empty]
    return [name for name in required if name not in ("training", "mask")]
