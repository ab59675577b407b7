"""Programs that fetch tensors of a graph: which of its tensors a layer is, and what is made of their values."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import ActivationShapeError, PreprocessingError
from ...layers import LayerRequest
from ...outputs import floating_leaves, pick
from ...recorded import Part, Path, Recording, forward_failed, probe_images
from ...reducing import Reducing
from ...requested import part_of
from .layout import canonical_shape, is_channels_last
from .network import Call, Place, Program, Read, is_floating
from .reducing import reduced
from .tracing import reason_of

__all__ = ["Fetch", "FetchingProgram", "Finish", "as_given"]

Fetch = Callable[[np.ndarray], Sequence[Any]]
"""Takes a batch; returns the values of some tensors."""
Finish = Callable[[Sequence[Any]], Sequence[Any]]
"""Takes the values of some tensors; returns what is made of them."""


class FetchingProgram(Program):
    """The layers of a graph, and the tensors that these returned; how tensors are computed differs.

    Parameters
    ----------
    model : str
        Name of the model's class.
    places : sequence of Place
        Every layer that exists.
    calls : sequence of Call
        What was returned, in the order of execution; the final output under ``'logits'``.
    image_shape : tuple of int
        One image.
    channels_last : bool
        Layout of the images.
    dtype : tf.DType
        Of the images.
    n_fixed : int, optional
        The only batch length that the graph takes.
    """

    def __init__(
        self,
        model: str,
        places: Sequence[Place],
        calls: Sequence[Call],
        *,
        image_shape: tuple[int, ...],
        channels_last: bool = True,
        dtype: Any = tf.float32,
        n_fixed: int | None = None,
    ) -> None:
        super().__init__(model, places)
        self.n_fixed, self._dtype, self._calls = n_fixed, dtype, list(calls)
        self._image_shape, self._channels_last = image_shape, channels_last

    @abstractmethod
    def shapes(self, tensors: Sequence[Any], images: np.ndarray) -> list[tuple[int, ...]]:
        """Return the shapes that tensors have for some images; the values themselves are not kept."""

    @abstractmethod
    def fetch(self, tensors: Sequence[Any], finish: Finish | None = None) -> AbstractContextManager[Fetch]:
        """Prepare some tensors to be computed, and nothing that they do not need.

        With ``finish``, what that makes of their values takes their place; where it can be, it is computed with them.
        """

    def record(self, recording: Recording, n_images: int) -> None:
        """Run a few images for the shapes alone, and hear every call with the shape that it had."""
        found: dict[int, Any] = {}
        for call in self._calls:
            found.update((id(leaf), leaf) for leaf in floating_leaves(call.output, is_floating).values())
        tensors = list(found.values())
        images = self.probes(n_images)
        try:
            shapes = dict(zip(found, self.shapes(tensors, images), strict=True))
        except Exception as error:
            is_full = isinstance(error, tf.errors.ResourceExhaustedError)
            raise forward_failed(
                reason_of(error), model=self.model, batch_shape=images.shape, is_out_of_memory=is_full
            ) from error
        for call in self._calls:

            def measure(_path: Path, tensor: Any, key: Any = call.key) -> Part:
                is_last = is_channels_last(tensor, self._channels_last)
                return Part(canonical_shape(self.kept_columns(key, shapes[id(tensor)], is_last), is_last), id(tensor))

            recording.hear(call.key, call.output, measure)

    def probes(self, n_images: int) -> np.ndarray:
        """Return images to try the model with."""
        images = probe_images(self._image_shape)[:n_images]
        return np.rint((images + 1) * min(self._dtype.max, 255) / 2) if self._dtype.is_integer else images

    @contextmanager
    def open(self, requests: Sequence[LayerRequest], reducing: Reducing) -> Iterator[Read]:
        """See `Program.open`."""
        wanted = [self._tensor_of(request) for request in requests]
        layouts = [is_channels_last(tensor, self._channels_last) for tensor in wanted]
        tensors = list({id(tensor): tensor for tensor in wanted}.values())
        positions = {id(tensor): position for position, tensor in enumerate(tensors)}

        def finish(values: Sequence[Any]) -> list[Any]:
            fetched = (values[positions[id(tensor)]] for tensor in wanted)
            each = zip(requests, fetched, layouts, strict=True)
            return [self.finish(request, value, layout, reducing) for request, value, layout in each]

        is_reduced = any(request.requested in reducing for request in requests)
        with self.fetch(tensors, finish if is_reduced else None) as fetch:

            def read(batch: np.ndarray) -> Mapping[str, Any]:
                values = fetch(batch)
                values = values if is_reduced else finish(values)
                found = {request.requested: value for request, value in zip(requests, values, strict=True)}
                for name, value in found.items():
                    _require_rows(value, len(batch), name)
                return reducing.finished(found, reducing)

            yield read

    def finish(self, request: LayerRequest, value: Any, channels_last: bool, reducing: Reducing) -> Any:
        """Bring a fetched value to what the contract asks for, and reduce it."""
        return reduced(reducing, request.requested, value, channels_last)

    def kept_columns(self, key: Any, shape: tuple[int, ...], channels_last: bool) -> tuple[int, ...]:
        """Return the shape of what is given out of a call's tensor; the same unless it is the final output."""
        return shape

    def chunked(self, compute: Fetch) -> Fetch:
        """Fill batches up to the one length that the graph takes, and cut what comes out."""
        size = self.n_fixed
        if size is None:
            return compute

        def whole(batch: np.ndarray) -> list[Any]:
            parts: list[Sequence[Any]] = []
            for start in range(0, len(batch), size):
                images = batch[start : start + size]
                parts.append(compute(np.concatenate([images, np.repeat(images[-1:], size - len(images), axis=0)])))
            return [_joined(each, size, len(batch)) for each in zip(*parts, strict=True)]

        return whole

    def _tensor_of(self, request: LayerRequest) -> Any:
        names = {place.name: place.key for place in self.places}
        outputs = [call.output for call in self._calls if call.key == names[request.name]]
        number = request.call if request.call is not None else len(outputs) - 1
        return _picked(outputs[number], part_of(request, number, self.layers), request.requested)


def as_given(batch: np.ndarray, dtype: Any, model: str) -> np.ndarray:
    """Return a batch in the dtype that a graph takes.

    Parameters
    ----------
    batch : array of shape (n_images, ...), float32
        Preprocessed images.
    dtype : tf.DType
        Of the graph's input.
    model : str
        For the message.

    Raises
    ------
    PreprocessingError
        If the graph takes whole numbers, and these are none, or too large or small for it.
    """
    if dtype.is_integer:
        given = batch[np.isfinite(batch)]
        is_whole = given.size == batch.size and bool((given == np.rint(given)).all())
        if given.size and not (is_whole and dtype.min <= given.min() and given.max() <= dtype.max):
            raise PreprocessingError(
                f"{model} takes images as {dtype.name}, and these have values from {given.min():g} to {given.max():g}"
                f"{'' if is_whole else ', not all of them whole'}. Pass a preprocessing that gives 0-255, for example "
                f"preprocessing=adapters.Preprocessing(size=(224, 224), divisor=1.0)."
            )
    return batch.astype(dtype.as_numpy_dtype, copy=False)


def _picked(output: Any, path: tuple[str, ...], layer: str) -> Any:
    """Follow a path; of several floating tensors there take the first whose batch length the graph leaves open."""
    there = [leaf for where, leaf in floating_leaves(output, is_floating).items() if where[: len(path)] == path]
    if len(there) == 1 or any(leaf.shape.rank is None for leaf in there):
        return there[0]
    lengths = [leaf.shape[0] for leaf in floating_leaves(output, is_floating).values() if leaf.shape.rank]
    n_images = None if None in lengths or not lengths else lengths[0]
    return pick(output, path, layer=layer, n_images=n_images, is_floating_array=is_floating)  # type: ignore[arg-type]


def _joined(parts: Sequence[Any], size: int, n_images: int) -> Any:
    """Return the rows of all images; what has no rows cannot be joined, and stays what it was for the first."""
    if parts[0].shape[:1] != (size,):
        return parts[0]
    joined = np.concatenate(parts) if isinstance(parts[0], np.ndarray) else tf.concat(parts, 0)
    return joined[:n_images]


def _require_rows(value: Any, n_images: int, requested: str) -> None:
    if tuple(value.shape[:1]) != (n_images,):
        raise ActivationShapeError(
            f"Layer {requested!r} returned shape {tuple(value.shape)} for {n_images} images; the first axis must be "
            f"the batch. Request another layer, or one that comes after the batch axis is first again."
        )
