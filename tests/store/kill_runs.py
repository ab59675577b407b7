"""Writers of one entry that are killed at random moments and started again, until everything is there.

Run in a process of its own (``python -m tests.store.kill_runs FOLDER N_KILLS N_WRITERS COMPRESSION SEED``).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from adapters.store import ActivationStore, verify

from .small import chunk_files, expected_chunks, open_entry, write_missing


def start_writer(folder: Path, compression: Any, seed: int) -> int:
    """Start a copy of this process that writes what is missing, in an order of its own."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        shuffled = random.Random(seed)
        entry = open_entry(ActivationStore(folder, compression=compression))
        write_missing(entry, order=lambda shards: shuffled.sample(shards, len(shards)))
        status = 0
    finally:
        os._exit(status)


def ended(processes: dict[int, None]) -> list[int]:
    """Take out the writers that ended by themselves; return their exit statuses."""
    statuses = []
    for process in list(processes):
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            del processes[process]
            statuses.append(os.waitstatus_to_exitcode(status))
    return statuses


def run_once(
    folder: Path, n_writers: int, compression: Any, chance: random.Random, usual: float
) -> tuple[int, list[str]]:
    """Bring one entry to its end, with kills; return how many there were, and what was wrong."""
    n_kills, problems = 0, []
    writers = dict.fromkeys(start_writer(folder, compression, chance.random()) for _ in range(n_writers))
    while writers:
        time.sleep(chance.uniform(0, usual))
        problems += [f"a writer ended with {status}" for status in ended(writers) if status]
        if not writers:
            break
        victim = chance.choice(list(writers))
        os.kill(victim, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(victim, 0)[1])
        del writers[victim]
        n_kills += status == -signal.SIGKILL
        if n_kills % 4 == 0:  # others are still at work
            problems += [
                f"after a kill: {each}" for entry in ActivationStore(folder).entries() for each in verify(entry)
            ]
        if n_kills < 20:
            writers[start_writer(folder, compression, chance.random())] = None
    return n_kills, problems


def survive(folder: Path, n_kills: int, n_writers: int, compression: Any, seed: int) -> dict[str, Any]:
    """Repeat with new entries until so many writers were killed."""
    chance, expected = random.Random(seed), expected_chunks(folder, compression=compression)
    start = time.perf_counter()
    for number in range(3):
        os.waitpid(start_writer(folder / f"usual-{number}", compression, number), 0)
    usual = (time.perf_counter() - start) / 3 * 0.45
    n_killed = n_runs = 0
    problems: list[str] = []
    while n_killed < n_kills:
        place = folder / "run"
        n_more, found = run_once(place, n_writers, compression, chance, usual)
        entry = open_entry(ActivationStore(place, compression=compression))
        write_missing(entry)  # where the last writer was killed
        if chunk_files(entry) != expected or verify(entry) or not (entry.path / "COMPLETE.json").exists():
            found.append("other bits than an undisturbed run")
        n_killed, n_runs, problems = n_killed + n_more, n_runs + 1, problems + found
        shutil.rmtree(place)
    return {"kills": n_killed, "runs": n_runs, "problems": problems}


if __name__ == "__main__":
    place, kills, writers, policy, seed = sys.argv[1:]
    print(json.dumps(survive(Path(place), int(kills), int(writers), policy, int(seed))))
