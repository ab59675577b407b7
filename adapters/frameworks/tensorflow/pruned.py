"""Programs that are graphs: what is requested is cut out of one traced graph, and nothing else is computed."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import ActivationShapeError
from ...layers import LayerRequest
from ...outputs import floating_leaves, pick
from ...recorded import Part, Path, Recording, forward_failed
from .layout import canonical, canonical_shape, is_channels_last
from .network import Call, Place, Program, Read, is_floating
from .tracing import EXCLUSIVE, reason_of

__all__ = ["Fetch", "GraphProgram"]

Fetch = Callable[[np.ndarray], Sequence[Any]]
"""Takes a batch; returns the values of some tensors."""

_N_KEPT = 16
_ONLY_READ = frozenset({"ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape", "Identity"})
_WITH_BODIES = frozenset({"If", "While", "Case", "StatefulPartitionedCall"})
_OUT_OF_REACH = "it runs inside a loop or a branch of the graph, where its values cannot be taken out."


@dataclass(frozen=True)
class _Pruned:
    """A function that computes some tensors: the variables that it writes, and whether it draws random numbers."""

    function: Any
    written: list[Any]
    draws: bool


class GraphProgram(Program):
    """A traced function, its layers, and the tensors that these returned.

    Parameters
    ----------
    model : str
        Name of the model's class.
    function : tf.WrappedFunction
        Takes the images; its graph holds every tensor below.
    places : sequence of Place
        Every layer that exists.
    calls : sequence of Call
        What was returned, in the order of execution; the final output under ``'logits'``.
    image_shape : tuple of int
        One image.
    channels_last : bool
        Layout of the images.
    n_fixed : int, optional
        The only batch length that the graph takes.
    device : str, optional
        Where to run.
    """

    def __init__(
        self,
        model: str,
        function: Any,
        places: Sequence[Place],
        calls: Sequence[Call],
        *,
        image_shape: tuple[int, ...],
        channels_last: bool = True,
        n_fixed: int | None = None,
        device: str | None = None,
    ) -> None:
        graph = None if function is None else function.graph
        inside = {call.key for call in calls if graph is not None and not _is_in(graph, call.output)}
        hidden = (replace(place, reason=_OUT_OF_REACH) if place.key in inside else place for place in places)
        super().__init__(model, list(hidden))
        self._function, self._image_shape, self._channels_last = function, image_shape, channels_last
        self._calls = [call for call in calls if call.key not in inside]
        self._n_fixed, self._device = n_fixed, device
        self._kept: OrderedDict[tuple[str, ...], _Pruned] = OrderedDict()
        self._measured: dict[int, Any] = {}

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
                shape = self._kept_columns(key, shapes[id(tensor)])
                return Part(canonical_shape(shape, is_channels_last(tensor, self._channels_last)), id(tensor))

            recording.hear(call.key, call.output, measure)

    def probes(self, n_images: int) -> np.ndarray:
        """Return images to try the model with: all different, and none of them blank."""
        gradient = np.linspace(-1, 1, math.prod(self._image_shape), dtype=np.float32).reshape(self._image_shape)
        return np.stack([gradient, gradient[::-1], -gradient][:n_images])

    def shapes(self, tensors: Sequence[Any], images: np.ndarray) -> list[tuple[int, ...]]:
        """Return the shapes that tensors have for some images; the values themselves are never kept."""
        with self._function.graph.as_default():
            for tensor in tensors:
                if id(tensor) not in self._measured:
                    self._measured[id(tensor)] = tf.shape(tensor)
        measured = [self._measured[id(tensor)] for tensor in tensors]
        size = self._n_fixed or len(images)
        filled = images[np.arange(size) % len(images)]
        with self.fetch(measured) as fetch:
            found = [tuple(int(length) for length in shape) for shape in fetch(filled)]
        return [(len(images), *shape[1:]) if shape[:1] == (size,) else shape for shape in found]

    @contextmanager
    def open(self, requests: Sequence[LayerRequest]) -> Iterator[Read]:
        """See `Program.open`."""
        wanted = [self._tensor_of(request) for request in requests]
        layouts = [is_channels_last(tensor, self._channels_last) for tensor in wanted]
        tensors = list({id(tensor): tensor for tensor in wanted}.values())
        positions = {id(tensor): position for position, tensor in enumerate(tensors)}
        with self.fetch(tensors) as fetch:

            def read(batch: np.ndarray) -> Mapping[str, Any]:
                values, found = fetch(batch), {}
                for request, tensor, layout in zip(requests, wanted, layouts, strict=True):
                    value = values[positions[id(tensor)]]
                    _require_rows(value, len(batch), request.requested)
                    found[request.requested] = self.finish(request, value, layout)
                return found

            yield read

    def finish(self, request: LayerRequest, value: Any, channels_last: bool) -> Any:
        """Bring a fetched value to what the contract asks for."""
        return canonical(value, channels_last)

    def fetch(self, tensors: Sequence[Any]) -> AbstractContextManager[Fetch]:
        """Prepare some tensors to be computed, and nothing that they do not need."""
        return self._restoring(tensors)

    @contextmanager
    def _restoring(self, tensors: Sequence[Any]) -> Iterator[Fetch]:
        """Set variables that the graph itself writes, such as the state of a random generator, back afterwards."""
        pruned = self._pruned(tensors)
        function, images = pruned.function, self._function.inputs[0]
        if pruned.draws:  # a function around it begins with a random state of its own, as every run shall
            with EXCLUSIVE, tf.init_scope():
                function = tf.compat.v1.wrap_function(pruned.function, [tf.TensorSpec(images.shape, images.dtype)])

        def compute(batch: np.ndarray) -> Sequence[Any]:
            with tf.device(self._device):
                values: Sequence[Any] = function(tf.cast(tf.constant(batch), images.dtype))
                return values

        with EXCLUSIVE if pruned.written else nullcontext():
            before = [tf.identity(variable) for variable in pruned.written]
            try:
                yield self._chunked(compute)
            finally:
                for variable, value in zip(pruned.written, before, strict=True):
                    variable.assign(value)

    def _pruned(self, tensors: Sequence[Any]) -> _Pruned:
        key = tuple(tensor.name for tensor in tensors)
        if key not in self._kept:
            with EXCLUSIVE:
                function = self._function.prune(self._function.inputs[0], list(tensors))
            self._kept[key] = _Pruned(function, _written(function), _draws(function.graph))
        self._kept.move_to_end(key)
        while len(self._kept) > _N_KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]

    def _chunked(self, compute: Fetch) -> Fetch:
        """Fill batches up to the one length that the graph takes, and cut what comes out."""
        size = self._n_fixed
        if size is None:
            return compute

        def whole(batch: np.ndarray) -> list[Any]:
            parts: list[list[Any]] = []
            for start in range(0, len(batch), size):
                images = batch[start : start + size]
                filled = np.concatenate([images, np.repeat(images[-1:], size - len(images), axis=0)])
                values = compute(filled)
                parts.append([value[: len(images)] if value.shape[:1] == (size,) else value for value in values])
            return [joined[0] if len(joined) == 1 else _join(joined) for joined in zip(*parts, strict=True)]

        return whole

    def _tensor_of(self, request: LayerRequest) -> Any:
        names = {place.name: place.key for place in self.places}
        outputs = [call.output for call in self._calls if call.key == names[request.name]]
        number = request.call if request.call is not None else len(outputs) - 1
        part = request.path
        if not part and request.name in self.layers:
            part = self.layers[request.name].part_of(number)
        return _picked(outputs[number], part, request.requested)

    def _kept_columns(self, key: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of what is given out of a call's tensor; the same unless it is the final output."""
        return shape


def _picked(output: Any, path: tuple[str, ...], layer: str) -> Any:
    """Follow a path; of several floating tensors there take the first whose batch length the graph leaves open."""
    there = [leaf for where, leaf in floating_leaves(output, is_floating).items() if where[: len(path)] == path]
    if len(there) == 1 or any(leaf.shape.rank is None for leaf in there):
        return there[0]
    lengths = [leaf.shape[0] for leaf in floating_leaves(output, is_floating).values() if leaf.shape.rank]
    n_images = None if None in lengths or not lengths else lengths[0]
    return pick(output, path, layer=layer, n_images=n_images, is_floating_array=is_floating)  # type: ignore[arg-type]


def _is_in(graph: Any, output: Any) -> bool:
    return all(leaf.graph is graph for leaf in tf.nest.flatten(output) if is_floating(leaf) and hasattr(leaf, "op"))


def _join(parts: Sequence[Any]) -> Any:
    is_array = isinstance(parts[0], np.ndarray)
    return np.concatenate(parts) if is_array else tf.concat(parts, 0)


def _require_rows(value: Any, n_images: int, requested: str) -> None:
    if tuple(value.shape[:1]) != (n_images,):
        raise ActivationShapeError(
            f"Layer {requested!r} returned shape {tuple(value.shape)} for {n_images} images; the first axis must be "
            f"the batch. Request another layer, or one that comes after the batch axis is first again."
        )


def _written(function: Any) -> list[Any]:
    """Return the variables that some operation of a function may write."""
    handles = {id(inner): outer for outer, inner in function.graph.captures}
    variables = {id(variable.handle): variable for variable in function.graph.variables if hasattr(variable, "handle")}
    found = {}
    for operation in function.graph.get_operations():
        for given in operation.inputs:
            variable = variables.get(id(handles.get(id(given))))
            if variable is not None and operation.type not in _ONLY_READ:
                found[id(variable)] = variable
    return list(found.values())


def _draws(graph: Any) -> bool:
    """Tell whether operations keep a random state of their own, which starts anew when they are prepared again."""
    stateful = [operation for operation in graph.get_operations() if operation.op_def.is_stateful]
    if any(operation.type in _WITH_BODIES for operation in stateful):  # what they hold may draw
        return True
    return any("seed2" in operation.node_def.attr for operation in stateful)
