"""Write as a store does, and leave nothing: how fast the disk is, and what writing costs the one who computes."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, cast

import numpy as np

from .digests import checksum, new_hasher
from .errors import writing_to
from .threads import Lane, Lanes

__all__ = ["Scratch", "disk_rate"]

_FILE_BYTES, _FIRST_BYTES, _STEP_BYTES = 16 * 2**20, 2**20, 2**20
_MOST_SECONDS = 3.0
_WRITERS = 4


def disk_rate(folder: Path) -> float:
    """Return the bytes per second that the disk of a folder takes, four files at a time, each waited for (``fsync``).

    The files have no name, so nothing stays of them, whatever happens; a folder that is not there is not made.

    Parameters
    ----------
    folder : Path
        Of a store.

    Raises
    ------
    StoreWriteError
        If the disk refuses.
    """
    data = memoryview(np.random.default_rng(0).bytes(_FILE_BYTES))  # no file system makes it smaller
    rate = 0.0
    with writing_to(folder), ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(_WRITERS))
        files = [stack.enter_context(_nameless(folder)) for _ in range(_WRITERS)]
        for size in (_FIRST_BYTES, _FILE_BYTES):  # a slow disk shows with the first, and is spared the second
            if rate and _WRITERS * size / rate > _MOST_SECONDS:
                break
            start = time.perf_counter()
            list(pool.map(partial(_write_durably, data=data[:size]), files))
            rate = _WRITERS * size / max(time.perf_counter() - start, 1e-9)
    return rate


class Scratch:
    """Takes values as a store's writer does, in threads, and throws them away; to be used in a ``with`` block.

    They are converted, digested and given to the system, over and over into the first bytes of nameless files, so that
    the disk has little to do: that is for `disk_rate` to tell.

    Parameters
    ----------
    folder : Path
        Of the store.
    dtype : str
        As which values are kept.
    queue_bytes : int
        Bytes that may wait.
    """

    def __init__(self, folder: Path, *, dtype: str, queue_bytes: int) -> None:
        self._folder, self._dtype = folder, np.dtype(dtype)
        self._lanes, self._stack = Lanes(_WRITERS, queue_bytes), ExitStack()
        self._files: dict[Lane, IO[bytes]] = {}

    def append(self, values: Mapping[str, np.ndarray]) -> None:
        """Queue values of layers; blocks while too much is waiting."""
        self._lanes.wait_for_room(sum(each.nbytes for each in values.values()))
        for array in values.values():
            lane = self._lanes.least_used(array.nbytes)
            if lane not in self._files:
                with writing_to(self._folder):
                    self._files[lane] = self._stack.enter_context(_nameless(self._folder))
            lane.put(partial(self._write, self._files[lane], array), array.nbytes)

    def flush(self) -> None:
        """Wait until nothing is queued.

        Raises
        ------
        StoreWriteError
            If the disk refused a write.
        """
        self._lanes.wait()
        self._lanes.raise_error()

    def __enter__(self) -> Scratch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lanes.stop()
        self._stack.close()

    def _write(self, file: IO[bytes], values: np.ndarray) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            stored = np.ascontiguousarray(values, self._dtype).reshape(-1).view(np.uint8)
        hasher, crc = new_hasher(), 0
        for start in range(0, stored.nbytes, _STEP_BYTES):
            part = stored[start : start + _STEP_BYTES]
            if file.tell() >= _FILE_BYTES:
                file.seek(0)
            with writing_to(self._folder):
                file.write(part.data)
            hasher.update(part)
            crc = checksum(part, crc)


def _nameless(folder: Path) -> AbstractContextManager[IO[bytes]]:
    """Open a file that is gone when it is closed, or its process ends, in a folder or the first that is above it."""
    folder = folder.absolute()
    there = next(path for path in (folder, *folder.parents) if path.is_dir())
    return cast(AbstractContextManager[IO[bytes]], tempfile.TemporaryFile(dir=there, buffering=0))


def _write_durably(file: IO[bytes], data: memoryview) -> None:
    while data.nbytes:
        data = data[file.write(data) :]
    os.fsync(file.fileno())
