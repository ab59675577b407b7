"""Datasets from and to the assemblies of Brain-Score (brainio, brainscore_core)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from adapters.errors import listing

from .assemblies import labels_of, recordings_from_assembly, recordings_to_assembly, table_of, table_to_assembly
from .behavior_tables import IMAGES
from .brainscore import as_behavioral_assembly, as_recording_assembly, as_stimulus_set
from .dataset import Dataset
from .findings import DatasetError

__all__ = ["from_assembly", "to_assembly"]


def from_assembly(
    assembly: xr.DataArray, *, name: str, visual_degrees: float, stimuli: Any = None, **options: Any
) -> Dataset:
    """Make a dataset of an assembly and its stimulus set.

    Parameters
    ----------
    assembly : xarray.DataArray
        Recordings, dims presentation and neuroid (and time_bin); or behavior, dim presentation, with the labels
        image_1, image_2 and image_3 (triplets), or stimulus_id (trials). Any of Brain-Score's classes, or a plain
        array with their labels.
    name : str
        Of the dataset.
    visual_degrees : float
        Extent of the stimuli, degrees.
    stimuli : brainio StimulusSet or pandas.DataFrame, optional
        With ``get_stimulus`` or a column ``path``; the assembly's attribute ``stimulus_set`` by default.
    **options
        Further parameters of `Dataset`, as ``stratify_on``.

    Returns
    -------
    Dataset
        Stimuli in the order of the stimulus set, identifiers as text.

    Raises
    ------
    DatasetError
        If there is no stimulus set, or the assembly is of neither form.

    Examples
    --------
    >>> stimuli = pd.DataFrame({"stimulus_id": ["a"], "path": ["/images/a.png"]})
    >>> labels = {"stimulus_id": ("presentation", ["a"]), "choice": ("presentation", ["dog"])}
    >>> trials = xr.DataArray(["dog"], dims=("presentation",), coords=labels)
    >>> from_assembly(trials, name="mine", visual_degrees=8, stimuli=stimuli).trials["choice"].tolist()
    ['dog']
    """
    given = assembly.attrs.get("stimulus_set") if stimuli is None else stimuli
    degrees, table = _degrees(visual_degrees), _stimuli(given)
    if {"presentation", "stimulus_id", "image_id"} & set(map(str, assembly.dims)) and assembly.ndim == 1:
        behavior = _behavior(assembly)
        kind = "triplets" if set(IMAGES) <= set(behavior.columns) else "trials"
        options[kind] = behavior
    else:
        options["recordings"] = recordings_from_assembly(assembly, list(table["stimulus_id"]))
    return Dataset(name, None, table, visual_degrees=degrees, **options)


def _degrees(given: Any) -> float:
    if not isinstance(given, (int, float)) or not math.isfinite(given) or given <= 0:
        raise DatasetError(f"visual_degrees is {given!r}, expected a number above 0. Give the extent of the stimuli.")
    return float(given)


def _stimuli(given: Any) -> pd.DataFrame:
    if not isinstance(given, pd.DataFrame):
        raise DatasetError(
            f"The stimulus set is {given!r}, expected a table with the images. Pass stimuli=, a StimulusSet or a "
            "DataFrame with the columns stimulus_id and path."
        )
    table = pd.DataFrame({str(name): given[name].to_numpy() for name in given.columns})
    if "stimulus_id" not in table.columns and "image_id" in table.columns:
        table = table.rename(columns={"image_id": "stimulus_id"})
    if "stimulus_id" not in table.columns:
        raise DatasetError(
            f"The stimulus set has the columns {listing(list(table.columns))}, expected stimulus_id. Add it."
        )
    if hasattr(given, "get_stimulus"):
        table["path"] = [str(Path(given.get_stimulus(each)).resolve()) for each in table["stimulus_id"]]
    table["stimulus_id"] = pd.Series([str(each) for each in table["stimulus_id"].tolist()], dtype=object)
    return table


def _behavior(assembly: xr.DataArray) -> pd.DataFrame:
    labels = labels_of(assembly, str(assembly.dims[0]))
    if not ({"stimulus_id"} <= set(labels) or set(IMAGES) <= set(labels)):
        raise DatasetError(
            f"The assembly has the labels {listing(sorted(labels)) or 'none'} along {assembly.dims[0]}, expected "
            f"stimulus_id, or {', '.join(IMAGES)}. Add them."
        )
    table = table_of(labels, ids=("stimulus_id", *IMAGES))
    if "choice" not in table.columns:
        table["choice"] = pd.Series([str(each) for each in assembly.values.tolist()], dtype=object)
    return table


def to_assembly(dataset: Dataset, content: str = "recordings") -> xr.DataArray:
    """Return a dataset's recordings or behavior as Brain-Score has them.

    Parameters
    ----------
    dataset : Dataset
        Any.
    content : {"recordings", "trials", "triplets"}
        Which part.

    Returns
    -------
    xarray.DataArray
        brainscore_core's ``NeuronRecordingAssembly`` or ``BehavioralAssembly`` where it is installed, with its
        ``StimulusSet`` as attribute ``stimulus_set``; else a plain array, with the same dims and labels, and a
        MultiIndex along each dim that has two labels or more.

    Raises
    ------
    DatasetError
        If the dataset has no such part.
    """
    part = {"recordings": dataset.recordings, "trials": dataset.trials, "triplets": dataset.triplets}.get(content)
    if part is None:
        raise DatasetError(
            f"The dataset {dataset.name!r} has no {content}, expected one of recordings, trials and triplets that it "
            "has. Choose another part."
        )
    if content == "recordings":
        plain = recordings_to_assembly(part, dataset.stimuli)
        assembly = as_recording_assembly(_indexed(plain), plain)
    else:
        plain = table_to_assembly(part)
        assembly = as_behavioral_assembly(_indexed(plain), plain)
    assembly.attrs["stimulus_set"] = as_stimulus_set(dataset.stimulus_set())
    assembly.attrs["stimulus_set_identifier"] = dataset.name
    assembly.name = dataset.name
    return assembly


def _indexed(plain: xr.DataArray) -> xr.DataArray:
    names = {
        str(dim): [str(name) for name, coord in plain.coords.items() if coord.dims == (dim,)] for dim in plain.dims
    }
    indexes: dict[Any, Any] = {dim: levels for dim, levels in names.items() if len(levels) > 1}
    return plain.set_index(indexes)
