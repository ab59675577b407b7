"""The board as text for a terminal, and as CSV, JSON and Markdown."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from adapters.errors import listing

from .board import AVERAGE, COLUMNS, Board, Cell, Row
from .printing import printable

__all__ = ["as_csv", "as_json", "as_markdown", "as_text", "notes_of", "rank_of", "value_of"]

_MARKDOWN = str.maketrans({each: f"\\{each}" for each in "\\`*_[]<>#|~&"})
_FORMULA_STARTS = ("=", "+", "-", "@")  # with which a text becomes a formula when a spreadsheet opens the file


def as_text(board: Board) -> str:
    """Write the board for a terminal.

    Parameters
    ----------
    board : Board
        What to write.

    Returns
    -------
    str
        A line per model, aligned, and below them what is to be known of the numbers.
    """
    lines: list[tuple[str, ...]] = [("rank", "model", AVERAGE, "of 5", *map(printable, board.columns))]
    for row in board.rows:
        counted = f"{row.average.n_found}"
        lines.append((rank_of(row), printable(row.model), *_texts([row.average]), counted, *_texts(_cells(row))))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = [
        "  ".join(f"{each:{'<' if i == 1 else '>'}{widths[i]}}" for i, each in enumerate(line)).rstrip()
        for line in lines
    ]
    return "\n".join([*text, "", *notes_of(board), *_notes_of_cells(board)])


def as_csv(board: Board) -> str:
    """Write the board as comma-separated values, one line per model; an empty field is a score that there is not.

    Returns
    -------
    str
        Columns rank, model, and of the average and each column the value, the ends of its interval, and of how many
        parts it is the mean. A text that a spreadsheet would take for a formula has an apostrophe in front.
    """
    names = (AVERAGE, *board.columns)
    header = [_harmless(f"{name}{part}") for name in names for part in ("", "_low", "_high", "_n")]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["rank", "model", *header, "formula", "parity", "interval"])
    about = ["; ".join(board.formulas), board.parity or "none", board.interval]
    for row in board.rows:
        cells = [each for cell in (row.average, *_cells(row)) for each in _csv_cell(cell)]
        writer.writerow(
            ["" if row.rank is None else row.rank, *map(_harmless, [row.model]), *cells, *map(_harmless, about)]
        )
    return file.getvalue()


def as_json(board: Board) -> str:
    """Write the board as JSON: null for a score that there is not.

    Returns
    -------
    str
        An object with ``rows``, ``columns``, and how the scores were computed.
    """
    data = {
        "columns": [AVERAGE, *board.columns],
        "formulas": list(board.formulas),
        "parity": board.parity,
        "interval": board.interval or None,
        "intervals": dict(board.intervals),
        "shares_ranks": board.shares_ranks,
        "benchmarks": {column: list(names) for column, names in board.benchmarks.items()},
        "notes": list(board.notes),
        "rows": [_json_row(row) for row in board.rows],
    }
    return json.dumps(data, indent=2, allow_nan=False)


def as_markdown(board: Board) -> str:
    """Write the board as a Markdown table, as GitHub shows it.

    Returns
    -------
    str
        The table, and below it what is to be known of the numbers.
    """
    names = " | ".join(map(_as_markdown, board.columns))
    lines = [f"| rank | model | {AVERAGE} | of 5 | {names} |", f"|--:|:--|{'--:|' * (len(board.columns) + 2)}"]
    for row in board.rows:
        counted = f"{row.average.n_found}"
        texts = [text.replace("*", "\\*") for text in _texts([row.average, *_cells(row)])]
        cells = [rank_of(row), _as_markdown(row.model), texts[0], counted, *texts[1:]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *(f"- {_as_markdown(note)}" for note in [*notes_of(board), *_notes_of_cells(board)])])


def notes_of(board: Board) -> list[str]:
    """Return what is to be known of the numbers, a sentence each."""
    formulas = " and ".join(printable(formula) for formula in board.formulas if formula) or "not said in the records"
    notes = [f"Formula: {formulas}. Parity: {printable(board.parity or 'none')}."]
    notes += _notes_of_ranks(board)
    notes.append("The average is over five columns; X is not scored, and counts as 0 in it.")
    others = [printable(column) for column in board.columns if column not in COLUMNS]
    if others:
        notes.append(f"Not in the average: {listing(others)}.")
    for column, names in board.benchmarks.items():
        metrics = sorted({printable(name.rpartition("-")[2]) for name in names})
        if len(metrics) > 1:
            notes.append(f"{printable(column)} is the mean over {listing(metrics)}; --benchmark (-b) chooses one.")
    cells = [cell for row in board.rows for cell in row.cells.values() if cell.is_scored and cell.has_interval]
    n_beside = sum(not cell.low <= cell.value <= cell.high for cell in cells)
    if n_beside:
        notes.append(
            f"{n_beside} of {len(cells)} scores lie beside their interval: it is of a slightly other statistic, which "
            "shows where stimuli are few."
        )
    return [*notes, *(f"{printable(note[:1].upper() + note[1:])}." for note in board.notes)]


def _notes_of_ranks(board: Board) -> list[str]:
    without = [row.model for row in board.rows if row.average.is_scored and not row.average.has_interval]
    if not any(row.average.is_scored for row in board.rows):
        notes = [f"No model has a score of {listing(COLUMNS)}, so there is no average and no rank."]
    elif board.shares_ranks:
        notes = [f"Ranks are shared (=) where the intervals of the averages overlap ({board.interval})."]
    elif not board.interval:
        notes = ["The records hold no interval, so ranks follow the numbers alone."]
    else:
        names = listing([printable(each) for each in without])
        notes = [f"There is no interval of the average of {names}, so ranks follow the numbers alone."]
    if len(set(board.intervals.values())) > 1:
        kinds = ", ".join(f"{printable(column)} {kind}" for column, kind in board.intervals.items())
        notes.append(f"Intervals are of different kinds: {kinds}.")
    return notes


def _notes_of_cells(board: Board) -> list[str]:
    """Return what is to be known of single numbers; the page says it beside them."""
    notes = []
    partial = [
        f"{printable(row.model)} {printable(column)} ({cell.n_found} of {cell.n_expected})"
        for row in board.rows
        for column, cell in row.cells.items()
        if cell.is_scored and cell.n_found < cell.n_expected
    ]
    if partial:
        notes.append(
            f"Not all benchmarks of a column were scored, and a missing one counts as 0: {', '.join(partial)}."
        )
    flagged = [
        f"{printable(row.model)} {printable(column)} ({', '.join(map(printable, cell.doubts))})"
        for row in board.rows
        for column, cell in row.cells.items()
        if cell.doubts
    ]
    if flagged:
        notes.append(f"Flags (*): {listing(flagged)}.")
    return notes


def rank_of(row: Row) -> str:
    """Return the rank, with ``=`` where it is shared; a dash without one."""
    if row.rank is None:
        return "-"
    return f"{'=' if row.is_shared else ''}{row.rank}"


def value_of(value: float) -> str:
    """Return a score with three decimals, X for none.

    Examples
    --------
    >>> value_of(0.4567), value_of(float("nan"))
    ('0.457', 'X')
    """
    return "X" if math.isnan(value) else f"{value:.3f}"


def _cells(row: Row) -> list[Cell]:
    return list(row.cells.values())


def _texts(cells: Iterable[Cell]) -> list[str]:
    return [f"{value_of(cell.value)}{'*' if cell.doubts else ''}" for cell in cells]


def _csv_cell(cell: Cell) -> Sequence[object]:
    return [*("" if math.isnan(each) else repr(each) for each in (cell.value, cell.low, cell.high)), cell.n_found]


def _harmless(text: str) -> str:
    text = printable(text)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _json_row(row: Row) -> dict[str, Any]:
    return {
        "rank": row.rank,
        "is_shared": row.is_shared,
        "model": row.model,
        AVERAGE: _json_cell(row.average),
        **{column: _json_cell(row.cells[column]) for column in COLUMNS},
        "others": {column: _json_cell(cell) for column, cell in row.cells.items() if column not in COLUMNS},
        "benchmarks": {
            record.benchmark: {"value": _or_null(record.value), "layer": record.layer or None} for record in row.records
        },
    }


def _json_cell(cell: Cell) -> dict[str, Any]:
    return {
        "value": _or_null(cell.value),
        "low": _or_null(cell.low),
        "high": _or_null(cell.high),
        "n": cell.n_found,
        "of": cell.n_expected,
        "flags": list(cell.flags),
    }


def _or_null(value: float) -> float | None:
    return None if math.isnan(value) else value


def _as_markdown(text: str) -> str:
    return printable(text).translate(_MARKDOWN)
