"""A few threads that do tasks in order, with a bound on the bytes that wait."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Lane", "Lanes"]


@dataclass(frozen=True)
class _Task:
    run: Callable[[], None]
    n_bytes: int


class Lane:
    """One thread and its tasks."""

    def __init__(self, lanes: Lanes, number: int) -> None:
        self.n_bytes_expected = 0
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._lanes = lanes
        self._thread = threading.Thread(target=self._work, name=f"store-writer-{number}", daemon=True)
        self._is_started = False

    def put(self, run: Callable[[], None], n_bytes: int = 0) -> None:
        """Queue a task that holds so many bytes; the caller has asked `Lanes.wait_for_room`."""
        self._lanes.changed(1, n_bytes)
        self._tasks.put(_Task(run, n_bytes))
        if not self._is_started:
            self._is_started = True
            self._thread.start()

    def stop(self) -> None:
        """Let the thread end after the tasks that it has."""
        if self._is_started:
            self._tasks.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                if self._lanes.error is None:
                    task.run()
            except BaseException as error:  # whatever it is, the thread that waits shall hear of it
                self._lanes.fail(error)
            n_bytes, task = task.n_bytes, None  # the array goes before the room is given to another
            self._lanes.changed(-1, -n_bytes)


class Lanes:
    """Several threads with one bound.

    Parameters
    ----------
    n_threads : int
        How many.
    max_bytes : int
        Bytes that may wait; a larger single task is let through when nothing waits.
    """

    def __init__(self, n_threads: int, max_bytes: int) -> None:
        self.error: BaseException | None = None
        self.n_threads = n_threads
        self._max_bytes = max_bytes
        self._n_tasks = self._n_bytes = 0
        self._condition = threading.Condition()
        self._lanes = [Lane(self, number) for number in range(n_threads)]

    def least_used(self, n_bytes: int) -> Lane:
        """Choose the lane that got least so far, and expect so many bytes more there."""
        lane = min(self._lanes, key=lambda each: each.n_bytes_expected)
        lane.n_bytes_expected += n_bytes
        return lane

    def wait_for_room(self, n_bytes: int) -> None:
        """Wait until so many bytes may be queued; raise what went wrong in a thread."""
        with self._condition:
            self._condition.wait_for(
                lambda: self.error is not None or not self._n_bytes or self._n_bytes + n_bytes <= self._max_bytes
            )
        self.raise_error()

    def wait(self) -> None:
        """Wait until nothing is queued or in work."""
        with self._condition:
            self._condition.wait_for(lambda: not self._n_tasks)

    def raise_error(self) -> None:
        """Raise what went wrong first, if anything did."""
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        """End all threads after the tasks that they have."""
        for lane in self._lanes:
            lane.stop()

    def fail(self, error: BaseException) -> None:
        """Keep the first error; tasks that wait are dropped from now on."""
        with self._condition:
            self.error = self.error or error
            self._condition.notify_all()

    def changed(self, n_tasks: int, n_bytes: int) -> None:
        """Count tasks and bytes that came or went."""
        with self._condition:
            self._n_tasks += n_tasks
            self._n_bytes += n_bytes
            self._condition.notify_all()
