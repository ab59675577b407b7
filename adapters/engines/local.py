"""Processes on this machine: one per visible GPU, or a few that share the cores."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .ledger import Ledger
from .local_worker import GRACE, OPENED
from .processes import Child
from .resources import n_cores, thread_settings, visible_gpus
from .task import EngineError, Receipt, Task
from .working import require_no_worker

__all__ = ["Local"]

_POLL = 0.1  # seconds
_MOST_DEATHS = 3
_GPU_VARIABLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Local:
    """Processes on this machine.

    They are started by command line, so that a script needs no ``if __name__ == "__main__":``; they end with the run,
    and when this process dies.

    Parameters
    ----------
    gpus : int or sequence of (int or str), optional
        How many GPUs to use, or which, by the numbers or names that ``CUDA_VISIBLE_DEVICES`` takes; 0 for none. None
        means all that are visible. Each worker sees one; where there are more workers than GPUs, some share one.
    threads : int, optional
        Threads of linear algebra in each worker. None shares the cores out, unless the environment says something.
    patience : float
        Seconds without a receipt after which nothing more is expected.

    Examples
    --------
    >>> Local(gpus=0, threads=2)
    Local(gpus=0, threads=2, patience=600.0)
    """

    gpus: int | Sequence[int | str] | None = None
    threads: int | None = None
    patience: float = 600.0

    def __post_init__(self) -> None:
        if isinstance(self.gpus, int) and self.gpus < 0:
            raise ValueError(f"gpus={self.gpus} is no number of GPUs. Pass 0 for none, or None for all.")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads={self.threads} is no number of threads. Pass 1 or more, or None to share cores.")
        if not self.patience > 0:
            raise ValueError(f"patience={self.patience} leaves no time for anything. Pass seconds above 0.")

    def run(self, task: Task, shards: Sequence[int], workers: int | None = None) -> Iterator[Receipt]:
        """Have processes do shards, and yield their receipts as they come; see `Engine.run`.

        Parameters
        ----------
        task : Task
            What is to be done.
        shards : sequence of int
            To which shards.
        workers : int, optional
            How many processes. None means one per GPU; without GPUs a quarter of the cores, but at least two.

        Raises
        ------
        ValueError
            If ``workers`` is below 1, or there are fewer GPUs than asked for.
        EngineError
            If this process is itself a worker, or if processes die before they can begin.
        """
        require_no_worker()
        if workers is not None and workers < 1:
            raise ValueError(f"workers={workers} is no number of processes. Pass 1 or more, or None for a good number.")
        gpus = self._gpus()
        n_workers = min(workers or len(gpus) or max(2, n_cores() // 4), max(1, len(set(shards))))
        threads = thread_settings(n_workers, self.threads)
        # Where there are none nothing is said; where there are some and none is to be used, that they are hidden.
        shown = gpus or ([""] if self.gpus is not None else [])
        settings = [
            {**threads, **({_GPU_VARIABLE: shown[at % len(shown)]} if shown else {})} for at in range(n_workers)
        ]
        return _receipts(_Crew(task, Ledger(shards, task.group, n_workers), settings), self.patience)

    def _gpus(self) -> tuple[str, ...]:
        if self.gpus is not None and not isinstance(self.gpus, int):
            return tuple(self.gpus.split(",") if isinstance(self.gpus, str) else map(str, self.gpus))
        found = visible_gpus()
        if self.gpus is None:
            return found
        if self.gpus > len(found):
            raise ValueError(
                f"gpus={self.gpus} was asked for, and {len(found)} are visible here. Pass at most that many, or their "
                "names as CUDA_VISIBLE_DEVICES takes them."
            )
        return found[: self.gpus]


def _receipts(crew: _Crew, patience: float) -> Iterator[Receipt]:
    try:
        while crew.ledger.n_left:
            crew.fill_up()
            yield from crew.listen()
            if crew.silence > patience and crew.task.seconds_silent() > patience:
                yield from crew.give_up()
                return
        crew.let_go()
    finally:
        crew.end()


class _Crew:
    """The workers of one run; each has a place, with its GPU, that a new one takes when it has died."""

    def __init__(self, task: Task, ledger: Ledger, settings: Sequence[Mapping[str, str]]) -> None:
        self.ledger, self.silence = ledger, 0.0
        self.task, self._settings = task, settings
        self._heard: queue.SimpleQueue[tuple[Child, str | None]] = queue.SimpleQueue()
        self._children: dict[int, Child] = {}
        self._let_go: list[Child] = []
        self._mute: dict[Child, float] = {}
        self._looked = 0.0
        self._n_stillborn, self._last_ending = 0, ""

    def fill_up(self) -> None:
        """Start workers while there is something for them, and give those that are there enough to do."""
        for place, settings in enumerate(self._settings):
            if place in self._children or self.ledger.n_wanted < 1 or self._n_stillborn >= _MOST_DEATHS:
                continue
            try:
                child = self._children[place] = Child(self.task, settings, self._heard)
            except OSError as error:  # no memory, too many processes
                self._n_stillborn, self._last_ending = self._n_stillborn + 1, f"could not be started: {error}"
                continue
            self.ledger.join(child)
            self._give(child)
        for child in self._children.values():
            self._give(child)
        if not self._children and self._n_stillborn >= _MOST_DEATHS:
            raise EngineError(
                f"No process can begin with {self.task.label or self.task.function!r}: {self._n_stillborn} in a row "
                f"came to nothing. The last {self._last_ending}. What it wrote to stderr may tell why; fewer workers "
                "need less memory."
            )

    def listen(self) -> Iterator[Receipt]:
        """Yield what comes of the next line that a worker says, or of the deaths since."""
        start = time.monotonic()
        try:
            child, line = self._heard.get(timeout=_POLL)
        except queue.Empty:
            # Only time spent here counts: who takes the receipts may be as slow as they like.
            self.silence += time.monotonic() - start
        else:
            if child not in self._children.values():
                return
            self.silence = 0.0
            if line is None:
                self._mute[child] = time.monotonic()
            elif line.strip() == OPENED:
                self._n_stillborn = 0
                self.ledger.opened(child)
            elif line.startswith("{"):
                receipt = Receipt.from_json(line)
                if self.ledger.done(child, receipt.shard, is_failure=bool(receipt.error)):
                    yield receipt
            if line is not None and time.monotonic() - self._looked < _POLL:
                return
        yield from self._look_for_dead()

    def give_up(self) -> Iterator[Receipt]:
        """Yield a failure for each shard at which a worker has been all the time."""
        for child in self._children.values():
            for shard in self.ledger.at_hand(child)[:1]:
                said = f"Nothing was heard for {self.silence:.0f} s, and {child.name} was at shard {shard}."
                if self.ledger.settle(shard):
                    yield Receipt(shard, child.name, self.silence, error=said, kind="TimeoutError")

    def let_go(self) -> None:
        """Tell those that have nothing left to do that they can go."""
        self._let_go = [child for child in self._children.values() if self.ledger.is_idle(child)]
        for child in self._let_go:
            child.dismiss()

    def end(self) -> None:
        """End all workers, whatever they are at."""
        children = list(self._children.values())
        for child in children:
            if child not in self._let_go:
                child.terminate()
        try:
            end = time.monotonic() + GRACE
            for child in children:
                child.bury(max(0.0, end - time.monotonic()))
        finally:  # also when somebody presses Ctrl-C once more
            for child in children:
                child.bury(0.0)

    def _give(self, child: Child) -> None:
        while group := self.ledger.next_for(child):
            child.order(group)

    def _look_for_dead(self) -> Iterator[Receipt]:
        now = self._looked = time.monotonic()
        for child in list(self._children.values()):
            if child in self._mute:
                if child.ending() or now - self._mute[child] > GRACE:
                    yield from self._died(child)
            elif child.ending():
                # The end of what it says can fail to come: something that it has started may hold the pipe. What it
                # has said is read until the next look.
                self._mute[child] = now

    def _died(self, child: Child) -> Iterator[Receipt]:
        self.silence, ending = 0.0, child.bury(0.0)
        self._children = {place: each for place, each in self._children.items() if each is not child}
        self._mute.pop(child, None)
        if not self.ledger.is_open(child):
            self._n_stillborn, self._last_ending = self._n_stillborn + 1, f"({child.name}) ended {ending}"
        shard, n_deaths = self.ledger.died(child)
        if shard is not None and n_deaths >= _MOST_DEATHS and self.ledger.settle(shard):
            said = (
                f"Its worker ended {ending}, and so did others: {n_deaths} times with this shard in work. "
                "It is not tried again."
            )
            yield Receipt(shard, child.name, error=said, kind="WorkerDiedError", is_final=True)
