"""The table of jobs: which model is to be scored on which benchmark, and what became of it. SQLite, for many processes.

A job is waiting, running, done or failed. Who runs one holds a lock on a file for as long as it lives, so that the job
of a process that was killed is known to be free again, whatever killed it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import JobError

__all__ = ["DRIVER", "MEMORY_ADVICE", "Job", "JobTable"]

DRIVER = "driver-"
"""How the name of a process begins that takes jobs for workers of an engine: its own end is not theirs."""
MEMORY_ADVICE = "Where memory ran out, give it a smaller --memory, or --jobs 1."
"""What to do about a job that takes its process with it."""

_VERSION = 1
_MAX_DEATHS = 2  # a job that takes its process with it is tried once more, in case that another one took it
_PATIENCE = 60.0  # seconds to wait for another process that writes
_COLUMNS = "id, model, benchmark, parity, place, layers, content, state, error, seconds, record"
_CREATE = """
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY,
    model TEXT NOT NULL, benchmark TEXT NOT NULL, parity TEXT NOT NULL,
    place TEXT NOT NULL, layers TEXT NOT NULL, content TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    worker TEXT NOT NULL DEFAULT '', deaths INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT '',
    seconds REAL NOT NULL DEFAULT 0, record TEXT NOT NULL DEFAULT '', changed REAL NOT NULL DEFAULT 0,
    UNIQUE (model, benchmark, parity)
)
"""


@dataclass(frozen=True)
class Job:
    """A model to be scored on a benchmark.

    Attributes
    ----------
    model, benchmark : str
        Identifiers.
    parity : str
        The release that the numbers are to be equal to; empty for our own defaults.
    place : str
        File or module that registers the model, or folder of a store that holds its activations; empty for a model of
        an installed package.
    layers : str
        JSON list of the layers to choose from; empty for those that the model was registered with.
    content : str
        Digest of the models file and the dataset: a score of another content is out of date.
    state : str
        ``"waiting"``, ``"running"``, ``"done"`` or ``"failed"``.
    error : str
        Why it failed.
    seconds : float
        How long it took.
    record : str
        Name of the file with the score.
    id : int
        Its number in the table; 0 for a job that is not in it yet.
    """

    model: str
    benchmark: str
    parity: str = ""
    place: str = ""
    layers: str = ""
    content: str = ""
    state: str = "waiting"
    error: str = ""
    seconds: float = 0.0
    record: str = ""
    id: int = 0


class JobTable:
    """The jobs of a folder of results, in ``jobs.sqlite``.

    Parameters
    ----------
    folder : pathlib.Path
        It is made when it is not there.

    Raises
    ------
    JobError
        When the file is no table of jobs, or one of another version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "jobs.sqlite"
        self._locks = folder / ".workers"
        self._locks.mkdir(parents=True, exist_ok=True)
        try:
            with self._opened() as connection:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if version not in (0, _VERSION):
                    raise JobError(
                        f"{self._path} is of version {version}, and this brain-adapters reads {_VERSION}. Upgrade it, "
                        "or choose another folder with --out."
                    )
                connection.execute(_CREATE)
                connection.execute(f"PRAGMA user_version = {_VERSION}")
        except sqlite3.DatabaseError as error:
            raise JobError(
                f"{self._path} is no table of jobs ({error}). Delete it and run the command again, which scores "
                "everything anew."
            ) from error

    def add(self, jobs: Sequence[Job], *, force: bool = False) -> list[int]:
        """Put jobs into the table; those that are done, and are still what was asked for, stay done.

        Parameters
        ----------
        jobs : sequence of Job
            What is asked for.
        force : bool
            Whether to do again what is done.

        Returns
        -------
        list of int
            Their numbers, in the same order.
        """
        self.free_abandoned()
        with self._opened() as connection:
            return [self._add(connection, job, force=force) for job in jobs]

    def take(self, ids: Sequence[int], worker: str) -> Job | None:
        """Take the first of these jobs that is waiting; None when there is none.

        Parameters
        ----------
        ids : sequence of int
            Numbers of jobs.
        worker : str
            Who takes it: the name under which it holds ``lock``.
        """
        return next(iter(self.take_all(ids, worker, most=1)), None)

    def take_all(self, ids: Sequence[int], worker: str, most: int | None = None) -> list[Job]:
        """Take those of these jobs that are waiting, at once.

        Parameters
        ----------
        ids : sequence of int
            Numbers of jobs.
        worker : str
            Who takes them: the name under which it holds ``lock``.
        most : int, optional
            How many at most.

        Returns
        -------
        list of Job
            In the order of ``ids``.
        """
        with self._opened() as connection:
            waiting = {number for (number,) in connection.execute("SELECT id FROM jobs WHERE state = 'waiting'")}
            numbers = [number for number in ids if number in waiting][:most]
            connection.executemany(
                "UPDATE jobs SET state = 'running', worker = ?, changed = ? WHERE id = ?",
                [(worker, time.time(), number) for number in numbers],
            )
            found = self._all(connection) if numbers else {}
        return [found[number] for number in numbers]

    def finish(self, number: int, *, record: str = "", error: str = "", seconds: float = 0.0) -> None:
        """Note that a job is done, or that it failed with an error."""
        with self._opened() as connection:
            connection.execute(
                "UPDATE jobs SET state = ?, record = ?, error = ?, seconds = ?, worker = '', changed = ? WHERE id = ?",
                ("failed" if error else "done", record, error, seconds, time.time(), number),
            )

    def jobs(self, ids: Sequence[int]) -> list[Job]:
        """Return jobs as they are now."""
        with self._opened() as connection:
            found = self._all(connection)
        return [found[number] for number in ids]

    def lock(self, worker: str) -> FileLock:
        """Return the lock that a worker holds while it lives."""
        return FileLock(self._locks / f"{worker}.lock")

    def has_taken(self, worker: str) -> bool:
        """Say whether a job is in the hands of a worker."""
        with self._opened() as connection:
            return connection.execute("SELECT 1 FROM jobs WHERE worker = ?", (worker,)).fetchone() is not None

    def free_abandoned(self, endings: Mapping[str, str] | None = None, *, but: Collection[str] = ()) -> None:
        """Let jobs of processes that live no more wait again; one that ended two processes that scored has failed.

        Parameters
        ----------
        endings : mapping of str to str, optional
            What is known of how a worker ended.
        but : collection of str
            Workers to leave alone: those that were alive when their owner looked at them.
        """
        with self._opened() as connection:
            running = connection.execute("SELECT id, worker, deaths FROM jobs WHERE state = 'running'").fetchall()
            gone = {worker for worker in {each[1] for each in running} - set(but) if not self._lives(worker)}
            for number, worker, deaths in (each for each in running if each[1] in gone):
                ending = (endings or {}).get(worker, "for a reason that is not known")
                deaths += not worker.startswith(DRIVER)
                state = "failed" if deaths >= _MAX_DEATHS else "waiting"
                error = f"The process that scored it ended {_MAX_DEATHS} times, the last time {ending}. {MEMORY_ADVICE}"
                connection.execute(
                    "UPDATE jobs SET state = ?, error = ?, worker = '', deaths = ?, changed = ? WHERE id = ?",
                    (state, error if state == "failed" else "", deaths, time.time(), number),
                )

    def _add(self, connection: sqlite3.Connection, job: Job, *, force: bool) -> int:
        key = (job.model, job.benchmark, job.parity)
        asked = (job.place, job.layers, job.content)
        connection.execute(
            "INSERT INTO jobs (model, benchmark, parity, place, layers, content) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            (*key, *asked),
        )
        number, *before, state, record = connection.execute(
            "SELECT id, layers, content, state, record FROM jobs WHERE model = ? AND benchmark = ? AND parity = ?",
            key,
        ).fetchone()
        is_done = state == "done" and tuple(before) == asked[1:] and (self.folder / record).is_file()
        if state != "running" and (force or not is_done):
            connection.execute(
                "UPDATE jobs SET place = ?, layers = ?, content = ?, state = 'waiting', error = '', deaths = 0 "
                "WHERE id = ?",
                (*asked, number),
            )
        return int(number)

    def _lives(self, worker: str) -> bool:
        lock = self.lock(worker)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)
        return False

    def _all(self, connection: sqlite3.Connection) -> dict[int, Job]:
        names = _COLUMNS.split(", ")
        rows = connection.execute(f"SELECT {_COLUMNS} FROM jobs")
        return {row[0]: Job(**dict(zip(names, row, strict=True))) for row in rows}

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Open the table for a block that is written whole or not at all, with nobody else in between."""
        with closing(sqlite3.connect(self._path, timeout=_PATIENCE, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                if connection.in_transaction:  # SQLite has ended it itself where the disk is full
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
