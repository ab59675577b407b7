"""Fill a store: shard by shard through the model, each so that it could be computed alone, to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .calls import Call
from .decoding import Batch, Decoder
from .errors import StimulusError
from .running import Stopwatch
from .store import Entry, LayerRecord, ShardWriter

__all__ = ["StorePass", "jobs_for", "n_rows_of"]

Job = tuple[tuple[LayerRecord, ...], list[int]]
"""Layers that are computed together, and the shards that lack them."""


@dataclass
class StorePass:
    """One way through the images for some of the layers.

    Parameters
    ----------
    call : Call
        What is asked for.
    entry : Entry
        Where the values go.
    records : sequence of LayerRecord
        The layers.
    writer : ShardWriter
        Of the entry.
    watch : Stopwatch
        Counts the time.
    """

    call: Call
    entry: Entry
    records: Sequence[LayerRecord]
    writer: ShardWriter
    watch: Stopwatch

    def run(
        self,
        shards: Sequence[int],
        advance: Callable[[int], Any],
        *,
        starting: Callable[[int], Any] = lambda shard: None,
    ) -> None:
        """Compute shards, in order, each as if it were the only one.

        Parameters
        ----------
        shards : sequence of int
            Which.
        advance : callable
            Is told how many more images are done.
        starting : callable
            Is told of each shard before it is begun.
        """
        call, n_trials = self.call, self.call.presented.n_trials
        blocks = [self.entry.rows_of(shard) for shard in shards]
        items = np.concatenate([np.arange(block.start // n_trials, block.stop // n_trials) for block in blocks])
        decoder = call.decoder([call.presented.items[item] for item in items])
        sizes = {record.requested: record.n_units for record in self.records}
        item_rows = items[:, None] * n_trials + np.arange(n_trials)
        batches, last = _Batches(decoder), 0
        for shard, block in zip(shards, blocks, strict=True):
            first, last = last, last + (block.stop - block.start) // n_trials
            rows = _Rows(self.writer, n_trials, block.start)
            run = call.run(rows, item_rows, self.watch, names=sizes, is_bound=True)
            starting(shard)
            self.writer.begin(shard, self.records)
            run.execute(batches.until(last), call.image_shape, advance)
            left_out = {int(items[at]): error for at, error in decoder.skipped.items() if first <= at < last}
            with self.watch.stage("write"):
                rows.fill_up(block.stop, sizes)
                self.writer.finish(_by_row(left_out, n_trials))


def jobs_for(missing: Mapping[int, Sequence[LayerRecord]], passes: Sequence[Sequence[str]]) -> list[Job]:
    """Put shards that lack the same layers together, pass by pass.

    Parameters
    ----------
    missing : mapping of int to sequence of LayerRecord
        What each shard lacks.
    passes : sequence of sequence of str
        Requests that may be read together.
    """
    jobs: list[Job] = []
    for names in map(set, passes):
        groups: dict[tuple[str, ...], Job] = {}
        for shard in sorted(missing):
            wanted = tuple(record for record in missing[shard] if record.requested in names)
            if wanted:
                groups.setdefault(tuple(record.digest for record in wanted), (wanted, []))[1].append(shard)
        jobs += groups.values()
    return jobs


def n_rows_of(entry: Entry, shards: Iterable[int]) -> int:
    """Return how many rows some shards have."""
    return sum(entry.rows_of(shard).stop - entry.rows_of(shard).start for shard in shards)


def _by_row(skipped: Mapping[int, StimulusError], n_trials: int) -> dict[int, str]:
    return {item * n_trials + trial: str(error) for item, error in skipped.items() for trial in range(n_trials)}


class _Batches:
    """Batches of a decoder, handed out up to a position; the decoder works ahead across shards."""

    def __init__(self, decoder: Decoder) -> None:
        self._batches = iter(decoder)
        self._held: Batch | None = None

    def until(self, position: int) -> Iterator[Batch]:
        """Yield the batches before a position."""
        while True:
            batch = self._held or next(self._batches, None)
            self._held = None
            if batch is None:
                return
            if batch.positions[0] >= position:
                self._held = batch
                return
            yield batch
            if batch.positions[-1] == position - 1:  # what is wrong with the next one is the next shard's business
                return


class _Rows:
    """Brings what a run gives, trial by trial, to the order of the store's rows; rows left out become NaN."""

    def __init__(self, writer: ShardWriter, n_trials: int, first_row: int) -> None:
        self._writer, self._n_trials, self._next = writer, n_trials, first_row
        self._trials: list[tuple[np.ndarray, Mapping[str, np.ndarray]]] = []

    def offer(self, rows: np.ndarray) -> None:
        """Offer nothing: the values go to the disk."""

    def write(
        self, rows: np.ndarray, batch: Mapping[str, np.ndarray], offered: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Take one trial of a batch; write when all trials of it are there."""
        self._trials.append((rows, batch))
        if len(self._trials) < self._n_trials:
            return
        trials, self._trials = self._trials, []
        rows = np.stack([each for each, _ in trials], axis=1).ravel()
        values = {layer: _interleaved([each[layer] for _, each in trials]) for layer in batch}
        n_rows = int(rows[-1]) + 1 - self._next
        if n_rows != len(rows):
            values = {layer: _spread(each, rows - self._next, n_rows) for layer, each in values.items()}
        self._writer.append(values)
        self._next += n_rows

    def fill_up(self, stop: int, sizes: Mapping[str, int]) -> None:
        """Write NaN for the rows up to ``stop`` that nothing came for."""
        if stop > self._next:
            empty = {layer: np.full((stop - self._next, size), np.nan, np.float32) for layer, size in sizes.items()}
            self._writer.append(empty)
            self._next = stop


def _interleaved(trials: Sequence[np.ndarray]) -> np.ndarray:
    flat = [each.reshape(len(each), -1) for each in trials]
    return flat[0] if len(flat) == 1 else np.stack(flat, axis=1).reshape(-1, flat[0].shape[1])


def _spread(values: np.ndarray, rows: np.ndarray, n_rows: int) -> np.ndarray:
    spread = np.full((n_rows, values.shape[1]), np.nan, values.dtype)
    spread[rows] = values
    return spread
