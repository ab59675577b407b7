"""Jobs as shards of a task: what travels to workers on this machine or others, and what each does there.

The table of jobs stays with the process that drives them. A worker sees the jobs, writes records into the folder of
results, and says in a receipt how each went.
"""

from __future__ import annotations

import functools
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from adapters.engines import Receipt, Task, Work
from adapters.engines.working import failure, worker_name
from adapters.errors import listing
from adapters.fingerprints.libraries import version_of

from ..data import add_dataset, list_datasets
from .contents import content_of
from .errors import JobError
from .jobs import Job
from .stores import is_store
from .working import Orders, outcome

__all__ = ["engine_folder", "scoring", "scoring_task"]

_NUMERICAL = ("brain-adapters", "numpy", "scipy", "scikit-learn")  # what two scores differ by


def scoring_task(jobs: Sequence[Job], orders: Orders, mark: Path) -> Task:
    """Return jobs as a task: each is the shard of its number.

    Parameters
    ----------
    jobs : sequence of Job
        What is to be scored.
    orders : Orders
        Where, and with how much memory.
    mark : pathlib.Path
        A file in the folder of results, by which a worker knows that it sees the same folder.
    """
    folder, datasets = Path(orders.folder), list_datasets()
    names = dict.fromkeys(job.benchmark.rpartition(".")[0] for job in jobs)
    here = [str(datasets[name].absolute()) for name in names if name in datasets]  # found by where we are: they are not
    arguments = {
        "folder": str(folder),
        "mark": str(mark.absolute()),
        "jobs": [asdict(job) for job in jobs],
        "data": [*here, *orders.data],
        "memory": orders.memory,
        "store": orders.store,
        "versions": _versions(),
    }
    return Task(
        f"{__name__}:scoring",
        arguments,
        label="scoring",
        run_id=f"score-{secrets.token_hex(8)}",
        paths=_paths(),
        folder=str(engine_folder(orders)),
    )


def engine_folder(orders: Orders) -> Path:
    """Return where an engine writes down what it has to, and some of them what workers print."""
    return Path(orders.folder) / ".engine" / orders.worker


@contextmanager
def scoring(
    *,
    folder: str,
    mark: str,
    jobs: Sequence[Mapping[str, Any]],
    data: Sequence[str],
    memory: int | None,
    store: str | None,
    versions: Mapping[str, str],
) -> Iterator[Work]:
    """Give the work of a worker that scores; the arguments are those of `scoring_task`.

    Parameters
    ----------
    folder : str
        Where records go.
    mark : str
        A file that lies there.
    jobs : sequence of mapping
        The fields of each `Job`.
    data : sequence of str
        Folders of datasets.
    memory : int or None
        The most bytes that this worker may take.
    store : str or None
        Where activations are kept.
    versions : mapping of str to str
        Of the packages that numbers depend on, where the run was started.

    Raises
    ------
    JobError
        When this is another folder, or there are other versions here.
    DatasetNotFoundError
        When a folder of a dataset is not here.
    """
    if not Path(mark).is_file():
        raise JobError(
            f"{worker_name()} does not see the folder {folder} of the run that it is to score for. Choose one with "
            "--out that lies on a disk of all machines, under the same path."
        )
    here = _versions()
    others = [
        f"{name} {here[name] or 'none'} for {versions[name]}" for name in versions if here[name] != versions[name]
    ]
    if others:
        raise JobError(
            f"{worker_name()} has other versions than the process that started the run: {listing(others)}. Install "
            "the same on all machines, so that scores can be compared."
        )
    for each in data:
        add_dataset(each)
    known = {each["id"]: Job(**each) for each in jobs}
    content = functools.cache(content_of)

    def work(shards: Sequence[int]) -> Iterator[Receipt]:
        for number in shards:
            job = known[number]
            if (
                job.content
                and content(job.place, job.benchmark, job.model if is_store(job.place) else "") != job.content
            ):
                yield failure(number, _other_content(job), is_refusal=True)
                continue
            said = outcome(job, Path(folder), memory, store)
            record, error = said.get("record", ""), said.get("error", "")
            yield Receipt(number, worker_name(), said["seconds"], note=record, error=error, is_final=bool(error))

    yield work


def _versions() -> dict[str, str]:
    return {name: version_of(name) for name in _NUMERICAL}


def _other_content(job: Job) -> JobError:
    return JobError(
        f"What {worker_name()} finds of {job.model} or {job.benchmark} is not what the run was started with: "
        f"{job.place or 'the dataset'} has changed since then, or is another one there. Run the same command again."
    )


def _paths() -> tuple[str, ...]:
    """Return the folders that workers search for the user's modules."""
    return tuple(dict.fromkeys(str(Path(path).absolute()) for path in sys.path))
