"""An engine under test, and what is looked at from outside: receipts, processes, and the time."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.engines import Engine, Receipt, Task

from .toy_tasks import events, processes, toy_task


@dataclass(frozen=True)
class Candidate:
    """An engine under test.

    Parameters
    ----------
    make : callable
        Returns the engine, given its patience in seconds.
    script : str
        Lines that set ``engine`` in a script of its own, for the check that kills the script.
    limit : float
        Seconds within which any single run must end.
    ends_processes : bool
        Whether no process that did shards lives on after a run; a cluster that was there before may stay.
    gone_within : float
        Seconds after which no shard is worked at when the driver was killed.
    """

    make: Callable[[float], Engine]
    script: str = ""
    limit: float = 60.0
    ends_processes: bool = True
    gone_within: float = 15.0

    def run(self, task: Task, shards: Sequence[int], *, patience: float = 30.0, workers: int = 2) -> list[Receipt]:
        """Return all receipts of a run."""
        with time_limit(self.limit):
            return list(self.make(patience).run(task, shards, workers))


def enough_patience(candidate: Candidate, folder: Path) -> float:
    """Return seconds within which workers surely start, on a machine as busy as this one is now."""
    start = time.monotonic()
    candidate.run(toy_task(folder), range(2))
    return max(3.0, 4 * (time.monotonic() - start))


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End a block with `TimeoutError` when it takes longer; in the main thread."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"did not end within {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"did not come about within {seconds} s")
        time.sleep(0.02)


def is_alive(process: int) -> bool:
    """Return whether a process is there, and not only waits to be buried."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def process_at_work(folder: Path) -> int:
    """Return a process that has begun a shard and not ended it."""
    found: list[int] = []

    def look() -> bool:
        begun = {each["process"]: each["event"] for each in events(folder) if each["event"] in ("begun", "done")}
        found[:] = [process for process, event in begun.items() if event == "begun" and is_alive(process)]
        return bool(found)

    wait_for(look, 10.0)
    return found[0]


def require_no_process(candidate: Candidate, folder: Path) -> None:
    if candidate.ends_processes:
        wait_for(lambda: not any(map(is_alive, processes(folder))), 10.0)


def require_final(receipts: Sequence[Receipt], shards: Collection[int]) -> list[Receipt]:
    """Return the failures, which must be final and those of these shards."""
    failures = [each for each in receipts if each.error]
    assert sorted(each.shard for each in failures) == sorted(shards)
    assert all(each.is_final for each in failures)
    return failures
