"""One run of a Slurm array of workers: which elements live, what they say, what dead ones leave."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .ranks import part_of
from .slurm_jobs import ENDED, GONE, cancel, ending_of, log_of, states_of, submit
from .spooling import JournalReader
from .task import EngineError, Receipt

__all__ = ["SlurmRun"]

_DEATHS = 3  # of workers, after which they are not blamed any more, but the shard or the set-up
_CLOSING_SECONDS = 10.0  # that workers have to end by themselves when everything is done
_WAITING = ("PENDING", "CONFIGURING", "SUSPENDED", "REQUEUED")
_DYING_SECONDS = 20.0  # that we wait for cancelled ones to be gone


@dataclass
class _Array:
    """A job that was submitted."""

    job: str
    folder: Path
    parts: list[list[int]]
    n_idle: int
    reader: JournalReader
    states: dict[int, tuple[str, str]]
    heard: dict[int, float]
    has_done: set[int] = field(default_factory=set)
    given_up: set[int] = field(default_factory=set)
    judged: set[int] = field(default_factory=set)

    def there(self) -> list[int]:
        """Return the elements that were not seen to end."""
        return [element for element in range(len(self.parts)) if element not in self.judged]

    def live(self) -> list[int]:
        """Return the elements of which something is expected."""
        return [element for element in self.there() if element not in self.given_up]


class SlurmRun:
    """One call of an engine: jobs are submitted, followed, replaced and ended.

    Parameters
    ----------
    label : str
        Of the task.
    write : callable
        Writes the script that brings shards to so many elements, and returns where it is.
    patience : float
        Seconds without a word from workers that run.
    poll : float
        Seconds between two questions to Slurm.
    seconds_silent : callable
        Returns for how long nothing was seen of any worker otherwise.
    """

    def __init__(
        self,
        label: str,
        write: Callable[[Sequence[int], int], Path],
        patience: float,
        poll: float,
        seconds_silent: Callable[[], float] = lambda: math.inf,
    ) -> None:
        self._seconds_silent = seconds_silent
        self._label, self._write, self._patience, self._poll = label, write, patience, poll
        self._left: dict[int, None] = {}
        self._arrays: list[_Array] = []
        self._deaths: Counter[int] = Counter()
        self._lost: list[int] = []  # shards of elements that died, not yet submitted again
        self._n_lost = self._n_idle = 0
        self._asked = self._answered = self._free = time.monotonic()
        self._trouble: EngineError | None = None

    def receipts(self, shards: Sequence[int], n_elements: int) -> Iterator[Receipt]:
        """Yield the first receipt of each shard; see `Slurm.run`."""
        self._left = dict.fromkeys(shards)
        if not self._left:
            return
        self._submit(list(self._left), n_elements, n_idle=0)
        try:
            while True:
                self._ask()
                yield from self._news()
                yield from self._judge()
                yield from self._watch()
                self._replace()
                if not self._left:
                    return
                if not self._live():
                    self._require_wanted()
                    return
                self._require_hope()
                time.sleep(min(self._poll, 1.0))
        finally:
            self._leave()

    def _live(self) -> list[_Array]:
        return [array for array in self._arrays if array.live()]

    def _submit(self, shards: list[int], n_elements: int, n_idle: int) -> None:
        script = self._write(shards, n_elements)
        job = submit(script)
        parts = [part_of(shards, element, n_elements) for element in range(n_elements)]
        now = self._asked = self._free = time.monotonic()
        states, heard = dict.fromkeys(range(n_elements), ("PENDING", "None")), dict.fromkeys(range(n_elements), now)
        self._arrays.append(_Array(job, script.parent, parts, n_idle, JournalReader(script.parent), states, heard))

    def _ask(self) -> None:
        if time.monotonic() - self._asked < self._poll:
            return
        live = self._live()
        self._asked = time.monotonic()
        try:
            found = states_of([array.job for array in live])
        except EngineError as error:  # a controller that is started anew answers later
            self._trouble = error
            return
        self._trouble = None
        for array in live:
            forgotten = {element: was if was[0] in ENDED else (GONE, "") for element, was in array.states.items()}
            states = {element: found.get((array.job, element), forgotten[element]) for element in array.states}
            array.heard |= {element: self._asked for element in states if states[element] != array.states[element]}
            array.states = states

    def _news(self) -> Iterator[Receipt]:
        for array in self._arrays:
            before = array.reader.n_lines.copy()
            for rank, receipt in array.reader.news():
                array.has_done.add(rank % len(array.parts))
                if receipt.shard in self._left:
                    del self._left[receipt.shard]
                    yield receipt
            for rank in array.reader.n_lines - before:
                array.heard[rank % len(array.parts)] = time.monotonic()

    def _judge(self) -> Iterator[Receipt]:
        """Look at elements that ended: their states are older than the receipts that were read since."""
        for array in self._arrays:
            ended = [element for element in array.there() if array.states[element][0] in {*ENDED, GONE}]
            array.judged.update(ended)
            guilty = array.reader.died_with(ended, len(array.parts))
            self._deaths.update(guilty)
            for element in ended:
                if element not in array.given_up:
                    yield from self._judge_element(array, element)

    def _judge_element(self, array: _Array, element: int) -> Iterator[Receipt]:
        left = [shard for shard in array.parts[element] if shard in self._left]
        state = array.states[element][0]
        if not left or state == "CANCELLED":
            return
        ending = ending_of(array.job, element, state)
        guilty = [shard for shard in left if self._deaths[shard] >= _DEATHS]
        for shard in guilty:
            del self._left[shard]
            said = (
                f"its worker ended by {ending} {_DEATHS} times with this shard first in hand. "
                f"{log_of(array.folder, element, 1)}"
            )
            yield Receipt(shard, f"Slurm job {array.job}_{element}", error=said, kind="WorkerDiedError", is_final=True)
        self._lose(array, element, has_done=bool(guilty), ending=ending)

    def _lose(self, array: _Array, element: int, *, has_done: bool, ending: str) -> None:
        """Remember what an element has left, to be submitted again."""
        left = [shard for shard in array.parts[element] if shard in self._left]
        n_idle = 0 if has_done or element in array.has_done else array.n_idle + 1
        if n_idle >= _DEATHS:
            raise EngineError(
                f"Workers of {self._label!r} ended {n_idle} times without having done a shard; the last, Slurm "
                f"job {array.job}_{element}, by {ending}. {log_of(array.folder, element)}"
            )
        if left:
            self._lost += left
            self._n_lost, self._n_idle = self._n_lost + 1, max(self._n_idle, n_idle)

    def _replace(self) -> None:
        """Submit what dead elements left; where Slurm takes no more jobs now, later."""
        shards = [shard for shard in self._lost if shard in self._left]
        if not shards:
            return
        try:
            self._submit(shards, min(self._n_lost, len(shards)), self._n_idle)
        except EngineError:
            if not self._live():
                raise
            return
        self._lost, self._n_lost, self._n_idle = [], 0, 0

    def _watch(self) -> Iterator[Receipt]:
        """End elements that run and say nothing: what they are at fails, the rest is for others."""
        if self._trouble is not None:
            return
        now = time.monotonic()
        for array in self._live():
            for element in array.live():
                if array.states[element][0] in _WAITING:
                    array.heard[element] = now
                elif now - array.heard[element] > self._patience < self._seconds_silent():
                    yield from self._give_up(array, element)

    def _give_up(self, array: _Array, element: int) -> Iterator[Receipt]:
        cancel([f"{array.job}_{element}"])
        array.given_up.add(element)
        hung = [shard for shard in array.reader.in_hand(element, len(array.parts)) if shard in self._left]
        for shard in hung:
            del self._left[shard]
            said = f"Nothing was heard for {self._patience:.0f} s while a worker was at shard {shard}."
            yield Receipt(shard, f"Slurm job {array.job}_{element}", error=said, kind="TimeoutError")
        self._lose(array, element, has_done=bool(hung), ending="us, since it said nothing")

    def _require_hope(self) -> None:
        """Raise when nothing will happen without somebody."""
        found = [array.states[element] for array in self._live() for element in array.live()]
        held = [reason for state, reason in found if state == "PENDING" and "held" in reason.lower()]
        now = time.monotonic()
        if self._trouble is None:
            self._answered = now
        if self._trouble is not None or len(held) < len(found):
            self._free = now
        if self._trouble is not None and now - self._answered > self._patience:
            raise self._trouble
        if now - self._free > self._patience:
            raise EngineError(
                f"Slurm holds what is left of {self._label!r} ({held[0]}), so it waits for ever. Find out why, "
                f"with scontrol show job {self._live()[0].job}, and run this again."
            )

    def _require_wanted(self) -> None:
        if all(state == "CANCELLED" for array in self._arrays for state, _ in array.states.values()):
            raise EngineError(
                f"Slurm job {self._arrays[0].job} of {self._label!r} was cancelled by somebody, with {len(self._left)} "
                f"shards left. What was done is kept: run this again to go on."
            )

    def _leave(self) -> None:
        """End all jobs; those that have done everything are given a moment to close their files."""
        deadline, is_cancelled = time.monotonic() + _CLOSING_SECONDS, False
        while jobs := [array.job for array in self._arrays if array.there()]:
            if not is_cancelled and (self._left or time.monotonic() > deadline):
                cancel(jobs)
                deadline, is_cancelled = time.monotonic() + _DYING_SECONDS, True
            if is_cancelled and time.monotonic() > deadline:
                return
            with suppress(EngineError):  # one that does not answer is asked again
                found = states_of(jobs)
                for array in self._arrays:
                    states = {element: found.get((array.job, element), (GONE, ""))[0] for element in array.there()}
                    array.judged |= {element for element, state in states.items() if state in {*ENDED, GONE}}
            time.sleep(0.2)
