"""Read named endpoints of a TensorFlow 1 session, which runs as it is: nothing is added to its graph."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from ...callables import Preprocess
from ...contract import InputSpec
from ...errors import DeviceError, ModelForwardError, UnsupportedModelError, listing
from ...layers import LOGITS, LayerRequest
from ...reducing import Reducing
from .fetching import Fetch, FetchingProgram, Finish, as_given
from .frozen import require_image_shape
from .network import Call, Network, Place, Program, Traced, preprocessing_for, spec_of_shape
from .paths import PATH_SHAPE, FilePaths, paths_of
from .session_state import as_found, needed_for, variables_of
from .tf1 import TF1Model

__all__ = ["SessionNetwork"]

_PROBE_SIZE = (48, 64)


class SessionNetwork(Network):
    """Fetches endpoints with the user's session, which computes nothing that they do not need.

    Parameters
    ----------
    model : TF1Model
        Session, inputs and endpoints.
    device : str, optional
        Nothing else than what a session runs on by itself: its graph and its config say where operations run.

    Raises
    ------
    DeviceError
        If some other device is asked for.
    UnsupportedModelError
        If the placeholder takes neither images nor paths.
    """

    places_on_host = True

    def __init__(self, model: TF1Model, device: str | None) -> None:
        self._model, self.identifier = model, "TF1Model"
        self._images, self._endpoints = model.placeholder, model.tensors
        self._takes_paths = self._images.dtype == tf.string
        self._files = FilePaths()
        _require_free_choice(device)
        if not (self._takes_paths or self._images.dtype.is_floating or self._images.dtype.is_integer):
            raise UnsupportedModelError(
                f"The placeholder {self._images.name!r} takes {self._images.dtype.name}; expected images, or strings "
                f"that are the paths of image files."
            )

    @property
    def input(self) -> InputSpec:
        """What the placeholder says."""
        shape = self._images.shape
        return spec_of_shape(None if shape.rank is None else shape.as_list())

    def preprocessing(self) -> Preprocess | None:
        """Hand on paths where the graph reads files, and pixels as they are where it takes whole numbers."""
        return self._files if self._takes_paths else preprocessing_for(self._images.dtype, self.input)

    def structure(self) -> object:
        """Nothing is copied from the session, so nothing can be stale."""
        return None

    def weights(self) -> Iterator[tuple[str, Any]]:
        """Yield the session's variables by name, and the constants that endpoints need."""
        session, needed = self._model.session, needed_for(self._endpoints.values())
        with _explaining(session):
            variables = {variable.name: variable for variable in variables_of(session.graph, needed)}
            values = session.run(variables)
        for variable in variables_of(session.graph, session.graph.get_operations()):
            if variable.name not in values:
                with suppress(tf.errors.FailedPreconditionError):  # no value, as an optimiser's: nothing needs it
                    values[variable.name] = session.run(variable)
        yield from values.items()
        for operation in needed:
            if operation.type == "Const" and operation.outputs[0].dtype.is_floating:
                yield f"constant/{operation.name}", tf.make_ndarray(operation.get_attr("value"))

    def parameters(self) -> list[tuple[Any, bool]]:
        """See `Network.parameters`; variables come as the values that they have in the session."""
        graph, found = self._model.session.graph, dict(self.weights())
        trained = {each.name for each in graph.get_collection(tf.compat.v1.GraphKeys.TRAINABLE_VARIABLES)}
        names = [each.name for each in variables_of(graph, graph.get_operations()) if each.name in found]
        if names:
            return [(found[name], name in trained) for name in names]
        return [(value, False) for value in found.values() if np.ndim(value)]

    def program(self, image_shape: tuple[int, ...]) -> Program:
        """See `Network.program`."""
        if self._takes_paths:
            if image_shape != PATH_SHAPE:
                raise ModelForwardError(
                    f"{self.identifier} reads image files itself, from their paths, and was offered images of shape "
                    f"{tuple(image_shape)}. Leave preprocessing out."
                )
        else:
            require_image_shape(self._images, image_shape, self.identifier)
        return _SessionProgram(
            self._model,
            self.identifier,
            self._images,
            self._endpoints,
            image_shape=image_shape,
            channels_last=self.input.channel_axis == -1,
            files=self._files,
        )


class _SessionProgram(FetchingProgram):
    """Endpoints of a session."""

    def __init__(
        self,
        model: TF1Model,
        identifier: str,
        images: Any,
        endpoints: Mapping[str, Any],
        *,
        image_shape: tuple[int, ...],
        channels_last: bool,
        files: FilePaths,
    ) -> None:
        operations = {operation.name: place for place, operation in enumerate(model.session.graph.get_operations())}
        ordered = sorted(endpoints.items(), key=lambda item: operations[item[1].op.name])
        places = [Place(tensor.name, name, tensor.op.type) for name, tensor in ordered if name != LOGITS]
        calls = {tensor.name: Call(tensor.name, tensor) for name, tensor in ordered if name != LOGITS}
        final = endpoints[model.final]
        super().__init__(
            identifier,
            [*places, Place(LOGITS, LOGITS, identifier)],
            [*calls.values(), Call(LOGITS, final)],
            image_shape=image_shape,
            channels_last=channels_last,
            dtype=images.dtype,
            n_fixed=None if images.shape.rank is None else images.shape[0],
        )
        self._given, self._images, self._files = model, images, files
        self._offset = model.labels_offset

    @property
    def traced(self) -> Traced:
        """See `Program.traced`; the values of variables are weights."""
        settings = {
            "feeds": {tensor.name: value for tensor, value in self._given.constants.items()},
            "offset": self._offset,
            "images": [self._images.name, self.n_fixed],
        }
        return Traced(self._given.session.graph, self._calls, settings=settings)

    def probes(self, n_images: int) -> np.ndarray:
        """Return images to try the model with, or the paths of some."""
        if self._images.dtype != tf.string:
            return super().probes(n_images)
        rows, columns = _PROBE_SIZE
        pixels = np.linspace(0, 255, math.prod((rows, columns, 3))).astype(np.uint8).reshape(rows, columns, 3)
        images = (pixels, pixels[::-1], 255 - pixels)[:n_images]
        return np.stack([self._files(Image.fromarray(np.ascontiguousarray(image))) for image in images])

    def shapes(self, tensors: Sequence[Any], images: np.ndarray) -> list[tuple[int, ...]]:
        """Fetch the values and look at them: an operation that measures them would have to be added to the graph."""
        with self.fetch(tensors) as fetch:
            return [tuple(value.shape) for value in fetch(images)]

    @contextmanager
    def fetch(self, tensors: Sequence[Any], finish: Finish | None = None) -> Iterator[Fetch]:
        """See `FetchingProgram.fetch`; what the endpoints write, such as the moments of a batch, is set back.

        Values are finished on the host: nothing is added to the user's graph.
        """
        session, constants = self._given.session, self._given.constants
        with _explaining(session):
            run = session.make_callable(list(tensors), feed_list=[self._images, *constants])

        def compute(batch: np.ndarray) -> Sequence[Any]:
            dtype = self._images.dtype
            fed = paths_of(batch, self.model) if dtype == tf.string else as_given(batch, dtype, self.model)
            with _explaining(session):
                values: Sequence[Any] = run(fed, *constants.values())
            return values if finish is None else finish(values)

        with _explaining(session), as_found(session, tensors):
            yield self.chunked(compute)

    def finish(self, request: LayerRequest, value: Any, channels_last: bool, reducing: Reducing) -> np.ndarray:
        """Move channels to the front, leave out the columns that are no classes, and reduce."""
        value = value if value.dtype == np.float64 else value.astype(np.float32, copy=False)
        if request.name == LOGITS and self._offset:
            axis = self._class_axis(value.shape, channels_last)
            value = value[(slice(None),) * axis + (slice(self._offset, None),)]
        value = np.moveaxis(value, -1, 1) if channels_last and value.ndim > 3 else value
        return np.asarray(reducing(request.requested, value))

    def kept_columns(self, key: Any, shape: tuple[int, ...], channels_last: bool) -> tuple[int, ...]:
        """Leave out the columns that are no classes; an offset that leaves nothing is refused when they are read."""
        if key != LOGITS or not self._offset or len(shape) < 2:
            return shape
        axis = 1 if len(shape) > 2 and not channels_last else len(shape) - 1
        return (*shape[:axis], max(shape[axis] - self._offset, 0), *shape[axis + 1 :])

    def _class_axis(self, shape: tuple[int, ...], channels_last: bool) -> int:
        """Return where the classes of the final output are: its only axis, or its channels if there is no space."""
        axis = 1 if len(shape) > 2 and not channels_last else len(shape) - 1
        if len(shape) < 2 or math.prod(shape[1:]) != shape[axis] or shape[axis] <= self._offset:
            raise UnsupportedModelError(
                f"labels_offset={self._offset} leaves nothing of the final output {self._given.final!r}, which has "
                f"shape {tuple(shape)}. Expected shape (n_images, n_classes) with more classes than that."
            )
        return axis


def _require_free_choice(device: str | None) -> None:
    """Refuse a device that a session may not run on: it alone knows."""
    if device is not None and not (device.startswith("CPU") and not tf.config.list_physical_devices("GPU")):
        raise DeviceError(
            f"device={device.lower()!r} was asked for, but a session runs where its graph and its config say. Leave "
            f"device out, and build the graph under tf.device({device!r}), or open the session with "
            f"config=tf.compat.v1.ConfigProto(device_count={{'GPU': 0}}) to stay on the CPU."
        )


@contextmanager
def _explaining(session: Any) -> Iterator[None]:
    """Say what to do about the two states in which a session cannot be run."""
    try:
        yield
    except tf.errors.FailedPreconditionError as error:
        with session.graph.as_default():
            names = [variable.name for variable in tf.compat.v1.global_variables()]
        raise ModelForwardError(
            f"The session has variables without values ({listing(names)} exist): {error.message.splitlines()[0]} "
            f"Restore your checkpoint into it with tf.compat.v1.train.Saver().restore(session, path), or run "
            f"tf.compat.v1.global_variables_initializer()."
        ) from error
    except RuntimeError as error:
        if "closed" not in str(error):
            raise
        raise ModelForwardError(
            "The session is closed, and its values are gone. Open a new one, restore your checkpoint into it, and keep "
            "it open as long as the extractor is used (no `with` around it)."
        ) from error
