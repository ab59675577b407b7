"""Workers as elements of a Slurm job array: each does its part, and says so in a file that is followed here."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from .slurm_jobs import script_of
from .slurm_run import SlurmRun
from .spooling import write_order
from .task import EngineError, Receipt, Task
from .working import require_no_worker

__all__ = ["Slurm"]

_WORKERS = 4


class Slurm:
    """Workers as elements of a Slurm job array.

    Which element does which shards is said once, when the job is submitted: nobody relieves a slow one. A job goes on
    when the process that submitted it is killed; Ctrl-C cancels it. Slurm's accounting is not needed.

    Parameters
    ----------
    options : mapping of str to object, optional
        Of sbatch, by their long names: ``{"partition": "gpu", "gres": "gpu:1", "time": "4:00:00"}``. True stands for
        an option without a value, False leaves out one that is otherwise set (``requeue``).
    setup : str
        Lines of bash before the worker starts: ``"module load cuda"``. The first that fails ends the job.
    python : str, optional
        Path of the interpreter on the nodes; by default the one that runs this.
    patience : float
        Seconds without a word from an element that runs, after which it is cancelled; what it was at fails, and the
        rest is given to a new job. The time that it waits in the queue does not count.
    poll : float
        Seconds between two questions to Slurm. Receipts are looked for each second at least.

    Raises
    ------
    ValueError
        If ``patience`` or ``poll`` is not above 0.

    Examples
    --------
    >>> engine = Slurm(options={"partition": "gpu", "gres": "gpu:1"}, setup="module load cuda")
    >>> engine.poll
    10.0
    """

    def __init__(
        self,
        *,
        options: Mapping[str, object] | None = None,
        setup: str = "",
        python: str | None = None,
        patience: float = 600.0,
        poll: float = 10.0,
    ) -> None:
        for name, seconds in (("patience", patience), ("poll", poll)):
            if not seconds > 0:
                raise ValueError(f"{name}={seconds} leaves no time for anything. Pass seconds above 0.")
        self.options, self.setup, self.python = dict(options or {}), setup, python or sys.executable
        self.patience, self.poll = patience, poll

    def write(self, task: Task, shards: Sequence[int], workers: int | None) -> Path:
        """Write the script and what its workers read, to a new folder inside of the task's.

        Parameters
        ----------
        task : Task
            What is to be done.
        shards : sequence of int
            To which shards.
        workers : int, optional
            Elements of the array; None means 4, and there are never more than shards.

        Returns
        -------
        Path
            Of the script, for sbatch. Beside it is ``task.json``, which any other batch system can give to
            ``python -m adapters.engines task.json --rank 0 --of 4``.

        Raises
        ------
        EngineError
            If the task names no folder, or an option cannot be written.
        ValueError
            If ``workers`` is below 1.
        """
        if not task.folder:
            raise EngineError(f"Task {task.label!r} names no folder that all nodes see. Give it one: Task(folder=...).")
        name = f"slurm-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        folder = Path(task.folder).absolute() / name
        order, script = folder / "task.json", folder / "job.sh"
        text = script_of(
            script,
            order,
            _n_elements(shards, workers),
            title=task.label,
            options=self.options,
            setup=self.setup,
            python=self.python,
        )
        folder.mkdir(parents=True)
        write_order(order, task, shards)
        script.write_text(text, "utf-8")
        script.chmod(0o755)
        return script

    def script(self, task: Task, shards: Sequence[int], workers: int | None) -> str:
        """Return the script that `write` writes; its second line says how to submit it.

        Parameters
        ----------
        task : Task
            What is to be done.
        shards : sequence of int
            To which shards.
        workers : int, optional
            Elements of the array; None means 4, and there are never more than shards.
        """
        return self.write(task, shards, workers).read_text("utf-8")

    def run(self, task: Task, shards: Sequence[int], workers: int | None) -> Iterator[Receipt]:
        """Have an array do shards, and yield receipts as they come; see `Engine.run`.

        The shards of an element that died are given to a new job. Elements that somebody cancelled are not replaced.
        Closing the iterator cancels all jobs.

        Parameters
        ----------
        task : Task
            What is to be done.
        shards : sequence of int
            To which shards.
        workers : int, optional
            Elements of the array; None means 4, and there are never more than shards.

        Raises
        ------
        EngineError
            If Slurm cannot be reached or refuses, if elements end three times without having done anything, if
            somebody cancelled all of them, or if they are held.
        ValueError
            If ``workers`` is below 1.
        """
        require_no_worker()
        n_elements = _n_elements(shards, workers)
        write = partial(self.write, task)
        run = SlurmRun(task.label, write, self.patience, self.poll, task.seconds_silent)
        return run.receipts(shards, n_elements)


def _n_elements(shards: Sequence[int], workers: int | None) -> int:
    if workers is not None and workers < 1:
        raise ValueError(f"workers={workers} is no size of an array. Pass 1 or more, or None for {_WORKERS}.")
    return max(1, min(workers or _WORKERS, len(set(shards))))
