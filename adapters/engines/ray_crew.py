"""The actors of one run on Ray: who is there, what they are at, and what comes back from the dead."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .ledger import Ledger
from .task import EngineError, Receipt, Task

__all__ = ["Crew"]

_POLL = 0.1  # seconds
_GRACE = 5.0  # seconds that workers have to close what they have open
_MOST_DEATHS = 3
_LONGEST = 300  # characters of what Ray says of a death
_STREAMING = {
    "num_returns": "streaming",
    # The next shard is begun when the receipt of the last one was taken up, which takes 1 ms: whoever dies next has
    # said it. Else 2 of 8 workers that died at once took three receipts with them, and the wrong shard was blamed.
    "_generator_backpressure_num_objects": 1,
}


@dataclass(eq=False)
class _Member:
    """An actor: until it has opened the task it holds nothing, as it may wait for a place in the cluster."""

    actor: Any
    opening: Any = None
    name: str = ""
    streams: deque[Any] = field(default_factory=deque)

    def open(self) -> None:
        self.opening = self.actor.open.remote()

    @property
    def is_open(self) -> bool:
        return bool(self.name)

    @property
    def awaited(self) -> list[Any]:
        """What the next word of it comes through."""
        return [self.opening] if not self.is_open else list(self.streams)[:1]

    def forget(self) -> None:
        """Let go of what is Ray's: in the next session the same names mean others, which would end with these."""
        self.actor = self.opening = None
        self.streams.clear()


class Crew:
    """The workers of one run.

    Parameters
    ----------
    ray : module
        Ray, with a session.
    start : callable
        Returns a new actor of `RayWorker`.
    task : Task
        What is done.
    ledger : Ledger
        Of its shards.
    n_workers : int
        How many actors there are to be.
    """

    def __init__(self, ray: Any, start: Callable[[], Any], task: Task, ledger: Ledger, n_workers: int) -> None:
        self.ledger, self.silence, self.was_open = ledger, 0.0, False
        self._ray, self._start, self._name, self._n_workers = ray, start, repr(task.label or task.function), n_workers
        self._members: list[_Member] = []
        self._n_stillborn, self._last_ending = 0, ""

    def fill_up(self) -> None:
        """Start workers while there is something for them, and give those that are there enough to do.

        Raises
        ------
        EngineError
            If they died one after another before they could begin.
        """
        n_opening = sum(not each.is_open for each in self._members)
        while (
            len(self._members) < self._n_workers
            and self.ledger.n_wanted > n_opening
            and self._n_stillborn < _MOST_DEATHS
        ):
            self._members.append(_Member(self._start()))
            self._members[-1].open()
            n_opening += 1
        for member in self._members:
            self._give(member)
        if not self._members:
            raise EngineError(
                f"No Ray worker can begin with {self._name}: {self._n_stillborn} in a row died while they opened it. "
                f"The last ended {self._last_ending}. All machines need the same versions of everything; "
                f"Ray(init={{'log_to_driver': True}}) shows what workers print."
            )

    def listen(self) -> Iterator[Receipt]:
        """Yield what the workers have said since the last time, and what follows from deaths."""
        awaited = {what: each for each in self._members for what in each.awaited}
        start = time.monotonic()
        if not awaited:
            time.sleep(_POLL)
        found, _ = self._ray.wait(list(awaited), timeout=_POLL, fetch_local=False) if awaited else ([], [])
        # Only time spent here counts: who takes the receipts may be as slow as they like.
        self.silence = 0.0 if found else self.silence + time.monotonic() - start
        for what in found:
            yield from self._hear(awaited[what])

    def give_up(self) -> Iterator[Receipt]:
        """Yield a failure for each shard at which a worker has been all the time.

        Raises
        ------
        EngineError
            If no worker has ever begun.
        """
        if not self.was_open:
            raise EngineError(
                f"No Ray worker has begun with {self._name} within {self.silence:.0f} s. "
                f"The cluster has {self._room()}; ask for less (num_cpus, num_gpus, memory), wait until others have "
                f"ended, or pass a longer patience if machines are still to come."
            )
        for member in self._members:
            for shard in self.ledger.at_hand(member)[:1] if member.is_open else ():
                said = f"Nothing was heard for {self.silence:.0f} s, and {member.name} was at shard {shard}."
                if self.ledger.settle(shard):
                    yield Receipt(shard, member.name, self.silence, error=said, kind="TimeoutError")

    def let_go(self) -> None:
        """Have those that are not at work close what they have open."""
        closing = [each.actor.close.remote() for each in self._members if each.is_open and self.ledger.is_idle(each)]
        if closing:
            self._ray.wait(closing, num_returns=len(closing), timeout=_GRACE, fetch_local=False)

    def end(self) -> None:
        """End all workers, whatever they are at."""
        # Ray would start anew for whoever asks anything of it after its end.
        is_there = self._ray.is_initialized()
        for member in self._members:
            if is_there:
                self._ray.kill(member.actor)
            member.forget()
        self._members = []

    def _give(self, member: _Member) -> None:
        while member.is_open and (group := self.ledger.next_for(member)):
            member.streams.append(member.actor.do.options(**_STREAMING).remote(group))

    def _hear(self, member: _Member) -> Iterator[Receipt]:
        """Yield what the next word of a worker says."""
        try:
            if not member.is_open:
                member.name = self._ray.get(member.opening)
                self.was_open, self._n_stillborn = True, 0
                self.ledger.join(member)
                self.ledger.opened(member)
                return
            receipt = Receipt.from_json(self._ray.get(next(member.streams[0])))
        except StopIteration:
            member.streams.popleft()
        except self._ray.exceptions.RayError as error:
            yield from self._died(member, error)
        else:
            if self.ledger.done(member, receipt.shard):
                yield receipt

    def _died(self, member: _Member, error: Exception) -> Iterator[Receipt]:
        self._members.remove(member)
        self._ray.kill(member.actor)  # it may only be out of reach
        member.forget()
        ending = _ending(error)
        if not member.is_open:
            self._n_stillborn, self._last_ending = self._n_stillborn + 1, ending
            return
        shard, n_deaths = self.ledger.died(member)
        if shard is not None and n_deaths >= _MOST_DEATHS and self.ledger.settle(shard):
            said = (
                f"Its worker ended {ending}, and so did others: {n_deaths} times with this shard in work. "
                "It is not tried again."
            )
            yield Receipt(shard, member.name, error=said, kind="WorkerDiedError", is_final=True)

    def _room(self) -> str:
        found = self._ray.cluster_resources()
        return f"{found.get('CPU', 0):g} CPUs and {found.get('GPU', 0):g} GPUs"


def _ending(error: Exception) -> str:
    """Return how a worker ended, in words that follow "ended"."""
    lines = str(error).strip().splitlines()
    said = " ".join(" ".join(lines).split())
    if "Traceback" in said:
        return f"with {lines[-1].strip()}"
    if "End of file" in said:
        return "without a word, as after SIGKILL (memory may have run out) or a crash"
    if "node has died" in said or "node died" in said:
        return "with its machine, or with Ray on it"
    said = said.rpartition("Worker exit detail: ")[2]
    return f"so: {said if len(said) <= _LONGEST else said[:_LONGEST] + '...'}"
