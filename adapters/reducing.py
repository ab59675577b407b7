"""What a reduction is, and how an adapter applies the reductions of a run."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping
from copy import copy
from typing import Any

import numpy as np

from .device_math import DeviceMath

__all__ = ["LayerReduction", "Reducing", "Reduction", "Step", "digest_of"]

Step = Callable[..., Any]
"""Takes a value, the framework's `DeviceMath` and arrays; equal and hashable by what it does."""


class Reduction(ABC):
    """What a user asks to be done to the values of layers before they leave the device."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What people call it, for messages and tables."""

    @abstractmethod
    def for_layer(
        self, layer: str, shape: tuple[int, ...], *, n_presentations: int, math: DeviceMath
    ) -> LayerReduction | None:
        """Return what is done to one layer; None where its values stay as they are.

        Parameters
        ----------
        layer : str
            As requested, for messages.
        shape : tuple of int
            Of its values per image, in (channel, row, column) order where there are channels and space.
        n_presentations : int
            Rows of the result.
        math : DeviceMath
            Of the layer's framework.

        Raises
        ------
        ReductionError
            If it does not fit values of this shape.
        """


class LayerReduction(Reduction):
    """A reduction that is ready for one layer: equal and hashable by what it does."""

    follows_layout = False
    """Whether it takes ``feature_axis``, and so values whose channels were not yet brought to the front."""
    is_traceable = True
    """Whether it can become part of a compiled program; nobody knows that of a user's function before it is tried."""

    @abstractmethod
    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape per image that values of a shape per image have afterwards."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return all that its results depend on, beside the values, as data."""

    @abstractmethod
    def __call__(self, value: Any, math: DeviceMath, arrays: Mapping[str, Any]) -> Any:
        """Reduce one batch.

        Parameters
        ----------
        value : array of shape (n_images, ...)
            Of the framework.
        math : DeviceMath
            Of the framework.
        arrays : mapping of str to array
            Those of `arrays`, on the device.

        Returns
        -------
        array of shape (n_images, ...)
            It may share memory with ``value``.
        """

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Return the arrays that it computes with, on the host; they are brought to the device once."""
        return {}

    @property
    def step(self) -> Step:
        """What `__call__` does, without the arrays: compiled programs shall not hold them."""
        return self

    def for_layer(
        self, layer: str, shape: tuple[int, ...], *, n_presentations: int, math: DeviceMath
    ) -> LayerReduction | None:
        """Return itself."""
        return self

    def placed(self, math: DeviceMath) -> Mapping[str, Any]:
        """Return its arrays on the device; brought there at the first call."""
        found: dict[Any, Mapping[str, Any]] = self.__dict__.setdefault("_placed", {})
        if math not in found:
            found[math] = {name: math.as_device(array) for name, array in self.arrays().items()}
        return found[math]


def digest_of(arrays: Iterable[tuple[str, np.ndarray]]) -> str:
    """Return a digest of named arrays, their shapes and dtypes, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, array in arrays:
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


class Reducing:
    """The reductions of one run of an adapter.

    Parameters
    ----------
    reductions : mapping of str to LayerReduction, optional
        By requested text; layers that stay as they are have none.
    math : DeviceMath
        Of the framework.
    """

    def __init__(self, reductions: Mapping[str, LayerReduction] | None, math: DeviceMath) -> None:
        given = dict(reductions or {})
        self.math = math
        self.arrays = {name: reduction.placed(math) for name, reduction in given.items()}
        self._steps = {name: reduction.step for name, reduction in given.items()}
        self._following = {name for name, reduction in given.items() if reduction.follows_layout}
        self._untried = {name for name, reduction in given.items() if not reduction.is_traceable}
        self.later: set[str] = set()

    @property
    def key(self) -> Hashable:
        """What a compiled program depends on."""
        shapes = {
            name: tuple((key, array.shape) for key, array in found.items()) for name, found in self.arrays.items()
        }
        return tuple((name, step, shapes[name]) for name, step in self._steps.items())

    def without_arrays(self, math: DeviceMath | None = None) -> Reducing:
        """Return the same for a program that is compiled, which takes the arrays as arguments, and has a math maybe."""
        bare = copy(self)
        bare.arrays, bare.later, bare.math = {}, set(), math or self.math
        return bare

    def __contains__(self, name: object) -> bool:
        return name in self._steps

    def is_traceable(self, name: str) -> bool:
        """Tell whether there is a reduction of a layer that can become part of a compiled program."""
        return name in self._steps and name not in self._untried

    def follows_layout(self, name: str) -> bool:
        """Tell whether the reduction of a layer takes values in the framework's own layout."""
        return name in self._following

    def __call__(self, name: str, value: Any, arrays: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Reduce the values of a layer; one that has no reduction comes back as it is.

        Parameters
        ----------
        name : str
            The requested text.
        value : array of shape (n_images, ...)
            In (channel, row, column) order where there are channels and space, unless `follows_layout`.
        arrays : mapping of str to array, optional
            Those of the reduction, as arguments of a compiled program.
        **options
            ``feature_axis=-1`` where `follows_layout` and channels come last.
        """
        if name not in self._steps:
            return value
        given = self.arrays[name] if arrays is None else arrays
        result = self.math.as_single(self._steps[name](value, self.math, given, **options))
        # on the host a view would keep the whole value in memory
        return result.copy() if isinstance(result, np.ndarray) and result.base is not None else result

    def traced(self, name: str, value: Any, arrays: Mapping[str, Any] | None) -> Any:
        """Reduce while a program is traced; what cannot be traced is noted in `later`, and its value comes back."""
        if name in self.later:
            return value
        if name not in self._untried:
            return self(name, value, arrays)
        try:
            return self(name, value, arrays)
        except Exception:  # a function that cannot be traced may still run; if not, that error says more than this one
            self.later.add(name)
            return value

    def finished(self, values: Mapping[str, Any], traced: Reducing) -> dict[str, Any]:
        """Reduce what could not be reduced while a program was traced.

        Parameters
        ----------
        values : mapping of str to array
            By requested text.
        traced : Reducing
            The one that was used while the program was traced.
        """
        return {name: self(name, value) if name in traced.later else value for name, value in values.items()}
