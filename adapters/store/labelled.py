"""Stored activations as a labelled array: labels in memory, values read from the disk when they are used.

Works with xarray 2022.3 and with its newest version, on the same files.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from ..assembly import LayerValues, neuroid_index
from ..errors import LayerNotFoundError, did_you_mean, listing
from .entry import Entry
from .errors import NotStoredError
from .layout import LayerRecord
from .tables import columns_of, table_document

__all__ = ["StoredArray", "open_labelled", "presentations_document", "to_xarray"]

_DIMENSIONS = ("presentation", "neuroid")


class StoredArray(BackendArray):
    """Layers of an entry side by side, as xarray reads arrays from files.

    Parameters
    ----------
    entry : Entry
        Where the values are.
    layers : sequence of LayerRecord
        Their columns follow each other.
    row_map : array of shape (n_presentations,), int
        Which row of the entry each presentation shows.
    """

    def __init__(self, entry: Entry, layers: Sequence[LayerRecord], row_map: np.ndarray) -> None:
        self._entry, self._layers = entry, tuple(layers)
        self._row_map = np.asarray(row_map, dtype=np.intp)
        self._ends = list(itertools.accumulate(layer.n_units for layer in self._layers))
        self.shape = (len(self._row_map), self._ends[-1])
        self.dtype = np.result_type(*(layer.dtype for layer in self._layers))

    def __getitem__(self, key: Any) -> np.ndarray:
        """Read what an indexer of xarray asks for."""
        if not isinstance(key, indexing.VectorizedIndexer):  # xarray 2022.3 takes slices with step -2 for others
            return self._read(key.tuple)
        return np.asarray(
            indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)
        )

    def __deepcopy__(self, memo: Any) -> StoredArray:
        return self  # it never changes; xarray copies the data of every selection

    def _read(self, key: tuple[Any, Any]) -> np.ndarray:
        """Read rows and columns; an integer removes its dimension."""
        rows, columns = (each if not isinstance(each, (int, np.integer)) else np.array([each]) for each in key)
        wanted = self._row_map[rows]
        parts = [(layer, picked, to) for layer, picked, to in self._columns(columns) if _length(picked)]
        if len(parts) == 1:  # into the memory that is returned
            values = self._entry.read(parts[0][0], _as_slice(wanted), parts[0][1]).astype(self.dtype, copy=False)
        else:
            n_columns = sum(_length(picked) for _, picked, _ in parts)
            values = np.empty((len(wanted), n_columns), self.dtype)
            for layer, picked, to in parts:
                if isinstance(to, slice):
                    self._entry.read(layer, _as_slice(wanted), picked, out=values[:, to])
                else:
                    values[:, to] = self._entry.read(layer, _as_slice(wanted), picked)
        return values[tuple(0 if isinstance(each, (int, np.integer)) else slice(None) for each in key)]

    def _columns(self, columns: Any) -> list[tuple[LayerRecord, Any, Any]]:
        """Return for each layer which of its columns are read, and where they go."""
        starts = [0, *self._ends[:-1]]
        parts: list[tuple[LayerRecord, Any, Any]] = []
        if isinstance(columns, slice) and columns.step in (None, 1):
            first, last, _ = columns.indices(self.shape[1])
            for layer, start, end in zip(self._layers, starts, self._ends, strict=True):
                low, high = max(first, start), min(last, end)
                if low < high:
                    parts.append((layer, slice(low - start, high - start), slice(low - first, high - first)))
            return parts
        wanted = np.arange(self.shape[1])[columns] if isinstance(columns, slice) else np.asarray(columns)
        wanted = np.where(wanted < 0, wanted + self.shape[1], wanted)
        for layer, start, end in zip(self._layers, starts, self._ends, strict=True):
            to = np.flatnonzero((wanted >= start) & (wanted < end))
            parts.append((layer, wanted[to] - start, to if len(to) < len(wanted) else slice(None)))
        return parts


def to_xarray(
    entry: Entry,
    layers: Sequence[LayerRecord],
    row_map: np.ndarray,
    presentation_index: pd.MultiIndex,
    neuroid_index: pd.MultiIndex,
) -> xr.DataArray:
    """Put labels around stored values without reading any.

    Parameters
    ----------
    entry : Entry
        Where the values are.
    layers : sequence of LayerRecord
        In the order of the neuroids.
    row_map : array of shape (n_presentations,), int
        Row of the entry for each presentation; duplicates share a row.
    presentation_index, neuroid_index : pandas.MultiIndex
        Labels.

    Returns
    -------
    xarray.DataArray
        Dims ``('presentation', 'neuroid')``; slicing reads only what is left, ``.values`` reads everything.
    """
    lazy = indexing.LazilyIndexedArray(StoredArray(entry, layers, row_map))
    # by way of a Dataset: xarray 2022.3 reads everything when it is given a variable for a DataArray
    array = xr.Dataset({"activations": xr.Variable(_DIMENSIONS, lazy)})["activations"]
    array.name = None
    for dimension, index in zip(_DIMENSIONS, (presentation_index, neuroid_index), strict=True):
        if hasattr(xr, "Coordinates"):
            array = array.assign_coords(xr.Coordinates.from_pandas_multiindex(index, dimension))
        else:
            array = array.assign_coords({dimension: index})
    return array


def presentations_document(model: str, row_map: np.ndarray, presentation_index: pd.MultiIndex) -> dict[str, Any]:
    """Return labels as JSON data, to be kept beside an entry.

    Parameters
    ----------
    model : str
        Identifier of the model; becomes the coordinate ``model``.
    row_map : array of shape (n_presentations,), int
        Row of the entry for each presentation.
    presentation_index : pandas.MultiIndex
        Labels of the presentations.
    """
    columns = {str(name): presentation_index.get_level_values(name) for name in presentation_index.names}
    return {"model": str(model), "rows": np.asarray(row_map).tolist(), "columns": table_document(columns)}


def open_labelled(entry: Entry, layers: Sequence[str] | None, *, partial: bool) -> xr.DataArray:
    """Label an entry with what its first writer left; `ActivationStore.to_xarray` is what users call."""
    records = _chosen(entry, layers)
    missing = entry.missing(records)
    if missing and not partial:
        n_layers = len({layer.digest for each in missing.values() for layer in each})
        raise NotStoredError(
            f"{len(missing)} of {entry.n_shards} shards of entry {entry.key[:12]} are not stored for {n_layers} of "
            f"{len(records)} layers. Run the same extraction with this store again, or pass partial=True to open what "
            f"is there."
        )
    document: Mapping[str, Any] = entry.presentations() or {
        "model": entry.key[:12],
        "rows": list(range(entry.n_rows)),
        "columns": table_document({"stimulus_id": np.arange(entry.n_rows)}),
    }
    row_map, columns = np.asarray(document["rows"], dtype=np.intp), columns_of(document["columns"])
    keep = ~np.isin(row_map, list(entry.skipped()))
    presentation = pd.MultiIndex.from_arrays([values[keep] for values in columns.values()], names=list(columns))
    values = [LayerValues(record.requested, record.shape, record.call) for record in records]
    return to_xarray(entry, records, row_map[keep], presentation, neuroid_index(values, document["model"]))


def _chosen(entry: Entry, names: Sequence[str] | None) -> list[LayerRecord]:
    records = list(entry.layers().values())
    if not records:
        raise NotStoredError(f"Entry {entry.key[:12]} has no layers yet. Run the extraction with this store again.")
    if names is None:
        return records
    chosen = []
    for name in names:
        found = [record for record in records if record.requested == name]
        if not found:
            known = [record.requested for record in records]
            raise LayerNotFoundError(
                f"Entry {entry.key[:12]} has no layer {name!r}. {did_you_mean(name, known)} It has {listing(known)}."
            )
        chosen.extend(found)
    return chosen


def _as_slice(rows: np.ndarray) -> slice | np.ndarray:
    is_run = len(rows) > 0 and bool((np.diff(rows) == 1).all())
    return slice(int(rows[0]), int(rows[-1]) + 1) if is_run else rows


def _length(picked: slice | np.ndarray) -> int:
    return picked.stop - picked.start if isinstance(picked, slice) else len(picked)
