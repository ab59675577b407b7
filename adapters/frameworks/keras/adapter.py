"""The Keras adapter: what the extractor asks, answered with the modules of this package."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from ...callables import Preprocess
from ...contract import Adapter, Forward, InputSpec, is_instance_of
from ...keras_applications import preprocessing_of
from ...layers import LayerRequest, Layers
from .capture import Capture, Programs
from .engine import engine_for
from .files import is_model_file, load
from .forward import State
from .layout import default_format
from .listing import list_layers
from .refusing import require_supported
from .walking import is_named_automatically, structure, walk

__all__ = ["KerasAdapter"]

# Wrapped calls belong to the layer and not to the thread: runs take turns.
_EXCLUSIVE = threading.RLock()


class KerasAdapter(Adapter):
    """Reads any built Keras 3 model, on the backend that Keras runs on in this process.

    Parameters
    ----------
    model : keras.Model, keras.Layer, str or Path
        With weights; left as found. A ``.keras`` or ``.h5`` file is loaded in Keras's safe mode.
    device : str, optional
        In the backend's words: ``'cpu'``, ``'gpu:0'``, ``'cuda'``; None leaves the choice to the backend.

    Raises
    ------
    UnsupportedModelError
        For a model that has no weights yet, that takes anything else than one batch of images, or that holds modules
        of another framework; for a file that cannot be loaded.
    DeviceError
        If the device does not exist here.
    """

    framework: ClassVar[str] = "keras"

    def __init__(self, model: Any, *, device: str | None = None) -> None:
        self._file = Path(model) if is_model_file(model) else None
        super().__init__(model if self._file is None else load(self._file), device=device)
        require_supported(self.model)
        self._engine = engine_for(device)
        self._structure: tuple[object, ...] = ()
        self._listed: dict[tuple[int, ...], Layers] = {}
        self._programs = Programs()

    @classmethod
    def accepts(cls, model: object) -> bool:
        """Tell whether this is a Keras layer or model, whatever the backend made of it, or the file of one."""
        return is_instance_of(model, "keras", "Layer") or is_model_file(model)

    @property
    def identifier(self) -> str:
        """The model's own name; where Keras made it up, that of the file, or of the class."""
        if not is_named_automatically(self.model):
            return str(self.model.name)
        return type(self.model).__name__ if self._file is None else self._file.stem

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
                self._listed[image_shape] = list_layers(
                    self.model, state, self._engine, image_shape, name=self.identifier
                )
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

    @property
    def imports(self) -> tuple[str, ...]:
        """Modules that must be there to run the model: Keras and its backend."""
        return ("keras", keras.config.backend())

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
