"""Write a dataset as a folder that is read back as it was."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from adapters.errors import listing

from .assemblies import recordings_to_assembly
from .findings import DatasetError
from .long_tables import write_long_table
from .netcdf import write_netcdf
from .recordings import Recordings
from .yaml_files import write_yaml

if TYPE_CHECKING:
    from .dataset import Dataset

__all__ = ["empty_folder", "save", "write_table"]

_FORMATS = ("csv", "nc", "npy")
_KINDS = {"b": "boolean", "i": "integer", "u": "integer", "f": "number"}


def save(dataset: Dataset, folder: Path, *, responses: str) -> Path:
    """Write all of a dataset; see `Dataset.save`."""
    if responses not in _FORMATS:
        raise DatasetError(f"responses is {responses!r}, expected one of {listing(_FORMATS)}. Choose one of them.")
    recordings = dataset.recordings
    if recordings is not None and recordings.values.ndim == 4 and not recordings.time_bins and responses == "csv":
        raise DatasetError(
            f"The recordings have {recordings.values.shape[3]} time bins without times, and a table needs these to "
            "tell the bins apart. Give Recordings time_bins, or save with responses='npy'."
        )
    empty_folder(folder)
    stimuli, types = _copy_stimuli(dataset, folder)
    write_table(stimuli, folder / "stimuli.csv")
    if recordings is not None:
        types.update(_types(recordings.neuroids, ("neuroid_id", "region")))
        _save_recordings(recordings, folder, responses)
    for name, table in (("trials", dataset.trials), ("triplets", dataset.triplets)):
        if table is not None:
            types.update(_types(table, ("stimulus_id", "choice")))
            write_table(table, folder / f"{name}.csv")
    (folder / "dataset.yaml").write_text(write_yaml(_description(dataset, types)), encoding="utf-8")
    return folder


def empty_folder(folder: Path) -> None:
    """Make a folder, and refuse one with files in it.

    Raises
    ------
    DatasetError
        If it holds anything, or is a file.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        what = "is a file" if folder.is_file() else "holds files already"
        raise DatasetError(f"{folder} {what}, expected a new or an empty folder. Choose another one.")
    folder.mkdir(parents=True, exist_ok=True)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table of text, numbers and truth values, from which the same cells are read."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([str(name) for name in table.columns])
        columns = [table[name].tolist() for name in table.columns]
        writer.writerows([["" if pd.isna(cell) else _cell(cell) for cell in row] for row in zip(*columns, strict=True)])


def _cell(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def _types(table: pd.DataFrame, text: tuple[str, ...]) -> dict[str, str]:
    """Say which columns are not text, so that they are read back as numbers."""
    kinds = {str(name): _KINDS.get(getattr(table[name].dtype, "kind", "O")) for name in table.columns}
    return {name: kind for name, kind in kinds.items() if kind is not None and name not in text}


def _copy_stimuli(dataset: Dataset, folder: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """Copy the files, each below its own name where it has one, and return the table that lists them."""
    (folder / "stimuli").mkdir()
    taken: set[str] = set()
    names = []
    for row, path in enumerate(dataset.stimuli["path"]):
        name = Path(path).name
        if (
            name.lower() in taken
        ):  # of another folder; numbered, as files that differ in case only are one on some disks
            name = f"{row:05d}_{name}"
        taken.add(name.lower())
        names.append(name)
        shutil.copyfile(path, folder / "stimuli" / name)
    stimuli = dataset.stimuli.drop(columns=["path", "filename"], errors="ignore")
    stimuli.insert(1, "filename", names)
    return stimuli, _types(stimuli, ("stimulus_id", "filename"))


def _save_recordings(recordings: Recordings, folder: Path, responses: str) -> None:
    if responses == "nc":
        write_netcdf(recordings_to_assembly(recordings), folder / "responses.nc")
        return
    write_table(recordings.neuroids, folder / "neuroids.csv")
    if responses == "csv":
        write_long_table(recordings, folder / "responses.csv")
        return
    assembly = recordings_to_assembly(recordings)
    np.save(folder / "responses.npy", assembly.values, allow_pickle=False)
    columns = {name: assembly[name].values for name in ("stimulus_id", "repetition")}
    write_table(pd.DataFrame(columns), folder / "presentations.csv")


def _description(dataset: Dataset, types: dict[str, str]) -> dict[str, Any]:
    has_behavior = dataset.trials is not None or dataset.triplets is not None
    kinds = ["neural"] * (dataset.recordings is not None) + ["behavior"] * has_behavior
    degrees = float(dataset.visual_degrees)
    description: dict[str, Any] = {
        "name": dataset.name,
        "kind": kinds,
        "visual_degrees": int(degrees) if degrees.is_integer() else degrees,
        "regions": list(dataset.regions),
        "stratify_on": dataset.stratify_on or "none",
        "ceiling": dataset.ceiling,
        **{key: value for key, value in dataset.metadata.items() if key != "column_types"},
    }
    if dataset.recordings is not None and dataset.recordings.time_bins:
        description["time_bins"] = [list(each) for each in dataset.recordings.time_bins]
    if types:
        description["column_types"] = types
    return description
