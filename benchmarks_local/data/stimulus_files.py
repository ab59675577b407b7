"""stimuli.csv and the files that it names, none of which may lie outside of the dataset's folder."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath

import pandas as pd

from adapters.errors import listing

from .findings import Findings
from .tables import Table, frame_of, read_table

__all__ = ["STIMULI_FILE", "STIMULI_FOLDER", "id_rows", "inside", "read_stimuli", "typed_frame"]

STIMULI_FILE = "stimuli.csv"
STIMULI_FOLDER = "stimuli"


def read_stimuli(folder: Path, types: dict[str, str], findings: Findings) -> pd.DataFrame | None:
    """Read the table of stimuli.

    Parameters
    ----------
    folder : pathlib.Path
        Of the dataset.
    types : dict of str to str
        ``column_types`` of dataset.yaml.
    findings : Findings
        Gets stimuli-missing, id-empty, stimulus-duplicate, filename-outside, image-missing, and what `read_table`
        notes.

    Returns
    -------
    pandas.DataFrame or None
        The columns of the file and ``path``, absolute, empty where a file is missing; None when there is no table.
    """
    path = folder / STIMULI_FILE
    if not path.is_file():
        fix = "Write one with the columns stimulus_id and filename, a row per image."
        findings.error("stimuli-missing", f"There is no {STIMULI_FILE}.", fix, STIMULI_FILE)
        return None
    table = read_table(path, ["stimulus_id", "filename"], findings)
    if table is None:
        return None
    id_rows(table, "stimulus_id", "stimulus-duplicate", findings)
    columns = {name: cells for name, cells in table.columns.items() if name != "path"}
    stimuli = typed_frame(columns, types, STIMULI_FILE, findings)
    stimuli["path"] = _paths(folder.resolve(), table, findings)
    return stimuli


def id_rows(table: Table, column: str, code: str, findings: Findings) -> dict[str, int]:
    """Return the row of each identifier; note empty ones and those that are there twice."""
    rows: dict[str, int] = {}
    twice: list[int] = []
    empty = [row for row, each in enumerate(table.columns[column]) if not each]
    for row, each in enumerate(table.columns[column]):
        if each and rows.setdefault(each, row) != row:
            twice.append(row)
    if empty:
        findings.error("id-empty", f"{column} is empty on {table.at(empty)}.", "Give every row one.", table.name)
    if twice:
        names = listing(sorted({table.columns[column][row] for row in twice}))
        fix = "Give each its own; rows that say the same are to be removed."
        findings.error(code, f"{column} {names} is there again on {table.at(twice)}.", fix, table.name)
    return rows


def typed_frame(columns: dict[str, list[str]], types: dict[str, str], where: str, findings: Findings) -> pd.DataFrame:
    """Make a data frame; cells that are not of their declared type are noted as ``column-types``, and stay text."""
    try:
        return frame_of(columns, types)
    except ValueError as error:
        fix = "Correct the cell, or column_types in dataset.yaml."
        findings.error("column-types", f"A column is not of its declared type: {error}.", fix, where)
        return frame_of(columns, {})


def _paths(folder: Path, table: Table, findings: Findings) -> list[str]:
    base = folder / STIMULI_FOLDER
    names = _NamesOnDisk()
    paths, outside, missing = [], [], []
    for row, name in enumerate(table.columns["filename"]):
        path = inside(base, folder, name)
        found = None if path is None else names.find(path)
        if path is None and name:
            outside.append(row)
        elif found is None:
            missing.append(row)
        paths.append("" if found is None else str(found))
    if outside:
        findings.error(
            "filename-outside",
            f"{_named(table, outside)} lies outside of {STIMULI_FOLDER}/.",
            f"Copy the files into {STIMULI_FOLDER}/ and write their names as they are called from there.",
            table.name,
        )
    if missing:
        findings.error(
            "image-missing",
            f"{_named(table, missing)} is not in {STIMULI_FOLDER}/ ({len(missing)} of {len(table)}).",
            "Copy the files there, or remove the rows.",
            table.name,
        )
    return paths


def _named(table: Table, rows: Sequence[int]) -> str:
    return f"{listing([table.columns['filename'][row] or 'an empty filename' for row in rows])} ({table.at(rows)})"


def inside(base: Path, folder: Path, name: str) -> Path | None:
    r"""Return the file that a name in a table means, None when it leads out of the dataset.

    Parameters
    ----------
    base : pathlib.Path
        Folder that names are relative to.
    folder : pathlib.Path
        The dataset's folder, resolved; a link may lead to anywhere in it, or, with ``base`` itself, elsewhere.
    name : str
        As written; a Windows path (``cats\01.png``) is read as one.
    """
    windows = PureWindowsPath(name)
    if not name or "\0" in name or windows.is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        return None
    path = base.joinpath(*windows.parts)
    target = path.resolve()
    return path if target.is_relative_to(base.resolve()) or target.is_relative_to(folder) else None


class _NamesOnDisk:
    """Finds files whose names are written with other code points, as macOS does with accents."""

    def __init__(self) -> None:
        self._listed: dict[Path, dict[str, Path]] = {}

    def find(self, path: Path) -> Path | None:
        if path.is_file():
            return path
        if path.name.isascii() or not path.parent.is_dir():
            return None
        if path.parent not in self._listed:
            listed = {unicodedata.normalize("NFC", each.name): each for each in path.parent.iterdir()}
            self._listed[path.parent] = listed
        found = self._listed[path.parent].get(unicodedata.normalize("NFC", path.name))
        return found if found is not None and found.is_file() else None
