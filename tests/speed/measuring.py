"""Time parts of a run and sample their memory; shared by the scripts of this folder."""

from __future__ import annotations

import gc
import math
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """Return the memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


class Sampled:
    """Seconds and highest memory of one part."""

    seconds = 0.0
    peak = 0


@contextmanager
def measured() -> Iterator[Sampled]:
    """Time a block and sample its memory every 5 ms."""
    gc.collect()
    before, sampled, finished = resident_bytes(), Sampled(), threading.Event()

    def watch() -> None:
        while not finished.wait(0.005):
            sampled.peak = max(sampled.peak, resident_bytes() - before)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    start = time.perf_counter()
    try:
        yield sampled
    finally:
        sampled.seconds = time.perf_counter() - start
        finished.set()
        watcher.join()


def fresh_copy(n_rows: int, n_columns: int, batch: int) -> np.ndarray:
    """Fill memory that was never touched before, batch by batch, from memory that was."""
    source, copy = np.ones((batch, min(n_columns, 100_000)), np.float32), np.empty((n_rows, n_columns), np.float32)
    for row in range(0, n_rows, batch):
        for column in range(0, n_columns, source.shape[1]):
            block = copy[row : row + batch, column : column + source.shape[1]]
            np.copyto(block, source[: block.shape[0], : block.shape[1]])
    return copy


def reordered_copy(n_rows: int, shapes: Sequence[tuple[int, ...]], batch: int) -> np.ndarray:
    """Do the same for layers of some shapes, (channel, row, column) where there are three axes, from channels last."""
    copy, start = np.empty((n_rows, sum(map(math.prod, shapes))), np.float32), 0
    for shape in shapes:
        end, is_spatial = start + math.prod(shape), len(shape) == 3
        source = np.ones((batch, *shape[1:], shape[0]) if is_spatial else (batch, *shape), np.float32)
        for row in range(0, n_rows, batch):
            block = copy[row : row + batch, start:end].reshape(-1, *shape)
            np.copyto(block, np.moveaxis(source, -1, 1) if is_spatial else source)
        start = end
    return copy
