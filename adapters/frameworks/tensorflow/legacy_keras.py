"""Keras 2 as the package tf_keras: functional, Sequential, subclassed and nested models."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from ...callables import Preprocess
from ...contract import InputSpec
from ...errors import UnsupportedModelError
from ...inference import inference_arguments
from ...keras_applications import preprocessing_of
from ...layers import LOGITS
from ...structure import Same, comparable
from .modules import module_program
from .network import Network, Place, Program, spec_of_shape
from .walking import LIBRARIES, channels_of, class_attributes, is_of_a_library, variables_in

__all__ = ["LegacyKerasNetwork"]

_MAX_DEPTH = 4
_VALUES = (bool, int, float, complex, str, bytes, type(None), tuple, np.generic, np.ndarray)


class LegacyKerasNetwork(Network):
    """Runs ``model(images, training=False)``; layers have Keras's names, ``outer/inner`` in nested models.

    Parameters
    ----------
    model : tf_keras.layers.Layer
        Built.
    device : str, optional
        Where to run.

    Raises
    ------
    UnsupportedModelError
        If it has no weights yet, or takes several inputs.
    """

    def __init__(self, model: Any, device: str | None) -> None:
        self._model, self._device = model, device
        self.identifier = type(model).__name__ if _is_named_automatically(model) else str(model.name)
        _require_supported(model)

    @property
    def input(self) -> InputSpec:
        """What the model's input says; else the channels from the kernels."""
        formats = (getattr(layer, "data_format", None) for layer in self._model._flatten_layers())
        is_first = next((each for each in formats if each is not None), "channels_last") == "channels_first"
        try:
            shape = self._model.input_shape
        except (AttributeError, ValueError, RuntimeError):  # a subclassed model has none
            shape = None
        if isinstance(shape, tuple) and len(shape) == 4:
            shape = (shape[0], *shape[2:], shape[1]) if is_first else shape
            found = spec_of_shape(shape)
            return InputSpec(found.size, found.n_channels, 1 if is_first else -1)
        return InputSpec(n_channels=channels_of(self._model.weights), channel_axis=1 if is_first else -1)

    def preprocessing(self) -> Preprocess | None:
        """Return what `tf_keras.applications` does before its models, as data; other models do not say."""
        return preprocessing_of(self._model, self.input.size)

    def structure(self) -> object:
        """Return layers, settings and variables; a model that was changed since is traced anew."""
        found: list[object] = []
        for layer in self._model._flatten_layers():
            found += [layer.name, Same(layer), type(layer)]
            found += [(name, comparable(value, LIBRARIES)) for name, value in _settings(layer)]
        found += [(Same(variable), tuple(variable.shape), variable.dtype.name) for variable in self._model.variables]
        return tuple(found)

    def weights(self) -> Iterator[tuple[str, Any]]:
        """Yield weights by number, and the last part of their name: Keras counts what goes before."""
        for number, variable in enumerate(self._model.weights):
            yield f"{number}/{variable.name.rpartition('/')[2]}", variable

    def program(self, image_shape: tuple[int, ...]) -> Program:
        """See `Network.program`."""
        found = _below(self._model, (), (id(self._model),))
        places: dict[str, Place] = {}
        layers: dict[int, Any] = {id(self._model): self._model}
        for path, layer in found:
            name = _unique("/".join(path), places)
            if name != LOGITS:
                places[name] = Place(id(layer), name, type(layer).__name__)
                layers[id(layer)] = layer
        layers.pop(id(self._model))
        dtype = self._model.dtype or getattr(self._model, "compute_dtype", None)
        return module_program(
            lambda images: self._model(images, **inference_arguments(self._model.call)),
            list(layers.values()),
            list(places.values()),
            variables=[*self._model.variables, *variables_in(self._model)],
            model=self.identifier,
            image_shape=image_shape,
            dtype=tf.as_dtype(dtype or "float32"),
            device=self._device,
            channels_last=self.input.channel_axis == -1,
        )


def _settings(layer: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a layer computes with, beside weights and layers; of what is private, what Keras never writes."""
    is_keras = is_of_a_library(type(layer).__module__)
    for name, value in vars(layer).items():
        is_private = name.startswith("_")
        if (not is_keras and isinstance(value, _VALUES)) if is_private else not _holds_layers(value, 0):
            yield name, value
    yield from class_attributes(layer)


def _holds_layers(value: Any, depth: int) -> bool:
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return isinstance(value, tf.Module) or (
        depth < _MAX_DEPTH and any(_holds_layers(each, depth + 1) for each in inner)
    )


def _below(outer: Any, path: tuple[str, ...], ancestors: tuple[int, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, layer in _children(outer):
        if id(layer) not in ancestors:
            yield (*path, name), layer
            yield from _below(layer, (*path, name), (*ancestors, id(layer)))


def _children(outer: Any) -> Iterator[tuple[str, Any]]:
    """Yield the layers of a layer; of a class, by its attributes' names where Keras made names up."""
    keras = sys.modules["tf_keras"]
    is_graph = isinstance(outer, keras.Sequential) or getattr(outer, "_is_graph_network", False)
    attributes = {} if is_graph else _attributes(outer)
    for layer in outer._flatten_layers(recursive=False, include_self=False):
        if isinstance(layer, keras.layers.InputLayer):
            continue
        is_named = is_graph or not _is_named_automatically(layer)
        yield layer.name if is_named else attributes.get(id(layer), layer.name), layer


def _attributes(outer: Any) -> dict[int, str]:
    """Return the attribute of every layer that a layer holds, as ``stem`` or ``blocks/0``, by the layer's id."""
    found: dict[int, str] = {}
    for name, value in vars(outer).items():
        if not name.startswith("_"):
            _collect(value, name, found, 0)
    return found


def _collect(value: Any, name: str, found: dict[int, str], depth: int) -> None:
    if isinstance(value, tf.Module):
        found.setdefault(id(value), name)
    elif isinstance(value, dict) and depth < _MAX_DEPTH:
        for key, item in value.items():
            _collect(item, f"{name}/{key}", found, depth + 1)
    elif isinstance(value, (list, tuple)) and depth < _MAX_DEPTH:
        for position, item in enumerate(value):
            _collect(item, f"{name}/{position}", found, depth + 1)


def _unique(name: str, taken: dict[str, Place]) -> str:
    number, found = 2, name
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    return found


def _is_named_automatically(layer: Any) -> bool:
    """Tell whether Keras made the name up from the class, with a counter that depends on what was built before."""
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])|(?<=[A-Z])([A-Z][a-z])", r"_\1\2", type(layer).__name__).lower()
    return re.sub(r"_\d+$", "", str(layer.name)).replace("_", "") == snake.replace("_", "")


def _require_supported(model: Any) -> None:
    name = type(model).__name__
    inputs = getattr(model, "inputs", None) or ()
    what = [each.name for each in inputs] or _required_arguments(model)
    if len(what) > 1:
        raise UnsupportedModelError(
            f"{name} takes {len(what)} inputs ({', '.join(what)}), and stimuli are one. Pass the part of it that takes "
            f"the image, for example tf_keras.Model(image_input, layer.output)."
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
