"""The Keras adapter: what the extractor asks, answered with the modules of this package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from ...callables import Preprocess
from ...contract import Adapter, Forward, InputSpec, Parameter, is_instance_of
from ...keras_applications import preprocessing_of
from ...layers import LayerRequest, Layers
from ...reducing import LayerReduction, Reducing
from ...turns import turn_of
from .capture import Capture, Programs
from .changes import structure
from .engine import engine_for
from .files import is_model_file, load
from .fingerprint import numerics_of, structure_of
from .forward import State
from .layout import image_format, own_format
from .listing import Listed, list_layers
from .reducing import KerasMath
from .refusing import require_supported
from .walking import is_named_automatically, walk

__all__ = ["KerasAdapter"]


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
        # Wrapped calls belong to the layer and not to the thread, and random state to the process: runs take turns.
        self._turn = turn_of(keras.config.backend())
        self._structure: tuple[object, ...] = ()
        self._described: Mapping[str, Any] = {}
        self._listed: dict[tuple[int, ...], Listed] = {}
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
        operations = self._operations()
        shape = _image_shape(self.model)
        is_last = image_format(operations, shape) == "channels_last"
        rows, columns, n_channels = None, None, None
        if shape is not None and len(shape) == 3:
            rows, columns, n_channels = shape if is_last else (*shape[1:], shape[0])
        if n_channels is None:
            kernels = (getattr(each, "kernel", None) for each in operations if own_format(each) is not None)
            n_channels = next((int(kernel.shape[-2]) for kernel in kernels if kernel is not None), 3)
        size = (int(rows), int(columns)) if rows is not None and columns is not None else None
        return InputSpec(size=size, n_channels=int(n_channels), channel_axis=-1 if is_last else 1)

    def preprocessing(self) -> Preprocess | None:
        """Return what `keras.applications` does before its models, as data; other models do not say."""
        return preprocessing_of(self.model, self.input.size)

    def layers(self, image_shape: tuple[int, ...]) -> Layers:
        """List the layers from two traced passes."""
        with self._turn, self._engine.scope():
            return self._list(image_shape).layers

    @contextmanager
    def open(
        self,
        requests: Sequence[LayerRequest],
        image_shape: tuple[int, ...],
        reductions: Mapping[str, LayerReduction] | None = None,
    ) -> Iterator[Forward]:
        """Give the forward pass; see `adapters.contract.Adapter.open`."""
        with self._turn, self._engine.scope():
            listed = self._list(image_shape)
            try:
                yield Capture(
                    self.model,
                    requests,
                    listed,
                    state=State(self.model, self._engine),
                    engine=self._engine,
                    programs=self._programs,
                    reducing=Reducing(reductions, self.math),
                )
            finally:
                self._structure = structure(self.model)  # what a pass itself leaves behind is no change

    @property
    def math(self) -> KerasMath:
        """What reductions compute with."""
        return KerasMath(self._engine)

    def to_host(self, activations: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Give what a forward pass returned as arrays."""
        return {name: self._engine.to_host(value) for name, value in activations.items()}

    def weights(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield weights and statistics by position and name, as raw bytes; seeds of random layers are left out."""
        for number, variable in enumerate(self.model.weights):
            array = np.ascontiguousarray(keras.ops.convert_to_numpy(variable.value))
            yield f"{number}/{variable.name}", array.reshape(-1).view(np.uint8)

    def parameters(self) -> Iterator[Parameter]:
        """Yield all weights, as Keras counts them in a summary: the statistics of BatchNormalization among them."""
        for variable, (_, raw) in zip(self.model.weights, self.weights(), strict=True):
            yield Parameter(tuple(variable.shape), raw.nbytes, bool(variable.trainable))

    def structure(self, image_shape: tuple[int, ...]) -> Mapping[str, Any]:
        """Return layers and settings as they stand; see `adapters.contract.Adapter.structure`.

        What was compiled before something changed is forgotten, so that what runs next is what was described.
        """
        with self._turn:
            found = structure_of(self.model)
            if found != self._described:
                self._described, self._structure = found, ()
        return found

    def numerics(self) -> Mapping[str, Any]:
        """Return flags, versions and device; see `adapters.contract.Adapter.numerics`."""
        return numerics_of(self._engine)

    @property
    def imports(self) -> tuple[str, ...]:
        """Modules that must be there to run the model: Keras and its backend."""
        return ("keras", keras.config.backend())

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Recognise the backend's out-of-memory error."""
        return self._engine.is_out_of_memory(error)

    def _operations(self) -> list[Any]:
        return [self.model, *(place.operation for place in walk(self.model).values())]

    def _list(self, image_shape: tuple[int, ...]) -> Listed:
        """Return what is known of the model, learnt anew if it has changed since."""
        found = structure(self.model)
        if found != self._structure:
            self._structure, self._listed, self._programs = found, {}, Programs()
        if image_shape not in self._listed:
            self._listed[image_shape] = list_layers(
                self.model,
                State(self.model, self._engine),
                self._engine,
                image_shape,
                name=self.identifier,
                data_format=image_format(self._operations(), _image_shape(self.model) or image_shape),
            )
            self._structure = structure(self.model)
        return self._listed[image_shape]


def _image_shape(model: Any) -> tuple[int | None, ...] | None:
    try:
        shape = model.input_shape
    except (AttributeError, ValueError):  # a subclassed model has none
        return None
    is_one = isinstance(shape, tuple) and all(length is None or isinstance(length, int) for length in shape)
    return tuple(shape[1:]) if is_one else None
