"""Tasks that show what a process of the local engine is like, and some with bad manners."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adapters.engines import Receipt, Task, Work
from adapters.engines.working import worker_name


def local_task(name: str, folder: Path, **arguments: Any) -> Task:
    """Return a task of one of the functions here."""
    here = str(Path(__file__).parent)
    return Task(f"local_tasks:{name}", {"folder": str(folder), **arguments}, name, paths=(here,))


@contextmanager
def looking_around(folder: str) -> Iterator[Work]:
    """Say in each receipt where the process is and what it was given."""
    import adapters

    names = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TOY")

    def look() -> str:
        found = {name: os.environ.get(name) for name in names}
        return json.dumps({**found, "adapters": adapters.__file__, "path": sys.path, "stdin": sys.stdin.read()})

    yield _each(look)


@contextmanager
def starting_others(folder: str, escapes: bool) -> Iterator[Work]:
    """Start a process that would live for long and holds what it inherits, note it, and die at the first try."""

    def start() -> str:
        noted = Path(folder, "started")
        if noted.exists():
            return ""
        # Like a fork, and unlike most programs, it keeps every file of its parent.
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        for descriptor in range(3, 64):
            try:
                os.set_inheritable(descriptor, True)
            except OSError:
                continue
        other = subprocess.Popen(command, close_fds=False, start_new_session=escapes)
        noted.write_text(str(other.pid))
        os.kill(os.getpid(), signal.SIGKILL)
        return ""

    yield _each(start)


@contextmanager
def deaf(folder: str) -> Iterator[Work]:
    """Do not listen when told to stop."""
    Path(folder, str(os.getpid())).touch()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def work(shards: Sequence[int]) -> Iterator[Receipt]:
        for shard in shards:
            if shard:
                time.sleep(60)
            yield Receipt(shard, worker_name())

    yield work


@contextmanager
def tidy(folder: str) -> Iterator[Work]:
    """Leave a note when it is closed, also when it is told to stop in the middle."""

    def work(shards: Sequence[int]) -> Iterator[Receipt]:
        for shard in shards:
            if shard:
                Path(folder, "at-work").touch()
                time.sleep(60)
            yield Receipt(shard, worker_name())

    try:
        yield work
    finally:
        Path(folder, "closed").touch()


@contextmanager
def leaving(folder: str, status: int) -> Iterator[Work]:
    """End the process in the way of a script."""
    yield _each(lambda: sys.exit(status))


@contextmanager
def threading_on(folder: str) -> Iterator[Work]:
    """Leave a thread behind that never ends."""
    threading.Thread(target=time.sleep, args=(60,), daemon=False).start()
    yield _each(str)


def _each(note: Callable[[], str]) -> Work:
    def work(shards: Sequence[int]) -> Iterator[Receipt]:
        for shard in shards:
            yield Receipt(shard, worker_name(), note=note())

    return work
