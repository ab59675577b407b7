"""A fault at every call of the operating system in a small run, one run for each, then resumed.

Run in a process of its own (``python -m tests.store.faulty_runs FOLDER LAYOUT FAULTS``), whose copies can be killed
cheaply.
"""

from __future__ import annotations

import collections
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from adapters.errors import AdapterError
from adapters.store import ActivationStore, StoreWriteError, verify

from .faults import FAULTS, FaultyFiles
from .small import CONV, DOUBLE, HALF, assert_holds, chunk_files, open_entry, write_missing

N_ROWS = 6  # two shards, the second not full
LAYOUTS: dict[str, Any] = {"plain": "none", "compressed": "zstd", "measured": "auto"}


def run(folder: Path, files: FaultyFiles, compression: Any) -> None:
    """Write two layers, then a third: all that a store does to a disk, but for repairs."""
    for layers in ([CONV, HALF], [DOUBLE]):
        entry = open_entry(ActivationStore(folder, compression=compression, files=files), n_rows=N_ROWS)
        write_missing(entry, layers, order=lambda shards: shards[-1:], threads=1)


def in_copy(folder: Path, files: FaultyFiles, compression: Any) -> str:
    """Run in a copy of this process; tell how it ended."""
    process = os.fork()
    if process:
        status = os.waitpid(process, 0)[1]
        return "killed" if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL else "ended"
    try:
        run(folder, files, compression)
    finally:
        os._exit(0)


def here(folder: Path, files: FaultyFiles, compression: Any) -> str:
    """Run in this process; tell what was raised."""
    try:
        run(folder, files, compression)
    except StoreWriteError as error:
        return "refused" if str(folder) in str(error) and "Nothing that was committed is lost" in str(error) else "?"
    except AdapterError as error:
        return f"raised {error!r}"
    except OSError as error:
        return f"raised bare {error!r}"
    return "ended"


def problems_after(folder: Path, expected: dict[str, bytes], compression: Any) -> list[str]:
    """Open the store as the fault left it, resume, and compare with an undisturbed run."""
    store = ActivationStore(folder, compression=compression)
    problems = [f"{entry.key[:6]} {damage}" for entry in store.entries() for damage in verify(entry)]
    entry = open_entry(store, n_rows=N_ROWS)
    kept = {name: data for name, data in chunk_files(entry).items() if entry.commits.find(name)}
    write_missing(entry)
    if compression == "auto":  # what is measured decides how chunks are kept
        problems += [str(damage) for damage in verify(entry)]
        assert_holds(entry)
    else:
        found = chunk_files(entry)
        problems += [
            f"{name} differs" for name in expected.keys() | found.keys() if found.get(name) != expected.get(name)
        ]
        problems += [f"{name} was rewritten" for name, data in kept.items() if found[name] != data]
    if not (entry.path / "COMPLETE.json").exists():
        problems.append("COMPLETE.json is missing")
    return problems


def leftovers(folder: Path) -> list[str]:
    """Return unfinished files; an error, unlike a kill, leaves none."""
    return [path.name for path in folder.glob("v1/**/temporary/*")]


def all_faults(folder: Path, layout: str, *, each: bool) -> dict[str, Any]:
    """Try every fault at every call, or the faults by turns."""
    compression = LAYOUTS[layout]
    counted = FaultyFiles()
    run(folder / "undisturbed", counted, compression)
    entry = open_entry(ActivationStore(folder / "undisturbed", compression=compression), n_rows=N_ROWS)
    write_missing(entry)
    expected = chunk_files(entry)
    outcomes: collections.Counter[str] = collections.Counter()
    problems = []
    for at, call in enumerate(counted.calls):
        possible = FAULTS if call == "write" else FAULTS[:-1]
        for fault in possible if each else [possible[at % len(possible)]]:
            place = folder / f"{at}"
            outcome = (in_copy if fault.startswith("kill") else here)(place, FaultyFiles(at, fault), compression)
            outcomes[f"{fault}: {outcome}"] += 1
            found = problems_after(place, expected, compression)
            if outcome == "refused" and call not in ("remove", "close") and leftovers(place):
                found.append(f"left {leftovers(place)}")
            problems += [f"{fault} at call {at} ({call}): {problem}" for problem in found]
            shutil.rmtree(place)
    return {"calls": dict(collections.Counter(counted.calls)), "outcomes": dict(outcomes), "problems": problems}


if __name__ == "__main__":
    print(json.dumps(all_faults(Path(sys.argv[1]), sys.argv[2], each=sys.argv[3] == "each")))
