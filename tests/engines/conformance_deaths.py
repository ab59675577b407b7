"""What every engine must do when processes die, for real, by ``kill -9``; see `conformance`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from adapters.engines import EngineError

from .candidate import Candidate, is_alive, process_at_work, require_final, require_no_process, time_limit, wait_for
from .toy_tasks import MOST_ATTEMPTS, events, expected, kept, n_attempts, processes, times_begun, times_done, toy_task

ROOT = Path(__file__).parents[2]


def died_on_opening(candidate: Candidate, folder: Path) -> None:
    """Show that workers that die before they can begin end the run with an error that says how."""
    with pytest.raises(EngineError, match=r"SIGKILL|signal 9"):
        candidate.run(toy_task(folder, dies_on_opening="always"), range(6))
    assert len(processes(folder)) <= 2 * MOST_ATTEMPTS
    require_no_process(candidate, folder)


def died_on_opening_once(candidate: Candidate, folder: Path) -> None:
    """Show that one that dies before it can begin is replaced, or the others do its part."""
    receipts = candidate.run(toy_task(folder, dies_on_opening="first"), range(6))
    assert kept(folder) == expected(range(6))
    assert not any(each.error for each in receipts)


def worker_killed(candidate: Candidate, folder: Path) -> None:
    """Show that after ``kill -9`` of one of two workers all is done, and only what it had in hand is done again."""
    shards, group = range(24), 2
    killed = []
    with time_limit(candidate.limit):
        for n, _ in enumerate(candidate.make(30.0).run(toy_task(folder, seconds=0.1, group=group), shards, 2)):
            if n >= 4 and not killed:
                killed.append(process_at_work(folder))
                os.kill(killed[0], signal.SIGKILL)
    assert killed
    assert kept(folder) == expected(shards)
    done = times_done(folder)
    assert sum(done.values()) - len(shards) <= group
    assert sum(times_begun(folder).values()) - len(shards) <= group
    last = [each for each in events(folder) if each["process"] == killed[0]][-1]
    assert last["event"] != "closed"
    require_no_process(candidate, folder)


def poison(candidate: Candidate, folder: Path) -> None:
    """Show that a shard that ends its worker each time fails finally after three attempts, once is forgiven."""
    receipts = candidate.run(toy_task(folder, poison=[5], dies_once=[8], group=2), range(12))
    assert kept(folder) == expected(set(range(12)) - {5})
    assert 1 <= n_attempts(folder, 5) <= MOST_ATTEMPTS
    assert times_begun(folder)[8] == 2
    require_final(receipts, [5])


def poison_nobody_counts(candidate: Candidate, folder: Path) -> None:
    """Show the same when the task does not count: the engine does, and says how the workers ended."""
    receipts = candidate.run(toy_task(folder, uncounted_poison=[2], group=2), range(8))
    assert kept(folder) == expected(set(range(8)) - {2})
    assert n_attempts(folder, 2) <= MOST_ATTEMPTS
    for failure in require_final(receipts, [2]):
        assert failure.kind == "WorkerDiedError"
        assert "3 times" in failure.error


def closing(candidate: Candidate, folder: Path) -> None:
    """Show that closing the iterator ends all work; what was done stays, and is not done again."""
    task, shards = toy_task(folder, seconds=0.2), range(16)
    with time_limit(candidate.limit):
        receipts: Any = candidate.make(30.0).run(task, shards, 2)
        first = [next(receipts).shard for _ in range(3)]
        receipts.close()
    require_no_process(candidate, folder)
    n_begun = sum(times_begun(folder).values())
    there = kept(folder)
    assert set(first) <= set(there)
    assert len(there) < len(shards)
    time.sleep(1.0)  # in which shards would be begun
    assert sum(times_begun(folder).values()) == n_begun
    candidate.run(task, shards)
    assert kept(folder) == expected(shards)
    assert all(times_done(folder)[shard] == 1 for shard in there)


def driver_killed(candidate: Candidate, folder: Path) -> None:
    """Show that after ``kill -9`` of whoever started the run nobody works any more, and the next run does the rest."""
    folder, shards = folder / "toy", range(40)
    script = folder.parent / "driver.py"
    task = toy_task(folder, seconds=0.3, hangs_once=[1])  # one worker computes for ever, and must notice all the same
    script.write_text(
        f"from adapters.engines import Task\n{candidate.script}\n"
        f"for receipt in engine.run(Task.from_json({task.to_json()!r}), range({len(shards)}), 2):\n    pass\n"
    )
    with time_limit(2 * candidate.limit):
        driver = subprocess.Popen([sys.executable, script], cwd=ROOT, start_new_session=True)
        try:
            wait_for(lambda: len(kept(folder)) >= 3 or driver.poll() is not None, candidate.limit)
        finally:
            driver.kill()
            driver.wait()
        there, workers = kept(folder), processes(folder)
        assert 3 <= len(there) < len(shards)
        try:
            wait_for(lambda: not any(map(is_alive, workers)), candidate.gone_within)
        finally:
            for worker in filter(is_alive, workers):
                os.kill(worker, signal.SIGKILL)
        there = kept(folder)
        assert len(there) < len(shards)
        candidate.run(task, [shard for shard in shards if shard not in there])
    assert kept(folder) == expected(shards)
    assert all(times_done(folder)[shard] == 1 for shard in there)
