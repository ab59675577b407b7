"""Reductions that users write: functions of the framework's own arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .device_math import DeviceMath
from .errors import ReductionError
from .reducing import LayerReduction, Reduction

__all__ = ["FunctionReduction"]


@dataclass(frozen=True)
class FunctionReduction(Reduction):
    """A user's function of the framework's array.

    Parameters
    ----------
    function : callable
        Takes the values of a layer on the device, an array of the framework of shape (n_images, ...), float32; returns
        another one with as many rows. It must not change the array that it is given.
    """

    function: Callable[[Any], Any]

    @property
    def name(self) -> str:
        """Of the function."""
        return str(getattr(self.function, "__qualname__", None) or repr(self.function))

    def for_layer(
        self, layer: str, shape: tuple[int, ...], *, n_presentations: int, math: DeviceMath
    ) -> LayerReduction | None:
        """Try the function on two images of zeros, for the shape that it returns."""
        try:
            result = self.function(math.as_device(np.zeros((2, *shape), np.float32)))
        except Exception as error:
            raise ReductionError(
                f"reduce={self.name} raised {type(error).__name__} for layer {layer!r}, on an array of shape "
                f"{(2, *shape)}: {error}. It is given the values of a batch on the device, first axis the images."
            ) from error
        found = getattr(result, "shape", None)
        if found is None or len(found) < 1 or int(found[0]) != 2:
            what = f"shape {tuple(found)}" if found is not None else f"{type(result).__name__}"
            raise ReductionError(
                f"reduce={self.name} returned {what} for layer {layer!r}, for 2 images of shape {shape}; expected an "
                f"array whose first axis is the images. Reduce the other axes only, and return the result."
            )
        return _OfFunction(self.function, self.name, tuple(int(length) for length in found[1:]))


@dataclass(frozen=True)
class _OfFunction(LayerReduction):
    """A user's function, and the shape that it returned."""

    function: Callable[[Any], Any] = field(hash=False)
    named: str
    shape: tuple[int, ...]
    is_traceable = False

    @property
    def name(self) -> str:
        return self.named

    def to_dict(self) -> dict[str, Any]:
        """Return the function itself: fingerprints describe what it does."""
        return {"reduction": "function", "function": self.function}

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return self.shape

    def __call__(self, value: Any, math: DeviceMath, arrays: Mapping[str, Any]) -> Any:
        return self.function(math.as_single(value))
