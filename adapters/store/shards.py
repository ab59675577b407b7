"""One shard on its way to the disk: its layers are appended to, finished and committed by a few threads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ActivationShapeError, listing
from .chunks import UnfinishedChunk
from .commits import ChunkRecord
from .compressing import SAMPLE_BYTES, compress_file, is_worth_compressing, measure
from .errors import StoreValueError, writing_to
from .files import discard, sync_all, temporary_name
from .layout import Compression, Grid, LayerRecord
from .placing import commit
from .threads import Lanes

if TYPE_CHECKING:
    from .entry import Entry

__all__ = ["UnfinishedShard"]

# Small pieces are put together first: a call of the system costs as much as copying them.
_FLUSH_BYTES, _LEAST_FLUSH_BYTES = 2**19, 2**16
_PENDING_BYTES = 2**26  # of all layers together, where they are not very many
_CONVERTED = 2**22  # bytes


class UnfinishedShard:
    """One shard on its way to the disk.

    Parameters
    ----------
    entry : Entry
        Where to.
    number : int
        Which shard.
    layers : sequence of LayerRecord
        What is written of it.
    lanes : Lanes
        The threads.
    n_may_open : int
        Files that may be open at the same time.
    """

    def __init__(self, entry: Entry, number: int, layers: Sequence[LayerRecord], lanes: Lanes, n_may_open: int) -> None:
        self.number = number
        self.is_committed = False
        self._entry = entry
        rows = entry.rows_of(number)
        self._n_expected, self._n_rows = rows.stop - rows.start, 0
        self._skipped: Mapping[int, str] = {}
        self._sizes = {layer.requested: layer.n_units for layer in layers}
        unique: dict[str, LayerRecord] = {}
        for layer in layers:
            unique.setdefault(layer.digest, layer)
        parts = [_LayerPart(entry, layer, lanes.n_threads) for layer in unique.values()]
        self.n_files = sum(part.grid.n_blocks for part in parts)
        self._parts = sorted(parts, key=lambda part: -part.grid.chunk_bytes * part.grid.n_blocks)
        flush_bytes = min(_FLUSH_BYTES, max(_LEAST_FLUSH_BYTES, _PENDING_BYTES // self.n_files))
        for part in self._parts:
            part.open(flush_bytes, stays_open=n_may_open >= self.n_files)
        self._lanes = [lanes.least_used(part.grid.chunk_bytes * part.grid.n_blocks) for part in self._parts]
        self._lock, self._n_waiting = threading.Lock(), len(self._parts)

    def check(self, values: Mapping[str, np.ndarray]) -> None:
        """Hold a batch against what was announced."""
        missing = [layer for layer in self._sizes if layer not in values]
        if missing:
            raise ActivationShapeError(
                f"Shard {self.number} was begun with layers {listing(list(self._sizes))}; these rows came without "
                f"{listing(missing)}. Pass every layer in each call of append()."
            )
        n_rows = {len(values[layer]) for layer in self._sizes}
        if len(n_rows) > 1:
            raise ActivationShapeError(f"Layers came with different numbers of rows: {sorted(n_rows)}. Pass the same.")
        for layer, size in self._sizes.items():
            n_values = int(np.prod(values[layer].shape[1:], dtype=np.int64))
            if n_values != size:
                raise ActivationShapeError(
                    f"Layer {layer!r} has {n_values:,} values per row here, and was announced with {size:,}. A layer "
                    f"has one shape for all images."
                )
        if self._n_rows + max(n_rows) > self._n_expected:
            raise ActivationShapeError(
                f"Shard {self.number} has {self._n_expected} rows, and {self._n_rows + max(n_rows)} were given. Call "
                f"finish() after its last row."
            )

    def append(self, values: Mapping[str, np.ndarray]) -> None:
        """Queue rows."""
        self._n_rows += len(next(iter(values.values())))
        for part, lane in zip(self._parts, self._lanes, strict=True):
            array = np.asarray(values[part.layer.requested])
            lane.put(partial(part.append, array), array.nbytes)

    def finish(self, skipped: Mapping[int, str]) -> None:
        """Queue the end."""
        if self._n_rows != self._n_expected:
            raise ActivationShapeError(
                f"Shard {self.number} has {self._n_expected} rows, and only {self._n_rows} were given. Append the rest "
                f"before finish()."
            )
        self._skipped = dict(skipped)
        for part, lane in zip(self._parts, self._lanes, strict=True):
            lane.put(partial(self._finish_part, part))

    def discard(self) -> None:
        """Remove what is not committed."""
        if not self.is_committed:
            for part in self._parts:
                part.discard()

    def _finish_part(self, part: _LayerPart) -> None:
        part.finish()
        with self._lock:
            self._n_waiting -= 1
            is_last = not self._n_waiting
        if is_last:
            ready = {part.layer: part.ready for part in self._parts}
            commit(self._entry, self.number, ready, self._skipped)
            self.is_committed = True


class _LayerPart:
    """What one layer has in one shard: a chunk per column block."""

    def __init__(self, entry: Entry, layer: LayerRecord, n_threads: int) -> None:
        self.layer, self.grid = layer, entry.grid(layer)
        self.ready: list[tuple[Path, ChunkRecord]] = []
        self._entry, self._files, self._n_threads = entry, entry.files, n_threads
        self._compression: Compression | None = entry.compression_of(layer)
        self._chunks: list[UnfinishedChunk] = []

    def open(self, flush_bytes: int, *, stays_open: bool) -> None:
        """Choose the temporary names."""
        self._chunks = [
            UnfinishedChunk(self._files, self._new_path(), self.grid, flush_bytes=flush_bytes, stays_open=stays_open)
            for _ in range(self.grid.n_blocks)
        ]

    def append(self, values: np.ndarray) -> None:
        """Write rows."""
        rows = values.reshape(len(values), -1)
        # Converted a few rows at a time: several threads doing so with whole batches took gigabytes more than planned.
        n_at_once = len(rows) if rows.dtype == self.layer.numpy_dtype else max(1, _CONVERTED // max(rows[:1].nbytes, 1))
        for start in range(0, len(rows), max(n_at_once, 1)):
            stored = _as_stored(rows[start : start + n_at_once], self.layer)
            with writing_to(self._entry.path):
                for block, chunk in enumerate(self._chunks):
                    chunk.append(_columns_of(stored, self.grid, block))

    def finish(self) -> None:
        """Write the ends of the chunks."""
        with writing_to(self._entry.path):
            for chunk in self._chunks:
                self.ready.append(self._finished(chunk))

    def discard(self) -> None:
        """Remove everything."""
        for chunk in self._chunks:
            chunk.discard()
        for path, _ in self.ready:
            discard(self._files, path)

    def _finished(self, chunk: UnfinishedChunk) -> tuple[Path, ChunkRecord]:
        if self._compression is None:
            record = chunk.finish()
            self._compression = self._entry.decide_compression(self.layer, self._is_worthwhile(chunk.path))
            if self._compression == "none":
                return chunk.path, record
        elif self._compression == "none":
            return chunk.path, chunk.finish()
        else:
            chunk.finish_values()
        path = self._new_path()
        try:
            record = compress_file(self._files, chunk.path, self.grid.chunk_bytes, path)
        except OSError:
            discard(self._files, path)
            raise
        chunk.discard()
        return path, record

    def _is_worthwhile(self, path: Path) -> bool:
        start = time.perf_counter()
        sync_all(self._files, [path])
        disk_rate = self.grid.chunk_bytes / max(time.perf_counter() - start, 1e-9)
        with self._files.opened(path) as descriptor:
            sample = np.empty(min(self.grid.chunk_bytes, SAMPLE_BYTES), np.uint8)
            n_read = self._files.read(descriptor, sample.data, 0)
        ratio, rate = measure(sample[:n_read])
        return is_worth_compressing(ratio, min(self._n_threads, os.cpu_count() or 1) * rate, disk_rate)

    def _new_path(self) -> Path:
        return self._entry.path / "temporary" / temporary_name()


def _columns_of(values: np.ndarray, grid: Grid, block: int) -> np.ndarray:
    """Return the columns of one block, contiguous and as wide as a chunk."""
    if grid.n_blocks == 1:
        return values
    part = values[:, grid.block_columns(block)]
    if part.shape[1] == grid.columns:
        return np.ascontiguousarray(part)
    padded = np.zeros((len(values), grid.columns), values.dtype)
    padded[:, : part.shape[1]] = part
    return padded


def _as_stored(values: np.ndarray, layer: LayerRecord) -> np.ndarray:
    """Convert to the data type of the disk.

    A finite value that becomes infinite would be a silent change, so it is refused.
    """
    dtype = layer.numpy_dtype
    if values.dtype == dtype:
        return np.ascontiguousarray(values)
    with np.errstate(over="ignore", invalid="ignore"):
        stored = np.ascontiguousarray(values.astype(dtype))
    if dtype.itemsize < values.dtype.itemsize and np.isinf(stored).any():
        became_infinite = np.isinf(stored) & np.isfinite(values)
        if became_infinite.any():
            largest = float(np.abs(values[became_infinite]).max())
            raise StoreValueError(
                f"Layer {layer.requested!r} has values up to {largest:.4g}, and {layer.dtype} ends at "
                f"{float(np.finfo(dtype).max):.4g}. Keep this layer as float32, or as float64."
            )
    return stored
