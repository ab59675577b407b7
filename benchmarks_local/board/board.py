"""The board: rows are models, columns average, V1, V2, V4, IT, behavior, and what other regions there are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..scores import Score
from .cells import Cell, kind_of, mean_of, part_of
from .choosing import ANY, Choice, choose
from .errors import NoRecordsError, RecordError
from .record import Record

__all__ = ["AVERAGE", "COLUMNS", "Board", "Cell", "Row", "make_board"]

AVERAGE = "average"
COLUMNS = ("V1", "V2", "V4", "IT", "behavior")


@dataclass(frozen=True)
class Row:
    """A model on the board.

    Attributes
    ----------
    model : str
        Its identifier.
    rank : int or None
        One more than the number of models that are better for sure; models that cannot be told apart share ranks.
        None without an average.
    is_shared : bool
        Whether another model has the same rank.
    average : Cell
        Mean of the five columns, a column without a score counted as 0; not scored when none of the five is.
    cells : mapping of str to Cell
        One per column of the board.
    records : tuple of Record
        All scores of the model, in the order of the columns.
    """

    model: str
    rank: int | None
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
        Ordered by average; models with the same average, or none, by the scores of other regions, then by name.
    columns : tuple of str
        The five that are averaged, and behind them the other regions that there are scores of.
    benchmarks : mapping of str to tuple of str
        Column to the benchmarks that its cells average over.
    formulas : tuple of str
        How raw scores were divided by the ceiling.
    parity : str or None
        The release that the numbers are to be equal to.
    intervals : mapping of str to str
        Column to the kind of its intervals, as far as its records have any.
    shares_ranks : bool
        Whether ranks are shared where intervals overlap; else a model with a rank has no interval of its average, and
        ranks follow the numbers.
    notes : tuple of str
        What was left out, and why.
    """

    rows: tuple[Row, ...]
    columns: tuple[str, ...]
    benchmarks: Mapping[str, tuple[str, ...]]
    formulas: tuple[str, ...]
    parity: str | None
    intervals: Mapping[str, str]
    shares_ranks: bool
    notes: tuple[str, ...]

    @property
    def interval(self) -> str:
        """The kinds of the intervals, put together; empty when there are none."""
        return " and ".join(dict.fromkeys(self.intervals.values()))


def make_board(
    records: Iterable[Record | Score | Mapping[str, Any]],
    *,
    parity: str | None = ANY,
    formulas: Sequence[str] = (),
    benchmarks: Sequence[str] = (),
) -> Board:
    """Put scores on a board.

    Parameters
    ----------
    records : iterable of Record, Score or mapping
        Scores of any number of models and benchmarks: read from files, as ``score`` returned them, or their
        ``to_record()``.
    parity : str or None
        Keep the records of this parity, None for our own defaults; without it all have to be of one.
    formulas : sequence of str
        Where formulas differ, keep the records with one of these.
    benchmarks : sequence of str
        Keep the records of these benchmarks; wildcards are allowed (``"*.IT-*"``).

    Returns
    -------
    Board
        With a row per model.

    Raises
    ------
    MixedRecordsError
        When the records were not computed in the same way, or not on the same data, and nobody chose.
    NoRecordsError
        When there is no record, or none of a benchmark that was asked for.
    RecordError
        When something else than a score is among them.

    Notes
    -----
    Each level averages as Brain-Score's website does: the mean over its children, one without a score counted as 0.
    A benchmark that is defined for no model is no child. The interval of a mean takes its parts as independent:
    half-widths add up in squares. Two models share a rank when no interval of their averages lies wholly above the
    other, if all models with an average have such an interval.
    """
    read = [_as_record(each) for each in records]
    if not read:
        raise NoRecordsError("There is no score record, so there is nothing to put on a board. Score a model first.")
    choice = choose(read, parity=parity, formulas=formulas, benchmarks=benchmarks)
    if not choice.records:
        raise NoRecordsError(f"No score is left for the board: {'; '.join(choice.notes)}. Score again.")
    of_columns = {column: [each for each in choice.records if each.region == column] for column in _columns(choice)}
    defined = {
        column: tuple(sorted({each.benchmark for each in found if not math.isnan(each.value)}))
        for column, found in of_columns.items()
    }
    undefined = {each.benchmark for each in choice.records} - {name for names in defined.values() for name in names}
    notes = [f"{name} is defined for no model, so it is left out of its column" for name in sorted(undefined)]
    kinds = {column: kind for column, found in of_columns.items() if (kind := kind_of(found))}
    by_model: dict[str, list[Record]] = {}
    for record in choice.records:
        by_model.setdefault(record.model, []).append(record)
    rows = sorted((_row(model, found, defined, kinds) for model, found in by_model.items()), key=_order)
    ranked = [row.average for row in rows if row.average.is_scored]
    shares = bool(ranked) and all(each.has_interval for each in ranked)
    return Board(
        rows=tuple(_ranked(rows, shares=shares)),
        columns=tuple(of_columns),
        benchmarks=defined,
        formulas=choice.formulas,
        parity=choice.parity,
        intervals=kinds,
        shares_ranks=shares,
        notes=(*choice.notes, *notes),
    )


def _as_record(given: Record | Score | Mapping[str, Any]) -> Record:
    if isinstance(given, Record):
        return given
    if isinstance(given, Score):
        return Record.from_data(given.to_record())
    if isinstance(given, Mapping):
        return Record.from_data(given)
    raise RecordError(
        f"A board was given {type(given).__name__!r}; expected scores: what score() returned, its to_record(), or what "
        "read_records(folder).records holds. Pass a list of those."
    )


def _columns(choice: Choice) -> tuple[str, ...]:
    return (*COLUMNS, *sorted({record.region for record in choice.records} - set(COLUMNS)))


def _row(
    model: str, records: Sequence[Record], benchmarks: Mapping[str, tuple[str, ...]], kinds: Mapping[str, str]
) -> Row:
    cells = {}
    for column, names in benchmarks.items():
        of_column = [record for record in records if record.region == column]
        parts = [part_of(record, kinds.get(column, "")) for record in of_column]
        flags = tuple(dict.fromkeys(flag for record in of_column for flag in record.flags))
        cells[column] = replace(mean_of(parts, len(names)), flags=flags, records=tuple(of_column))
    average = mean_of([cells[column] for column in COLUMNS], len(COLUMNS))
    places = list(benchmarks)
    ordered = sorted(records, key=lambda record: (places.index(record.region), record.benchmark))
    return Row(model, None, False, average, cells, tuple(ordered))


def _order(row: Row) -> tuple[bool, float, float, str]:
    others = [cell.value for column, cell in row.cells.items() if column not in COLUMNS and cell.is_scored]
    average = row.average.value if row.average.is_scored else 0.0
    return not row.average.is_scored, -average, -sum(others), row.model


def _ranked(rows: Sequence[Row], *, shares: bool) -> list[Row]:
    """Rank rows: one more than the number of those that are better, for sure where ranks are shared."""
    averages = [row.average for row in rows if row.average.is_scored]
    lows = [each.low if shares else each.value for each in averages]
    highs = [each.high if shares else each.value for each in averages]
    ranks: list[int | None] = [1 + sum(low > high for low in lows) for high in highs]
    ranks += [None] * (len(rows) - len(ranks))
    shared = {rank for rank in ranks if rank is not None and ranks.count(rank) > 1}
    return [replace(row, rank=rank, is_shared=rank in shared) for row, rank in zip(rows, ranks, strict=True)]
