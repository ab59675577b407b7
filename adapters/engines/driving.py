"""The side of whoever starts a run: bring what is missing to an engine until the store has it, or say why not."""

from __future__ import annotations

import math
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import BudgetError, ModelForwardError, ReductionError, StimulusError, listing
from ..planning import shards_for
from ..probing import StaleEntryError
from ..running import BatchTooLargeError
from ..store import ActivationStore, StoreValueError, StoreWriteError
from ..store.attempts import Pulse
from ..store.placing import note_completion
from .extraction import MAX_ATTEMPTS, Extraction, PoisonShardError
from .orders import MixedVersionsError, write_orders
from .origins import Origin, OriginError, as_origin
from .task import Engine, EngineError, Receipt, Task
from .working import Worker

__all__ = ["Distribution", "Outcome", "distribute"]

_MAX_IDLE_ROUNDS = 3  # in which no shard was finished
_BATCHES = 8  # that a worker is given at once, so that it can decode and write ahead
_POLL = 0.5  # seconds
_MAX_FAILURES = 20  # shards, or half of them all; then something else is wrong than single stimuli
_OF_ONE_SHARD = {"StimulusError", "PoisonShardError", "WorkerDiedError", "StoreValueError"}
_KINDS: dict[str, Callable[[str], Exception]] = {
    each.__name__: each
    for each in (
        *(BudgetError, MixedVersionsError, ModelForwardError, OriginError, ReductionError, StaleEntryError),
        *(StimulusError, StoreValueError, StoreWriteError),
    )
} | dict.fromkeys(("PoisonShardError", "WorkerDiedError"), PoisonShardError)


@dataclass(frozen=True)
class Distribution:
    """How a call is to be distributed.

    Parameters
    ----------
    engine : Engine
        Which brings shards to workers.
    n_workers : int, optional
        How many; None leaves it to the engine.
    origin : object, optional
        How workers make the extractor again; see `as_origin`.
    reduce : reduction, or mapping of layer to one, optional
        Of the call, fitted.
    """

    engine: Engine
    n_workers: int | None = None
    origin: Any = None
    reduce: Any = None

    @property
    def min_shards(self) -> int:
        """How many shards a new entry should have, so that all workers are busy to the end."""
        return shards_for(self.n_workers or getattr(self.engine, "n_workers", None))


@dataclass
class Outcome:
    """What the workers of a run have done.

    Parameters
    ----------
    n_images, n_bytes : int
        Through the model, and written.
    seconds : dict of str to float
        At work, by worker.
    n_shards : dict of str to int
        Done, by worker.
    """

    n_images: int = 0
    n_bytes: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    n_shards: dict[str, int] = field(default_factory=dict)

    def add(self, receipt: Receipt) -> None:
        """Count a receipt."""
        self.n_images += receipt.n_images
        self.n_bytes += receipt.n_bytes
        self.seconds[receipt.worker] = self.seconds.get(receipt.worker, 0.0) + receipt.seconds
        self.n_shards[receipt.worker] = self.n_shards.get(receipt.worker, 0) + 1

    def to_dict(self) -> dict[str, Any]:
        """Return what a run card says of it."""
        return {name: {"shards": n, "seconds": self.seconds[name]} for name, n in self.n_shards.items()}


def distribute(
    extraction: Extraction, store: ActivationStore, distribution: Distribution, advance: Callable[[int], Any]
) -> Outcome:
    """Have workers fill what is missing in an entry.

    Parameters
    ----------
    extraction : Extraction
        What is to be done; its attempts are of this run.
    store : ActivationStore
        Of the entry.
    distribution : Distribution
        By whom.
    advance : callable
        Is told how many more images are done.

    Raises
    ------
    EngineError
        If workers make no progress.
    PoisonShardError
        If shards ended their workers each time; names the stimuli.
    AdapterError
        What workers say is wrong.
    """
    return _Drive(extraction, store, distribution, advance).run()


class _Drive:
    """One run."""

    def __init__(
        self, extraction: Extraction, store: ActivationStore, distribution: Distribution, advance: Callable[[int], Any]
    ) -> None:
        self._extraction, self._store, self._distribution = extraction, store, distribution
        self._advance, self._outcome = advance, Outcome()
        self._failures: dict[int, Receipt] = {}
        self._n_tries: dict[int, int] = {}
        self._told: set[int] = set()
        self._pulse = Pulse(extraction.entry)
        self._waits = bool(getattr(distribution.engine, "waits_for_others", False))

    def run(self) -> Outcome:
        """Do everything."""
        task = self._task()
        try:
            self._rounds(task)
            self._raise_failures()
        except (Exception, KeyboardInterrupt):
            self._clear(task, keep=hasattr(self._distribution.engine, "script"))  # the logs of a job tell why
            raise
        note_completion(self._extraction.entry)
        self._clear(task)
        return self._outcome

    def _rounds(self, task: Task) -> None:
        n_idle, n_before, engine = 0, math.inf, self._distribution.engine
        while todo := self._missing():
            n_idle = 0 if len(todo) < n_before else n_idle + 1
            if n_idle >= _MAX_IDLE_ROUNDS:
                raise EngineError(
                    f"{len(todo)} shards of {self._extraction.entry.path} are still missing, and workers of "
                    f"{type(engine).__name__} finished none of them in {n_idle} rounds. Look at what the workers "
                    f"printed; the same call goes on from here."
                )
            n_before = len(todo)
            receipts = self._alone(task, todo) if self._waits and n_idle else engine.run(task, todo, self._n_workers)
            with _closed(receipts):
                for receipt in receipts:
                    self._take(receipt)
            if self._waits:
                self._wait_for_others()

    def _clear(self, task: Task, *, keep: bool = False) -> None:
        self._extraction.attempts.forget()
        if task.folder and not keep:
            shutil.rmtree(task.folder, ignore_errors=True)
            with suppress(OSError):  # another run may have its orders there
                Path(task.folder).parent.rmdir()

    @property
    def _n_workers(self) -> int | None:
        return self._distribution.n_workers

    def _task(self) -> Task:
        extraction, run_id = self._extraction, self._extraction.attempts.run_id
        missing = self._missing()
        label, group = extraction.call.identifier, self._group(len(missing))
        if self._waits:
            return Task("", {}, label, run_id, group, here=extraction.opened, life=self._pulse.seconds_silent)
        origin = self._origin()
        folder = extraction.entry.path / "tasks" / f"{time.strftime('%Y%m%dT%H%M%S')}-{secrets.token_hex(4)}"
        try:
            orders = write_orders(extraction, self._store, origin, self._distribution.reduce, folder, run_id)
        except (Exception, KeyboardInterrupt):
            shutil.rmtree(folder, ignore_errors=True)
            raise
        arguments = {"orders": os.fspath(orders)}
        function, life = "adapters.engines.orders:opened", self._pulse.seconds_silent
        return Task(function, arguments, label, run_id, group, _paths(), os.fspath(folder), life=life)

    def _origin(self) -> Origin:
        if self._distribution.origin is None:
            raise OriginError(
                f"Workers do not know how to make {self._extraction.call.identifier} again: it was wrapped here, or "
                f"registered in a notebook. Register it with @register_model in a file, and take it from "
                f"registry.get_model; or say which function makes it: extractor.origin = 'my_models.py:alexnet'."
            )
        return as_origin(self._distribution.origin)

    def _group(self, n_missing: int) -> int:
        entry = self._extraction.entry
        n_batches = max(1, entry.shard_rows // entry.batch_rows)
        fair = n_missing // self._distribution.min_shards
        return max(1, min(math.ceil(_BATCHES / n_batches), fair))

    def _missing(self) -> list[int]:
        found = self._extraction.entry.missing(self._extraction.records)
        return [shard for shard in sorted(found) if shard not in self._failures]

    def _alone(self, task: Task, shards: Sequence[int]) -> Iterator[Receipt]:
        """Do in this process what others have left."""
        with Worker(task) as worker:
            for start in range(0, len(shards), task.group):
                yield from worker.do(shards[start : start + task.group])

    def _wait_for_others(self) -> None:
        patience = float(getattr(self._distribution.engine, "patience", 600.0))
        n_missing, heard, start = math.inf, time.monotonic(), time.monotonic()
        while todo := self._missing():
            took = time.monotonic() - start
            if len(todo) < n_missing:
                n_missing, heard = len(todo), time.monotonic()
            if time.monotonic() - heard > patience < self._pulse.seconds_silent():
                return
            time.sleep(max(_POLL, 10 * took))  # so that many processes do not keep a file system busy
            start = time.monotonic()

    def _take(self, receipt: Receipt) -> None:
        if not receipt.error:
            if receipt.shard not in self._told:
                self._told.add(receipt.shard)
                self._advance(receipt.n_images)
                self._outcome.add(receipt)
            return
        self._n_tries[receipt.shard] = self._n_tries.get(receipt.shard, 0) + 1
        if receipt.kind == BatchTooLargeError.__name__:
            raise BatchTooLargeError(receipt.error, max(1, self._extraction.call.batch_size // 2))
        if receipt.is_final or self._n_tries[receipt.shard] >= MAX_ATTEMPTS:
            self._failures[receipt.shard] = receipt
            most = max(_MAX_FAILURES, self._extraction.entry.n_shards // 2)
            if receipt.is_refusal or receipt.kind not in _OF_ONE_SHARD or len(self._failures) >= most:
                self._raise_failures()

    def _raise_failures(self) -> None:
        """Raise what went wrong first, and name the others."""
        if not self._failures:
            return
        shard, receipt = next(iter(self._failures.items()))
        kind = _KINDS.get(receipt.kind, EngineError)
        text = f"{receipt.error} (Worker {receipt.worker}, {self._stimuli_of(shard)}.)"
        if kind is PoisonShardError:
            text += (
                " Something in these stimuli, or in what the model does with them, ends the process: try them alone, "
                "and leave out what fails."
            )
        if others := [self._stimuli_of(each) for each in self._failures if each != shard]:
            text += f" So did: {listing(others)}."
        raise kind(f"{text} All other shards that were done are kept.")

    def _stimuli_of(self, shard: int) -> str:
        entry, presented = self._extraction.entry, self._extraction.call.presented
        rows, n_trials = entry.rows_of(shard), presented.n_trials
        first, last = rows.start // n_trials, rows.stop // n_trials
        n_done = min(self._extraction.attempts.furthest(shard), last - first - 1)
        items = presented.items[first + n_done : last]
        names = [item if isinstance(item, str) else f"stimulus {first + n_done + n}" for n, item in enumerate(items)]
        came = f" after {n_done} of its images" if n_done else ""
        return f"shard {shard}{came}: {listing(names)}"


@contextmanager
def _closed(receipts: Iterator[Receipt]) -> Iterator[None]:
    """End the workers at the end of a block, also after Ctrl-C."""
    try:
        yield
    finally:
        if (close := getattr(receipts, "close", None)) is not None:
            close()


def _paths() -> tuple[str, ...]:
    """Return the folders that workers search for the user's modules."""
    return tuple(dict.fromkeys(str(Path(path or ".").absolute()) for path in sys.path if Path(path or ".").is_dir()))
