"""What a conformance run is told: the adapter, how to build the toy network for it, and what may fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..contract import Adapter
from .expecting import ConformanceError
from .toys import IMAGE_SHAPE, LAYERS, Toy

__all__ = ["AdapterCase", "ModelState"]


@dataclass(frozen=True)
class ModelState:
    """Everything about a model and its framework that a run must leave as it was found.

    Parameters
    ----------
    modes : mapping of str to object
        Training flags, gradient flags, devices and switches of the framework, by name.
    n_hooks : int
        Callbacks registered anywhere in the model; 0 where the framework has none.
    random_state : bytes
        State of the framework's global random generator; empty where the framework has none.
    weights : mapping of str to bytes
        Every parameter and buffer, bit by bit.
    """

    modes: Mapping[str, Any] = field(default_factory=dict)
    n_hooks: int = 0
    random_state: bytes = b""
    weights: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class AdapterCase:
    """An adapter and the toy network that it is checked with.

    Parameters
    ----------
    name : str
        For reports, for example ``pytorch``.
    adapter : type of Adapter
        What is checked.
    build_model : callable
        Takes a `adapters.testing.Toy` and returns a model of the framework, in the state in which users bring models
        (where the framework knows a training mode: in training mode).
    snapshot : callable
        Takes a model and returns its `ModelState`.
    layer_names : mapping of str to str
        From the toy's names (`adapters.testing.toys.LAYERS`, ``unused``, ``pool_alias``) to those that the adapter
        uses. A name that is left out fails the checks that need it: declare these in ``expected_failures``.
    image_shape : tuple of int
        One image as the model takes it: (3, 10, 14), or (10, 14, 3) where channels come last.
    device : str, optional
        Passed to the adapter.
    expected_failures : mapping of str to str
        Name of a check -> why this adapter cannot pass it. Strict: one that passes after all fails the run.

    Examples
    --------
    >>> from adapters.testing.toys_pytorch import pytorch_case
    >>> pytorch_case().name_of("conv1")
    'stem.0'
    """

    name: str
    adapter: type[Adapter]
    build_model: Callable[[Toy], Any]
    snapshot: Callable[[Any], ModelState]
    layer_names: Mapping[str, str] = field(default_factory=lambda: {name: name for name in LAYERS})
    image_shape: tuple[int, ...] = IMAGE_SHAPE
    device: str | None = None
    expected_failures: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse images that the toy network cannot take."""
        if tuple(self.image_shape) not in (IMAGE_SHAPE, (*IMAGE_SHAPE[1:], IMAGE_SHAPE[0])):
            raise ConformanceError(
                f"Case {self.name!r} has image_shape={tuple(self.image_shape)}; the toy network takes (3, 10, 14), or "
                f"(10, 14, 3) where channels come last. Use one of these."
            )

    def name_of(self, layer: str) -> str:
        """Return the adapter's request for a layer, call or part of the toy network.

        Parameters
        ----------
        layer : str
            As the oracle calls it: ``conv1``, ``shared@0``, ``branch:2.mean``, ``logits``.

        Raises
        ------
        ConformanceError
            If this case has no such layer.
        """
        if layer == "logits":
            return layer
        end = min((position for mark in "@:" if (position := layer.find(mark)) >= 0), default=len(layer))
        if layer[:end] not in self.layer_names:
            raise ConformanceError(
                f"Case {self.name!r} maps no layer to {layer[:end]!r}. Add it to layer_names, or declare this check in "
                f"expected_failures with the reason why the framework has no such layer."
            )
        return self.layer_names[layer[:end]] + layer[end:]

    def in_layout(self, images: np.ndarray) -> np.ndarray:
        """Bring images of shape (n_images, channel, row, column) to the layout of `image_shape`."""
        if tuple(self.image_shape) == IMAGE_SHAPE:
            return images
        return np.ascontiguousarray(np.moveaxis(images, 1, -1))
