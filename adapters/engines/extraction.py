"""What a worker does: make the model again, prove that it is the same, and fill shards of a store."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..calls import Call
from ..errors import StimulusError
from ..filling import StorePass, jobs_for, n_rows_of
from ..fingerprints.stimuli import stimuli_digests
from ..planning import queue_bytes
from ..probing import probe
from ..running import Stopwatch
from ..store import Entry, LayerRecord, ShardWriter
from ..store.attempts import Attempts
from .task import EngineError, Receipt, Work
from .working import failure, worker_name

__all__ = ["MAX_ATTEMPTS", "Extraction", "PoisonShardError"]

MAX_ATTEMPTS = 3
"""How often a shard may be begun in one run and not be finished."""


class PoisonShardError(EngineError):
    """A shard ended its worker each time that it was tried."""


@dataclass
class Extraction:
    """One call, the entry that it fills, and which layers go through the model together.

    Parameters
    ----------
    call : Call
        What is asked for.
    entry : Entry
        Where the values go.
    records : sequence of LayerRecord
        The layers.
    passes : sequence of sequence of str
        Requests that are read together.
    attempts : Attempts
        Of this run.
    digests : sequence of str
        Of each stimulus, as it was when the run was planned; nothing where it was planned in this process.
    """

    call: Call
    entry: Entry
    records: Sequence[LayerRecord]
    passes: Sequence[Sequence[str]]
    attempts: Attempts
    digests: Sequence[str] = ()
    _writer: ShardWriter | None = field(default=None, init=False)
    _current: int | None = field(default=None, init=False)
    _n_images: int = field(default=0, init=False)

    @contextmanager
    def opened(self) -> Iterator[Work]:
        """Give what does shards, after a look at what is stored already."""
        missing = self.entry.missing(self.records, [0])
        stored = [record for record in self.records if record not in missing.get(0, ())]
        probe(self.call, self.entry, stored, sets_aside=False)
        try:
            yield self._work
        except BaseException as error:
            self._close_writer(error)
            if isinstance(error, (KeyboardInterrupt, SystemExit)):  # the time of a job is over, say
                self.attempts.withdraw()
            raise
        self._close_writer()

    def _work(self, shards: Sequence[int]) -> Iterator[Receipt]:
        counts = {shard: self.attempts.count(shard) for shard in shards}
        refused = [shard for shard, count in counts.items() if count >= MAX_ATTEMPTS]
        for shard in refused:
            if self.entry.missing(self.records, [shard]):
                text = f"Shard {shard} was begun {counts[shard]} times and never finished."
                yield failure(shard, PoisonShardError(text))
            else:
                yield self._receipt(shard, 0.0, {})
        left = [shard for shard in shards if shard not in refused]
        # What was tried before is tried alone: it shall be clear which shard ends its worker.
        groups = [[shard] for shard in left] if any(counts[shard] for shard in left) else [left]
        for group in groups:
            yield from self._group(group)

    def _group(self, shards: Sequence[int]) -> Iterator[Receipt]:
        lacking: Mapping[int, Sequence[LayerRecord]] = {}
        left, seconds = list(shards), 0.0
        while left:
            missing = self.entry.missing(self.records, left)
            for shard in [shard for shard in left if shard not in missing]:
                left.remove(shard)
                self.attempts.finish(shard)
                yield self._receipt(shard, seconds, lacking)
            if not missing:
                return
            lacking, start, self._current = missing, time.perf_counter(), None
            try:
                self._compute(missing)
            except Exception as error:
                if len(left) > 1:  # images are decoded ahead and values written later: the blame may be on another one
                    for shard in tuple(left):
                        yield from self._group([shard])
                    return
                if self.entry.missing(self.records, left):
                    yield self._failed(left.pop(), error, time.perf_counter() - start)
            else:
                if still := self.entry.missing(self.records, left):
                    raise EngineError(f"Shard {min(still)} was written to {self.entry.path} and is not there.")
            seconds = (time.perf_counter() - start) / len(missing)

    def _compute(self, missing: Mapping[int, Sequence[LayerRecord]]) -> None:
        self._verify_stimuli(missing)
        jobs = jobs_for(missing, self.passes)
        try:
            writer = self._opened_writer()
            for records, shards in jobs:
                store_pass = StorePass(self.call, self.entry, records, writer, Stopwatch())
                store_pass.run(shards, self._advance, starting=self._start)
            writer.flush()
        except BaseException as error:
            self._close_writer(error)  # finishes what was handed to it
            raise

    def _start(self, shard: int) -> None:
        self._current, self._n_images = shard, 0
        self.attempts.begin(shard)

    def _advance(self, n_images: int) -> None:
        self._n_images += n_images
        if self._current is not None:
            self.attempts.note(self._current, self._n_images)

    def _failed(self, shard: int, error: Exception, seconds: float) -> Receipt:
        receipt = failure(shard, error, seconds)
        if receipt.is_final:
            self.attempts.finish(shard)
        return receipt

    def _receipt(self, shard: int, seconds: float, lacking: Mapping[int, Sequence[LayerRecord]]) -> Receipt:
        """Say what was done to a shard that is there; nothing, where it was there before."""
        records, n_rows = lacking.get(shard, ()), n_rows_of(self.entry, [shard])
        n_passes = len(jobs_for({shard: records}, self.passes)) if records else 0
        return Receipt(
            shard,
            worker_name(),
            seconds if records else 0.0,
            n_images=n_passes * n_rows // self.call.presented.n_trials,
            n_bytes=sum(n_rows * record.n_units * record.numpy_dtype.itemsize for record in records),
        )

    def _verify_stimuli(self, shards: Mapping[int, Any]) -> None:
        """Refuse stimuli that are not, on this machine and now, what the run was planned with."""
        if not self.digests:
            return
        n_trials = self.call.presented.n_trials
        for shard in shards:
            rows = self.entry.rows_of(shard)
            items = slice(rows.start // n_trials, rows.stop // n_trials)
            found = stimuli_digests(self.call.presented.items[items])
            for number, (here, planned) in enumerate(zip(found, self.digests[items], strict=True), items.start):
                if here != planned:
                    item = self.call.presented.items[number]
                    raise StimulusError(
                        f"{item if isinstance(item, str) else f'Stimulus {number}'} is not what it was when the run "
                        f"was planned, as {platform.node()} sees it. Run the same call again: what has changed "
                        f"becomes an entry of its own."
                    )

    def _opened_writer(self) -> ShardWriter:
        if self._writer is None:
            units = {record.requested: record.n_units for record in self.records}
            widest = max(sum(units[name] for name in names) for names in self.passes)
            self._writer = self.entry.writer(queue_bytes=queue_bytes(4 * self.entry.batch_rows * widest)).__enter__()
        return self._writer

    def _close_writer(self, error: BaseException | None = None) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.__exit__(None if error is None else type(error), error, None)
