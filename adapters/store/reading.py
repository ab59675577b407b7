"""Read rows and columns of a layer: only the bytes that are asked for, straight from the chunk files."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from .commits import ChunkRecord
from .compressing import decompress
from .digests import checksum
from .errors import StoreCorruptError, reading_from
from .files import Files
from .layout import CHECKSUM_BYTES, Grid
from .selecting import Columns, Rows, Selection, select_columns, select_rows

__all__ = ["FindChunk", "read_values"]

FindChunk = Callable[[int, int, bool], tuple[str, tuple[ChunkRecord, ...]]]
"""Shard, column block, and whether to read the records anew -> where the chunk is, and what was recorded of it."""

_BUFFER_BYTES = 2**24
_GAP_BYTES = 2**15  # reading over a gap of this size costs no more than one more call of the system
_PARALLEL_BYTES = 2**23
_STEP_BYTES = 2**20  # what is read and checked while it is in the processor's cache
_ZEROS = np.zeros(_STEP_BYTES, np.uint8)


def read_values(
    files: Files,
    grid: Grid,
    find: FindChunk,
    rows: Selection,
    columns: Selection,
    *,
    threads: int,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Read some rows and columns of one layer.

    Parameters
    ----------
    files : Files
        The disk.
    grid : Grid
        How the layer is cut.
    find : FindChunk
        Says what is committed.
    rows, columns : slice or array of int
        What to read; arrays may have any order and repeat themselves.
    threads : int
        Chunks that are read at the same time.
    out : array of shape (n_rows, n_columns), optional
        Memory to fill, of any data type that holds the values.

    Returns
    -------
    array of shape (n_rows, n_columns)
        In the layer's data type, or ``out``.
    """
    wanted = select_rows(rows, grid.n_rows)
    groups, n_columns = select_columns(columns, grid, _GAP_BYTES)
    shape = (wanted.n_selected, n_columns)
    values = np.empty(shape, grid.dtype) if out is None else out
    if values.shape != shape:
        raise ValueError(f"out has shape {values.shape}, and {shape} is what the selection gives. Pass that shape.")
    jobs = [
        _Chunk(files, grid, shard, block, part, [group for group in groups if group.block == block], values, find)
        for shard, part in wanted.by_shard(grid.shard_rows)
        for block in sorted({group.block for group in groups})
    ]
    if len(jobs) > 1 and threads > 1 and values.nbytes > _PARALLEL_BYTES:
        with ThreadPoolExecutor(min(threads, len(jobs))) as pool:
            list(pool.map(_Chunk.read, jobs))
    else:
        for job in jobs:
            job.read()
    wanted.copy_repeated(values)
    return values


@dataclass(frozen=True)
class _Chunk:
    """What is read from one chunk, and where it goes."""

    files: Files
    grid: Grid
    shard: int
    block: int
    rows: Rows
    groups: list[Columns]
    values: np.ndarray
    find: FindChunk

    def read(self) -> None:
        """Read it; where it is not as recorded, look once whether another process wrote it again."""
        found = ""
        for anew in (False, True):
            path, records = self.find(self.shard, self.block, anew)
            found = self._read_recorded(path, records)
            if not found:
                return
        raise StoreCorruptError(f"{path} {found} Mend the entry with: brain-adapters cache repair")

    def _read_recorded(self, path: str, records: tuple[ChunkRecord, ...]) -> str:
        """Read the chunk if it has the size of one of its records; otherwise tell what is wrong."""
        if not records:
            return "is not recorded."
        with reading_from(path), self.files.opened(path) as descriptor:
            n_bytes = self.files.size(descriptor)
            record = next((each for each in records if each.n_bytes == n_bytes), None)
            if record is None:
                return f"has {n_bytes:,} bytes, and {records[0].n_bytes:,} were committed."
            if record.compression == "zstd":
                self._read_compressed(descriptor, n_bytes, path)
            elif self._is_whole():
                self._read_whole(descriptor, self.groups[0], path)
            else:
                for group in self.groups:
                    self._read_group(descriptor, group, path)
        return ""

    def _is_whole(self) -> bool:
        """Tell whether all that the chunk holds is read, in order."""
        (first, *others) = self.groups
        return (
            not others
            and isinstance(first.to, slice)
            and first.stop - first.start == self.grid.columns
            and self.rows.is_run
            and len(self.rows.to) == min(self.grid.shard_rows, self.grid.n_rows - self.shard * self.grid.shard_rows)
        )

    def _is_direct(self, group: Columns) -> bool:
        """Tell whether rows of the result can be read as they are in the file."""
        return (
            isinstance(group.to, slice)
            and group.stop - group.start == self.grid.columns == self.values.shape[1]
            and self.values.flags.c_contiguous
            and self.values.dtype == self.grid.dtype
        )

    def _read_whole(self, descriptor: int, group: Columns, path: str) -> None:
        """Read a whole chunk and hold it against its checksum."""
        first, n_rows, n_at_once = int(self.rows.to[0]), len(self.rows.to), max(1, _STEP_BYTES // self.grid.row_bytes)
        is_direct, found = self._is_direct(group), 0
        for start in range(0, n_rows, n_at_once):
            stop = min(start + n_at_once, n_rows)
            target = self.values[first + start : first + stop]
            part = target if is_direct else np.empty((stop - start, self.grid.columns), self.grid.dtype)
            data = part.reshape(-1).view(np.uint8)
            self._fill(descriptor, data, start * self.grid.row_bytes, path)
            found = checksum(data, found)
            if not is_direct:
                target[:, group.to] = part
        for start in range(n_rows * self.grid.row_bytes, self.grid.chunk_bytes, len(_ZEROS)):
            found = checksum(_ZEROS[: self.grid.chunk_bytes - start], found)
        trailer = np.empty(CHECKSUM_BYTES, np.uint8)
        self._fill(descriptor, trailer, self.grid.chunk_bytes, path)
        _require_checksum(found, trailer, path)

    def _read_group(self, descriptor: int, group: Columns, path: str) -> None:
        itemsize, row_bytes = self.grid.dtype.itemsize, self.grid.row_bytes
        n_columns = group.stop - group.start
        if row_bytes - n_columns * itemsize > _GAP_BYTES:
            buffer = np.empty(n_columns, self.grid.dtype)
            for row, to in zip(self.rows.rows, self.rows.to, strict=True):
                self._fill(descriptor, buffer.view(np.uint8), row * row_bytes + group.start * itemsize, path)
                self.values[to, group.to] = buffer[group.take]
            return
        is_direct = self._is_direct(group) and self.rows.is_in_order
        for rows, to in self.rows.runs(max(1, _BUFFER_BYTES // row_bytes)):
            if is_direct or (len(to) == 1 and self._is_direct(group)):
                into = self.values[to[0] : to[-1] + 1].reshape(-1).view(np.uint8)
                self._fill(descriptor, into, int(rows[0]) * row_bytes, path)
            else:
                read = np.empty((len(rows), self.grid.columns), self.grid.dtype)
                self._fill(descriptor, read.reshape(-1).view(np.uint8), int(rows[0]) * row_bytes, path)
                self.values[_grid_of(to, group.to)] = read[:, group.start : group.stop][:, group.take]

    def _read_compressed(self, descriptor: int, n_bytes: int, path: str) -> None:
        data = np.empty(n_bytes, np.uint8)
        self._fill(descriptor, data, 0, path)
        _require_checksum(checksum(data[:-CHECKSUM_BYTES]), data[-CHECKSUM_BYTES:], path)
        decoded = decompress(data[:-CHECKSUM_BYTES].data, self.grid.chunk_bytes, path)
        chunk = decoded.view(self.grid.dtype).reshape(self.grid.shard_rows, self.grid.columns)
        for group in self.groups:
            part = chunk[:, group.start : group.stop]
            for rows, to in self.rows.runs(max(1, _BUFFER_BYTES // self.grid.row_bytes)):
                self.values[_grid_of(to, group.to)] = part[rows[0] : rows[-1] + 1][:, group.take]

    def _fill(self, descriptor: int, into: np.ndarray, offset: int, path: str) -> None:
        view = into.data
        while view.nbytes:
            n_read = self.files.read(descriptor, view, offset)
            if not n_read:
                raise StoreCorruptError(f"{path} ended while it was read; is another process replacing it? Read again.")
            view, offset = view[n_read:], offset + n_read


def _grid_of(rows: np.ndarray, columns: np.ndarray | slice) -> Any:
    return (rows, columns) if isinstance(columns, slice) else np.ix_(rows, columns)


def _require_checksum(found: int, trailer: np.ndarray, path: str) -> None:
    if found != int.from_bytes(trailer.tobytes(), "little"):
        raise StoreCorruptError(
            f"{path} does not have the checksum that it was written with: a part of it has changed since. Mend the "
            f"entry with: brain-adapters cache repair"
        )
