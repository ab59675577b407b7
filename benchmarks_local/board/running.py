"""Score many models on many benchmarks in several processes; what was interrupted is taken up again."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path

from adapters.memory import available_memory

from ..data import list_datasets, load_dataset
from .errors import JobError
from .jobs import Job, JobTable
from .working import Orders

__all__ = ["Run", "content_of", "run_jobs"]

_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
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
        How many processes.
    data : tuple of str
        Folders of datasets.
    memory : int or None
        The most bytes that all workers together may take.
    store : pathlib.Path or None
        Where activations are kept between scorings.
    force : bool
        Whether to do again what is done.
    report : callable
        Is told of each job that was done or failed, and how many of all are.
    """

    folder: Path
    n_workers: int = 1
    data: tuple[str, ...] = ()
    memory: int | None = None
    store: Path | None = None
    force: bool = False
    report: Callable[[Job, int, int], None] = field(default_factory=lambda: _say_nothing)


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
        When workers cannot start.
    """
    table = JobTable(run.folder)
    ids = table.add(jobs, force=run.force)
    crew = _Crew(run, table, list(dict.fromkeys(ids)))
    told = {job.id for job in table.jobs(ids) if job.state in ("done", "failed")}
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
            crew.fill_up(sum(job.state == "waiting" for job in now))
            time.sleep(_POLL)
    finally:
        crew.end()
        table.free_abandoned()


def content_of(place: str, benchmark: str) -> str:
    """Return a digest of what a score depends on and a user may change: the file or module of models, and the dataset.

    What that imports, and files of weights, are not looked at.

    Parameters
    ----------
    place : str
        File or module that registers the model.
    benchmark : str
        Identifier; generated and public benchmarks do not change.

    Raises
    ------
    DatasetError
        When the dataset is there and cannot be used.
    """
    source, folder = _source_of(place), list_datasets().get(benchmark.rpartition(".")[0])
    parts = [source.read_bytes() if source is not None and source.is_file() else b""]
    parts.append(b"" if place.endswith(".py") else place.encode())  # a file may be moved, a module not renamed
    parts.append(b"" if folder is None else load_dataset(folder).digest.encode())
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _source_of(place: str) -> Path | None:
    if place.endswith(".py"):
        return Path(place)
    spec = find_spec(place) if place else None
    return None if spec is None or spec.origin is None else Path(spec.origin)


class _Crew:
    """The workers of a run."""

    def __init__(self, run: Run, table: JobTable, ids: list[int]) -> None:
        self.ids = ids
        self._run, self._table = run, table
        self._workers: dict[str, subprocess.Popen[str]] = {}

    def clear(self) -> None:
        """Let the jobs of workers that have gone wait again."""
        gone = {name: process.poll() for name, process in self._workers.items() if process.poll() is not None}
        for name, status in gone.items():
            if status and not self._table.has_taken(name):
                raise JobError(
                    f"A process that was to score ended {_ending(status)} before it took a job. Its own output, above, "
                    "tells why."
                )
        for name in gone:
            del self._workers[name]
        endings = {name: _ending(status) for name, status in gone.items() if status is not None}
        self._table.free_abandoned(endings, but=self._workers.keys())  # one that dies now tells its ending next time

    def fill_up(self, n_waiting: int) -> None:
        """Start workers while there are jobs for them."""
        n_idle = sum(not self._table.has_taken(name) for name in self._workers)
        while len(self._workers) < self._run.n_workers and n_idle < n_waiting:
            self._start()
            n_idle += 1

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
        run, name = self._run, secrets.token_hex(8)
        # Without a word, scoring takes half of what is free: each of several workers would.
        memory = (available_memory() or 0) // 2 if run.memory is None and run.n_workers > 1 else run.memory
        memory = memory // run.n_workers if memory else None
        store = None if run.store is None else str(run.store.absolute())
        orders = Orders(str(run.folder.absolute()), name, self.ids, list(run.data), memory, store, os.getpid())
        # What models print goes to stderr: stdout belongs to the answer of whoever called.
        process = subprocess.Popen(
            [sys.executable, "-c", _WORKER],
            stdin=subprocess.PIPE,
            stdout=2,
            env={**os.environ, **_pinned(run.n_workers)},
            text=True,
        )
        self._workers[name] = process
        if process.stdin is not None:
            try:
                with process.stdin as pipe:
                    json.dump(asdict(orders), pipe)
            except BrokenPipeError:  # it ended at once, which `clear` will notice
                pass


def _pinned(n_workers: int) -> dict[str, str]:
    """Share the cores out, so that linear algebra does not start a thread per core in every process."""
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {name: os.environ.get(name, str(max(1, n_cores // n_workers))) for name in _THREADS}


def _ending(status: int) -> str:
    if status >= 0:
        return f"with exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"by {name}"


def _say_nothing(job: Job, n_done: int, n_jobs: int) -> None:
    """Report nothing."""
