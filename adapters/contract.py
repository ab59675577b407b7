"""The contract between the extractor and a framework: what an adapter answers, and nothing else.

Everything that does not differ between frameworks (decoding, batching, labels, memory, progress) lives above it.
`adapters.testing` checks an implementation; docs/extending.md shows how to write one.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from .callables import Preprocess
from .device_math import DeviceMath, HostMath
from .errors import UnsupportedModelError
from .fingerprints.errors import NotFingerprintable
from .layers import LayerRequest, Layers
from .reducing import LayerReduction

__all__ = ["Adapter", "Forward", "InputSpec", "Parameter", "is_instance_of"]


@dataclass(frozen=True)
class InputSpec:
    """What a model takes, as far as the model object says.

    Parameters
    ----------
    size : tuple of (int, int), optional
        Height and width in pixels; None when any size works or nobody knows.
    n_channels : int
        3 for colour.
    channel_axis : {1, -1}
        Where the channels are in a batch: 1 for (image, channel, row, column), -1 for (image, row, column, channel).
    """

    size: tuple[int, int] | None = None
    n_channels: int = 3
    channel_axis: int = 1


@dataclass(frozen=True)
class Parameter:
    """What one array of a model's weights is, without its values.

    Parameters
    ----------
    shape : tuple of int
        As the framework keeps it.
    n_bytes : int
        Its size.
    is_trained : bool
        Whether training the model as it is would change it.
    """

    shape: tuple[int, ...]
    n_bytes: int
    is_trained: bool


class Forward(Protocol):
    """One forward pass over one batch, as `Adapter.open` hands it out."""

    def __call__(self, batch: np.ndarray, out: Mapping[str, np.ndarray] | None = None) -> Mapping[str, Any]:
        """Run the model once.

        Parameters
        ----------
        batch : array of shape (n_images, ...), float32
            Preprocessed images in the layout of `InputSpec.channel_axis`.
        out : mapping of str to array of shape (n_images, n_neuroids), float32, optional
            Memory on the host that the adapter may fill at once, instead of keeping the values until `to_host`. It is
            an offer: an adapter that has no use for it ignores it. What it did fill it returns as the same object.

        Returns
        -------
        mapping of str to array
            Requested text -> the layer's output on the device, first axis the batch, (channel, row, column) order
            where there are channels and space. The values do not change any more, whatever the model does next.
        """
        ...


class Adapter(ABC):
    """What knows ONE framework.

    Parameters
    ----------
    model : object
        A model of the framework; it is left as found.
    device : str, optional
        Where to run, in the framework's own words; None takes the accelerator when there is one.
    """

    framework: ClassVar[str]
    asynchronous: bool = False
    """True where `open`'s forward pass returns before its values are on the host; two batches are then in flight."""

    def __init__(self, model: Any, *, device: str | None = None) -> None:
        self.model = model
        self.device = device

    @classmethod
    @abstractmethod
    def accepts(cls, model: object) -> bool:
        """Tell whether this adapter reads the model; imports nothing to find out."""

    @classmethod
    def accepts_if_named(cls, model: object) -> bool:
        """Tell whether this adapter reads the model when the user says that it is of this framework."""
        return cls.accepts(model)

    @property
    def identifier(self) -> str:
        """Name for a model that was given none: its class's."""
        return type(self.model).__name__

    @abstractmethod
    def layers(self, image_shape: tuple[int, ...]) -> Layers:
        """List the layers in execution order, with shapes for images of ``image_shape`` (one image, no batch axis)."""

    @property
    @abstractmethod
    def input(self) -> InputSpec:
        """Expected input, as far as the model object says."""

    def preprocessing(self) -> Preprocess | None:
        """Return the preprocessing that travels with the weights, or None when the model object has none."""
        return None

    @abstractmethod
    def open(
        self,
        requests: Sequence[LayerRequest],
        image_shape: tuple[int, ...],
        reductions: Mapping[str, LayerReduction] | None = None,
    ) -> AbstractContextManager[Forward]:
        """Prepare the model for a run and give the forward pass; on exit, also after an exception, restore the model.

        One forward pass per batch, prepared once per run and not per batch, that stops after the last requested layer
        where the framework allows. Mode, hooks, flags, device and random state are as found afterwards.

        Parameters
        ----------
        requests : sequence of LayerRequest
            What to read.
        image_shape : tuple of int
            Of one image, without the batch axis.
        reductions : mapping of str to LayerReduction, optional
            What is done to the values of some of the requests, by requested text, before they are copied to the host;
            `adapters.reducing.Reducing` applies them. Memory that is offered for them is of the reduced size.
        """

    @property
    def math(self) -> DeviceMath:
        """What reductions of this framework's arrays are computed with."""
        return HostMath()

    @abstractmethod
    def to_host(self, activations: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Bring what a `Forward` returned to the host: float32 unless the layer is float64, one transfer per batch."""

    @abstractmethod
    def weights(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield every weight and buffer by name, as raw arrays, for fingerprints."""

    def structure(self, image_shape: tuple[int, ...]) -> Mapping[str, Any]:
        """Return all that the model's values depend on beside its weights, as JSON data, for fingerprints.

        Parameters
        ----------
        image_shape : tuple of int
            Of one preprocessed image.

        Returns
        -------
        mapping
            As the adapter likes; equal only for models that compute the same. Under ``"tensors"``, name -> [dtype,
            shape] of what `weights` yields as bytes.

        Raises
        ------
        NotFingerprintable
            If something cannot be told by its content; results are then computed and not kept.
        """
        raise self._untold("structure()")

    def numerics(self) -> Mapping[str, Any]:
        """Return what decides how exactly the model is computed here, as JSON data, for fingerprints.

        Returns
        -------
        mapping
            ``settings``: dtypes and flags; ``versions``: name -> version of what computes; ``device``: its class, such
            as ``'cuda-sm90'``, and drivers, never the name of a machine.

        Raises
        ------
        NotFingerprintable
            If the adapter does not tell.
        """
        raise self._untold("numerics()")

    def _untold(self, method: str) -> NotFingerprintable:
        return NotFingerprintable(
            f"{type(self).__name__} does not tell what {self.identifier} depends on, so that no key can stand for it. "
            f"Results are computed and not kept. To have them kept, write the adapter's method {method}."
        )

    def parameters(self) -> Iterator[Parameter]:
        """Yield what the framework counts as the model's parameters; only Brain-Score's description of models asks.

        Raises
        ------
        UnsupportedModelError
            If the adapter does not tell.
        """
        raise UnsupportedModelError(
            f"{type(self).__name__} does not tell the parameters of {self.identifier}, so it cannot be described for "
            f"Brain-Score's metadata. The model can be scored without; or write the adapter's method parameters()."
        )

    @property
    def imports(self) -> tuple[str, ...]:
        """Modules that must be there to run the model, such as a framework and its backend."""
        return ()

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Tell whether an error of the framework means that the device's memory is full."""
        return False


def is_instance_of(model: object, module: str, name: str) -> bool:
    """Test for a class of a framework without importing the framework.

    Parameters
    ----------
    model : object
        Anything.
    module, name : str
        Where the class is found, for example ``"torch.nn"``, ``"Module"``.

    Examples
    --------
    >>> is_instance_of(3, "torch.nn", "Module")
    False
    """
    cls = getattr(sys.modules.get(module), name, None)
    return isinstance(cls, type) and isinstance(model, cls)
