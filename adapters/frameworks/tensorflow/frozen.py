"""Graphs without Python: concrete functions and frozen GraphDefs; their weights are tensors that all parts share."""

from __future__ import annotations

import hashlib
import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from ...callables import Preprocess
from ...contract import InputSpec
from ...errors import ModelForwardError, UnsupportedModelError, listing
from .graphs import LightGraph, graph_def_of, lightened
from .network import Network, Program, preprocessing_for, spec_of_shape
from .operations import ends_of, operations_of
from .pruned import GraphProgram
from .tracing import EXCLUSIVE

__all__ = ["ConcreteNetwork", "FrozenGraphNetwork", "require_image_shape"]

_VARIABLES = frozenset({"Variable", "VariableV2", "VarHandleOp", "AutoReloadVariable"})
_PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderWithDefault"})


class _GraphNetwork(Network):
    """What comes as a graph, with the tensor of it that takes the images."""

    _images: Any
    _device: str | None

    @property
    def input(self) -> InputSpec:
        """What the signature or the placeholder says."""
        shape = self._images.shape
        return spec_of_shape(None if shape.rank is None else shape.as_list())

    def preprocessing(self) -> Preprocess | None:
        """Leave pixels as they are where the graph takes whole numbers."""
        return preprocessing_for(self._images.dtype, self.input)

    @property
    def _spec(self) -> Any:
        return tf.TensorSpec(self._images.shape, self._images.dtype)

    @abstractmethod
    def _function(self) -> tuple[Any, Any]:
        """Return a function that holds the graph, and the output in it."""

    def program(self, image_shape: tuple[int, ...]) -> Program:
        """See `Network.program`."""
        require_image_shape(self._images, image_shape, self.identifier)
        function, output = self._function()
        images = function.inputs[0]
        places, calls = operations_of(images, output, self.identifier)
        return GraphProgram(
            self.identifier,
            function,
            places,
            calls,
            image_shape=image_shape,
            n_fixed=None if images.shape.rank is None else images.shape[0],
            device=self._device,
            channels_last=self.input.channel_axis == -1,
        )


class ConcreteNetwork(_GraphNetwork):
    """A concrete function of images, such as a signature of a SavedModel; it is inlined, and its weights copied.

    Parameters
    ----------
    model : tf.types.experimental.ConcreteFunction
        Takes one tensor.
    device : str, optional
        Where to run.

    Raises
    ------
    UnsupportedModelError
        If it takes more than images, or something else.
    """

    def __init__(self, model: Any, device: str | None) -> None:
        self._given, self._device = model, device
        name = model.name.decode() if isinstance(model.name, bytes) else str(model.name)
        self.identifier = re.sub(r"^__inference_|_\d+$", "", name)  # as in __inference_network_123
        captured = {id(inner) for _, inner in model.graph.captures}
        self._images = _only_input([each for each in model.inputs if id(each) not in captured], self.identifier)
        self._is_ours = False
        self._frozen: tuple[object, LightGraph, str, Any] | None = None

    def structure(self) -> object:
        """Return a digest of the weights: the frozen graph holds copies of them."""
        if self._is_ours:  # nobody else has what was loaded here
            return None
        digest = hashlib.blake2b()
        for variable in self._given.variables:
            digest.update(np.ascontiguousarray(variable).tobytes())
        return digest.hexdigest()

    def weights(self) -> Iterator[tuple[str, Any]]:
        """Yield variables by number and name, then the constants of the graph."""
        for number, variable in enumerate(self._given.variables):
            yield f"{number}/{variable.name}", variable
        yield from LightGraph(self._given.graph.as_graph_def(), {}).constants()

    def parameters(self) -> list[tuple[Any, bool]]:
        """See `Network.parameters`; variables that the signature does not use are not counted."""
        used = [(variable, bool(variable.trainable)) for variable in self._given.variables]
        return used or super().parameters()

    def _function(self) -> tuple[Any, Any]:
        structure = self.structure()
        if self._frozen is None or self._frozen[0] != structure:
            self._frozen = (structure, *self._freeze())
        _, graph, images, outputs = self._frozen
        function, found = graph.function(images, tf.nest.flatten(outputs), self._spec)
        return function, tf.nest.pack_sequence_as(outputs, found)

    def _freeze(self) -> tuple[LightGraph, str, Any]:
        """Return the graph with the weights that there are now, and the names of its input and its outputs."""
        with EXCLUSIVE:
            frozen = convert_variables_to_constants_v2(self._given, lower_control_flow=False)
        names = [each.name for each in frozen.outputs]
        structure = self._given.structured_outputs
        if len(tf.nest.flatten(structure)) == len(names):
            names = tf.nest.pack_sequence_as(structure, names)
        return lightened(frozen.graph.as_graph_def(), self._device), frozen.inputs[0].name, names


class FrozenGraphNetwork(_GraphNetwork):
    """A GraphDef, a ``.pb`` file of one, or a `tf.Graph`, all of whose weights are constants; as it is at this moment.

    Parameters
    ----------
    model : str, Path, GraphDef or tf.Graph
        With one placeholder, for images.
    device : str, optional
        Where to run.

    Raises
    ------
    UnsupportedModelError
        If the file is no graph, there are variables, or no placeholder that is meant for images.
    """

    def __init__(self, model: Any, device: str | None) -> None:
        self._device = device
        self.identifier = Path(model).stem if isinstance(model, (str, Path)) else type(model).__name__
        graph_def = graph_def_of(model)
        variables = [node.name for node in graph_def.node if node.op in _VARIABLES]
        if variables:
            raise UnsupportedModelError(
                f"{self.identifier} has {len(variables)} variables ({listing(variables)}), and nobody knows their "
                f"values. Pass adapters.frameworks.tensorflow.TF1Model(session, inputs, endpoints) with the session "
                f"that holds them, or freeze the graph."
            )
        self._graph = lightened(graph_def, device)
        self._images = _only_input(_placeholders(graph_def), self.identifier)

    def structure(self) -> object:
        """Nothing: the graph was copied."""
        return None

    def weights(self) -> Iterator[tuple[str, Any]]:
        """See `Network.weights`."""
        return self._graph.constants()

    def _function(self) -> tuple[Any, Any]:
        function, _ = self._graph.function(self._images.name, [], self._spec)
        return function, _output_of(function.inputs[0], self.identifier)


def require_image_shape(images: Any, image_shape: tuple[int, ...], model: str) -> None:
    """Refuse images that the graph cannot take.

    Raises
    ------
    ModelForwardError
        With both shapes.
    """
    if images.shape.rank is not None and not images.shape[1:].is_compatible_with(image_shape):
        raise ModelForwardError(
            f"{model} takes images of shape {tuple(images.shape[1:])}, and these have shape {tuple(image_shape)}. Pass "
            f"a preprocessing that gives this size and layout, for example preprocessing=adapters.imagenet(size)."
        )


def _only_input(inputs: Sequence[Any], model: str) -> Any:
    """Return the tensor that takes the images."""
    names = listing([each.name.partition(":")[0] for each in inputs])
    if len(inputs) != 1:
        raise UnsupportedModelError(
            f"{model} takes {len(inputs)} inputs ({names}), and stimuli are one. Make a function of the images that "
            f"sets the others, or, for a graph, pass adapters.frameworks.tensorflow.TF1Model(session, inputs, "
            f"endpoints, feeds={{'is_training:0': False}})."
        )
    dtype = inputs[0].dtype
    if not (dtype.is_floating or dtype.is_integer):
        raise UnsupportedModelError(
            f"{model} takes {dtype.name} as {names}; expected images. A graph that reads image files from their paths "
            f"can be passed as adapters.frameworks.tensorflow.TF1Model(session, inputs, endpoints)."
        )
    return inputs[0]


def _placeholders(graph_def: Any) -> list[Any]:
    """Return what the placeholders of a graph take, with the name of each one's tensor."""
    nodes = [node for node in graph_def.node if node.op == "Placeholder"]
    nodes = nodes or [node for node in graph_def.node if node.op in _PLACEHOLDERS]
    return [
        tf.TensorSpec(
            tf.TensorShape(node.attr["shape"].shape) if node.attr["shape"].shape.dim else None,  # old files have none
            tf.as_dtype(node.attr["dtype"].type),
            f"{node.name}:0",
        )
        for node in nodes
    ]


def _output_of(images: Any, model: str) -> Any:
    """Return the tensor that a graph ends in; where there are several, why nobody knows which is meant."""
    ends = ends_of(images)
    if not ends:
        raise UnsupportedModelError(
            f"{model} computes nothing from its placeholder {images.name!r}. Pass the graph that holds the network."
        )
    if len(ends) == 1:
        return ends[0]
    names = listing([tensor.op.name for tensor in ends])
    return f"the graph ends in {len(ends)} operations ({names}) and does not say which is the output. Request one."
