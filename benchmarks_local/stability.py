"""Find layers whose values depend on something else than the stimulus: the neighbours in the batch, or chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .errors import ScoringError
from .protocols import Extractor
from .verification import coordinate

__all__ = ["Stability", "differing_layers", "is_same", "read_again"]

_MORE_THAN_ROUNDING = 0.02  # of the root mean square; other kernels for another batch size stay below in bfloat16 too
_CONSTANT = 1e-6  # of the largest value: the rounding of float32


@dataclass(frozen=True)
class Stability:
    """The layers that are not as they should be, each in the order in which it was asked for.

    Attributes
    ----------
    noisy : list of str
        Two identical calls gave different values.
    dependent : list of str
        The values of a stimulus change with its neighbours in the batch or with the order; noisy ones left out.
    constant : list of str
        Every stimulus gives the same values.
    """

    noisy: list[str]
    dependent: list[str]
    constant: list[str]


def read_again(extractor: Extractor, stimuli: Any, layers: Sequence[str], before: xr.DataArray) -> Stability:
    """Read stimuli once more in the same way, in reversed order and one by one, and compare layer by layer.

    Parameters
    ----------
    extractor : Extractor
        Gives the activations.
    stimuli : StimulusTable
        A few stimuli: each is read three times.
    layers : sequence of str
        What to read.
    before : xarray.DataArray
        What the extractor gave for these stimuli and layers, dims (presentation, neuroid).

    Returns
    -------
    Stability
        The layers that are not as they should be.

    Raises
    ------
    ScoringError
        When the model cannot read a stimulus alone.
    """
    names, first = list(layers), _values(before)
    columns = _columns(before, names)
    again = _values(extractor(stimuli, layers=names))
    backwards = _values(extractor(stimuli.iloc[::-1], layers=names))[::-1]
    alone = _read_alone(extractor, stimuli, names)
    noisy = _differing(columns, first, again)
    dependent = [
        name
        for name, where in columns.items()
        if name not in noisy and any(_is_dependent(first, other, where) for other in (backwards, alone))
    ]
    return Stability(noisy, dependent, [name for name, where in columns.items() if _is_constant(first[:, where])])


def differing_layers(first: xr.DataArray, second: xr.DataArray, layers: Sequence[str]) -> list[str]:
    """Return the layers that differ between two readings of the same stimuli.

    Parameters
    ----------
    first, second : xarray.DataArray
        Activations of the same layers, dims (presentation, neuroid).
    layers : sequence of str
        Which layers to compare.
    """
    return _differing(_columns(first, layers), _values(first), _values(second))


def is_same(first: NDArray[Any], second: NDArray[Any]) -> bool:
    """Say whether two arrays of any shape are equal but for rounding in float32."""
    if first.shape != second.shape:
        return False
    scale = float(np.abs(first).max(initial=0.0))
    return bool(np.allclose(first, second, rtol=1e-3, atol=1e-4 * scale))


def _read_alone(extractor: Extractor, stimuli: Any, names: list[str]) -> NDArray[Any]:
    try:
        readings = [_values(extractor(stimuli.iloc[[row]], layers=names)) for row in range(len(stimuli))]
    except Exception as error:
        raise ScoringError(
            f"{len(stimuli)} stimuli together could be read, but not one alone ({type(error).__name__}: {error}). "
            "Put the model into evaluation mode, and use no statistics over the batch: the last batch may hold one."
        ) from error
    is_even = len({reading.shape for reading in readings}) == 1
    return np.concatenate(readings) if is_even else np.empty((0, 0))


def _columns(activations: xr.DataArray, names: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    layers = coordinate(activations, "layer")
    return {name: np.asarray(layers == name) for name in names}


def _values(activations: xr.DataArray) -> NDArray[Any]:
    values: NDArray[Any] = activations.transpose("presentation", "neuroid").values
    return values


def _differing(columns: dict[str, NDArray[np.bool_]], first: NDArray[Any], second: NDArray[Any]) -> list[str]:
    if first.shape != second.shape:
        return list(columns)
    return [name for name, where in columns.items() if not is_same(first[:, where], second[:, where])]


def _is_dependent(first: NDArray[Any], other: NDArray[Any], where: NDArray[np.bool_]) -> bool:
    if first.shape != other.shape:
        return True
    a, b = first[:, where].astype(np.float64), other[:, where].astype(np.float64)
    if not np.isfinite(b).all():
        return True
    return bool(np.sqrt(np.mean((a - b) ** 2)) > _MORE_THAN_ROUNDING * np.sqrt(np.mean(a**2)))


def _is_constant(values: NDArray[Any]) -> bool:
    return bool(np.ptp(values, axis=0).max() <= _CONSTANT * np.abs(values).max())
