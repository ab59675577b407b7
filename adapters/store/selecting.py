"""Which bytes a selection of rows and columns needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from .layout import Grid

__all__ = ["Columns", "Rows", "Selection", "select_columns", "select_rows"]

Selection: TypeAlias = "slice | np.ndarray"
_COPIED_AT_ONCE = 64


@dataclass(frozen=True)
class Rows:
    """Rows to read, in the order of the file, each once.

    Parameters
    ----------
    rows : array of shape (n_unique,), int
        Ascending.
    to : array of shape (n_unique,), int
        Where each goes in the result.
    copied_to, copied_from : array of shape (n_copies,), int
        Places in the result that repeat another place.
    """

    rows: np.ndarray
    to: np.ndarray
    copied_to: np.ndarray
    copied_from: np.ndarray

    @property
    def n_selected(self) -> int:
        """Rows of the result."""
        return len(self.to) + len(self.copied_to)

    @property
    def is_run(self) -> bool:
        """Whether they lie side by side in the file and in the result."""
        return _is_run(self.rows) and self.is_in_order

    @property
    def is_in_order(self) -> bool:
        """Whether they lie side by side in the result."""
        return _is_run(self.to)

    def by_shard(self, shard_rows: int) -> Iterator[tuple[int, Rows]]:
        """Yield each shard that is touched, with its rows counted from its first."""
        shards = self.rows // shard_rows
        nothing = np.empty(0, np.intp)
        for part in _split(shards, np.flatnonzero(np.diff(shards))):
            shard = int(shards[part.start])
            yield shard, Rows(self.rows[part] - shard * shard_rows, self.to[part], nothing, nothing)

    def runs(self, max_rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield rows that lie side by side in the file, and their places, so many at a time."""
        for run in _split(self.rows, np.flatnonzero(np.diff(self.rows) != 1)):
            for start in range(run.start, run.stop, max_rows):
                part = slice(start, min(start + max_rows, run.stop))
                yield self.rows[part], self.to[part]

    def copy_repeated(self, values: np.ndarray) -> None:
        """Fill the places that repeat others, in blocks that stay small."""
        for start in range(0, len(self.copied_to), _COPIED_AT_ONCE):
            part = slice(start, start + _COPIED_AT_ONCE)
            values[self.copied_to[part]] = values[self.copied_from[part]]


@dataclass(frozen=True)
class Columns:
    """Columns of one column block that are read together.

    Parameters
    ----------
    block : int
        Which block.
    start, stop : int
        The part of its rows that is read.
    take : slice or array of int
        Which columns of that part.
    to : slice or array of int
        Where they go in the result.
    """

    block: int
    start: int
    stop: int
    take: Selection
    to: Selection


def select_rows(selection: Selection, n_rows: int) -> Rows:
    """Put rows in the order of the file.

    Raises
    ------
    IndexError
        If there is no such row.
    """
    wanted = _positions(selection, n_rows, "rows")
    rows, first, inverse = np.unique(wanted, return_index=True, return_inverse=True)
    source = first[inverse.reshape(-1)]
    is_copy = source != np.arange(len(wanted))
    return Rows(rows, first, np.flatnonzero(is_copy), source[is_copy])


def select_columns(selection: Selection, grid: Grid, gap_bytes: int) -> tuple[list[Columns], int]:
    """Group columns by block, and by what is far apart.

    Parameters
    ----------
    selection : slice or array of int
        Columns of the layer.
    grid : Grid
        How the layer is cut.
    gap_bytes : int
        Columns farther apart than this are read one by one.

    Returns
    -------
    list of Columns, int
        The groups, and how many columns there are in all.
    """
    if isinstance(selection, slice) and selection.step in (None, 1):
        first, last, _ = selection.indices(grid.n_units)
        return _side_by_side(first, max(first, last), grid), max(0, last - first)
    wanted = _positions(selection, grid.n_units, "columns")
    order = np.argsort(wanted, kind="stable")
    columns = wanted[order]
    blocks = columns // grid.columns
    is_far = (np.diff(columns) * grid.dtype.itemsize > gap_bytes) | (np.diff(blocks) != 0)
    groups = []
    for part in _split(columns, np.flatnonzero(is_far)):
        block = int(blocks[part.start])
        local = columns[part] - block * grid.columns
        groups.append(Columns(block, int(local[0]), int(local[-1]) + 1, local - local[0], order[part]))
    return groups, len(wanted)


def _side_by_side(first: int, last: int, grid: Grid) -> list[Columns]:
    groups = []
    for block in range(first // grid.columns, -(-last // grid.columns) if last > first else 0):
        begins = block * grid.columns
        start, stop = max(first, begins), min(last, begins + grid.columns)
        to = slice(start - first, stop - first)
        groups.append(Columns(block, start - begins, stop - begins, slice(None), to))
    return groups


def _positions(selection: Selection, length: int, what: str) -> np.ndarray:
    if isinstance(selection, slice):
        return np.arange(*selection.indices(length))
    positions = np.asarray(selection)
    if positions.dtype == bool and positions.shape == (length,):
        return np.flatnonzero(positions)
    positions = positions.reshape(-1) if positions.size else np.empty(0, np.intp)
    if positions.dtype.kind not in "iu":
        raise IndexError(
            f"Positions of {what} of type {positions.dtype} were given. Use a slice, whole numbers, or a boolean array "
            f"of length {length:,}."
        )
    if positions.size and not -length <= positions.min() <= positions.max() < length:
        raise IndexError(
            f"Positions of {what} from {positions.min():,} to {positions.max():,} were asked for, and there are "
            f"{length:,} {what}. Count from 0, or from the end with negative numbers."
        )
    return np.where(positions < 0, positions + length, positions).astype(np.intp)


def _split(values: np.ndarray, ends: np.ndarray) -> Iterator[slice]:
    """Yield the parts of an array that end at some positions."""
    start = 0
    for end in (*ends.tolist(), len(values) - 1):
        if end >= start:
            yield slice(start, end + 1)
        start = end + 1


def _is_run(positions: np.ndarray) -> bool:
    return len(positions) > 0 and bool((np.diff(positions) == 1).all())
