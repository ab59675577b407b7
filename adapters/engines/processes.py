"""A child process that works for the local engine, seen from the parent."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from .local_worker import GRACE
from .task import Task

__all__ = ["Child", "ending_of"]

# Whatever a model prints goes to stderr, and whatever it reads is empty: the two pipes are for orders and answers.
_START = """
import json, os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
orders, answers = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
start = json.loads(orders.readline())
sys.path[:] = start["paths"]
from adapters.engines.local_worker import main
main(orders, answers, start["parent"])
"""
_ROOT = str(Path(__file__).parents[2])


class Child:
    """One worker, in a process group of its own.

    Parameters
    ----------
    task : Task
        What it is for.
    settings : mapping of str to str
        Environment variables beside those of this process.
    heard : queue.Queue
        Takes the child and each line that it says; None instead of a line when it has said its last.

    Raises
    ------
    OSError
        If no process can be started.
    """

    def __init__(
        self, task: Task, settings: Mapping[str, str], heard: queue.SimpleQueue[tuple[Child, str | None]]
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **settings},
            encoding="utf-8",
            errors="replace",
            process_group=0,  # so that what a model starts can be ended with it, and Ctrl-C comes to the parent only
        )
        self.name = f"{socket.gethostname()}:{self._process.pid}"
        self._heard, self._is_cleared = heard, False
        try:
            threading.Thread(target=self._listen, daemon=True).start()
            # The same folders in the same order: a worker must not find another version of anything.
            start = {"parent": os.getpid(), "paths": [*sys.path, *([_ROOT] if _ROOT not in sys.path else [])]}
            self._send(f"{json.dumps(start)}\n{task.to_json()}\n")
        except BaseException:  # such as Ctrl-C: nobody knows of it yet
            self.bury(0.0)
            raise

    def order(self, shards: Sequence[int]) -> None:
        """Tell it to do shards when it has done those before; that it is dead shows elsewhere."""
        self._send(f"{json.dumps(list(shards))}\n")

    def ending(self) -> str | None:
        """Return how it ended, as words that follow "ended"; None while it lives."""
        status = self._process.poll()
        if status is None:
            return None
        if not self._is_cleared:
            self._is_cleared = True
            self._signal(signal.SIGKILL)  # what the model has started, such as processes that load data
        return ending_of(status)

    def dismiss(self) -> None:
        """Tell it that nothing more comes."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def terminate(self) -> None:
        """Tell it to stop what it is doing."""
        self._signal(signal.SIGTERM)

    def bury(self, wait: float = GRACE) -> str:
        """Wait for its end, and make sure of it and of that of everything that it has started; return how it ended.

        Parameters
        ----------
        wait : float
            Seconds that it has to end by itself.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(wait)
        if self._process.returncode is None:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self.dismiss()
        return self.ending() or ""

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _send(self, lines: str) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(lines)
                self._process.stdin.flush()

    def _listen(self) -> None:
        if self._process.stdout is not None:
            with self._process.stdout as lines:
                for line in lines:
                    self._heard.put((self, line))
        self._heard.put((self, None))


def ending_of(status: int) -> str:
    """Return how a process ended, in words that follow "ended".

    Parameters
    ----------
    status : int
        Its exit status; the negative number of a signal if one ended it.

    Examples
    --------
    >>> ending_of(-9)
    'by SIGKILL (memory may have run out)'
    >>> ending_of(3)
    'with exit status 3'
    """
    if status >= 0:
        return f"with exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"by {name}" + (" (memory may have run out)" if name == "SIGKILL" else "")
