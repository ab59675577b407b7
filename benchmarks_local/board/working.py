"""A process that takes jobs from the table one by one, scores them, and writes the records."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import registry
from adapters.errors import AdapterError

from ..data import add_dataset
from ..scoring import score
from .files import write_record
from .jobs import Job, JobTable
from .stores import is_store, stored_model

__all__ = ["Orders", "load_place", "main", "outcome", "work"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Orders:
    """What a worker is to do.

    Attributes
    ----------
    folder : str
        Where the table of jobs is, and where records go.
    worker : str
        Its name.
    ids : list of int
        The jobs that it may take.
    data : list of str
        Folders of datasets.
    memory : int or None
        The most bytes that it may take.
    store : str or None
        Where activations are kept between scorings.
    parent : int or None
        The process that ordered it: when that has gone, nothing more is begun.
    """

    folder: str
    worker: str
    ids: list[int]
    data: list[str]
    memory: int | None = None
    store: str | None = None
    parent: int | None = None


def main() -> None:
    """Do what is ordered on stdin, as a JSON object that says what ``Orders`` holds."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    signal.signal(signal.SIGTERM, _leave)
    work(Orders(**json.load(sys.stdin)))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # an exception would only disturb what frameworks do at exit


def work(orders: Orders) -> None:
    """Score until no job is waiting.

    Parameters
    ----------
    orders : Orders
        Which jobs, where.
    """
    table = JobTable(Path(orders.folder))
    with table.lock(orders.worker):
        for folder in orders.data:
            add_dataset(folder)
        while orders.parent in (None, os.getppid()):
            job = table.take(orders.ids, orders.worker)
            if job is None:
                return
            table.finish(job.id, **outcome(job, table.folder, orders.memory, orders.store))


def outcome(job: Job, folder: Path, memory: int | None, store: str | None) -> dict[str, Any]:
    """Score, write the record, and say how it went.

    Parameters
    ----------
    job : Job
        What is to be scored.
    folder : pathlib.Path
        Where the record goes.
    memory : int or None
        The most bytes that it may take.
    store : str or None
        Where activations are kept.

    Returns
    -------
    dict
        ``seconds``, and the ``record``'s name or the ``error``: what ``JobTable.finish`` is told.
    """
    start = time.perf_counter()
    try:
        said = {"record": write_record(_score(job, memory, store), folder).name}
    except Exception as error:
        if not isinstance(error, AdapterError):  # what its author needs; of ours the message is enough
            _log.warning("".join(traceback.format_exception(error)))
        said = {"error": _described(error)}
    return {**said, "seconds": time.perf_counter() - start}


def load_place(place: str) -> None:
    """Import the file or module that registers models, if that was not done yet.

    Parameters
    ----------
    place : str
        Path of a file, dotted name of a module, or nothing for a model of an installed package.
    """
    if not place:
        return
    loaded = {entry.source.registering_file for entry in registry.default_registry.values()}
    if place.endswith(".py") and str(Path(place).absolute()) in loaded:
        return
    registry.load_models_file(place)


def _leave(*_: Any) -> NoReturn:
    """End as an exception does, so that temporary files are removed."""
    sys.exit(128 + signal.SIGTERM)


def _score(job: Job, memory: int | None, store: str | None) -> dict[str, Any]:
    if is_store(job.place):
        model: Any = stored_model(job.place, job.model)
    else:
        load_place(job.place)
        model = job.model
    options: dict[str, Any] = {"parity": job.parity or None, "layers": json.loads(job.layers or "null")}
    found = score(model, job.benchmark, memory=memory, store=store, **options)
    record: dict[str, Any] = found.to_record()
    return {**record, "model": job.model, "benchmark": job.benchmark}  # whose procedure it was, the score itself knows


def _described(error: Exception) -> str:
    """Return the message of an error of ours; of any other also its kind and where it came from."""
    if isinstance(error, AdapterError):
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(frame.filename).name}, line {frame.lineno})"
