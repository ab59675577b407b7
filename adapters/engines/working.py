"""The side of a worker: open a task once, do shards, and turn what goes wrong into receipts."""

from __future__ import annotations

import os
import socket
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from types import TracebackType

from ..errors import AdapterError
from .task import EngineError, Receipt, Task, Work

__all__ = ["WORKER_VARIABLE", "Worker", "failure", "require_no_worker", "worker_name"]

WORKER_VARIABLE = "BRAIN_ADAPTERS_WORKER"
"""Set while a process is a worker."""


def worker_name() -> str:
    """Return host and number of this process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def require_no_worker() -> None:
    """Refuse to start workers from a worker.

    Raises
    ------
    EngineError
        If this process is one: a file that registers models starts a run when it is imported.
    """
    if os.environ.get(WORKER_VARIABLE):
        raise EngineError(
            "A worker of a run was about to start a run of its own: it imports the file that registers its model, and "
            "that file starts one. Put what is not to happen then under: if __name__ == '__main__':"
        )


class Worker:
    """Does shards of one task, in one process; to be used in a ``with`` block.

    Parameters
    ----------
    task : Task
        What is done. It is opened with the first shard, and closed with the block.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._context: AbstractContextManager[Work] | None = None
        self._work: Work | None = None
        self._before: str | None = None

    def do(self, shards: Sequence[int]) -> Iterator[Receipt]:
        """Do shards in order, and yield one receipt for each, also for those that failed."""
        left = list(shards)
        while left:
            start = time.perf_counter()
            try:
                for receipt in self._opened()(tuple(left)):
                    if receipt.shard in left:  # else it is one that was there already
                        left.remove(receipt.shard)
                        yield receipt
                    start = time.perf_counter()
                if left:
                    raise EngineError(f"Task {self._task.label!r} ended without a word on shard {left[0]}.")
            except Exception as error:
                is_refusal = self._work is None
                if left:  # what goes wrong after the last one is said by nobody's receipt
                    yield failure(left.pop(0), error, time.perf_counter() - start, is_refusal=is_refusal)

    def __enter__(self) -> Worker:
        self._before = os.environ.get(WORKER_VARIABLE)
        os.environ[WORKER_VARIABLE] = "1"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            context, self._context, self._work = self._context, None, None
            if context is not None:
                context.__exit__(kind, error, traceback)
        finally:
            if self._before is None:
                os.environ.pop(WORKER_VARIABLE, None)
            else:
                os.environ[WORKER_VARIABLE] = self._before

    def _opened(self) -> Work:
        if self._work is None:
            context = self._task.opened()
            self._work, self._context = context.__enter__(), context
        return self._work


def failure(shard: int, error: Exception, seconds: float = 0.0, *, is_refusal: bool = False) -> Receipt:
    """Return the receipt of a shard that was not done.

    Parameters
    ----------
    shard : int
        Which.
    error : Exception
        Why. One of ours is final, unless it is of the disk: what we wrote stays true, and a disk may be back soon.
    seconds : float
        How long it took.
    is_refusal : bool
        Whether the worker could not even begin.
    """
    is_ours = isinstance(error, AdapterError)
    return Receipt(
        shard,
        worker_name(),
        seconds,
        error=str(error) if is_ours else _described(error),
        kind=type(error).__name__,
        is_final=is_refusal or (is_ours and not isinstance(error, OSError)),
        is_refusal=is_refusal,
    )


def _described(error: Exception) -> str:
    """Return kind, message and place of an error that is not ours."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""  # noqa: PTH119
    return f"{type(error).__name__}: {error}{place}"
