"""Several processes that make, fill and complete the same entry at the same time, with and without leases.

Run in a process of its own (``python -m tests.store.process_runs FOLDER N_PROCESSES N_ROUNDS``).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from pathlib import Path
from typing import Any

from adapters.store import ActivationStore, Entry, verify

from .small import LAYERS, chunk_files, expected_chunks, open_entry, values_of, write_missing


def write_with_leases(entry: Entry, chance: random.Random) -> int:
    """Compute shards that nobody else is at; return how many."""
    n_computed = 0
    with entry.lease() as lease, entry.writer(threads=1) as writer:
        while missing := entry.missing(LAYERS):
            for shard in chance.sample(list(missing), len(missing)):
                if not lease.take(shard):
                    continue
                if entry.missing(LAYERS).get(shard):
                    writer.begin(shard, LAYERS)
                    rows = range(entry.n_rows)[entry.rows_of(shard)]
                    writer.append({layer.requested: values_of(layer, rows) for layer in LAYERS})
                    writer.finish()
                    writer.flush()
                    n_computed += 1
                lease.give_back(shard)
    return n_computed


def work(folder: Path, seed: int, with_leases: bool, start: int) -> int:
    """Be one of the processes; return how many shards it computed."""
    chance = random.Random(seed)
    os.read(start, 1)  # all begin together
    entry = open_entry(ActivationStore(folder))
    if with_leases:
        return write_with_leases(entry, chance)
    return write_missing(entry, order=lambda shards: chance.sample(shards, len(shards)), threads=1)


def together(folder: Path, n_processes: int, with_leases: bool) -> tuple[int, int]:
    """Let processes loose on one entry; return how many shards were computed, and how many processes failed."""
    start, begin = os.pipe()
    done, tell = os.pipe()
    processes = []
    for seed in range(n_processes):
        process = os.fork()
        if not process:
            status = 1
            try:
                os.write(tell, bytes([work(folder, seed, with_leases, start)]))
                status = 0
            finally:
                os._exit(status)
        processes.append(process)
    os.write(begin, b"x" * n_processes)
    n_failed = sum(os.waitpid(process, 0)[1] != 0 for process in processes)
    os.close(tell)
    computed = os.read(done, n_processes)
    for descriptor in (start, begin, done):
        os.close(descriptor)
    return sum(computed), n_failed


def rounds(folder: Path, n_processes: int, n_rounds: int) -> dict[str, Any]:
    """Repeat with new entries; tell what was computed beyond what was needed, and what was wrong."""
    expected = expected_chunks(folder)
    found: dict[str, Any] = {"failed": 0, "wrong": 0, "without leases": 0, "with leases": 0, "needed": 0}
    for with_leases in (False, True):
        for _ in range(n_rounds):
            place = folder / "round"
            n_computed, n_failed = together(place, n_processes, with_leases)
            (entry,) = ActivationStore(place).entries()
            is_wrong = entry.missing(LAYERS) or chunk_files(entry) != expected or verify(entry)
            is_wrong = is_wrong or not (entry.path / "COMPLETE.json").exists() or list(place.glob("v1/**/temporary/*"))
            found["failed"] += n_failed
            found["wrong"] += bool(is_wrong)
            found["with leases" if with_leases else "without leases"] += n_computed
            found["needed"] += entry.n_shards * with_leases
            shutil.rmtree(place)
    return found


if __name__ == "__main__":
    print(json.dumps(rounds(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
