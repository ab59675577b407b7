"""Read named endpoints of a TensorFlow 1 session, which runs as it is: nothing is added to its graph."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from ...callables import Preprocess
from ...contract import InputSpec
from ...errors import ModelForwardError, UnsupportedModelError, listing
from ...layers import LOGITS, LayerRequest
from ...recorded import Recording
from .frozen import require_image_shape
from .network import Call, Network, Place, Program, spec_of_shape
from .paths import PATH_SHAPE, FilePaths, paths_of
from .pruned import Fetch, GraphProgram
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
        Not used: the graph and its session say where operations run.

    Raises
    ------
    UnsupportedModelError
        If the placeholder takes neither images nor paths.
    """

    places_on_host = True

    def __init__(self, model: TF1Model, device: str | None) -> None:
        self._model, self.identifier = model, "TF1Model"
        self._images, self._endpoints = model.placeholder, model.tensors
        self._takes_paths = self._images.dtype == tf.string
        self._files = FilePaths()
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
        """Hand on paths where the graph reads files."""
        return self._files if self._takes_paths else None

    def structure(self) -> Hashable:
        """Nothing is copied from the session, so nothing can be stale."""
        return None

    def weights(self) -> Iterator[tuple[str, Any]]:
        """Yield the session's variables by name, and the constants that endpoints need."""
        with self._model.session.graph.as_default():
            variables = tf.compat.v1.global_variables()
        with _explaining(self._model.session):
            values = self._model.session.run({variable.name: variable for variable in variables})
        yield from values.items()
        for operation in _needed_for(self._endpoints.values()):
            if operation.type == "Const" and operation.outputs[0].dtype.is_floating:
                yield f"constant/{operation.name}", tf.make_ndarray(operation.get_attr("value"))

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


class _SessionProgram(GraphProgram):
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
            None,
            [*places, Place(LOGITS, LOGITS, identifier)],
            [*calls.values(), Call(LOGITS, final)],
            image_shape=image_shape,
            channels_last=channels_last,
            n_fixed=None if images.shape.rank is None else images.shape[0],
        )
        self._given, self._images, self._files = model, images, files
        self._offset = model.labels_offset

    def record(self, recording: Recording, n_images: int) -> None:
        """Run a few images, and refuse an offset that leaves nothing."""
        super().record(recording, n_images)
        kept = [part.shape for parts in recording[LOGITS].calls for part in parts.values()]
        if self._offset and any(len(shape) != 2 or shape[1] < 1 for shape in kept):
            raise UnsupportedModelError(
                f"labels_offset={self._offset} leaves nothing of the final output {self._given.final!r}, which has "
                f"shape {kept[0]} after it. Expected shape (n_images, n_classes) with more classes than that."
            )

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
    def fetch(self, tensors: Sequence[Any]) -> Iterator[Fetch]:
        """See `GraphProgram.fetch`."""
        session, constants = self._given.session, self._given.constants
        dtype = self._images.dtype.as_numpy_dtype
        with _explaining(session):
            run = session.make_callable(list(tensors), feed_list=[self._images, *constants])

        def compute(batch: np.ndarray) -> Sequence[Any]:
            fed: np.ndarray = paths_of(batch, self.model) if self._images.dtype == tf.string else batch
            with _explaining(session):
                values: Sequence[Any] = run(fed.astype(dtype, copy=False), *constants.values())
            return values

        yield self._chunked(compute)

    def finish(self, request: LayerRequest, value: Any, channels_last: bool) -> np.ndarray:
        """Move channels to the front, and leave out the columns that are no classes."""
        value = value if value.dtype == np.float64 else value.astype(np.float32, copy=False)
        value = value[:, self._offset :] if request.name == LOGITS and self._offset else value
        return np.moveaxis(value, -1, 1) if channels_last and value.ndim == 4 else value

    def _kept_columns(self, key: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
        is_cut = key == LOGITS and self._offset and len(shape) == 2
        return (shape[0], max(shape[1] - self._offset, 0)) if is_cut else shape


def _needed_for(tensors: Iterable[Any]) -> list[Any]:
    """Return the operations that tensors are computed from."""
    found: dict[str, Any] = {}
    waiting = [tensor.op for tensor in tensors]
    while waiting:
        operation = waiting.pop()
        if operation.name not in found:
            found[operation.name] = operation
            waiting.extend(each.op for each in operation.inputs)
    return list(found.values())


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
