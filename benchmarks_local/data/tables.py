"""Read tables as people have them: any delimiter, BOM, CRLF, UTF-16 from Excel; every cell stays text."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from adapters.errors import did_you_mean, listing

from .findings import Findings

__all__ = ["Dialect", "Table", "frame_of", "read_dialect", "read_table"]

_DELIMITERS = (",", ";", "\t", "|")
_ALIASES = {"image_id": "stimulus_id"}  # brainio's older name
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True)
class Dialect:
    """How a table is written.

    Parameters
    ----------
    encoding, delimiter : str
        As `open` and `csv.reader` take them.
    n_skipped : int
        Lines above the header: Excel's ``sep=;``.
    header : tuple of str
        Names of the columns, stripped; empty where a column has none.
    """

    encoding: str
    delimiter: str
    n_skipped: int
    header: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table of text.

    Parameters
    ----------
    name : str
        The file, for messages.
    columns : dict of str to list of str
        Cells, stripped.
    lines : list of int
        The line of the file that each row stands on.
    """

    name: str
    columns: dict[str, list[str]]
    lines: list[int]

    def __len__(self) -> int:
        return len(self.lines)

    def at(self, rows: Sequence[int]) -> str:
        """Return where rows are, for a message: ``line 3, 5 and 2 more``."""
        return f"line {listing([self.lines[row] for row in rows])}"


def read_dialect(path: Path, required: Sequence[str], findings: Findings) -> Dialect | None:
    """Look at the header of a table.

    Parameters
    ----------
    path : pathlib.Path
        Existing file.
    required : sequence of str
        Columns that have to be there.
    findings : Findings
        Gets table-empty, table-encoding, column-duplicate and column-missing.

    Returns
    -------
    Dialect or None
        None when the table cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(4)
    encoding = next((name for bom, name in _BOMS if start.startswith(bom)), "utf-8")
    try:
        with path.open(encoding=encoding, newline="") as text:
            first = text.readline()
            skipped = first.lower().startswith("sep=")
            line = text.readline() if skipped else first
    except UnicodeError as error:
        _not_unicode(path, error, findings)
        return None
    if not line.strip():
        message = "The file is empty." if not first.strip() else "The file has no header."
        findings.error("table-empty", message, f"Write a header with {listing(required, 9)}, and rows.", path.name)
        return None
    delimiter = first.strip()[4:5] if skipped else max(_DELIMITERS, key=line.count)  # a comma when there is none
    header = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter or ","))]
    header = [_ALIASES.get(name, name) if _ALIASES.get(name) not in header else name for name in header]
    is_sound = _examine_header(path.name, header, required, findings)
    return Dialect(encoding, delimiter or ",", int(skipped), tuple(header)) if is_sound else None


def _examine_header(name: str, header: list[str], required: Sequence[str], findings: Findings) -> bool:
    twice = sorted({each for each in header if each and header.count(each) > 1})
    if twice:
        findings.error(
            "column-duplicate",
            f"The column {listing(twice)} is there more than once.",
            "Keep one of them; nobody can tell which one is meant.",
            name,
        )
    missing = [each for each in required if each not in header]
    if missing:
        named = [each for each in header if each]
        hints = [hint for each in missing if (hint := did_you_mean(each, named))]
        findings.error(
            "column-missing",
            f"There is no column {' and no column '.join(map(repr, missing))} among {listing(named, 8)}.",
            " ".join(["Add it, or rename a column.", *hints]),
            name,
        )
    return not twice and not missing


def _not_unicode(path: Path, error: UnicodeError, findings: Findings) -> None:
    findings.error(
        "table-encoding",
        f"The file is not UTF-8: {error}.",
        "Save it as CSV UTF-8; in Excel that is a choice of its own below 'Save as'.",
        path.name,
    )


def read_table(path: Path, required: Sequence[str], findings: Findings) -> Table | None:
    """Read a table into memory, every cell as text.

    Parameters
    ----------
    path : pathlib.Path
        Existing file. Responses, which may be huge, are read by `long_tables` instead.
    required : sequence of str
        Columns that have to be there.
    findings : Findings
        Gets, beyond what `read_dialect` notes, table-malformed and table-no-rows.

    Returns
    -------
    Table or None
        None when the table cannot be read.
    """
    dialect = read_dialect(path, required, findings)
    if dialect is None:
        return None
    try:
        rows = list(_rows(path, dialect))
    except UnicodeError as error:
        _not_unicode(path, error, findings)
        return None
    except csv.Error as error:
        rows, ragged = [], [str(error)]
    else:
        ragged = [f"line {line} has {len(cells)}" for line, cells in rows if len(cells) != len(dialect.header)]
    if ragged:
        findings.error(
            "table-malformed",
            f"The header has {len(dialect.header)} cells, but {listing(ragged)}.",
            f"Give every row as many, and quote cells that contain {dialect.delimiter!r}.",
            path.name,
        )
        return None
    if not rows:
        findings.error("table-no-rows", "There is a header and nothing below it.", "Add the rows.", path.name)
        return None
    columns = {name: [cells[at].strip() for _, cells in rows] for at, name in enumerate(dialect.header) if name}
    return Table(path.name, columns, [line for line, _ in rows])


def _rows(path: Path, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding=dialect.encoding, newline="") as text:
        reader = csv.reader(text, delimiter=dialect.delimiter)
        for _ in range(dialect.n_skipped + 1):
            next(reader)
        for cells in reader:
            if any(cells):
                width = len(dialect.header)
                yield reader.line_num, cells if any(cells[width:]) else cells[:width]  # a comma at the end is harmless


def frame_of(columns: dict[str, list[str]], types: dict[str, str]) -> pd.DataFrame:
    """Make a data frame of text columns; those with a type in dataset.yaml become numbers or truth values.

    Parameters
    ----------
    columns : dict of str to list of str
        Cells.
    types : dict of str to {"integer", "number", "boolean"}
        Columns that are not text.

    Raises
    ------
    ValueError
        If a cell is not of its column's type.
    """
    typed = {name: _typed(cells, types.get(name, "text")) for name, cells in columns.items()}
    return pd.DataFrame(typed)


def _typed(cells: list[str], kind: str) -> pd.Series:
    if kind == "integer":
        return pd.Series([int(cell) for cell in cells], dtype=np.int64)
    if kind == "number":
        return pd.Series([float(cell) if cell else np.nan for cell in cells], dtype=np.float64)
    if kind == "boolean":
        return pd.Series([_truth(cell) for cell in cells], dtype=bool)
    return pd.Series(cells, dtype=object)


def _truth(cell: str) -> bool:
    if cell.lower() not in ("true", "false"):
        raise ValueError(f"{cell!r} is neither true nor false")
    return cell.lower() == "true"
