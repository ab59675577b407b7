"""The recordings of a dataset's folder, in whichever of three formats they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tokenize import TokenError

import numpy as np
import pandas as pd

from adapters.errors import listing

from .assemblies import entries_of
from .cubes import Codes, Entries, build_recordings
from .description import Description
from .findings import DatasetError, Findings
from .long_tables import read_long_table
from .netcdf import read_netcdf
from .recordings import Recordings
from .stimulus_files import id_rows, typed_frame
from .tables import read_table
from .wide_tables import MELT_ADVICE, unit_columns

__all__ = ["NEUROIDS_FILE", "PRESENTATIONS_FILE", "RESPONSES_FILES", "read_recordings"]

NEUROIDS_FILE = "neuroids.csv"
PRESENTATIONS_FILE = "presentations.csv"
RESPONSES_FILES = {"nc": "responses.nc", "csv": "responses.csv", "npy": "responses.npy"}


def read_recordings(
    folder: Path, description: Description, stimulus_ids: Sequence[str], findings: Findings
) -> Recordings | None:
    """Read the responses of a dataset.

    Parameters
    ----------
    folder : pathlib.Path
        Of the dataset.
    description : Description
        Gives time bins, column types, and the region where there is only one.
    stimulus_ids : sequence of str
        The stimuli, in their order.
    findings : Findings
        Gets what is wrong.

    Returns
    -------
    Recordings or None
        None when there are none, or they cannot be read.
    """
    present = [name for name in RESPONSES_FILES.values() if (folder / name).is_file()]
    if len(present) > 1:
        message = f"There are {' and '.join(present)}, expected one of them."
        findings.error("responses-ambiguous", message, "Remove those that do not count.", present[0])
    if len(present) != 1:
        return None
    path = folder / present[0]
    entries = {".nc": _from_netcdf, ".csv": _from_csv, ".npy": _from_npy}[path.suffix](path, description, findings)
    if entries is None:
        return None
    neuroids = _with_regions(entries.neuroids, description, findings, path.name)
    entries = replace(entries, neuroids=neuroids)
    if neuroids["neuroid_id"].duplicated().any() or not stimulus_ids:
        return None  # has been noted
    return build_recordings(entries, stimulus_ids, findings, path.name)


def _from_netcdf(path: Path, description: Description, findings: Findings) -> Entries | None:
    try:
        return entries_of(read_netcdf(path), findings, path.name)
    except DatasetError as error:
        fix = "Or keep the responses as a table: responses.csv."
        findings.error("responses-unreadable", str(error), fix, path.name)
        return None


def _from_csv(path: Path, description: Description, findings: Findings) -> Entries | None:
    if units := unit_columns(path):
        message = (
            f"There is neither a column neuroid_id nor a column response, and there are numbers in {listing(units)}."
        )
        findings.error("column-missing", message, MELT_ADVICE, path.name)
        return None
    entries = read_long_table(path, findings)
    file = path.with_name(NEUROIDS_FILE)
    if entries is None or not file.is_file():
        return entries
    neuroids = _read_neuroids(file, description, findings)
    return None if neuroids is None else _in_order_of(neuroids, entries, findings)


def _in_order_of(neuroids: pd.DataFrame, entries: Entries, findings: Findings) -> Entries | None:
    """Give units of a long table the order in which neuroids.csv lists them, with what it says of each."""
    listed = {each: row for row, each in enumerate(neuroids["neuroid_id"])}
    found = list(entries.neuroids["neuroid_id"])
    if unknown := [each for each in found if each not in listed]:
        message = f"Units of the responses that are not listed: {listing(unknown)} ({len(unknown)} of {len(found)})."
        findings.error("neuroid-unknown", message, "Add rows, or write the same ids in both.", NEUROIDS_FILE)
        return None
    if missing := [each for each in listed if each not in set(found)]:
        message = f"Units without a response: {listing(missing)} ({len(missing)} of {len(listed)})."
        findings.error("neuroid-unrecorded", message, "Add the responses, or remove the rows.", NEUROIDS_FILE)
        return None
    rows = np.array([listed[each] for each in found], dtype=np.int32)
    for name in entries.neuroids.columns:
        said = entries.neuroids[name].to_numpy()
        if name not in neuroids.columns:
            column = np.full(len(neuroids), "", dtype=object)
            column[rows] = said
            neuroids = neuroids.assign(**{name: column})
        elif name == "region" and (differ := np.flatnonzero(neuroids[name].to_numpy()[rows] != said)).size:
            message = f"{listing([found[at] for at in differ])} has another region than in the responses."
            findings.error("region-conflict", message, "Write the region in one of the two files.", NEUROIDS_FILE)
    codes = entries.neuroid_codes
    return replace(entries, neuroids=neuroids, neuroid_codes=None if codes is None else rows[codes])


def _read_neuroids(path: Path, description: Description, findings: Findings) -> pd.DataFrame | None:
    table = read_table(path, ["neuroid_id"], findings)
    if table is None:
        return None
    id_rows(table, "neuroid_id", "neuroid-duplicate", findings)
    return typed_frame(table.columns, description.column_types, path.name, findings)


def _from_npy(path: Path, description: Description, findings: Findings) -> Entries | None:
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, TypeError, OverflowError, EOFError, SyntaxError, TokenError) as error:
        fix = "Write it with numpy.save, of numbers and not of objects."
        findings.error("responses-unreadable", f"It is no array of NumPy: {str(error).rstrip('.')}.", fix, path.name)
        return None
    for name, axis, column in ((NEUROIDS_FILE, "columns", "neuroid_id"), (PRESENTATIONS_FILE, "rows", "stimulus_id")):
        if not (path.parent / name).is_file():
            message = f"There is no {name}, which says what the {axis} are."
            findings.error("responses-labels", message, f"Write one with the column {column}.", path.name)
    neuroids = presentations = None
    if (path.parent / NEUROIDS_FILE).is_file():
        neuroids = _read_neuroids(path.parent / NEUROIDS_FILE, description, findings)
    if (path.parent / PRESENTATIONS_FILE).is_file():
        presentations = read_table(path.parent / PRESENTATIONS_FILE, ["stimulus_id"], findings)
    if neuroids is None or presentations is None:
        return None
    expected = (len(presentations), len(neuroids))
    n_bins = len(description.time_bins)
    is_timed = values.ndim == 3 and (n_bins in (0, values.shape[2]))
    if values.shape[:2] != expected or not (values.ndim == 2 or is_timed) or values.dtype.kind not in "biuf":
        bins = f" and {n_bins} time bins" if n_bins else ""
        message = f"It has shape {values.shape} of {values.dtype}, and there are {expected[0]} presentations, "
        message += f"{expected[1]} neuroids{bins}."
        fix = "Write numbers with a row per presentation and a column per neuroid (and a third axis of time bins)."
        findings.error("responses-shape", message, fix, path.name)
        return None
    repetitions = presentations.columns.get("repetition")
    return Entries(
        stimuli=Codes.of(presentations.columns["stimulus_id"]),
        repetitions=None if repetitions is None else Codes.of(repetitions),
        values=np.asarray(values, dtype=np.float64).reshape(*expected, -1),
        neuroids=neuroids,
        time_bins=description.time_bins,
    )


def _with_regions(neuroids: pd.DataFrame, description: Description, findings: Findings, where: str) -> pd.DataFrame:
    if "region" not in neuroids.columns:
        if len(description.regions) == 1:
            return neuroids.assign(region=description.regions[0])
        message = (
            f"Nothing says which region the units are in; dataset.yaml lists {listing(description.regions) or 'none'}."
        )
        fix = "Add the column region (to neuroids.csv, or to the responses); with one region, regions: [IT] is enough."
        findings.error("region-missing", message, fix, where)
        return neuroids.assign(region="")
    regions = neuroids["region"].astype(str)
    if (empty := neuroids["neuroid_id"][regions == ""]).size:
        message = f"Units without a region: {listing(list(empty))} ({len(empty)} of {len(regions)})."
        findings.error("region-missing", message, "Write one for each.", where)
    return neuroids.assign(region=regions.astype(object))
