"""Programs that are traced functions: what is requested is cut out of one graph, and nothing else is computed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import AdapterError, warn
from .fetching import Fetch, FetchingProgram, Finish, as_given
from .network import Call, Place, Traced, is_floating
from .tracing import EXCLUSIVE

__all__ = ["GraphProgram"]

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


class GraphProgram(FetchingProgram):
    """A traced function, its layers, and the tensors that these returned.

    Parameters
    ----------
    model : str
        Name of the model's class.
    function : tf.WrappedFunction
        Takes the images; its graph holds every tensor below.
    places, calls : sequence
        As for `FetchingProgram`.
    device : str, optional
        Where to run.
    **options
        As for `FetchingProgram`.
    """

    def __init__(
        self,
        model: str,
        function: Any,
        places: Sequence[Place],
        calls: Sequence[Call],
        *,
        device: str | None = None,
        **options: Any,
    ) -> None:
        inside = {call.key for call in calls if not _is_in(function.graph, call.output)}
        hidden = (replace(place, reason=_OUT_OF_REACH) if place.key in inside else place for place in places)
        super().__init__(
            model,
            list(hidden),
            [call for call in calls if call.key not in inside],
            dtype=function.inputs[0].dtype,
            **options,
        )
        self._function, self._device = function, device
        if any(_trains(operation) for operation in function.graph.get_operations()):
            warn(
                f"{model} normalises batches by their own moments, as in training: what it gives for an image depends "
                f"on the other images of its batch. Call it with training=False in a function of images, and pass that."
            )
        self._kept: OrderedDict[tuple[str, ...], _Pruned] = OrderedDict()
        self._measured: dict[int, Any] = {}

    @property
    def traced(self) -> Traced:
        """See `Program.traced`."""
        graph = self._function.graph
        return Traced(graph, self._calls, graph.captures, {"images": self.n_fixed})

    def shapes(self, tensors: Sequence[Any], images: np.ndarray) -> list[tuple[int, ...]]:
        """See `FetchingProgram.shapes`; the values themselves are not even computed where that is possible."""
        with self._function.graph.as_default():
            for tensor in tensors:
                if id(tensor) not in self._measured:
                    self._measured[id(tensor)] = tf.shape(tensor)
        measured = [self._measured[id(tensor)] for tensor in tensors]
        size = self.n_fixed or len(images)
        filled = images[np.arange(size) % len(images)]
        with self.fetch(measured) as fetch:
            found = [tuple(int(length) for length in shape) for shape in fetch(filled)]
        return [(len(images), *shape[1:]) if shape[:1] == (size,) else shape for shape in found]

    def fetch(self, tensors: Sequence[Any], finish: Finish | None = None) -> AbstractContextManager[Fetch]:
        """See `FetchingProgram.fetch`."""
        return self._restoring(tensors, finish)

    @contextmanager
    def _restoring(self, tensors: Sequence[Any], finish: Finish | None) -> Iterator[Fetch]:
        """Set variables that the graph itself writes, such as the state of a random generator, back afterwards."""
        pruned = self._pruned(tensors)
        function, images = pruned.function, self._function.inputs[0]
        if pruned.draws:  # a function around it begins with a random state of its own, as every run shall
            with EXCLUSIVE, tf.init_scope():
                function = tf.compat.v1.wrap_function(pruned.function, [tf.TensorSpec(images.shape, images.dtype)])

        if finish is not None:
            function = self._finishing(function, finish)

        def compute(batch: np.ndarray) -> Sequence[Any]:
            with tf.device(self._device):
                values: Sequence[Any] = function(tf.constant(as_given(batch, images.dtype, self.model)))
                return values

        with EXCLUSIVE if pruned.written else nullcontext():
            before = [tf.identity(variable) for variable in pruned.written]
            try:
                yield self.chunked(compute)
            finally:
                for variable, value in zip(pruned.written, before, strict=True):
                    variable.assign(value)

    def _finishing(self, function: Any, finish: Finish) -> Any:
        """Return a function that finishes its values itself; where that cannot be traced, finish what it returned."""
        images = self._function.inputs[0]
        whole = tf.function(lambda images: finish(function(images)), autograph=False)
        try:
            with EXCLUSIVE, tf.init_scope(), tf.device(self._device):
                return whole.get_concrete_function(tf.TensorSpec(images.shape, images.dtype))
        except AdapterError:
            raise
        except Exception:
            return lambda images: finish(function(images))

    def _pruned(self, tensors: Sequence[Any]) -> _Pruned:
        key = tuple(tensor.name for tensor in tensors)
        with EXCLUSIVE:  # other threads put theirs in, and take others out
            found = self._kept.pop(key, None)
            if found is None:
                function = self._function.prune(self._function.inputs[0], list(tensors))
                found = _Pruned(function, _written(function), _draws(function.graph))
            self._kept[key] = found
            while len(self._kept) > _N_KEPT:
                self._kept.popitem(last=False)
        return found


def _trains(operation: Any) -> bool:
    return operation.type.startswith("FusedBatchNorm") and bool(operation.node_def.attr["is_training"].b)


def _is_in(graph: Any, output: Any) -> bool:
    return all(leaf.graph is graph for leaf in tf.nest.flatten(output) if is_floating(leaf) and hasattr(leaf, "op"))


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
