"""Processes that torchrun, mpirun or srun have started: each makes the same call, and does its part in itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from .ranks import rank_and_world
from .task import EngineError, Receipt, Task
from .working import Worker, require_no_worker

__all__ = ["Torchrun"]

_SAYS_WHO = ("RANK", "WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "SLURM_STEP_ID", "SLURM_ARRAY_TASK_ID")


@dataclass(frozen=True)
class Torchrun:
    """The part of the shards that is this process's, in this very process.

    To be used in a script that was started several times, such as by ``torchrun --nproc-per-node 8 script.py``: each
    process makes the same call, with the model that it has. The numbers of the processes are read from the
    environment; nothing of torch is used.

    Parameters
    ----------
    patience : float
        Seconds without progress of any process, for which this one waits for the others' parts. Then it does them
        itself.
    environ : mapping of str to str, optional
        Where the numbers are read; None means `os.environ`.

    Examples
    --------
    >>> Torchrun(patience=60.0).patience
    60.0
    """

    waits_for_others: ClassVar[bool] = True

    patience: float = 600.0
    environ: Mapping[str, str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.patience > 0:
            raise ValueError(f"patience={self.patience} leaves no time for anything. Pass seconds above 0.")

    @property
    def n_workers(self) -> int | None:
        """How many processes there are, as far as the environment says."""
        environ = os.environ if self.environ is None else self.environ
        return rank_and_world(environ)[1] if any(name in environ for name in _SAYS_WHO) else None

    def run(self, task: Task, shards: Sequence[int], workers: int | None = None) -> Iterator[Receipt]:
        """Do this process's part of the shards, and yield their receipts.

        Which shards these are depends on their numbers only: another process, which looked at the store at another
        moment, may have been given others.

        Parameters
        ----------
        task : Task
            What is to be done.
        shards : sequence of int
            To which shards, of all processes.
        workers : int, optional
            How many processes there are, if anything.

        Raises
        ------
        EngineError
            If the environment does not say which of how many processes this is, or this process is itself a worker.
        ValueError
            If ``workers`` is another number than that of the processes.
        """
        require_no_worker()
        environ = os.environ if self.environ is None else self.environ
        if not any(name in environ for name in _SAYS_WHO):
            raise EngineError(
                "engine='torchrun' was used in a process that does not know which of several it is: neither RANK and "
                "WORLD_SIZE nor the variables of mpirun or srun are set. Start the script with: torchrun "
                "--nproc-per-node 8 script.py; or use engine='local', which starts processes by itself."
            )
        rank, world = rank_and_world(environ)
        if workers is not None and workers != world:
            raise ValueError(
                f"workers={workers} was given to one of {world} processes that were started. Leave workers= out, or "
                f"start {workers}, such as with torchrun --nproc-per-node {workers}."
            )
        return _receipts(task, [shard for shard in shards if shard % world == rank])


def _receipts(task: Task, shards: Sequence[int]) -> Iterator[Receipt]:
    with Worker(task) as worker:
        for start in range(0, len(shards), max(1, task.group)):
            yield from worker.do(shards[start : start + max(1, task.group)])
