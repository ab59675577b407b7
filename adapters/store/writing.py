"""Stream shards to the disk while they are computed, in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from .errors import writing_to
from .files import sync_folder
from .layout import LayerRecord
from .leasing import Lease
from .placing import note_completion
from .shards import UnfinishedShard
from .threads import Lanes

if TYPE_CHECKING:
    from .entry import Entry

__all__ = ["ShardWriter"]

_MOST_OPEN_FILES = 200


class ShardWriter:
    """Writes shards of one entry; made by `Entry.writer`.

    Leaving its ``with`` block waits until every finished shard is on the disk. A shard that was begun and not finished
    leaves nothing behind.

    Parameters
    ----------
    entry : Entry
        Where to.
    threads : int
        Writing threads; a disk needs more than one, because each waits for its ``fsync``.
    queue_bytes : int
        Bytes that may wait for the threads; `append` blocks above that.
    """

    def __init__(self, entry: Entry, *, threads: int, queue_bytes: int) -> None:
        self.n_bytes = 0
        self._entry, self._lanes, self._lease = entry, Lanes(threads, queue_bytes), Lease(entry.path, entry.files)
        self._shard: UnfinishedShard | None = None
        self._unfinished: set[UnfinishedShard] = set()

    def begin(self, shard: int, layers: Sequence[LayerRecord]) -> None:
        """Start a shard.

        Parameters
        ----------
        shard : int
            Its number.
        layers : sequence of LayerRecord
            What will be written of it. Two requests for the same values are written once.
        """
        if self._shard is not None:
            raise RuntimeError(f"Shard {self._shard.number} is not finished. Call finish() before begin({shard}).")
        if not layers:
            raise ValueError(f"begin({shard}) came without layers. Pass those that missing() names for this shard.")
        self._lanes.raise_error()
        self._entry.rows_of(shard)
        self._entry.add_layers(layers)
        self._unfinished = {each for each in self._unfinished if not each.is_committed}
        n_open = sum(each.n_files for each in self._unfinished)
        self._shard = UnfinishedShard(self._entry, shard, layers, self._lanes, _MOST_OPEN_FILES - n_open)
        self._unfinished.add(self._shard)

    def append(self, values: Mapping[str, np.ndarray]) -> None:
        """Queue the next rows of the shard; blocks while too much is waiting.

        Parameters
        ----------
        values : mapping of str to array of shape (n_rows, ...)
            Requested text -> values, the same number of rows for each layer. The arrays belong to the writer now.

        Raises
        ------
        ActivationShapeError
            If layers are missing, or a layer has another number of values than its record, or rows are too many.
        StoreValueError
            If values do not fit into the layer's data type.
        StoreWriteError
            If the disk refused one of the writes so far.
        """
        shard = self._begun("append")
        n_bytes = sum(np.asarray(each).nbytes for each in values.values())
        shard.check(values)
        self._lanes.wait_for_room(n_bytes)
        self.n_bytes += n_bytes
        shard.append(values)

    def finish(self, skipped: Mapping[int, str] | None = None) -> None:
        """Queue the end of the shard, and return before it is on the disk.

        Parameters
        ----------
        skipped : mapping of int to str, optional
            Rows of the entry that stand for stimuli that could not be read, each with the reason.

        Raises
        ------
        ActivationShapeError
            If rows are missing.
        """
        shard = self._begun("finish")
        shard.finish(skipped or {})
        self._shard = None

    def flush(self) -> None:
        """Wait until every finished shard is on the disk.

        Raises
        ------
        StoreWriteError
            If the disk refused a write.
        """
        self._lanes.wait()
        self._lanes.raise_error()

    def __enter__(self) -> ShardWriter:
        entry = self._entry
        with writing_to(entry.path):  # another process may have made and filled it, and not have come to this
            for folder in (entry.path / "commits", entry.path, *entry.path.parents[:3]):
                sync_folder(entry.files, folder)
        self._lease.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        abandoned, self._shard = self._shard, None
        self._lanes.stop()
        self._lease.__exit__(None, None, None)
        for shard in self._unfinished:
            shard.discard()
        if error is not None:
            return
        self._lanes.raise_error()
        if abandoned is not None:
            raise RuntimeError(f"Shard {abandoned.number} was begun and not finished; it is not stored. Call finish().")
        note_completion(self._entry)

    def _begun(self, method: str) -> UnfinishedShard:
        if self._shard is None:
            raise RuntimeError(f"{method}() came before begin(). Begin a shard first.")
        return self._shard
