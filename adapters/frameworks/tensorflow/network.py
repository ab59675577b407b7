"""What the adapter asks of a kind of TensorFlow model: its weights, its input, and a program that reads its layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from ...callables import Preprocess
from ...contract import InputSpec
from ...layers import LayerRequest, Layers
from ...preprocessing import Preprocessing
from ...recorded import N_PROBES, Recording, layers_of
from ...reducing import Reducing

__all__ = ["Call", "Network", "Place", "Program", "Read", "Traced", "is_floating", "preprocessing_for", "spec_of_shape"]

Read = Callable[[np.ndarray], Mapping[str, Any]]
"""Takes a batch of images; returns requested text -> value on the device."""

_CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class Place:
    """A layer that exists.

    Parameters
    ----------
    key : hashable
        What makes it this layer; places with one key are names of the same layer.
    name, kind : str
        As users see them.
    reason : str
        Why it cannot be read; empty where it can.
    """

    key: Hashable
    name: str
    kind: str
    reason: str = ""


@dataclass(frozen=True)
class Call:
    """One call of a layer in a traced graph: its key, and the structure of tensors that it returned."""

    key: Hashable
    output: Any


@dataclass(frozen=True)
class Traced:
    """The graph that a program runs, for fingerprints.

    Parameters
    ----------
    graph : tf.Graph
        Holds every tensor of ``calls``.
    calls : sequence of Call
        What layers returned in it.
    captures : sequence of (tensor, tensor)
        Values from outside, each with the placeholder that it fills.
    settings : mapping
        What a run depends on beside the graph.
    """

    graph: Any
    calls: Sequence[Call]
    captures: Sequence[tuple[Any, Any]] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


class Program(ABC):
    """A model made ready for images of one shape.

    Parameters
    ----------
    model : str
        Name of the model's class, for messages.
    places : sequence of Place
        Every layer that exists, the final output among them under the key ``'logits'``.
    """

    def __init__(self, model: str, places: Sequence[Place]) -> None:
        self.model, self.places = model, tuple(places)
        self._layers: Layers | None = None

    @property
    def traced(self) -> Traced | None:
        """The graph that runs; None where there is none."""
        return None

    @property
    def layers(self) -> Layers:
        """The layers, from two recorded passes; once per program."""
        if self._layers is None:
            short, long = (self._recorded(n_images) for n_images in N_PROBES)
            self._layers = layers_of(short, long, model=self.model)
        return self._layers

    def _recorded(self, n_images: int) -> Recording:
        recording = Recording(is_floating)
        for place in self.places:
            recording.expect(place.key, place.name, place.kind, unreadable=place.reason)
        try:
            self.record(recording, n_images)
        finally:
            recording.close()
        return recording

    @abstractmethod
    def record(self, recording: Recording, n_images: int) -> None:
        """Hear every call of one pass of a few images."""

    @abstractmethod
    def open(self, requests: Sequence[LayerRequest], reducing: Reducing) -> AbstractContextManager[Read]:
        """Give the function that reads the requests, and reduces them, for the length of a run."""


class Network(ABC):
    """One kind of TensorFlow model."""

    identifier: str
    places_on_host: bool = False
    """Whether what a run reads is on the host at once, whatever the device."""

    @property
    @abstractmethod
    def input(self) -> InputSpec:
        """Size, channels and layout, as far as the model says."""

    @abstractmethod
    def program(self, image_shape: tuple[int, ...]) -> Program:
        """Make the model ready for images of one shape, as it is now."""

    @abstractmethod
    def structure(self) -> object:
        """Return what a program depends on; a model that was changed since gets a new one."""

    @abstractmethod
    def weights(self) -> Iterator[tuple[str, Any]]:
        """Yield every weight and buffer by name, as variables, tensors or arrays."""

    def parameters(self) -> list[tuple[Any, bool]]:
        """Return variables, and whether each is trained; of a model that has none, its arrays of constants."""
        found = [value for _, value in self.weights()]
        variables = [value for value in found if isinstance(value, tf.Variable)]
        if variables:
            return [(variable, bool(variable.trainable)) for variable in variables]
        return [(value, False) for value in found if np.ndim(value)]

    def preprocessing(self) -> Preprocess | None:
        """Return the preprocessing that the model brings, if any."""
        return None


def is_floating(value: Any) -> bool:
    """Tell a tensor or an array of floating dtype from anything else."""
    if isinstance(value, np.ndarray):
        return bool(np.issubdtype(value.dtype, np.floating))
    return isinstance(value, tf.Tensor) and bool(value.dtype.is_floating)


def preprocessing_for(dtype: Any, images: InputSpec) -> Preprocessing | None:
    """Return what a model of whole numbers can only mean: pixels from 0 to 255; for all others, nobody knows.

    Parameters
    ----------
    dtype : tf.DType
        Of the images.
    images : InputSpec
        Its size has to be known, and its channels 3.
    """
    is_known = dtype.is_integer and images.size is not None and images.n_channels == 3
    return Preprocessing(images.size, divisor=1.0) if is_known and images.size else None


def spec_of_shape(shape: Sequence[int | None] | None) -> InputSpec:
    """Return what the shape of a batch says: (image, row, column, channel) unless only the second axis can be channels.

    Examples
    --------
    >>> spec_of_shape((None, 96, 96, 3))
    InputSpec(size=(96, 96), n_channels=3, channel_axis=-1)
    """
    if shape is None or len(shape) != 4:
        return InputSpec(channel_axis=-1)
    is_first = shape[1] in _CHANNELS and shape[3] not in _CHANNELS
    rows, columns, n_channels = (*shape[2:], shape[1]) if is_first else shape[1:]
    size = (rows, columns) if rows is not None and columns is not None else None
    return InputSpec(size=size, n_channels=n_channels or 3, channel_axis=1 if is_first else -1)
