"""Graphs without Python: concrete functions and frozen GraphDefs; weights are constants in what is pruned."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from ...contract import InputSpec
from ...errors import ModelForwardError, UnsupportedModelError, listing
from .network import Network, Program, is_floating, spec_of_shape
from .operations import operations_of
from .pruned import GraphProgram
from .tracing import EXCLUSIVE

__all__ = ["ConcreteNetwork", "FrozenGraphNetwork", "frozen_program", "require_image_shape"]

_VARIABLES = frozenset({"Variable", "VariableV2", "VarHandleOp", "AutoReloadVariable"})
_PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderWithDefault"})


class ConcreteNetwork(Network):
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
        self._function, self._device = model, device
        name = model.name.decode() if isinstance(model.name, bytes) else str(model.name)
        self.identifier = re.sub(r"^__inference_|_\d+$", "", name)  # as in __inference_network_123
        captured = {id(inner) for _, inner in model.graph.captures}
        self._images = _only_input([each for each in model.inputs if id(each) not in captured], self.identifier)
        self._is_ours = False

    @property
    def input(self) -> InputSpec:
        """What the signature says."""
        shape = self._images.shape
        return spec_of_shape(None if shape.rank is None else shape.as_list())

    def structure(self) -> Hashable:
        """Return a digest of the weights: the pruned graph holds copies of them."""
        if self._is_ours:  # nobody else has what was loaded here
            return None
        digest = hashlib.blake2b()
        for variable in self._function.variables:
            digest.update(np.ascontiguousarray(variable).tobytes())
        return digest.hexdigest()

    def weights(self) -> Iterator[tuple[str, Any]]:
        """Yield variables by number and name, then the constants of the graph."""
        for number, variable in enumerate(self._function.variables):
            yield f"{number}/{variable.name}", variable
        yield from _constants(self._function.graph.as_graph_def())

    def program(self, image_shape: tuple[int, ...]) -> Program:
        """See `Network.program`."""
        require_image_shape(self._images, image_shape, self.identifier)
        with EXCLUSIVE:
            frozen = convert_variables_to_constants_v2(self._function, lower_control_flow=False)
        outputs = list(frozen.outputs)
        structure = self._function.structured_outputs
        if len(tf.nest.flatten(structure)) == len(outputs):
            outputs = tf.nest.pack_sequence_as(structure, outputs)
        if any(_draws(operation.node_def) for operation in frozen.graph.get_operations()):
            names = [each.name for each in tf.nest.flatten(outputs)]
            graph_def, spec = frozen.graph.as_graph_def(), tf.TensorSpec(self._images.shape, self._images.dtype)
            frozen, found = _imported(graph_def, frozen.inputs[0].name, names, spec)
            outputs = tf.nest.pack_sequence_as(outputs, found)
        return frozen_program(
            frozen,
            outputs,
            model=self.identifier,
            image_shape=image_shape,
            device=self._device,
            channels_last=self.input.channel_axis == -1,
        )


class FrozenGraphNetwork(Network):
    """A GraphDef, a ``.pb`` file of one, or a `tf.Graph`, all of whose weights are constants.

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
        self._device, self._graph_def = device, _graph_def_of(model)
        self.identifier = Path(model).stem if isinstance(model, (str, Path)) else type(model).__name__
        variables = [node.name for node in self._graph_def.node if node.op in _VARIABLES]
        if variables:
            raise UnsupportedModelError(
                f"{self.identifier} has {len(variables)} variables ({listing(variables)}), and nobody knows their "
                f"values. Pass adapters.frameworks.tensorflow.TF1Model(session, inputs, endpoints) with the session "
                f"that holds them, or freeze the graph."
            )
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(self._graph_def, name="")
        placeholders = [each for each in graph.get_operations() if each.type == "Placeholder"]
        placeholders = placeholders or [each for each in graph.get_operations() if each.type in _PLACEHOLDERS]
        self._images = _only_input([each.outputs[0] for each in placeholders], self.identifier)

    @property
    def input(self) -> InputSpec:
        """What the placeholder says."""
        shape = self._images.shape
        return spec_of_shape(None if shape.rank is None else shape.as_list())

    def structure(self) -> Hashable:
        """See `Network.structure`."""
        return None

    def weights(self) -> Iterator[tuple[str, Any]]:
        """See `Network.weights`."""
        return _constants(self._graph_def)

    def program(self, image_shape: tuple[int, ...]) -> Program:
        """See `Network.program`."""
        require_image_shape(self._images, image_shape, self.identifier)
        spec = tf.TensorSpec(self._images.shape, self._images.dtype)
        function, _ = _imported(self._graph_def, self._images.name, [], spec)
        return frozen_program(
            function,
            _last_computed(function.inputs[0], self.identifier),
            model=self.identifier,
            image_shape=image_shape,
            device=self._device,
            channels_last=self.input.channel_axis == -1,
        )


def frozen_program(function: Any, output: Any, *, model: str, image_shape: tuple[int, ...], **options: Any) -> Program:
    """Return the program of a function whose graph holds everything.

    Parameters
    ----------
    function : tf.WrappedFunction
        Its first input takes the images.
    output : structure of tf.Tensor
        What the model returns.
    model : str
        Its name.
    image_shape : tuple of int
        One image.
    **options
        As for `GraphProgram`.
    """
    images = function.inputs[0]
    places, calls = operations_of(images, output, model)
    n_fixed = None if images.shape.rank is None else images.shape[0]
    return GraphProgram(model, function, places, calls, image_shape=image_shape, n_fixed=n_fixed, **options)


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


def _graph_def_of(model: Any) -> Any:
    if isinstance(model, tf.Graph):
        return model.as_graph_def()
    if not isinstance(model, (str, Path)):
        return model
    graph_def = tf.compat.v1.GraphDef()
    try:
        graph_def.ParseFromString(Path(model).read_bytes())
    except Exception as error:  # protobuf's own error class differs between its versions
        raise UnsupportedModelError(
            f"{model} could not be read as a frozen graph: {error}. Expected a binary GraphDef; for a SavedModel pass "
            f"its folder."
        ) from error
    return graph_def


def _imported(graph_def: Any, images: str, names: Sequence[str], spec: Any) -> tuple[Any, list[Any]]:
    """Return a function of images with a graph in it, and some tensors of that."""
    seeded = tf.compat.v1.GraphDef()
    seeded.CopyFrom(graph_def)
    functions = (node for function in seeded.library.function for node in function.node_def)
    for number, node in enumerate(each for each in (*seeded.node, *functions) if _draws(each)):
        if node.attr["seed"].i == node.attr["seed2"].i == 0:  # drawn anew each time it runs
            node.attr["seed"].i, node.attr["seed2"].i = 1, number + 1
    found: list[Any] = []

    def run(brain_adapters_images: Any) -> list[Any]:
        found.extend(
            tf.import_graph_def(seeded, {images: brain_adapters_images}, return_elements=list(names), name="") or ()
        )
        return []

    with EXCLUSIVE, tf.init_scope():
        return tf.compat.v1.wrap_function(run, [spec]), found


def _draws(node: Any) -> bool:
    return "seed" in node.attr and "seed2" in node.attr


def _constants(graph_def: Any) -> Iterator[tuple[str, Any]]:
    """Yield the floating constants of a graph, and of the functions in it."""
    for node in graph_def.node:
        if node.op == "Const" and tf.dtypes.as_dtype(node.attr["dtype"].type).is_floating:
            yield f"constant/{node.name}", tf.make_ndarray(node.attr["value"].tensor)
    for number, function in enumerate(graph_def.library.function):
        for node in function.node_def:
            if node.op == "Const" and tf.dtypes.as_dtype(node.attr["dtype"].type).is_floating:
                yield f"constant/{number}/{node.name}", tf.make_ndarray(node.attr["value"].tensor)


def _last_computed(images: Any, model: str) -> Any:
    """Return the last tensor that depends on the images and that nothing else in the graph takes."""
    _, calls = operations_of(images, [], model)
    ends = [tensor for call in calls for tensor in tf.nest.flatten(call.output) if not _is_used(tensor)]
    ends = [tensor for tensor in ends if is_floating(tensor)]
    if not ends:
        raise UnsupportedModelError(
            f"{model} computes nothing from its placeholder {images.name!r}. Pass the graph that holds the network."
        )
    return ends[-1]


def _is_used(tensor: Any) -> bool:
    """Tell whether an operation computes on a tensor, through identities and changes of shape."""
    passing = ("Identity", "StopGradient", "NoOp", "Reshape", "Squeeze", "ExpandDims", "Transpose", "Shape", "Assert")
    return any(
        consumer.type not in passing or any(_is_used(each) for each in consumer.outputs)
        for consumer in tensor.consumers()
    )
