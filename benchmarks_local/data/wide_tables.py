"""Recognise a table with a column per unit, where one with a row per response is expected."""

from __future__ import annotations

import csv
import re
from itertools import islice
from pathlib import Path

from .findings import Findings
from .tables import read_dialect

__all__ = ["MELT_ADVICE", "unit_columns"]

MELT_ADVICE = (
    "If each of them is a unit, melt the table: docs/recordings.md shows it. If it has a row per response, name its "
    "columns stimulus_id, neuroid_id and response."
)
_OF_LONG_TABLES = ("neuroid_id", "response")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_N_LOOKED_AT = 20
_MOST_NUMBERS = 7  # of a long table: stimulus, unit, subject, repetition, two times, response
_MOST_FRACTIONS = 2


def unit_columns(path: Path) -> list[str]:
    """Return the columns that look like units.

    Parameters
    ----------
    path : pathlib.Path
        Existing table.

    Returns
    -------
    list of str
        Those with numbers, if there are more of them than a long table has, or several with fractions; none for a
        table with the columns of a long one, and for one that cannot be read.
    """
    dialect = read_dialect(path, (), Findings())
    if dialect is None or any(name in dialect.header for name in _OF_LONG_TABLES):
        return []
    try:
        with path.open(encoding=dialect.encoding, newline="") as text:
            rows = islice(csv.reader(text, delimiter=dialect.delimiter), dialect.n_skipped + 1, None)
            looked_at = list(islice(rows, _N_LOOKED_AT))
    except (UnicodeError, csv.Error):
        return []
    cells = {name: [row[at].strip() for row in looked_at if len(row) > at] for at, name in enumerate(dialect.header)}
    filled = {name: [cell for cell in column if cell] for name, column in cells.items() if name}
    numbers = {name: column for name, column in filled.items() if column and all(map(_NUMBER.fullmatch, column))}
    n_fractions = sum(any(not cell.isdigit() for cell in column) for column in numbers.values())
    return list(numbers) if len(numbers) > _MOST_NUMBERS or n_fractions > _MOST_FRACTIONS else []
