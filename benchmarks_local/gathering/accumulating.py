"""From activations to inner products: block by block of units, in double precision and bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ..errors import ScoringError, counted
from ..metrics import Moments

__all__ = ["WORK_BYTES", "layer_columns", "moments_of", "values_of"]

WORK_BYTES = 96 * 2**20  # three blocks: as they were read, in double precision, and centred
_BLOCK_BYTES = WORK_BYTES // 3

_DIMENSIONS = ("presentation", "neuroid")

Columns = slice | NDArray[np.intp]


def layer_columns(activations: xr.DataArray) -> dict[str, Columns]:
    """Return where the values of each layer are, in the order in which layers first appear.

    Parameters
    ----------
    activations : xarray.DataArray
        Dims (presentation, neuroid), with a coordinate or level ``layer``.

    Returns
    -------
    dict of str to slice or array of int
        Columns; a slice where they lie side by side.

    Raises
    ------
    ScoringError
        If nothing says which layer a neuroid is from.
    """
    codes, layers = _layer_codes(activations)
    edges = np.flatnonzero(np.diff(codes)) + 1
    starts, stops = [0, *edges.tolist()], [*edges.tolist(), len(codes)]
    runs = [(int(codes[start]), start, stop) for start, stop in zip(starts, stops, strict=True)]
    order = dict.fromkeys(code for code, *_ in runs)
    if len(order) == len(runs):
        return {layers[code]: slice(start, stop) for code, start, stop in runs}
    return {layers[code]: np.flatnonzero(codes == code) for code in order}


def moments_of(activations: xr.DataArray, columns: Columns, layer: str, *, panel_bytes: int = 0) -> Moments:
    """Add up the moments of some units.

    Parameters
    ----------
    activations : xarray.DataArray
        Dims (presentation, neuroid); in memory, or read when it is used.
    columns : slice or array of int
        Which units.
    layer : str
        Whose they are, for messages.
    panel_bytes : int
        What is taken out of ``activations`` at a time; by default as little as is worked on.

    Returns
    -------
    Moments
        Of all presentations, float64.

    Raises
    ------
    ScoringError
        If a value is NaN or infinite.
    """
    total: Moments | None = None
    for block in _blocks(activations, columns, panel_bytes):
        values = np.asarray(block, dtype=np.float64)
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is refused in words
            moments = Moments.of(values)
        if not (np.isfinite(moments.row_sums).all() and np.isfinite(moments.gram).all()):
            raise _not_finite(values, layer)
        total = moments if total is None else total + moments
    if total is None:
        raise ScoringError(f"Layer {layer!r} has no values, so there is nothing to score. Leave it out of layers.")
    return total


def values_of(activations: xr.DataArray, columns: Columns, layer: str) -> NDArray[Any]:
    """Copy the values of some units.

    Parameters
    ----------
    activations, columns, layer
        As for `moments_of`.

    Returns
    -------
    array of shape (n_presentations, n_units)
        In the data type of ``activations``.

    Raises
    ------
    ScoringError
        If a value is NaN or infinite.
    """
    values = np.array(_variable(activations)[:, columns].values)
    if not np.isfinite(values).all():
        raise _not_finite(values, layer)
    return values


def _blocks(activations: xr.DataArray, columns: Columns, panel_bytes: int) -> Iterator[NDArray[Any]]:
    """Yield the values of some units, as many as are worked on at a time."""
    variable = _variable(activations)
    n_rows = max(variable.shape[0], 1)
    width = max(1, _BLOCK_BYTES // (8 * n_rows))
    n_at_once = max(width, panel_bytes // (variable.dtype.itemsize * n_rows))
    for part in _parts(columns, n_at_once):
        panel = variable[:, part].values
        for start in range(0, panel.shape[1], width):
            yield panel[:, start : start + width]


def _parts(columns: Columns, width: int) -> Iterator[Columns]:
    if isinstance(columns, slice):
        for start in range(columns.start, columns.stop, width):
            yield slice(start, min(start + width, columns.stop))
    else:
        for start in range(0, len(columns), width):
            yield columns[start : start + width]


def _variable(activations: xr.DataArray) -> xr.Variable:
    """Return the values without labels, which would be selected from with every block."""
    variable = activations.variable
    # transposed, values on a disk would be read element by element
    return variable if variable.dims == _DIMENSIONS else variable.transpose(*_DIMENSIONS)


def _layer_codes(activations: xr.DataArray) -> tuple[NDArray[np.integer[Any]], list[str]]:
    """Return a number for the layer of each neuroid, and what the numbers stand for."""
    index = activations.indexes.get("neuroid")
    if isinstance(index, pd.MultiIndex) and "layer" in index.names:  # millions of texts are not worth making
        at = index.names.index("layer")
        return np.asarray(index.codes[at]), [str(layer) for layer in index.levels[at]]
    if "layer" not in activations.coords:
        raise ScoringError(
            f"The activations have the coordinates {', '.join(map(str, activations.coords)) or '(none)'}, and not "
            f"'layer', so that layers cannot be told apart. Put the name of the layer on each neuroid."
        )
    codes, layers = pd.factorize(np.asarray(activations["layer"].values, dtype=object))
    return codes, [str(layer) for layer in layers]


def _not_finite(values: NDArray[Any], layer: str) -> ScoringError:
    is_bad = ~np.isfinite(values)
    if not is_bad.any():
        return ScoringError(
            f"Values of layer {layer!r} are as large as {np.abs(values).max():.1e}, too large for their squares to be "
            "added up. Look for a missing normalisation, or leave the layer out."
        )
    n_bad, rows = int(is_bad.sum()), np.flatnonzero(is_bad.any(axis=1))
    return ScoringError(
        f"Layer {layer!r} gave at least {counted(n_bad, 'value')} that {'is' if n_bad == 1 else 'are'} NaN or "
        f"infinite, the first in presentation {rows[0]}; scoring needs finite numbers. Look for a division by zero, "
        "missing weights, float16 overflow, or a preprocessing out of range."
    )
