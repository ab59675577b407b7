"""One run on one Dask cluster: what is handed out, what is heard, and what comes back from the dead."""

from __future__ import annotations

import queue
import statistics
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from .dask_cluster import MOST_DEATHS, Crew
from .dask_worker import close_run
from .task import EngineError, Receipt, Task

__all__ = ["DaskRun"]

_TICK = 0.2  # seconds between two looks at the workers
_START = 60.0  # seconds that our own processes may take to be there
_LATE = 4.0  # times the median that a shard may take before somebody else is set to it as well
_LEAST_LATE = 2.0  # seconds; below that, starting again is not worth it


@dataclass
class _Handed:
    """A group of shards that was given to Dask."""

    future: Any
    shards: tuple[int, ...]
    since: float = field(default_factory=time.monotonic)
    by_whom: str = ""
    n_said: int = 0


class DaskRun:
    """Brings the shards of one task to the workers of a cluster.

    Parameters
    ----------
    client : distributed.Client
        Of the cluster.
    crew : Crew, optional
        Its processes, if they are ours.
    task : Task
        What is to be done.
    shards : sequence of int
        To which shards.
    n_workers : int, optional
        How many workers are used; None for all.
    patience : float
        Seconds without a word, after which the run ends.
    """

    def __init__(
        self, client: Any, crew: Crew | None, task: Task, shards: Sequence[int], n_workers: int | None, patience: float
    ) -> None:
        self._client, self._crew, self._task = client, crew, task
        self._n_workers, self._patience = n_workers, patience
        self._name = f"brain-adapters-{uuid4().hex}"
        self._heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._left = dict.fromkeys(shards)
        each, group = tuple(self._left), max(1, task.group)
        self._waiting = deque(each[start : start + group] for start in range(0, len(each), group))
        self._handed: dict[str, _Handed] = {}
        self._opened: set[str] = set()
        self._deaths: Counter[int] = Counter()
        self._seconds: deque[float] = deque(maxlen=200)
        self._given_twice: set[int] = set()
        self._n_unopened, self._is_interrupted = 0, True
        self._looked, self._workers = 0.0, dict[str, int]()

    def receipts(self) -> Generator[Receipt]:
        """Yield one receipt for each shard, as far as they come; see `Engine.run`.

        Raises
        ------
        EngineError
            If workers cannot take up the task, or there is none.
        """
        self._client.subscribe_topic(self._name, lambda event: self._heard.put(event[1]))
        silence = 0.0 if self._crew is None else -_START
        try:
            while self._left and self._look_after():
                is_over, start = False, time.monotonic()
                silence = max(silence, 0.0) if self._workers else silence
                try:
                    found = list(self._take(self._heard.get(timeout=_TICK)))
                    silence = 0.0
                except queue.Empty:
                    # Only time spent here counts: who takes the receipts may be as slow as they like.
                    silence += time.monotonic() - start
                    is_over = silence > self._patience and self._task.seconds_silent() > self._patience
                    found = list(self._given_up(silence)) if is_over else []
                yield from found
                if is_over:
                    return
            self._is_interrupted = any(each.n_said < len(each.shards) for each in self._handed.values())
        finally:
            self._end()

    def _look_after(self) -> bool:
        """Hand out what there is room for; return whether anything is to be expected."""
        if self._crew is not None:
            self._crew.look_after()
        if time.monotonic() > self._looked + _TICK:
            try:
                self._looked, self._workers = time.monotonic(), self._client.nthreads()
            except OSError:  # the scheduler has gone
                return False
        chosen = sorted(self._workers)[: self._n_workers]
        only = chosen if len(chosen) < len(self._workers) else None
        # While there is plenty, one waits behind another. Not at the end, nor where it would keep a thread from others:
        # what is bound to a busy worker, Dask gives to somebody else late or never.
        is_plenty = len(self._waiting) > 2 * max(len(chosen), self._n_workers or 0)
        n_each = 2 if is_plenty and set(self._workers.values()) == {1} else 1
        for _ in range(min(max(1, n_each * len(chosen)) - len(self._handed), len(self._waiting))):
            self._hand_out(self._waiting.popleft(), only)
        if not self._waiting:
            n_idle = len(chosen) - sum(bool(each.by_whom) for each in self._handed.values())
            for shard in self._late()[: max(0, n_idle)]:
                self._given_twice.add(shard)
                self._hand_out((shard,), only)
        return bool(self._handed)

    def _hand_out(self, shards: tuple[int, ...], workers: list[str] | None) -> None:
        key = f"{self._name}-{uuid4().hex}"
        future = self._client.submit(
            _called_there(),
            *(self._task.to_json(), list(shards), self._name),
            key=key,
            pure=False,
            workers=workers,
            allow_other_workers=workers is not None,  # should those have gone
        )
        self._handed[key] = _Handed(future, shards)
        future.add_done_callback(self._heard.put)

    def _late(self) -> list[int]:
        """Return shards of workers that take unusually long, to be given to a second one; what comes last first."""
        if not self._seconds:
            return []
        long = max(_LEAST_LATE, _LATE * statistics.median(self._seconds))
        late = [each.shards for each in self._handed.values() if time.monotonic() - each.since > long]
        found = [shard for shards in late for shard in reversed(self._left_of(shards))]
        return [shard for shard in found if shard not in self._given_twice]

    def _left_of(self, shards: Sequence[int]) -> tuple[int, ...]:
        return tuple(shard for shard in shards if shard in self._left)

    def _take(self, found: Any) -> Iterator[Receipt]:
        """Yield what a message or the end of a future says."""
        if not isinstance(found, dict):
            yield from self._ended(found)
            return
        if handed := self._handed.get(found["key"]):
            handed.by_whom, handed.since = found["who"], time.monotonic()
        if found["said"] != "begun":
            self._n_unopened = 0
        if found["said"] == "opened":
            self._opened.add(found["at"])
            if self._crew is not None:
                self._crew.has_opened.add(found["name"])
        elif found["said"] == "receipt":
            receipt = Receipt.from_json(found["receipt"])
            self._seconds.append(receipt.seconds)
            if handed:
                handed.n_said += 1
            yield from self._first(receipt)

    def _first(self, receipt: Receipt) -> Iterator[Receipt]:
        if receipt.shard in self._left:
            del self._left[receipt.shard]
            yield receipt

    def _ended(self, future: Any) -> Iterator[Receipt]:
        from distributed import KilledWorker

        handed = self._handed.pop(future.key)
        if future.status != "error":
            return  # what was done was said; if it was cancelled, by somebody else, nothing is to be expected
        error = future.exception()
        if not isinstance(error, KilledWorker):
            raise EngineError(
                f"A Dask worker could not take up {self._task.label!r}: {type(error).__name__}: {error}. Install the "
                f"same version of brain-adapters on all workers."
            ) from error
        if left := self._left_of(handed.shards):
            yield from self._died(left, handed.by_whom, error)

    def _died(self, left: tuple[int, ...], by_whom: str, error: Any) -> Iterator[Receipt]:
        """Give what dead workers had to others; yield a failure for a shard that was in the hands of too many."""
        self._looked = 0.0
        last, n_deaths, first = error.last_worker, error.allowed_failures + 1, left[0]
        if not by_whom or last.address not in self._opened:
            self._waiting.appendleft(left)
            self._n_unopened += n_deaths if by_whom else 1  # it may have waited behind what ended the worker
            if self._crew is None and self._n_unopened >= MOST_DEATHS:
                raise EngineError(
                    f"Dask workers ended {self._n_unopened} times before they had opened {self._task.label!r}, the "
                    f"last one at {last.address}. Look into the logs of the workers, and try the model in one process, "
                    f"without engine=."
                )
            return
        self._deaths[first] += n_deaths
        if left[1:]:
            self._waiting.appendleft(left[1:])
        if self._deaths[first] < MOST_DEATHS:
            self._waiting.appendleft((first,))  # alone, so that it is known who it was
            return
        ending = self._crew.how_ended(last.name) if self._crew is not None else ""
        said = (
            f"Its worker ended{' ' * bool(ending)}{ending}, and so did others: {self._deaths[first]} times with this "
            "shard in work. It is not tried again."
        )
        yield from self._first(Receipt(first, by_whom, error=said, kind="WorkerDiedError", is_final=True))

    def _given_up(self, silence: float) -> Iterator[Receipt]:
        """Yield a failure for each shard at which a worker has been all the time."""
        if not self._workers:
            raise EngineError(
                f"The Dask cluster at {self._client.scheduler.address} has no workers, and none came within "
                f"{silence:.0f} s. Start some with `dask worker`; without client and address, processes are started."
            )
        for handed in self._handed.values():
            for shard in self._left_of(handed.shards)[:1] if handed.by_whom else ():
                said = f"Nothing was heard for {silence:.0f} s, and {handed.by_whom} was at shard {shard}."
                yield from self._first(Receipt(shard, handed.by_whom, silence, error=said, kind="TimeoutError"))

    def _end(self) -> None:
        """Leave the cluster as it was found."""
        if self._crew is not None and self._is_interrupted:
            self._crew.end()
            return
        with suppress(OSError):  # the scheduler may have gone
            self._client.unsubscribe_topic(self._name)
            if futures := [each.future for each in self._handed.values()]:
                self._client.cancel(futures, force=True)
            self._client.run(close_run, self._name, wait=not self._is_interrupted, on_error="ignore")


def _called_there() -> Callable[[str, list[int], str], None]:
    """Return what calls `do_group` on a worker, to be sent by its code, with plain data.

    Dask closes a worker that cannot import what it is sent; so nothing of this library is, and a user's worker that
    has not got it says so.
    """

    def call(task: str, shards: list[int], run: str) -> None:
        import importlib

        importlib.import_module("adapters.engines.dask_worker").do_group(task, shards, run)

    return call
