"""Tasks whose result is known: each shard is a small file; on demand they die, raise, hang, refuse or are slow.

Workers import it as ``toy_tasks``; tests make a task of it with `toy_task`, and read with the other functions what was
really done, by whom and how often.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.engines.task import Receipt, Task, Work
from adapters.engines.working import worker_name
from adapters.errors import AdapterError

MOST_ATTEMPTS = 3


class ToyRefusalError(AdapterError, ValueError):
    """What a toy says when it refuses."""


class ToyPoisonError(AdapterError, RuntimeError):
    """What a toy says of a shard that has killed too often."""


def toy_task(folder: Path | str, *, group: int = 1, run_id: str = "toy", **arguments: Any) -> Task:
    """Return a task of `writing` to a folder; the arguments are those of `Toy`."""
    arguments = {"folder": str(folder), **arguments}
    here = str(Path(__file__).parent)
    return Task("toy_tasks:writing", arguments, "toy", run_id, group, paths=(here,), folder=str(folder))


@contextmanager
def writing(folder: str, **arguments: Any) -> Iterator[Work]:
    """Give the work of a worker; what `Toy` is told decides how it goes."""
    toy = Toy(Path(folder), **arguments)
    toy.open()
    try:
        yield toy.work
    finally:
        toy.note("closed")


@dataclass
class Toy:
    """Does shards: writes ``<folder>/<shard>.bin``, and one line for each event to a file of its own in ``log/``.

    Parameters
    ----------
    folder : pathlib.Path
        Where to.
    seconds : float
        That each shard takes.
    opening : float
        Seconds that opening takes.
    refuses : str
        ``"always"`` or ``"first"``: which worker refuses on opening, as one with other versions does.
    dies_on_opening : str
        ``"always"`` or ``"first"``: which worker is killed on opening.
    poison : collection of int
        Shards that kill their worker each time; counted in ``attempts/``, and after three of them a final failure.
    uncounted_poison : collection of int
        The same, but nobody counts (the files are there for tests only).
    dies_once : collection of int
        Shards that kill the first worker that takes them up.
    exits : collection of int
        Shards that end their worker with exit status 7, each time.
    raises, refused : collection of int
        Shards that raise an ordinary error, and one of the library's.
    raises_once : collection of int
        Shards that raise an ordinary error the first time.
    hangs : collection of int
        Shards that never end.
    hangs_once : collection of int
        Shards that never end for the worker that takes them up first.
    slow : collection of int
        Shards that take ``slow_seconds``, for whom it may be.
    slow_once : collection of int
        Shards that take ``slow_seconds`` for the worker that takes them up first.
    slow_worker : bool
        Whether each shard takes ``slow_seconds`` for the first worker that was opened.
    slow_seconds : float
        See there.
    twice : collection of int
        Shards whose receipt comes twice.
    drops : collection of int
        Shards that are done without a receipt.
    says : str
        Is printed to stdout with each shard, as some models do.
    """

    folder: Path
    seconds: float = 0.02
    opening: float = 0.0
    refuses: str = ""
    dies_on_opening: str = ""
    poison: Collection[int] = ()
    uncounted_poison: Collection[int] = ()
    dies_once: Collection[int] = ()
    exits: Collection[int] = ()
    raises: Collection[int] = ()
    refused: Collection[int] = ()
    raises_once: Collection[int] = ()
    hangs: Collection[int] = ()
    hangs_once: Collection[int] = ()
    slow: Collection[int] = ()
    slow_once: Collection[int] = ()
    slow_worker: bool = False
    slow_seconds: float = 2.0
    twice: Collection[int] = ()
    drops: Collection[int] = ()
    says: str = ""

    def open(self) -> None:
        """Be opened, as told."""
        self._log = self.folder / "log" / f"{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self.note("started")
        if self._meant(self.dies_on_opening, "died"):
            _die()
        time.sleep(self.opening)
        if self._meant(self.refuses, "refused"):
            raise ToyRefusalError(f"{worker_name()} has torch 2.0, the entry was made with 2.1.")
        self._is_slow = self.slow_worker and self._is_first("slow-worker")
        self.note("opened")

    def work(self, shards: Sequence[int]) -> Iterator[Receipt]:
        """Do shards that are not there, and yield their receipts."""
        for shard in shards:
            start = time.perf_counter()
            if self.says:
                print(self.says, flush=True)
            if self._is_given_up(shard):
                said = f"Shard {shard} has ended its worker {MOST_ATTEMPTS} times. It is not tried again."
                yield Receipt(shard, worker_name(), error=said, kind=ToyPoisonError.__name__, is_final=True)
                continue
            target = self.folder / f"{shard}.bin"
            is_there = target.exists()
            if not is_there:
                self._do(shard, target)
            if shard not in self.drops:
                seconds, n_bytes = time.perf_counter() - start, 0 if is_there else target.stat().st_size
                receipt = Receipt(shard, worker_name(), seconds, n_images=n_bytes // 64, n_bytes=n_bytes)
                yield receipt
                if shard in self.twice:
                    yield receipt

    def note(self, event: str, shard: int = -1) -> None:
        """Write a line to this worker's log."""
        line = {"event": event, "shard": shard, "process": os.getpid(), "worker": worker_name(), "time": time.time()}
        with self._log.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _do(self, shard: int, target: Path) -> None:
        self.note("begun", shard)
        if shard in {*self.poison, *self.uncounted_poison} or (
            shard in self.dies_once and self._is_first("died", shard)
        ):
            _die()
        if shard in self.exits:
            os._exit(7)
        if shard in self.raises or (shard in self.raises_once and self._is_first("raised", shard)):
            raise ValueError(f"the toy cannot do shard {shard}")
        if shard in self.refused:
            raise ToyRefusalError(f"The toy does not take shard {shard}. Leave it out.")
        if shard in self.hangs or (shard in self.hangs_once and self._is_first("hung", shard)):
            time.sleep(3600)
        is_slow = self._is_slow or shard in self.slow or (shard in self.slow_once and self._is_first("slow", shard))
        time.sleep(self.slow_seconds if is_slow else self.seconds)
        part = self.folder / f".{shard}-{secrets.token_hex(4)}.part"
        part.write_bytes(content_of(shard))
        part.replace(target)
        self.note("done", shard)

    def _is_given_up(self, shard: int) -> bool:
        if shard not in {*self.poison, *self.uncounted_poison}:
            return False
        if shard in self.poison and n_attempts(self.folder, shard) >= MOST_ATTEMPTS:
            return True
        attempt = self.folder / "attempts" / str(shard) / secrets.token_hex(4)
        attempt.parent.mkdir(parents=True, exist_ok=True)
        attempt.touch()
        return False

    def _meant(self, which: str, what: str) -> bool:
        return which == "always" or (which == "first" and self._is_first(what))

    def _is_first(self, what: str, shard: int = -1) -> bool:
        place = self.folder / "first" / f"{what}-{shard}"
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            place.touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def content_of(shard: int) -> bytes:
    """Return what the file of a shard holds."""
    return random.Random(shard).randbytes(4096)


def kept(folder: Path | str) -> dict[int, bytes]:
    """Return the files that are there, by shard."""
    return {int(each.stem): each.read_bytes() for each in Path(folder).glob("[0-9]*.bin")}


def expected(shards: Collection[int]) -> dict[int, bytes]:
    """Return what `kept` returns when these shards are done."""
    return {shard: content_of(shard) for shard in shards}


def events(folder: Path | str, event: str = "") -> list[dict[str, Any]]:
    """Return what workers noted, in the order of time: started, opened, closed; begun and done with the shard."""
    lines = [line for log in Path(folder).glob("log/*.jsonl") for line in log.read_text().splitlines(keepends=True)]
    found = [json.loads(line) for line in lines if line.endswith("\n")]
    return sorted((each for each in found if event in ("", each["event"])), key=lambda each: float(each["time"]))


def times_done(folder: Path | str) -> Counter[int]:
    """Return how often each shard was really done."""
    return Counter(each["shard"] for each in events(folder, "done"))


def times_begun(folder: Path | str) -> Counter[int]:
    """Return how often each shard was really begun."""
    return Counter(each["shard"] for each in events(folder, "begun"))


def n_attempts(folder: Path | str, shard: int) -> int:
    """Return how often a poison shard was begun."""
    place = Path(folder) / "attempts" / str(shard)
    return len(list(place.iterdir())) if place.is_dir() else 0


def processes(folder: Path | str) -> list[int]:
    """Return the numbers of all processes that were ever opened, in the order in which they came."""
    return list(dict.fromkeys(int(each["process"]) for each in events(folder, "started")))


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # the signal comes within this
