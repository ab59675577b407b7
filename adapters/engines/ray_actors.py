"""The Ray engine: actors of a cluster that the user has, or of one on this machine."""

from __future__ import annotations

import math
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .ledger import Ledger
from .ray_crew import Crew
from .ray_session import imported_ray, joined, started
from .ray_worker import RayWorker
from .resources import n_cores, visible_gpus
from .task import Receipt, Task
from .working import require_no_worker

__all__ = ["Ray"]


@dataclass(frozen=True)
class Ray:
    """Shards on the actors of a Ray cluster.

    Each worker is an actor that keeps the model. Receipts come back one by one as a stream; a worker that died, with
    its machine or alone, is replaced wherever there is a place.

    Parameters
    ----------
    address : str
        ``"local"`` starts Ray on this machine, for the time of the run; ``"auto"`` finds the cluster that this machine
        is part of; or its address. A session that is there already (``ray.init`` was called) is used and left as it is.
        Machines of a cluster need the same versions of everything, and see the store under the same path.
    num_gpus : float, optional
        Of each worker. None means 1 if there are any, or the share of one when there are more workers than GPUs.
    num_cpus : float, optional
        Of each worker; Ray lets it have as many threads, unless ``OMP_NUM_THREADS`` is set. None shares out the cores
        of this machine; in a cluster it means 1.
    runtime_env : mapping, optional
        What Ray is to prepare on the machines of workers.
    patience : float
        Seconds without a receipt after which nothing more is expected.
    init : mapping of str to object
        Further arguments of ``ray.init``, such as ``{"log_to_driver": True}`` to see what workers print.

    Raises
    ------
    ValueError
        If a number makes no sense, or the address is one of Ray's client, which cannot stream.

    Examples
    --------
    >>> Ray(address="auto", num_cpus=4).patience
    600.0
    """

    address: str = "local"
    num_gpus: float | None = None
    num_cpus: float | None = None
    runtime_env: Mapping[str, Any] | None = None
    patience: float = 600.0
    init: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.address.startswith("ray://"):
            raise ValueError(
                f"address={self.address!r} is that of Ray's client, which cannot stream. Run this on a machine of the "
                f"cluster with address='auto' (`ray job submit` brings it there)."
            )
        if self.num_gpus is not None and self.num_gpus < 0:
            raise ValueError(f"num_gpus={self.num_gpus} is no number of GPUs. Pass 0 for none, or None.")
        if self.num_cpus is not None and self.num_cpus <= 0:
            raise ValueError(f"num_cpus={self.num_cpus} is no number of CPUs. Pass a number above 0, or None.")
        if not self.patience > 0:
            raise ValueError(f"patience={self.patience} leaves no time for anything. Pass seconds above 0.")

    def run(self, task: Task, shards: Sequence[int], workers: int | None = None) -> Iterator[Receipt]:
        """Have actors do shards, and yield their receipts as they come; see `Engine.run`.

        Parameters
        ----------
        task : Task
            What is to be done.
        shards : sequence of int
            To which shards.
        workers : int, optional
            How many actors. None means one per GPU; without GPUs a quarter of the CPUs, but at least two.

        Raises
        ------
        MissingFrameworkError
            If Ray is not installed.
        ValueError
            If ``workers`` is below 1.
        EngineError
            If this process is itself a worker, Ray does not start or cannot be reached, there is no place for a worker,
            or workers die before they can begin.
        """
        imported_ray()
        require_no_worker()
        if workers is not None and workers < 1:
            raise ValueError(f"workers={workers} is no number of workers. Pass 1 or more, or None for a good number.")
        return self._receipts(task, list(dict.fromkeys(shards)), workers)

    def _receipts(self, task: Task, shards: Sequence[int], workers: int | None) -> Iterator[Receipt]:
        if not shards:
            return
        with self._session(workers, len(shards)) as (n_workers, options):
            crew = _crew(task, shards, n_workers, options)
            try:
                while crew.ledger.n_left:
                    crew.fill_up()
                    yield from crew.listen()
                    if crew.silence > self.patience and task.seconds_silent() > self.patience:
                        yield from crew.give_up()
                        return
                crew.let_go()
            except BaseException as error:
                # Whoever keeps this error would keep what is Ray's, into the next session; see `Crew.end`.
                traceback.clear_frames(error.__traceback__)
                raise
            finally:
                crew.end()

    @contextmanager
    def _session(self, workers: int | None, most: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Have Ray; give the number of workers, and the options of their actors."""
        ray = imported_ray()
        environment = {"runtime_env": dict(self.runtime_env)} if self.runtime_env else {}
        if ray.is_initialized():
            n_workers, options = self._shared(ray, workers, most)
            yield n_workers, {**options, **environment}
        elif self.address != "local":
            with joined(self.address, {**environment, **self.init}):
                yield self._shared(ray, workers, most)
        else:
            n_gpus, n_cpus = len(visible_gpus()), n_cores()
            n_workers = min(workers or self._n_workers(n_gpus, n_cpus), most)
            options = self._options(n_workers, n_gpus, max(1, n_cpus // n_workers))
            with started(n_workers * options["num_cpus"], n_gpus, {**environment, **self.init}):
                yield n_workers, options

    def _shared(self, ray: Any, workers: int | None, most: int) -> tuple[int, dict[str, Any]]:
        """Return number and options of workers in a cluster that others may use as well."""
        found = ray.cluster_resources()
        n_gpus = int(found.get("GPU", 0))
        n_workers = min(workers or self._n_workers(n_gpus, int(found.get("CPU", 1))), most)
        return n_workers, self._options(n_workers, n_gpus, 1)

    def _n_workers(self, n_gpus: int, n_cpus: int) -> int:
        if n_gpus and self.num_gpus != 0:
            return max(1, int(n_gpus / (self.num_gpus or 1)))
        return max(2, n_cpus // 4)

    def _options(self, n_workers: int, n_gpus: int, num_cpus: float) -> dict[str, Any]:
        share = 1 / math.ceil(n_workers / n_gpus) if n_gpus else 0
        return {
            "num_cpus": num_cpus if self.num_cpus is None else self.num_cpus,
            "num_gpus": share if self.num_gpus is None else self.num_gpus,
        }


def _crew(task: Task, shards: Sequence[int], n_workers: int, options: Mapping[str, Any]) -> Crew:
    ray = imported_ray()
    kind = ray.remote(RayWorker)
    # No restarts by Ray: it would try a shard that kills its worker for ever, and nobody would hear of it.
    settings = {"max_restarts": 0, "max_task_retries": 0, **options}
    return Crew(
        ray, lambda: kind.options(**settings).remote(task), task, Ledger(shards, task.group, n_workers), n_workers
    )
