"""One entry of a store: the layers of one model for one list of stimuli, shard by shard."""

from __future__ import annotations

import math
import os
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .commits import ChunkRecord, Commits, chunk_name
from .documents import read_document, seal
from .errors import NotStoredError, writing_to
from .files import Files, write_durably
from .layout import Compression, Grid, LayerRecord
from .leasing import Lease
from .placed import CompressionPolicy, PlacedLayers
from .reading import read_values
from .selecting import Selection
from .writing import ShardWriter

__all__ = ["Entry"]

_QUEUE_BYTES = 256 * 2**20


class Entry:
    """Activations of one model for one list of stimuli; made by `ActivationStore.entry` and `ActivationStore.find`.

    Parameters
    ----------
    path : Path
        Its folder.
    key : str
        Digest of its recipe.
    body : mapping
        What ``entry.json`` says.
    compression : {'none', 'zstd', 'auto'}
        For layers that are added.
    threads : int
        For reading and writing.
    files : Files
        The disk.
    """

    def __init__(
        self,
        path: Path,
        key: str,
        body: Mapping[str, Any],
        *,
        compression: CompressionPolicy = "none",
        threads: int = 4,
        files: Files | None = None,
    ) -> None:
        self.path, self.key = path, key
        self.recipe: dict[str, Any] = dict(body["recipe"])
        self.n_rows, self.batch_rows = int(body["n_rows"]), int(body["batch_rows"])
        self.shard_rows = int(body["shard_rows"])
        self.files = files or Files()
        self.commits = Commits(path, key, self.files)
        self._threads = threads
        self._placed = PlacedLayers(
            self.files, path, key, n_rows=self.n_rows, shard_rows=self.shard_rows, policy=compression
        )

    @property
    def n_shards(self) -> int:
        """Number of row blocks."""
        return math.ceil(self.n_rows / self.shard_rows)

    def rows_of(self, shard: int) -> slice:
        """Return the rows of a shard.

        Raises
        ------
        IndexError
            If there is no such shard.
        """
        if not 0 <= shard < self.n_shards:
            raise IndexError(f"There is no shard {shard}: entry {self.key[:12]} has {self.n_shards}, counted from 0.")
        return slice(shard * self.shard_rows, min((shard + 1) * self.shard_rows, self.n_rows))

    def layers(self) -> dict[str, LayerRecord]:
        """Return the layers that were added, by digest, in the order in which they were added."""
        return self._placed.records()

    def add_layers(self, layers: Sequence[LayerRecord]) -> None:
        """Make a place for layers; those that are there stay as they are.

        With ``compression="auto"`` a layer gets its place when its first chunk was measured.

        Raises
        ------
        StoreWriteError
            If the disk refuses.
        """
        self._placed.add(layers)

    def missing(
        self, layers: Sequence[LayerRecord], shards: Iterable[int] | None = None
    ) -> dict[int, list[LayerRecord]]:
        """Return the shards that have to be computed, each with the layers that it lacks.

        What exists is what commit records name and what has the size that they say.

        Parameters
        ----------
        layers : sequence of LayerRecord
            Which layers are wanted.
        shards : iterable of int, optional
            Where to look; by default in all.
        """
        self.commits.refresh()
        for layer in layers:
            self._placed.look_up(layer)
        wanted = range(self.n_shards) if shards is None else shards
        lacking = {shard: [layer for layer in layers if not self._has(layer, shard)] for shard in wanted}
        return {shard: each for shard, each in lacking.items() if each}

    def complete(self, layers: Sequence[LayerRecord] | None = None) -> bool:
        """Tell whether every row of some layers is there; by default of all layers that were added."""
        wanted = list(self.layers().values()) if layers is None else layers
        return bool(wanted) and not self.missing(wanted)

    def has(self, layer: LayerRecord, shard: int) -> bool:
        """Tell whether a shard of a layer was there at the last look at the commit records."""
        self._placed.look_up(layer)
        return self._has(layer, shard)

    def writer(self, *, threads: int | None = None, queue_bytes: int = _QUEUE_BYTES) -> ShardWriter:
        """Return a writer, to be used in a ``with`` block.

        Parameters
        ----------
        threads : int, optional
            Writing threads; by default the store's.
        queue_bytes : int
            Bytes that may wait for them.
        """
        return ShardWriter(self, threads=threads or self._threads, queue_bytes=queue_bytes)

    def lease(self) -> Lease:
        """Return a note that this process is at work, for several processes that share the shards of an entry."""
        return Lease(self.path, self.files)

    def read(
        self, layer: LayerRecord, rows: Selection, columns: Selection = slice(None), *, out: np.ndarray | None = None
    ) -> np.ndarray:
        """Read values.

        Parameters
        ----------
        layer : LayerRecord
            Which layer.
        rows, columns : slice or array of int
            What of it, in any order.
        out : array of shape (n_rows, n_columns), optional
            Memory to fill.

        Returns
        -------
        array of shape (n_rows, n_columns)
            In the layer's data type, or ``out``.

        Raises
        ------
        NotStoredError
            If some of the rows are not committed.
        StoreCorruptError
            If a chunk is seen to be damaged.
        """
        find = partial(self._find, layer)
        return read_values(self.files, self.grid(layer), find, rows, columns, threads=self._threads, out=out)

    def skipped(self) -> dict[int, str]:
        """Return the rows whose stimuli could not be read, each with the reason."""
        return self.commits.skipped()

    def grid(self, layer: LayerRecord) -> Grid:
        """Return how a layer is cut into chunks."""
        return self._placed.grid(layer)

    def presentations(self) -> dict[str, Any] | None:
        """Return the table of presentations that the first writer left, or None.

        Raises
        ------
        StoreCorruptError
            If it is damaged.
        """
        body = read_document(self.path / "presentations.json", "presentations", self.key)
        return None if body is None else body["presentations"]

    def keep_presentations(self, presentations: Mapping[str, Any]) -> None:
        """Keep a table of presentations, unless there is one.

        Raises
        ------
        StoreWriteError
            If the disk refuses.
        """
        path = self.path / "presentations.json"
        if not path.exists():
            data = seal("presentations", self.key, {"presentations": presentations})
            with writing_to(path):
                write_durably(self.files, path, data, self.path / "temporary")

    def write_run_card(self, card: Mapping[str, Any]) -> Path:
        """Keep what is to be known about a run: versions, settings, timings."""
        now = time.time_ns()
        stamp = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now // 10**9))}.{now % 10**9:09d}Z"
        path = self.path / "run-cards" / f"{stamp}-{secrets.token_hex(4)}.json"
        with writing_to(path):
            write_durably(self.files, path, seal("run-card", self.key, {"card": dict(card)}), self.path / "temporary")
        return path

    def run_cards(self) -> list[dict[str, Any]]:
        """Return what was kept about runs, the oldest first."""
        paths = sorted((self.path / "run-cards").glob("*.json"))
        bodies = [read_document(path, "run-card", self.key) for path in paths]
        return [body["card"] for body in bodies if body is not None]

    def body(self) -> dict[str, Any]:
        """Return what ``entry.json`` says."""
        names = ("recipe", "n_rows", "batch_rows", "shard_rows")
        return {name: getattr(self, name) for name in names}

    def touch(self) -> None:
        """Note that the entry was used now; where nothing can be written, nothing is noted."""
        with suppress(OSError):
            (self.path / "used").touch()

    @property
    def last_used(self) -> float:
        """When it was used last, in seconds since 1970."""
        path = self.path / "used"
        return (path if path.exists() else self.path).stat().st_mtime

    def compression_of(self, layer: LayerRecord) -> Compression | None:
        """Return how a layer's chunks are kept; None where that is decided with its first chunk."""
        return self._placed.compression(layer)

    def decide_compression(self, layer: LayerRecord, is_worthwhile: bool) -> Compression:
        """Settle how a layer is kept; whoever was first has decided for all."""
        return self._placed.decide(layer, is_worthwhile)

    def make_room(self, layer: LayerRecord, shard: int) -> None:
        """Make the folders that the chunks of a shard need; durable on return."""
        self._placed.make_room(layer, shard)

    def chunk_names(self, layers: Iterable[LayerRecord]) -> list[str]:
        """Return the paths of all chunks of some layers, within the entry."""
        return [
            chunk_name(layer.folder, shard, block)
            for layer in layers
            for shard in range(self.n_shards)
            for block in range(self.grid(layer).n_blocks)
        ]

    def _has(self, layer: LayerRecord, shard: int) -> bool:
        names = (chunk_name(layer.folder, shard, block) for block in range(self._placed.known_grid(layer).n_blocks))
        return all(self._is_there(name) for name in names)

    def _find(self, layer: LayerRecord, shard: int, block: int, anew: bool) -> tuple[str, tuple[ChunkRecord, ...]]:
        name = chunk_name(layer.folder, shard, block)
        path = f"{self.path}/{name}"
        if anew:
            self.commits.reload()
        records = self.commits.find(name)
        if (not records and anew) or not os.path.exists(path):  # noqa: PTH110
            rows = self.rows_of(shard)
            raise NotStoredError(
                f"Rows {rows.start:,} to {rows.stop - 1:,} of layer {layer.requested!r} are not in entry "
                f"{self.key[:12]}. Run the same extraction with this store again: it computes what is missing."
            )
        return path, records

    def _is_there(self, name: str) -> bool:
        records = self.commits.find(name)
        if not records:
            return False
        try:
            n_bytes = os.stat(f"{self.path}/{name}").st_size  # noqa: PTH116 - one call for each of very many chunks
        except OSError:
            return False
        return any(record.n_bytes == n_bytes for record in records)

    def __repr__(self) -> str:
        return f"Entry({self.key[:12]}, {self.n_rows:,} rows in {self.n_shards} shards, {self.path})"
