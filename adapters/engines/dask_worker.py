"""The side of a Dask worker: keep the model between groups of shards, and say at once what was done."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from .task import Receipt, Task, Work
from .working import Worker, worker_name

__all__ = ["close_run", "do_group", "main"]

_KEPT = "_brain_adapters_kept"
_WATCH = 0.5  # seconds between two looks whether the parent is there
_SAY = 60.0  # seconds that the scheduler may take to hear something
_CLOSE = 30.0  # seconds that closing a model may take


def do_group(task: str, shards: Sequence[int], run: str) -> None:
    """Do shards in a Dask worker, and say the receipt of each under the topic ``run``.

    Parameters
    ----------
    task : str
        What is done, a `Task` as JSON. It stays open in this process until `close_run`, or until another run takes its
        place: two models may not fit into the memory of a GPU.
    shards : sequence of int
        To which shards.
    run : str
        Name of the run that asks.
    """
    from distributed import get_worker

    host = get_worker()
    kept: _Kept = vars(host).setdefault(_KEPT, _Kept())
    with kept.turn:  # a worker may have several threads, the model is one
        if run in kept.ended:
            return
        say = _speaker(host, run)
        say("begun")
        for receipt in kept.opened(Task.from_json(task), run, say).do(shards):
            say("receipt", receipt)
            if run in kept.ended:
                return


async def close_run(run: str, dask_worker: Any = None) -> None:
    """Close what a run has left open in a Dask worker; what it is doing ends after the shard in hand.

    Parameters
    ----------
    run : str
        Name of the run.
    dask_worker : distributed.Worker
        Given by Dask.
    """
    kept: _Kept = vars(dask_worker).setdefault(_KEPT, _Kept())
    kept.ended.add(run)
    await asyncio.wait_for(asyncio.to_thread(kept.close, run), _CLOSE)


@dataclass
class _Kept:
    """What one process keeps open: one task, used by one thread at a time."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    ended: set[str] = field(default_factory=set)
    run: str = ""
    worker: Worker | None = None

    def opened(self, task: Task, run: str, say: Callable[..., None]) -> Worker:
        """Return the worker of a run; to be called by whose turn it is."""
        if self.worker is None or self.run != run:
            self._close()

            @contextmanager
            def opened() -> Iterator[Work]:
                with task.opened() as work:
                    say("opened")
                    yield work

            self.run, self.worker = run, Worker(replace(task, here=opened)).__enter__()
        return self.worker

    def close(self, run: str) -> None:
        """Close what is open for a run."""
        with self.turn:
            if self.run == run:
                self._close()

    def _close(self) -> None:
        worker, self.worker, self.run = self.worker, None, ""
        if worker is not None:
            worker.__exit__(None, None, None)


def _speaker(host: Any, run: str) -> Callable[..., None]:
    """Return what says something, and returns when the scheduler has heard it: whoever dies next has said it."""
    about = {"key": host.get_current_task(), "who": worker_name(), "name": str(host.name), "at": host.address}
    loop = host.loop.asyncio_loop

    def say(what: str, receipt: Receipt | None = None) -> None:
        message = {**about, "said": what, "receipt": "" if receipt is None else receipt.to_json()}
        heard = host.scheduler.log_event(topic=run, msg=message)
        asyncio.run_coroutine_threadsafe(heard, loop).result(_SAY)

    return say


def main(address: str, name: str, folder: str, parent: int) -> None:
    """Be a Dask worker with one thread, until the scheduler has gone.

    Parameters
    ----------
    address : str
        Of the scheduler.
    name : str
        Of this worker.
    folder : str
        In which it makes a folder of its own for what Dask writes down. It is removed when it is empty.
    parent : int
        The process that started it: when that has gone, so does this one.
    """
    from distributed import Worker as DaskWorker

    own = Path(folder) / name

    def leave(status: int) -> NoReturn:
        shutil.rmtree(own, ignore_errors=True)
        with suppress(OSError):  # others are there
            own.parent.rmdir()
        os._exit(status)  # a thread that computes cannot be told to end

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH)
        leave(1)

    async def serve() -> None:
        async with DaskWorker(
            address,
            name=name,
            nthreads=1,
            memory_limit=0,
            host="127.0.0.1",
            dashboard=False,
            dashboard_address="127.0.0.1:0",
            local_directory=str(own),
        ) as worker:
            await worker.finished()

    logging.getLogger("distributed").setLevel(logging.ERROR)
    threading.Thread(target=watch, daemon=True).start()
    asyncio.run(serve())
    leave(0)
