"""Run jobs on an engine: this process takes them from the table, and puts into it what workers say of them."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapters.engines import Engine, Receipt
from adapters.engines.choosing import engine_named
from adapters.engines.local import Local
from adapters.engines.working import require_no_worker

from .errors import JobError
from .jobs import MEMORY_ADVICE, Job, JobTable
from .shards import engine_folder, scoring_task
from .working import Orders

__all__ = ["SCORING_PATIENCE", "EngineCrew", "is_local", "scoring_engine"]

SCORING_PATIENCE = 86_400.0
"""Seconds without a word from any worker: a score may take hours, and an engine's default is meant for shards."""

_MAX_SILENT_ROUNDS = 3  # without a word on any job


def scoring_engine(given: Any) -> Engine:
    """Return the engine that is meant, if it can hand out jobs.

    Parameters
    ----------
    given : str or Engine
        A name, for the engine with its defaults and the patience that scores need; or an engine.

    Raises
    ------
    JobError
        When it starts the same call in each process.
    ValueError
        When there is no engine of this name.
    """
    engine = engine_named(given, patience=SCORING_PATIENCE) if isinstance(given, str) else engine_named(given)
    if getattr(engine, "waits_for_others", False):
        raise JobError(
            f"{type(engine).__name__} starts the same call in each of its processes, and the table of jobs belongs to "
            "one. Score with engine='local', 'ray', 'dask' or 'slurm'."
        )
    return engine


def is_local(engine: Engine) -> bool:
    """Say whether all workers of an engine share the memory of this machine."""
    return isinstance(engine, Local)


class EngineCrew:
    """The workers of an engine, and this process, which alone touches the table for them.

    Parameters
    ----------
    engine : Engine
        What brings jobs to workers.
    table : JobTable
        Where jobs are taken from.
    orders : Orders
        Which jobs, in whose name, and what workers are told.
    n_workers : int
        How many.
    """

    def __init__(self, engine: Engine, table: JobTable, orders: Orders, n_workers: int) -> None:
        require_no_worker()
        self.ids = orders.ids
        self._engine, self._table, self._orders, self._n_workers = engine, table, orders, n_workers
        self._left: dict[int, Job] = {}
        self._refusals: dict[int, str] = {}
        self._receipts: Iterator[Receipt] | None = None
        self._n_heard, self._n_silent_rounds, self._has_failed = 0, 0, False
        self._lock = table.lock(orders.worker)
        self._lock.acquire()

    def clear(self) -> None:
        """Let the jobs of other processes that have gone wait again."""
        self._table.free_abandoned(but=[self._orders.worker])

    def fill_up(self, n_waiting: int) -> bool:
        """Hand out all jobs that wait, or wait for word on one; return whether there was something to wait for."""
        if self._receipts is None and (n_waiting or self._left):
            self._hand_out()
        if self._receipts is None:
            return False
        receipt = next(self._receipts, None)
        if receipt is None:
            self._end_round()
        elif receipt.shard in self._left:  # else it came twice
            self._take_down(receipt)
        return True

    def let_go(self) -> None:
        """Let the engine end in good order, now that it has nothing left to do; what it wrote tells why jobs failed."""
        for _ in self._receipts or ():
            pass
        if not self._has_failed:
            folder = engine_folder(self._orders)
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):  # it is not there, or another run's is in it
                folder.parent.rmdir()

    def end(self) -> None:
        """End all workers, and let what they had in hand wait again."""
        try:
            close = getattr(self._receipts, "close", None)
            if close is not None:
                close()
        finally:
            self._lock.release()
            Path(self._lock.lock_file).unlink(missing_ok=True)

    def _hand_out(self) -> None:
        taken = self._table.take_all(self.ids, self._orders.worker)
        self._left |= {job.id: job for job in taken}
        if self._left:
            task = scoring_task(list(self._left.values()), self._orders, Path(self._lock.lock_file))
            self._n_heard, self._refusals = 0, {}
            self._receipts = iter(self._engine.run(task, list(self._left), self._n_workers))

    def _take_down(self, receipt: Receipt) -> None:
        if receipt.is_refusal:  # this worker cannot score it; another one may
            self._refusals[receipt.shard] = receipt.error
            return
        self._n_heard += 1
        advice = f" {MEMORY_ADVICE}" if receipt.kind == "WorkerDiedError" else ""
        error = f"{receipt.error}{advice}" if receipt.error else ""
        self._finish(receipt.shard, record=receipt.note, error=error, seconds=receipt.seconds)

    def _end_round(self) -> None:
        """Look at what nobody did: as long as other jobs get on, it is tried again."""
        self._receipts = None
        self._n_silent_rounds = 0 if self._n_heard else self._n_silent_rounds + 1
        for number in [] if self._n_heard else list(self._left):
            if number in self._refusals:
                self._finish(number, error=self._refusals[number])
            elif self._n_silent_rounds >= _MAX_SILENT_ROUNDS:
                error = (
                    f"Workers of {type(self._engine).__name__} were to score it {_MAX_SILENT_ROUNDS} times, and "
                    "nothing was heard of it. What they printed may tell why; the same command tries it again."
                )
                self._finish(number, error=error)

    def _finish(self, number: int, **said: Any) -> None:
        del self._left[number]
        self._has_failed = self._has_failed or bool(said.get("error"))
        self._table.finish(number, **said)
