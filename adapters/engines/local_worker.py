"""A worker of the local engine: reads groups of shards line by line, and writes a line for each receipt."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, Any, NoReturn

from .task import Task, Work
from .working import Worker

__all__ = ["GRACE", "OPENED", "main"]

GRACE = 5.0
"""Seconds that a worker has to end by itself when it is told to."""
OPENED = "opened"
"""What a worker says when the task was opened."""

_WATCH = 0.5  # seconds


def main(orders: IO[str], answers: IO[str], parent: int) -> None:
    """Work until there are no more orders.

    Parameters
    ----------
    orders : text file
        The task as one line of JSON, then a list of shards on each line.
    answers : text file
        Takes the line `OPENED`, and then each receipt as a line of JSON.
    parent : int
        The process that ordered it: when that has gone, so does this one.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    task = Task.from_json(orders.readline())

    def say(line: str) -> None:
        answers.write(f"{line}\n")
        answers.flush()

    @contextmanager
    def opened() -> Iterator[Work]:
        with task.opened() as work:
            say(OPENED)
            yield work

    try:
        with Worker(replace(task, here=opened)) as worker:
            for line in orders:
                for receipt in worker.do(json.loads(line)):
                    say(receipt.to_json())
    except BrokenPipeError:  # nobody listens any more
        sys.exit(1)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # an exception would only disturb what frameworks do at exit


def _leave(*_: Any) -> NoReturn:
    """End as an exception does, so that leases are given back and temporary files removed."""
    sys.exit(128 + signal.SIGTERM)


def _watch(parent: int) -> None:
    """End this process when its parent has gone, also while it computes.

    The end of the orders would not tell: a process that the parent forked may hold the other end of the pipe.
    """
    while os.getppid() == parent:
        time.sleep(_WATCH)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os.killpg(0, signal.SIGKILL)  # a worker leads a group of its own
