"""The board: rows are models, columns average, V1, V2, V4, IT and behavior."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .choosing import ANY, choose
from .errors import NoRecordsError
from .record import Record

__all__ = ["AVERAGE", "COLUMNS", "Board", "Cell", "Row", "make_board"]

AVERAGE = "average"
COLUMNS = ("V1", "V2", "V4", "IT", "behavior")
INTERVALS = ("stimulus bootstrap", "unit bootstrap")  # the first that all records have; stimuli vary more than units


@dataclass(frozen=True)
class Cell:
    """A score on the board.

    Attributes
    ----------
    value : float
        Mean over ``n_expected`` parts, a part that is missing counted as 0; NaN when there is none at all.
    low, high : float
        Interval of ``value``; NaN when the records do not all have one.
    n_found, n_expected : int
        Of how many parts (benchmarks of a region, or columns of the average) there is a score, and of how many there
        could be.
    flags : tuple of str
        What the value alone would hide.
    records : tuple of Record
        The scores behind it.
    """

    value: float
    low: float
    high: float
    n_found: int
    n_expected: int
    flags: tuple[str, ...] = ()
    records: tuple[Record, ...] = ()

    @property
    def is_scored(self) -> bool:
        """Whether there is a score; a cell without one is shown as X, not as 0."""
        return not math.isnan(self.value)

    @property
    def has_interval(self) -> bool:
        """Whether it is known how sure the score is."""
        return not (math.isnan(self.low) or math.isnan(self.high))


@dataclass(frozen=True)
class Row:
    """A model on the board.

    Attributes
    ----------
    model : str
        Its identifier.
    rank : int
        One more than the number of models that are better for sure; models that cannot be told apart share ranks.
    is_shared : bool
        Whether another model has the same rank.
    average : Cell
        Mean of the five columns, a column without a score counted as 0.
    cells : mapping of str to Cell
        One per column.
    records : tuple of Record
        All scores of the model, also those of regions that have no column.
    """

    model: str
    rank: int
    is_shared: bool
    average: Cell
    cells: Mapping[str, Cell]
    records: tuple[Record, ...]


@dataclass(frozen=True)
class Board:
    """Models, the best first.

    Attributes
    ----------
    rows : tuple of Row
        Ordered by average; models with the same average by name.
    benchmarks : mapping of str to tuple of str
        Column to the benchmarks that its cells average over, and ``"other"`` to those that have no column.
    formulas : tuple of str
        How raw scores were divided by the ceiling.
    parity : str or None
        The release that the numbers are to be equal to.
    interval : str
        The kind of the intervals; empty when the records do not all have one of the same kind.
    notes : tuple of str
        What was left out, and why.
    """

    rows: tuple[Row, ...]
    benchmarks: Mapping[str, tuple[str, ...]]
    formulas: tuple[str, ...]
    parity: str | None
    interval: str
    notes: tuple[str, ...]


def make_board(records: Iterable[Record], *, parity: str | None = ANY, formulas: Sequence[str] = ()) -> Board:
    """Put scores on a board.

    Parameters
    ----------
    records : iterable of Record
        Scores of any number of models and benchmarks.
    parity : str or None
        Keep the records of this parity, None for our own defaults; without it all have to be of one.
    formulas : sequence of str
        Where formulas differ, keep the records with one of these.

    Returns
    -------
    Board
        With a row per model.

    Raises
    ------
    MixedRecordsError
        When the records were not computed in the same way, and nobody chose.
    NoRecordsError
        When there is no record.

    Notes
    -----
    Each level averages as Brain-Score's website does: the mean over its children, one without a score counted as 0.
    The interval of a mean takes its parts as independent: half-widths add up in squares. Two models share a rank when
    no interval of their averages lies wholly above the other.
    """
    records = list(records)
    if not records:
        raise NoRecordsError("There is no score record, so there is nothing to put on a board. Score a model first.")
    choice = choose(records, parity=parity, formulas=formulas)
    if not choice.records:
        raise NoRecordsError(f"No score is left for the board: {'; '.join(choice.notes)}. Score again.")
    interval = next((kind for kind in INTERVALS if all(kind in each.intervals for each in choice.records)), "")
    benchmarks = _benchmarks(choice.records)
    by_model: dict[str, list[Record]] = {}
    for record in choice.records:
        by_model.setdefault(record.model, []).append(record)
    rows = [_row(model, found, benchmarks, interval) for model, found in by_model.items()]
    rows = _ranked(sorted(rows, key=lambda row: (-row.average.value, row.model)))
    return Board(tuple(rows), benchmarks, choice.formulas, choice.parity, interval, choice.notes)


def _benchmarks(records: Iterable[Record]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {column: set() for column in (*COLUMNS, "other")}
    for record in records:
        found[record.region if record.region in COLUMNS else "other"].add(record.benchmark)
    return {column: tuple(sorted(names)) for column, names in found.items()}


def _row(model: str, records: Sequence[Record], benchmarks: Mapping[str, tuple[str, ...]], interval: str) -> Row:
    cells = {}
    for column in COLUMNS:
        of_column = [record for record in records if record.region == column]
        parts = [_part(record, interval) for record in of_column]
        flags = tuple(dict.fromkeys(flag for record in of_column for flag in record.flags))
        cells[column] = replace(_mean(parts, len(benchmarks[column])), flags=flags, records=tuple(of_column))
    average = _mean(list(cells.values()), len(COLUMNS))
    if not average.is_scored:  # what is on no column of the board counts as every missing column does
        average = replace(average, value=0.0)
    return Row(model, 0, False, average, cells, tuple(sorted(records, key=_place)))


def _place(record: Record) -> tuple[int, str]:
    return COLUMNS.index(record.region) if record.region in COLUMNS else len(COLUMNS), record.benchmark


def _part(record: Record, interval: str) -> Cell:
    found = record.intervals.get(interval)
    low, high = (math.nan, math.nan) if found is None else (found.low, found.high)
    return Cell(record.value, low, high, int(not math.isnan(record.value)), 1)


def _mean(parts: Sequence[Cell], n_expected: int) -> Cell:
    """Average over parts, of which there should be ``n_expected``; those without a score count as 0."""
    scored = [part for part in parts if part.is_scored]
    if not scored:
        return Cell(math.nan, math.nan, math.nan, 0, n_expected)
    value = sum(part.value for part in scored) / n_expected
    if len(scored) == 1:  # exactly its own interval, which a bootstrap may place beside the score
        return Cell(value, scored[0].low / n_expected, scored[0].high / n_expected, 1, n_expected)
    below = math.hypot(*(max(part.value - part.low, 0.0) for part in scored)) / n_expected
    above = math.hypot(*(max(part.high - part.value, 0.0) for part in scored)) / n_expected
    return Cell(value, value - below, value + above, len(scored), n_expected)


def _ranked(rows: Sequence[Row]) -> list[Row]:
    """Rank rows: one more than the number of those whose interval lies wholly above."""
    averages = [row.average for row in rows]
    lows = np.array([each.low if each.has_interval else each.value for each in averages])
    highs = np.array([each.high if each.has_interval else each.value for each in averages])
    ranks = [1 + int((lows > high).sum()) for high in highs]
    return [replace(row, rank=rank, is_shared=ranks.count(rank) > 1) for row, rank in zip(rows, ranks, strict=True)]
