"""The side of a Ray worker: an actor that keeps the model, and streams a receipt for each shard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from .task import Task, Work
from .working import Worker, worker_name

__all__ = ["RayWorker"]


class RayWorker:
    """Does shards of one task, in the process of an actor.

    Parameters
    ----------
    task : Task
        What is done.
    """

    def __init__(self, task: Task) -> None:
        self._task, self._kept = task, ExitStack()
        self._work: Work | None = None
        self._error: Exception | None = None
        self._worker = Worker(replace(task, here=self._here)).__enter__()

    def open(self) -> str:
        """Open the task, and return the name of this worker; why it cannot be opened comes with each shard."""
        try:
            self._work = self._kept.enter_context(self._task.opened())
        except Exception as error:
            self._error = error
        return worker_name()

    def do(self, shards: Sequence[int]) -> Iterator[str]:
        """Do shards in order, and yield the receipt of each as JSON.

        Parameters
        ----------
        shards : sequence of int
            To which shards.
        """
        for receipt in self._worker.do(shards):
            yield receipt.to_json()

    def close(self) -> None:
        """Close the task."""
        try:
            self._kept.close()
        finally:
            self._worker.__exit__(None, None, None)

    @contextmanager
    def _here(self) -> Iterator[Work]:
        if self._error is not None:
            raise self._error
        if self._work is None:
            raise RuntimeError("a Ray worker was given shards before it was opened")
        yield self._work
