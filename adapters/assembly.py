"""Label activations: from an array of values to an assembly with the coordinates that Brain-Score's code reads.

A coordinate of the neuroid dimension takes few distinct values for very many neuroids, so the index is built from codes
and levels in numpy; nothing here loops over neuroids in Python.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from .neuroid_ids import NeuroidIds

__all__ = ["NEUROID_LEVELS", "LayerValues", "assemble", "neuroid_index", "presentation_index"]

# Brain-Score's names for the axes of one layer's output, by their number
_AXES: dict[int, tuple[str, ...]] = {
    0: ("channel",),
    1: ("channel",),
    2: ("channel", "embedding"),
    3: ("channel", "channel_x", "channel_y"),
    4: ("channel_temporal", "channel_x", "channel_y", "channel"),
}
_ORDER = ("channel_temporal", "channel", "channel_x", "channel_y", "embedding")
NEUROID_LEVELS = frozenset((*_ORDER, "model", "layer", "neuroid_num", "neuroid_id", "time_step"))


@dataclass(frozen=True)
class LayerValues:
    """What is needed to label one layer.

    Parameters
    ----------
    layer : str
        The text of the request.
    shape : tuple of int
        Per image, in (channel, row, column) order where there are channels and space.
    call : int, optional
        Call number when one call of several was requested; becomes the coordinate ``time_step``.
    """

    layer: str
    shape: tuple[int, ...]
    call: int | None = None

    @property
    def n_neuroids(self) -> int:
        """Number of values per image."""
        return math.prod(self.shape)


def neuroid_index(layers: Sequence[LayerValues], model: str) -> pd.MultiIndex:
    """Label every neuroid of several layers, in the given order.

    Parameters
    ----------
    layers : sequence of LayerValues
        Layers of different rank may be mixed: a coordinate that a layer does not have is NaN there.
    model : str
        Identifier of the model.

    Returns
    -------
    pandas.MultiIndex
        Levels model, layer, neuroid_num, the channel coordinates, neuroid_id (``model.layer.neuroid_num``).
    """
    sizes = [layer.n_neuroids for layer in layers]
    n_neuroids = sum(sizes)
    levels: dict[str, Any] = {
        "model": np.array([model], dtype=object),
        "layer": np.array([layer.layer for layer in layers], dtype=object),
        "neuroid_num": np.arange(max(sizes)),
    }
    codes: dict[str, np.ndarray] = {
        "model": np.zeros(n_neuroids, np.int8),
        "layer": np.repeat(np.arange(len(layers), dtype=_code_type(len(layers))), sizes),
        "neuroid_num": np.concatenate([np.arange(size, dtype=_code_type(max(sizes))) for size in sizes]),
    }
    for name, length in _axis_lengths(layers).items():
        codes[name] = np.concatenate([_codes_of(layer, name, _code_type(length)) for layer in layers])
        # a level with gaps must be floating: xarray would cast the missing value to an integer that means something
        has_gaps = any(not _has_axis(layer, name) for layer in layers)
        levels[name] = np.arange(length, dtype=np.float64 if has_gaps else np.int64)
    prefixes = np.array([f"{model}.{layer.layer}." for layer in layers], dtype=object)
    levels["neuroid_id"] = NeuroidIds(prefixes, codes["layer"], codes["neuroid_num"])
    codes["neuroid_id"] = np.arange(n_neuroids, dtype=_code_type(n_neuroids))
    return pd.MultiIndex(
        levels=[pd.Index(values, dtype=values.dtype) for values in levels.values()],
        codes=[codes[name] for name in levels],
        names=list(levels),
        verify_integrity=False,  # codes are in range by construction; checking a million neuroids is what costs
    )


def _code_type(n_values: int) -> type[np.signedinteger[Any]]:
    """Return the smallest integer type for so many values: pandas would convert to it, at the price of a copy."""
    return next(kind for kind in (np.int8, np.int16, np.int32, np.int64) if n_values <= np.iinfo(kind).max)


def _axis_lengths(layers: Sequence[LayerValues]) -> dict[str, int]:
    """Return the coordinates that at least one layer has, each with its number of values, in a fixed order."""
    lengths: dict[str, int] = {}
    for layer in layers:
        for name, length in zip(_axes(layer), layer.shape or (1,), strict=False):
            lengths[name] = max(lengths.get(name, 0), length)
        if len(layer.shape) <= 1:  # Brain-Score gives dense layers these two as well
            lengths.update({name: lengths.get(name, 0) for name in ("channel_x", "channel_y")})
        if layer.call is not None:
            lengths["time_step"] = max(lengths.get("time_step", 0), layer.call + 1)
    return {name: lengths[name] for name in (*_ORDER, "time_step") if name in lengths}


def _axes(layer: LayerValues) -> tuple[str, ...]:
    return _AXES.get(len(layer.shape), ())


def _has_axis(layer: LayerValues, name: str) -> bool:
    return layer.call is not None if name == "time_step" else name in _axes(layer)


def _codes_of(layer: LayerValues, name: str, dtype: type[np.signedinteger[Any]]) -> np.ndarray:
    """Return the position of each of a layer's neuroids along one coordinate; -1 where the layer has no such axis."""
    if not _has_axis(layer, name):
        return np.full(layer.n_neuroids, -1, dtype)
    if name == "time_step":
        return np.full(layer.n_neuroids, layer.call, dtype)
    shape, axis = layer.shape or (1,), _axes(layer).index(name)
    along = np.arange(shape[axis], dtype=dtype).reshape([-1 if at == axis else 1 for at in range(len(shape))])
    return np.broadcast_to(along, shape).ravel()


def presentation_index(labels: pd.DataFrame, extra: Mapping[str, np.ndarray]) -> pd.MultiIndex:
    """Label every presentation with what is known about its stimulus.

    Parameters
    ----------
    labels : pandas.DataFrame
        One row per presentation.
    extra : mapping of str to array of shape (n_presentations,)
        Coordinates that the run itself adds.
    """
    columns = {str(name): _plain(labels[name]) for name in labels.columns}
    columns.update({name: np.asarray(values) for name, values in extra.items()})
    return pd.MultiIndex.from_arrays(list(columns.values()), names=list(columns))


def _plain(column: pd.Series) -> np.ndarray:
    """Return a column as numpy; what cannot be an index value, as a list, becomes its text."""
    values = column.to_numpy(dtype=object) if not isinstance(column.dtype, np.dtype) else column.to_numpy()
    if values.dtype != object:
        return values
    return np.array([str(v) if isinstance(v, (list, dict, set, np.ndarray)) else v for v in values], dtype=object)


def assemble(values: np.ndarray, presentation: pd.MultiIndex, neuroid: pd.MultiIndex) -> xr.DataArray:
    """Put values and labels together without copying the values.

    Parameters
    ----------
    values : array of shape (n_presentations, n_neuroids), float32
    presentation, neuroid : pandas.MultiIndex
        One entry per row, per column.

    Returns
    -------
    xarray.DataArray
        Dims ``('presentation', 'neuroid')``.
    """
    indexes = {"presentation": presentation, "neuroid": neuroid}
    if not hasattr(xr, "Coordinates"):  # before xarray 2023.8
        return xr.DataArray(values, coords=indexes, dims=("presentation", "neuroid"))
    assembly = xr.DataArray(values, dims=("presentation", "neuroid"))
    for dimension, index in indexes.items():  # given to DataArray itself, each level would be copied with all others
        assembly = assembly.assign_coords(xr.Coordinates.from_pandas_multiindex(index, dimension))
    return assembly
