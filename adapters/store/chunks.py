"""One chunk on its way to the disk: appended to batch by batch, never held in memory."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from .commits import ChunkRecord
from .digests import checksum, new_hasher
from .files import Files, discard, write_all
from .layout import CHECKSUM_BYTES, Grid

__all__ = ["UnfinishedChunk"]

_STEP_BYTES = 2**20  # what is written, hashed and checked while it is in the processor's cache
_ZEROS = np.zeros(_STEP_BYTES, np.uint8)


class UnfinishedChunk:
    """A chunk file under its temporary name.

    Parameters
    ----------
    files : Files
        The disk.
    path : Path
        The temporary name.
    grid : Grid
        Says how long the chunk is.
    flush_bytes : int
        Pieces smaller than this are put together in memory.
    stays_open : bool
        Whether the file is kept open between appends; a process may have only so many open files.
    """

    def __init__(self, files: Files, path: Path, grid: Grid, *, flush_bytes: int, stays_open: bool) -> None:
        self.path = path
        self._files, self._grid = files, grid
        self._flush_bytes, self._stays_open = flush_bytes, stays_open
        self._exists = False
        self._pending = bytearray()
        self._descriptor: int | None = None
        self._hasher: Any = new_hasher()
        self._checksum = 0
        self._n_bytes = 0

    def append(self, values: np.ndarray) -> None:
        """Write rows: a contiguous array of shape (n_rows, n_units) in the data type of the disk."""
        data = values.reshape(-1).view(np.uint8)
        if data.nbytes < self._flush_bytes:
            self._pending += data.data
            data = data[:0]
        if data.nbytes or len(self._pending) >= self._flush_bytes:
            self._flush()
            self._write(data)
            if not self._stays_open:
                self._close()

    def finish(self) -> ChunkRecord:
        """Fill up with zeros, add the checksum, close, and return what the file holds; it is not on the disk yet."""
        self._flush()
        self._fill_up()
        trailer = self._checksum.to_bytes(CHECKSUM_BYTES, "little")
        write_all(self._files, self._opened(), trailer)
        self._hasher.update(trailer)
        self._close()
        return ChunkRecord(self._n_bytes + CHECKSUM_BYTES, str(self._hasher.hexdigest()), "none")

    def finish_values(self) -> None:
        """Fill up with zeros and close: what follows is compressing, and only the result of that is kept."""
        self._flush()
        self._fill_up()
        self._opened()
        self._close()

    def discard(self) -> None:
        """Remove what there is under the temporary name."""
        with suppress(OSError):
            self._close()
        if self._exists:
            discard(self._files, self.path)

    def _fill_up(self) -> None:
        n_missing = self._grid.chunk_bytes - self._n_bytes
        if n_missing:
            self._files.extend(self._opened(), self._grid.chunk_bytes)  # a hole takes no space on the disk
        for start in range(0, n_missing, len(_ZEROS)):
            self._count(_ZEROS[: n_missing - start])

    def _flush(self) -> None:
        pending, self._pending = self._pending, bytearray()
        self._write(np.frombuffer(pending, np.uint8))

    def _write(self, data: np.ndarray) -> None:
        for start in range(0, data.nbytes, _STEP_BYTES):
            part = data[start : start + _STEP_BYTES]
            write_all(self._files, self._opened(), part.data)
            self._count(part)

    def _count(self, data: np.ndarray) -> None:
        self._n_bytes += data.nbytes
        self._hasher.update(data)
        self._checksum = checksum(data, self._checksum)

    def _opened(self) -> int:
        if self._descriptor is None:
            how = os.O_APPEND if self._exists else os.O_CREAT | os.O_EXCL
            self._descriptor = self._files.open(self.path, os.O_WRONLY | how)
            self._exists = True
        return self._descriptor

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            self._files.close(descriptor)
