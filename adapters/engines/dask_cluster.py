"""A Dask cluster of processes on this machine, for one run: workers that die are replaced, and it is known how."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .processes import ending_of
from .resources import thread_settings
from .task import EngineError
from .working import WORKER_VARIABLE

__all__ = ["Crew", "started_cluster"]

MOST_DEATHS = 3
"""Deaths after which it is not tried again."""

_LATE = 1.0  # seconds that the last words of a worker may need
_AFTERMATH = 5.0  # seconds


# What a model prints goes to stderr, as in other engines; and a worker must not find another version of anything.
_START = """
import json, os, sys
os.dup2(2, 1)
sys.path[:] = json.loads(sys.argv[1])
from adapters.engines.dask_worker import main
main(*sys.argv[2:5], int(sys.argv[5]))
"""
_ROOT = str(Path(__file__).parents[2])


@dataclass
class _Process:
    name: str
    popen: subprocess.Popen[bytes]
    ended: float = 0.0

    def how(self) -> str:
        """Return how it ended, in words that follow "ended"."""
        status = self.popen.poll()
        return "in a way that nobody saw" if status is None else ending_of(status)


@dataclass
class Crew:
    """The worker processes of a cluster.

    Parameters
    ----------
    address : str
        Of the scheduler.
    n_workers : int
        How many there are to be.
    settings : sequence of mapping of str to str
        Environment variables, taken by the workers in turn.
    folder : pathlib.Path
        For what they write down.
    """

    address: str
    n_workers: int
    settings: Sequence[dict[str, str]]
    folder: Path
    has_opened: set[str] = field(default_factory=set)
    _processes: dict[int, _Process] = field(default_factory=dict)
    _dead: list[_Process] = field(default_factory=list)
    _n_started: int = 0

    def look_after(self) -> None:
        """Replace those that have died.

        Raises
        ------
        EngineError
            If three in a row died before they had opened the task.
        """
        for place in range(self.n_workers):
            process = self._processes.get(place)
            if process is not None and process.popen.poll() is not None:
                process.ended = time.monotonic()
                self._dead.append(self._processes.pop(place))
                _kill(process)  # what the model has started, such as processes that load data
            if place not in self._processes:
                self._processes[place] = self._started(place)
        heard = [each for each in self._dead if each.ended < time.monotonic() - _LATE][-MOST_DEATHS:]
        if len(heard) == MOST_DEATHS and not any(each.name in self.has_opened for each in heard):
            raise EngineError(
                f"{MOST_DEATHS} Dask workers in a row ended before they could take up anything, the last one "
                f"{heard[-1].how()}. Look at what they printed, and try the model in one process, without engine=."
            )

    def how_ended(self, name: str) -> str:
        """Return how the worker of a name ended, in words that follow "ended"; empty if it is none of these."""
        for process in [*self._dead, *self._processes.values()]:
            if process.name == name:
                with suppress(subprocess.TimeoutExpired):
                    process.popen.wait(5)
                return process.how()
        return ""

    def end(self) -> None:
        """Kill all of them, with all that they have started."""
        processes, self._processes = list(self._processes.values()), {}
        for process in processes:
            _kill(process)
        for process in processes:
            process.popen.wait()

    def _started(self, place: int) -> _Process:
        name = f"brain-adapters-{self._n_started}"
        self._n_started += 1
        paths = json.dumps([*sys.path, *([_ROOT] if _ROOT not in sys.path else [])])
        # Not through Dask's own processes: those run the user's script again, and change the variables of this process.
        popen = subprocess.Popen(
            [sys.executable, "-c", _START, paths, self.address, name, str(self.folder), str(os.getpid())],
            env={**os.environ, **self.settings[place % len(self.settings)], WORKER_VARIABLE: "1"},
            stdin=subprocess.DEVNULL,
            process_group=0,  # so that what a model starts can be ended with it, and Ctrl-C comes to the parent only
        )
        return _Process(name, popen)


def _kill(process: _Process) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.popen.pid, signal.SIGKILL)


@contextmanager
def started_cluster(n_workers: int, gpus: Sequence[str], threads: int | None) -> Iterator[tuple[Any, Crew]]:
    """Start a scheduler in this process and workers beside it; all have gone afterwards.

    Parameters
    ----------
    n_workers : int
        How many.
    gpus : sequence of str
        For ``CUDA_VISIBLE_DEVICES``, taken by the workers in turn; empty to leave it as it is.
    threads : int, optional
        Of linear algebra in each worker; None shares out the cores.

    Yields
    ------
    distributed.Client, Crew
        A client of the cluster, and its workers.
    """
    from distributed import Client, LocalCluster

    shared = dict(thread_settings(n_workers, threads))
    settings = [{**shared, "CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus] or [shared]
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="brain-adapters-dask-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.enter_context(_quiet_about_deaths())
        cluster = stack.enter_context(
            LocalCluster(
                n_workers=0,
                silence_logs=logging.ERROR,
                protocol="tcp://",
                # Each death is heard of, and seen by us; and nothing is shown to others on this network.
                scheduler_kwargs={
                    "allowed_failures": 0,
                    "worker_ttl": 7 * 24 * 3600,
                    "dashboard": False,
                    "dashboard_address": "127.0.0.1:0",
                },
            )
        )
        client = stack.enter_context(Client(cluster, set_as_default=False))
        crew = Crew(cluster.scheduler_address, n_workers, settings, folder)
        stack.callback(_until_nobody_is_there, client)
        stack.callback(crew.end)
        crew.look_after()
        yield client, crew


def _until_nobody_is_there(client: Any) -> None:
    """Wait until the scheduler knows that its workers have gone; else it complains that it cannot say goodbye."""
    start = time.monotonic()
    with suppress(OSError):
        while client.nthreads() and time.monotonic() < start + _LATE:
            time.sleep(0.01)


@contextmanager
def _quiet_about_deaths() -> Iterator[None]:
    """Keep Dask from reporting every worker that has gone: the engine knows, and says what matters."""
    loggers = [logging.getLogger(f"distributed.{name}") for name in ("scheduler", "batched")]

    def is_news(record: logging.LogRecord) -> bool:
        return not any(phrase in record.getMessage() for phrase in ("marked as failed because", "Batched Comm Closed"))

    def hear() -> None:
        for logger in loggers:
            logger.removeFilter(is_news)

    for logger in loggers:
        logger.addFilter(is_news)
    try:
        yield
    finally:
        timer = threading.Timer(_AFTERMATH, hear)  # Dask's thread goes on, and finds closed connections later
        timer.daemon = True
        timer.start()
