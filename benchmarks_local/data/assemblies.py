"""Recordings and trials as labelled arrays, in the form of Brain-Score's assemblies, under any xarray since 2022.3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from adapters.errors import listing

from .cubes import Codes, Entries, build_recordings
from .findings import DatasetError, Findings
from .recordings import Recordings, TimeBin

__all__ = [
    "entries_of",
    "labels_of",
    "recordings_from_assembly",
    "recordings_to_assembly",
    "table_of",
    "table_to_assembly",
]

# What a dim is called when its only label became its name, as old xarray does.
_DIM_ALIASES = {"stimulus_id": "presentation", "image_id": "presentation", "neuroid_id": "neuroid"}
_ID_ALIASES = {"image_id": "stimulus_id"}
_NEURAL_DIMS = ("presentation", "neuroid", "time_bin")


def labels_of(assembly: xr.DataArray, dim: str) -> dict[str, NDArray[Any]]:
    """Return the labels along a dim, those in a MultiIndex and those beside it.

    Parameters
    ----------
    assembly : xarray.DataArray
        Any.
    dim : str
        One of its dims.

    Returns
    -------
    dict of str to array of shape (size of the dim,)
        ``image_id``, brainio's older name, becomes ``stimulus_id``.
    """
    index = assembly.indexes.get(dim)
    labels: dict[str, NDArray[Any]] = {}
    if isinstance(index, pd.MultiIndex):
        labels = {str(name): index.get_level_values(name).to_numpy() for name in index.names}
    elif index is not None:
        labels = {dim: index.to_numpy()}
    for name, coord in assembly.coords.items():  # new xarray lists the levels here again, old does not
        if coord.dims == (dim,) and name not in labels and not (name == dim and isinstance(index, pd.MultiIndex)):
            labels[str(name)] = coord.values
    return {
        (_ID_ALIASES.get(name, name) if _ID_ALIASES.get(name) not in labels else name): values
        for name, values in labels.items()
    }


def _renamed(assembly: xr.DataArray) -> tuple[xr.DataArray, dict[str, dict[str, NDArray[Any]]]]:
    """Return the assembly with its usual dims, and the labels of each."""
    labels = {_DIM_ALIASES.get(str(dim), str(dim)): labels_of(assembly, str(dim)) for dim in assembly.dims}
    plain = xr.DataArray(assembly.values, dims=list(labels))
    return plain, labels


def entries_of(assembly: xr.DataArray, findings: Findings, where: str) -> Entries | None:
    """Take an assembly of recordings apart.

    Parameters
    ----------
    assembly : xarray.DataArray
        Dims presentation and neuroid, and perhaps time_bin, in any order; labels stimulus_id, repetition (where there
        are several), neuroid_id, region, time_bin_start, time_bin_end (ms).
    findings : Findings
        Gets responses-shape, column-missing, id-empty and neuroid-duplicate.
    where : str
        What it is, for messages.

    Returns
    -------
    Entries or None
        None when it is no assembly of recordings.
    """
    plain, labels = _renamed(assembly)
    if set(plain.dims) not in (set(_NEURAL_DIMS), set(_NEURAL_DIMS[:2])):
        message = f"The dims are {tuple(plain.dims)}, expected presentation, neuroid and perhaps time_bin."
        findings.error("responses-shape", message, "Rename the dims, and average over any other.", where)
        return None
    if plain.dtype.kind not in "biuf":
        message = f"The values are of type {plain.dtype}, expected numbers."
        findings.error("response-number", message, "Keep labels as coordinates, and only responses as values.", where)
        return None
    for dim, name in (("presentation", "stimulus_id"), ("neuroid", "neuroid_id")):
        if name not in labels[dim]:
            message = f"There is no {name!r} along {dim}: {listing(sorted(labels[dim]) or ['no labels'])}."
            findings.error("column-missing", message, f"Add the coordinate {name}.", where)
            return None
    values = plain.transpose(*[dim for dim in _NEURAL_DIMS if dim in plain.dims]).values.astype(np.float64)
    neuroids = table_of(labels["neuroid"], ids=("neuroid_id",))
    twice = neuroids["neuroid_id"][neuroids["neuroid_id"].duplicated()]
    if len(twice):
        message = f"neuroid_id {listing(sorted(set(twice)))} is there more than once."
        findings.error("neuroid-duplicate", message, "Give every unit its own.", where)
    repetitions = labels["presentation"].get("repetition")
    return Entries(
        stimuli=Codes.of(labels["presentation"]["stimulus_id"].tolist()),
        repetitions=None if repetitions is None else Codes.of(repetitions.tolist()),
        values=values if values.ndim == 3 else values[..., None],
        neuroids=neuroids,
        time_bins=_time_bins(labels.get("time_bin", {})),
    )


def _time_bins(labels: dict[str, NDArray[Any]]) -> tuple[TimeBin, ...]:
    if not {"time_bin_start", "time_bin_end"} <= set(labels):
        return ()
    starts, ends = labels["time_bin_start"].tolist(), labels["time_bin_end"].tolist()
    return tuple((float(start), float(end)) for start, end in zip(starts, ends, strict=True))


def table_of(labels: dict[str, NDArray[Any]], ids: Sequence[str]) -> pd.DataFrame:
    """Make a table of labels; identifiers become text, the others keep their type."""
    columns = {}
    for name, values in labels.items():
        is_text = name in ids or values.dtype.kind not in "biuf"
        columns[name] = (
            pd.Series([_text(each) for each in values.tolist()], dtype=object) if is_text else pd.Series(values)
        )
    return pd.DataFrame(columns)


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value)  # NaN, the only value that is not itself


def recordings_from_assembly(assembly: xr.DataArray, stimulus_ids: Sequence[str] | None = None) -> Recordings:
    """Take recordings out of an assembly.

    Parameters
    ----------
    assembly : xarray.DataArray
        A ``NeuroidAssembly`` of Brain-Score, or any array with its dims and labels.
    stimulus_ids : sequence of str, optional
        The order that is wanted; that of the assembly by default.

    Returns
    -------
    Recordings
        Presentations that the assembly does not have are NaN.

    Raises
    ------
    DatasetError
        When dims or labels are missing, identifiers are there twice, or are others than ``stimulus_ids``.
    """
    findings, where = Findings(), "The assembly"
    recordings = None
    if (entries := entries_of(assembly, findings, where)) is not None and not findings.n_errors:
        if "region" not in entries.neuroids.columns:
            entries = _without_region(entries)
        recordings = build_recordings(entries, stimulus_ids or entries.stimuli.labels, findings, where)
    if recordings is None or findings.n_errors:
        raise DatasetError("; ".join(map(str, findings.errors)) or "The assembly is empty, expected recordings.")
    return recordings


def _without_region(entries: Entries) -> Entries:
    raise DatasetError(
        f"The assembly has no coordinate 'region' along neuroid: {listing(list(entries.neuroids.columns))}. "
        "Add it, for example assembly['region'] = 'neuroid', ['IT'] * assembly.sizes['neuroid']."
    )


def recordings_to_assembly(recordings: Recordings, stimuli: pd.DataFrame | None = None) -> xr.DataArray:
    """Lay recordings out as an assembly, one presentation after the other.

    Parameters
    ----------
    recordings : Recordings
        Responses.
    stimuli : pandas.DataFrame, optional
        Its columns become labels of the presentations; ``path`` and ``filename`` do not.

    Returns
    -------
    xarray.DataArray
        Dims presentation (repetition after repetition, without those that are missing), neuroid, and time_bin when
        there are time bins; labels beside the dims, without an index, so that it can be written to NetCDF.
    """
    values = recordings.values if recordings.values.ndim == 4 else recordings.values[..., None]
    repetition, stimulus = np.nonzero(~np.asarray(np.isnan(values).all(axis=(2, 3))))
    columns: dict[str, NDArray[Any]] = {"stimulus_id": np.array(recordings.stimulus_ids, dtype=object)}
    if stimuli is not None:
        shown = [name for name in stimuli.columns if name not in ("stimulus_id", "path", "filename", "repetition")]
        columns.update({str(name): stimuli[name].to_numpy() for name in shown})
    coords: dict[str, Any] = {name: ("presentation", each[stimulus]) for name, each in columns.items()}
    coords["repetition"] = ("presentation", repetition)
    for name in recordings.neuroids.columns:
        coords[str(name)] = ("neuroid", recordings.neuroids[name].to_numpy())
    rows = values[repetition, stimulus]
    if recordings.time_bins:
        starts, ends = zip(*recordings.time_bins, strict=True)
        coords["time_bin_start"], coords["time_bin_end"] = ("time_bin", list(starts)), ("time_bin", list(ends))
    elif recordings.values.ndim == 3:
        return xr.DataArray(rows[..., 0], dims=_NEURAL_DIMS[:2], coords=coords)
    return xr.DataArray(rows, dims=_NEURAL_DIMS, coords=coords)


def table_to_assembly(table: pd.DataFrame) -> xr.DataArray:
    """Lay trials or triplets out as a behavioral assembly: the choices are the values, the rest labels.

    Parameters
    ----------
    table : pandas.DataFrame
        With the column ``choice``.

    Returns
    -------
    xarray.DataArray
        Dim presentation; ``choice`` is a label as well, as in Brain-Score's.
    """
    coords = {str(name): ("presentation", table[name].to_numpy()) for name in table.columns}
    return xr.DataArray(table["choice"].to_numpy(dtype=object), dims=("presentation",), coords=coords)
