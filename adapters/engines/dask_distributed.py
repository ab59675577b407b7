"""The Dask engine: a cluster that the user has, or one of processes on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from ..errors import MissingFrameworkError
from .dask_cluster import Crew, started_cluster
from .dask_run import DaskRun
from .resources import n_cores, visible_gpus
from .task import EngineError, Receipt, Task
from .working import require_no_worker

__all__ = ["Dask"]


@dataclass(frozen=True)
class Dask:
    """Shards on the workers of a Dask cluster.

    A worker does one group of shards at a time, whatever number of threads it has, and keeps the model between groups.
    Towards the end no group is bound to a worker before it has time, and shards of slow workers go to others as well.
    Processes on this machine are started by command line, so that a script needs no ``if __name__ == "__main__":``.

    Parameters
    ----------
    client : distributed.Client, optional
        Of a cluster that is used and left as it is. Its workers need the same versions of everything, and see the
        store under the same path. Those that are there are used: scale an adaptive cluster up before.
    address : str, optional
        In place of a client: where the scheduler is, such as ``"tcp://10.0.0.1:8786"``. With neither, processes are
        started on this machine, and end with the run.
    patience : float
        Seconds without a word from any worker, after which the run ends.
    threads : int, optional
        Threads of linear algebra in each process on this machine. None shares the cores out, unless the environment
        says something. Each of them sees one GPU of those that are visible.

    Raises
    ------
    ValueError
        If both a client and an address are given, or a number makes no sense.
    TypeError
        If the client is none.

    Examples
    --------
    >>> Dask(address="tcp://10.0.0.1:8786").patience
    600.0
    """

    client: Any = None
    address: str | None = None
    patience: float = 600.0
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.client is not None and self.address is not None:
            raise ValueError("Dask got a client and an address. Pass one of them, or neither for processes here.")
        is_client = callable(getattr(self.client, "submit", None)) and not getattr(self.client, "asynchronous", True)
        if self.client is not None and not is_client:
            raise TypeError(
                f"client={self.client!r} is no distributed.Client that waits for what it asks. Pass distributed.Client("
                f"...), made without asynchronous=True; or address=, in place of a cluster object."
            )
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads={self.threads} is no number of threads. Pass 1 or more, or None to share cores.")
        if not self.patience > 0:
            raise ValueError(f"patience={self.patience} leaves no time for anything. Pass seconds above 0.")

    def run(self, task: Task, shards: Sequence[int], workers: int | None = None) -> Iterator[Receipt]:
        """Have Dask workers do shards, and yield their receipts as they come; see `Engine.run`.

        Parameters
        ----------
        task : Task
            What is to be done.
        shards : sequence of int
            To which shards.
        workers : int, optional
            How many; None means all of the user's cluster. Of processes on this machine it means one per GPU; without
            GPUs a quarter of the cores, but at least two.

        Raises
        ------
        MissingFrameworkError
            If Dask is not installed.
        ValueError
            If ``workers`` is below 1.
        EngineError
            If this process is itself a worker, if there is no scheduler at the address, or if workers end before they
            can begin.
        """
        _require_dask()
        require_no_worker()
        if workers is not None and workers < 1:
            raise ValueError(f"workers={workers} is no number of workers. Pass 1 or more, or None for a good number.")
        return self._receipts(task, shards, workers)

    def _receipts(self, task: Task, shards: Sequence[int], workers: int | None) -> Iterator[Receipt]:
        with self._cluster(workers, len(set(shards))) as (client, crew):
            n_workers = workers if crew is None else crew.n_workers
            run = DaskRun(client, crew, task, shards, n_workers, self.patience)
            with closing(run.receipts()) as receipts:
                yield from receipts

    @contextmanager
    def _cluster(self, workers: int | None, most: int) -> Iterator[tuple[Any, Crew | None]]:
        if self.client is not None:
            yield self.client, None
        elif self.address is not None:
            with _connected(self.address) as client:
                yield client, None
        else:
            gpus = visible_gpus()
            n_workers = workers or len(gpus) or max(2, n_cores() // 4)
            with started_cluster(min(n_workers, max(1, most)), gpus, self.threads) as (client, crew):
                yield client, crew


def _require_dask() -> None:
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise MissingFrameworkError(
            f"engine='dask' needs distributed, which could not be imported: {error}. Install it with: "
            f"pip install 'brain-adapters[dask]'"
        ) from error


@contextmanager
def _connected(address: Any) -> Iterator[Any]:
    from distributed import Client

    try:
        client = Client(address, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise EngineError(
            f"No Dask scheduler could be reached at {address!r}: {error}. Start one there with `dask scheduler`, and "
            f"workers with `dask worker {address} --nthreads 1`."
        ) from error
    with client:
        yield client
