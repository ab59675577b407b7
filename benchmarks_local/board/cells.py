"""A number of the board: a score, or the mean of several, with its interval."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .record import Interval, Record

__all__ = ["Cell", "kind_of", "mean_of", "part_of"]

KINDS = ("stimulus bootstrap", "unit bootstrap")  # the better first: stimuli vary more than units
# Flags with which a number is not what it seems; the others are only facts of how it came about.
_DOUBTS = (
    *("components=", "negative r", "above the ceiling", "ceiling not defined", "ceiling not positive"),
    *("layer does not vary", "incomplete neuroids", "splits not stratified", "few test stimuli"),
    *("chosen and scored on the same stimuli", "stored stimuli not verified"),
)


@dataclass(frozen=True)
class Cell:
    """A score on the board.

    Attributes
    ----------
    value : float
        Mean over ``n_expected`` parts, a part that is missing counted as 0; NaN when there is none at all.
    low, high : float
        Interval of ``value``; NaN when a part has none.
    n_found, n_expected : int
        Of how many parts (benchmarks of a region, or columns of the average) there is a score, and of how many there
        could be.
    flags : tuple of str
        All flags of the scores behind it.
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

    @property
    def doubts(self) -> tuple[str, ...]:
        """The flags that the number gets an asterisk for."""
        return tuple(flag for flag in self.flags if flag.startswith(_DOUBTS))


def kind_of(records: Iterable[Record]) -> str:
    """Return the kind of interval that most of the records have; stimulus bootstrap where two kinds are as frequent.

    Returns
    -------
    str
        Empty when none has one.
    """
    records = list(records)
    counts = {kind: sum(_is_known(record.intervals.get(kind)) for record in records) for kind in KINDS}
    best = max(KINDS, key=lambda kind: counts[kind])
    return best if counts[best] else ""


def part_of(record: Record, kind: str) -> Cell:
    """Return a score with its interval of a kind, as a part of a mean."""
    found = record.intervals.get(kind)
    low, high = (math.nan, math.nan) if found is None else (found.low, found.high)
    return Cell(record.value, low, high, int(not math.isnan(record.value)), 1)


def mean_of(parts: Sequence[Cell], n_expected: int) -> Cell:
    """Average over parts, of which there should be ``n_expected``; those without a score count as 0.

    The parts are taken as independent: half-widths of their intervals add up in squares.
    """
    scored = [part for part in parts if part.is_scored]
    if not scored:
        return Cell(math.nan, math.nan, math.nan, 0, n_expected)
    value = sum(part.value for part in scored) / n_expected
    if not all(part.has_interval for part in scored):
        return Cell(value, math.nan, math.nan, len(scored), n_expected)
    if len(scored) == 1:  # exactly its own interval, which a bootstrap may place beside the score
        return Cell(value, scored[0].low / n_expected, scored[0].high / n_expected, 1, n_expected)
    below = math.hypot(*(max(part.value - part.low, 0.0) for part in scored)) / n_expected
    above = math.hypot(*(max(part.high - part.value, 0.0) for part in scored)) / n_expected
    return Cell(value, value - below, value + above, len(scored), n_expected)


def _is_known(interval: Interval | None) -> bool:
    return interval is not None and not (math.isnan(interval.low) or math.isnan(interval.high))
