"""Reductions by name: means and maxima over space or tokens, and the class token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .device_math import DeviceMath
from .errors import ReductionError
from .reducing import LayerReduction

__all__ = ["Pooling", "Tokens"]


@dataclass(frozen=True)
class Pooling(LayerReduction):
    """One value per feature: ``'mean'`` and ``'max'``.

    Of (channel, row, column) the channels stay, of (token, embedding) the embedding, of a vector everything. Where
    there are more axes the first one stays: adapters bring channels before time, rows and columns, although Brain-Score
    gives the name ``channel`` to the last of four axes.

    Parameters
    ----------
    kind : {'mean', 'max'}
        What is taken over all other axes.

    Examples
    --------
    >>> Pooling("mean").shape_of((64, 56, 56)), Pooling("max").shape_of((197, 768)), Pooling("mean").shape_of((10,))
    ((64,), (768,), (10,))
    """

    kind: Literal["mean", "max"]
    follows_layout = True

    @property
    def name(self) -> str:
        """The kind."""
        return self.kind

    def to_dict(self) -> dict[str, Any]:
        """See `LayerReduction.to_dict`."""
        return {"reduction": self.kind}

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """See `LayerReduction.shape_of`."""
        return shape if len(shape) < 2 else (shape[_feature_axis(len(shape) + 1) - 1],)

    def __call__(
        self, value: Any, math: DeviceMath, arrays: Mapping[str, Any], *, feature_axis: int | None = None
    ) -> Any:
        """Pool; ``feature_axis`` says where the channels are that were not brought to the front."""
        rank = len(value.shape)
        if rank < 3:
            return value
        kept = _feature_axis(rank) if feature_axis is None else feature_axis % rank
        axes = tuple(axis for axis in range(1, rank) if axis != kept)
        return math.mean(value, axes) if self.kind == "mean" else math.maximum(value, axes)


def _feature_axis(rank: int) -> int:
    """Return the axis that names features, of a value with the batch."""
    return 2 if rank == 3 else 1


@dataclass(frozen=True)
class Tokens(LayerReduction):
    """Some tokens of (token, embedding): ``'cls'``, the first one, or ``'tokens'``, all others.

    Parameters
    ----------
    kind : {'cls', 'tokens'}
        Which.
    """

    kind: Literal["cls", "tokens"]

    @property
    def name(self) -> str:
        """The kind."""
        return self.kind

    def to_dict(self) -> dict[str, Any]:
        """See `LayerReduction.to_dict`."""
        return {"reduction": self.kind}

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """See `LayerReduction.shape_of`."""
        return (shape[1],) if self.kind == "cls" else (shape[0] - 1, shape[1])

    def for_layer(
        self, layer: str, shape: tuple[int, ...], *, n_presentations: int, math: DeviceMath
    ) -> LayerReduction | None:
        """Return itself, for tokens."""
        if len(shape) != 2:
            other = "leave it as it is" if len(shape) < 2 else "use 'mean' or 'max' for it"
            raise ReductionError(
                f"reduce={self.kind!r} was asked of layer {layer!r}, whose values have shape {shape} per image; "
                f"expected tokens, of shape (token, embedding). Request a layer of a transformer, or {other}: reduce= "
                f"may be a mapping of layer to reduction."
            )
        if self.kind == "tokens" and shape[0] < 2:
            raise ReductionError(
                f"reduce='tokens' was asked of layer {layer!r}, whose values have shape {shape} per image: there is no "
                f"token but the first. Use 'cls' for it."
            )
        return self

    def __call__(self, value: Any, math: DeviceMath, arrays: Mapping[str, Any]) -> Any:
        """See `LayerReduction.__call__`."""
        return value[:, 0] if self.kind == "cls" else value[:, 1:]
