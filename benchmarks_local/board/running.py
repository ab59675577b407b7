"""Score many models on many benchmarks by many workers; what was interrupted is taken up again."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from adapters.engines.processes import ending_of
from adapters.engines.resources import thread_settings
from adapters.memory import available_memory

from .driving import EngineCrew, is_local, scoring_engine
from .errors import JobError
from .jobs import DRIVER, Job, JobTable
from .working import Orders

__all__ = ["Run", "run_jobs"]

# Ctrl-C reaches the whole group: the worker leaves it to its parent, which then ends the worker in good order.
_WORKER = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    "from benchmarks_local.board.working import main; main()"
)
_POLL = 0.1  # seconds
_GRACE = 10.0  # seconds that workers have to end


@dataclass(frozen=True)
class Run:
    """How jobs are to be run.

    Attributes
    ----------
    folder : pathlib.Path
        Where the table of jobs is, and where records go.
    n_workers : int
        How many.
    data : tuple of str
        Folders of datasets.
    memory : int or None
        The most bytes that all workers together may take, in equal parts. None means half of what is free on this
        machine, or, where an engine may have several, half of what is free where a job is scored.
    store : pathlib.Path or None
        Where activations are kept between scorings.
    force : bool
        Whether to do again what is done.
    report : callable
        Is told of each job that was done or failed, and how many of all are.
    engine : str or Engine, optional
        What brings jobs to workers: ``"local"``, ``"ray"``, ``"dask"``, ``"slurm"``, or an engine of
        ``adapters.engines`` with the patience that the longest score needs. Without one, processes of this machine take
        jobs from the table by themselves.
    """

    folder: Path
    n_workers: int = 1
    data: tuple[str, ...] = ()
    memory: int | None = None
    store: Path | None = None
    force: bool = False
    report: Callable[[Job, int, int], None] = field(default_factory=lambda: _say_nothing)
    engine: Any = None


def run_jobs(jobs: Sequence[Job], run: Run) -> list[Job]:
    """Run jobs that are not done yet, and wait for those that another run is at.

    Parameters
    ----------
    jobs : sequence of Job
        What is asked for.
    run : Run
        How.

    Returns
    -------
    list of Job
        Every one done or failed, in the same order.

    Raises
    ------
    JobError
        When workers cannot start, or the engine cannot hand out jobs.
    EngineError
        When the engine's workers cannot start.
    """
    engine = None if run.engine is None else scoring_engine(run.engine)
    table = JobTable(run.folder)
    ids = table.add(jobs, force=run.force)
    told = {job.id for job in table.jobs(ids) if job.state in ("done", "failed")}
    orders = _orders(run, list(dict.fromkeys(ids)), is_here=engine is None or is_local(engine))
    crew = _Crew(table, orders, run.n_workers) if engine is None else EngineCrew(engine, table, orders, run.n_workers)
    try:
        while True:
            crew.clear()
            now = table.jobs(crew.ids)
            for job in now:
                if job.state in ("done", "failed") and job.id not in told:
                    told.add(job.id)
                    run.report(job, len(told), len(crew.ids))
            if len(told) == len(crew.ids):
                crew.let_go()
                return table.jobs(ids)
            if not crew.fill_up(sum(job.state == "waiting" for job in now)):
                time.sleep(_POLL)
    finally:
        crew.end()
        table.free_abandoned()


class _Crew:
    """The workers of a run without an engine, which take jobs from the table by themselves."""

    def __init__(self, table: JobTable, orders: Orders, n_workers: int) -> None:
        self.ids = orders.ids
        self._table, self._orders, self._n_workers = table, orders, n_workers
        self._workers: dict[str, subprocess.Popen[str]] = {}

    def clear(self) -> None:
        """Let the jobs of workers that have gone wait again."""
        gone = {name: process.poll() for name, process in self._workers.items() if process.poll() is not None}
        for name, status in gone.items():
            if status and not self._table.has_taken(name):
                raise JobError(
                    f"A process that was to score ended {ending_of(status)} before it took a job. Its own output, "
                    "above, tells why."
                )
        for name in gone:
            del self._workers[name]
        endings = {name: ending_of(status) for name, status in gone.items() if status is not None}
        self._table.free_abandoned(endings, but=self._workers.keys())  # one that dies now tells its ending next time

    def fill_up(self, n_waiting: int) -> bool:
        """Start workers while there are jobs for them."""
        n_idle = sum(not self._table.has_taken(name) for name in self._workers)
        while len(self._workers) < self._n_workers and n_idle < n_waiting:
            self._start()
            n_idle += 1
        return False

    def let_go(self) -> None:
        """Give workers that have nothing left to do the time to end by themselves."""
        end = time.monotonic() + _GRACE
        while self._workers and time.monotonic() < end:
            self._workers = {name: each for name, each in self._workers.items() if each.poll() is None}
            time.sleep(_POLL / 10)

    def end(self) -> None:
        """End all workers."""
        for process in self._workers.values():
            process.terminate()
        for process in self._workers.values():
            try:
                process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self) -> None:
        name = secrets.token_hex(8)
        orders = replace(self._orders, worker=name)
        # What models print goes to stderr: stdout belongs to the answer of whoever called.
        process = subprocess.Popen(
            [sys.executable, "-c", _WORKER],
            stdin=subprocess.PIPE,
            stdout=2,
            env={**os.environ, **thread_settings(self._n_workers)},
            text=True,
        )
        self._workers[name] = process
        if process.stdin is not None:
            try:
                with process.stdin as pipe:
                    json.dump(asdict(orders), pipe)
            except BrokenPipeError:  # it ended at once, which `clear` will notice
                pass


def _orders(run: Run, ids: list[int], *, is_here: bool) -> Orders:
    # Without a word, scoring takes half of what is free: each of several workers on this machine would.
    memory = (available_memory() or 0) // 2 if run.memory is None and run.n_workers > 1 and is_here else run.memory
    memory = memory // run.n_workers if memory else None
    store = None if run.store is None else str(run.store.absolute())
    name = f"{DRIVER}{secrets.token_hex(8)}"
    return Orders(str(run.folder.absolute()), name, ids, list(run.data), memory, store, os.getpid())


def _say_nothing(job: Job, n_done: int, n_jobs: int) -> None:
    """Report nothing."""
