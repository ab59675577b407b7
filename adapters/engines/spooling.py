"""What goes through a folder to workers that nobody can talk to, and back: an order, and journals of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from .task import EngineError, Receipt, Task
from .working import worker_name

__all__ = ["Journal", "JournalReader", "read_order", "write_order"]


def write_order(path: Path, task: Task, shards: Sequence[int]) -> None:
    """Write what is to be done, for `read_order`."""
    order = {"task": json.loads(task.to_json()), "shards": list(shards)}
    path.write_text(json.dumps(order, indent=1), "utf-8")


def read_order(path: Path) -> tuple[Task, list[int]]:
    """Return the task and the shards that `write_order` wrote.

    Raises
    ------
    EngineError
        If there is no such file, or something else is in it.
    """
    try:
        order = json.loads(path.read_text("utf-8"))
        return Task.from_json(json.dumps(order["task"])), [int(shard) for shard in order["shards"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineError(
            f"{path} could not be read as the order of an engine: {type(error).__name__}: {error}. Pass the file "
            f"task.json that brain-adapters extract ... --engine slurm --dry-run wrote."
        ) from error


class Journal:
    """The file to which one worker appends what it takes up and what became of it; to be used in a ``with`` block.

    Parameters
    ----------
    folder : Path
        Of the order.
    rank : int
        Number of the worker. One that is started again goes on in the same file.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self._path = folder / f"receipts-{rank}.jsonl"

    def open(self) -> None:
        """Say that the task was opened: whoever dies before cannot blame a shard."""
        self._write("opened", True)

    def take(self, shards: Sequence[int]) -> None:
        """Say which shards are in hand from now on."""
        self._write("taken", list(shards))

    def keep(self, receipt: Receipt) -> None:
        """Say what became of a shard."""
        self._write("receipt", asdict(receipt))

    def __enter__(self) -> Journal:
        # The process before may have been killed in the middle of a line.
        self._write("started", worker_name(), before="\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Asked to stop, it is no shard's fault. After anything else what was in hand stays so.
        if kind is None or issubclass(kind, (SystemExit, KeyboardInterrupt)):
            self._write("ended", "" if kind is None else kind.__name__)

    def _write(self, what: str, content: Any, before: str = "") -> None:
        # Closed each time: then a network's file system shows it to others at once.
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{before}{json.dumps({what: content})}\n")


@dataclass
class _Known:
    offset: int = 0
    is_open: bool = False
    in_hand: list[int] = field(default_factory=list)


class JournalReader:
    """Follows the journals of all workers of an order.

    Parameters
    ----------
    folder : Path
        Of the order.

    Attributes
    ----------
    n_lines : Counter
        Lines that were read so far, of any kind, by the rank of their worker.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[int, _Known] = {}
        self._died_with: list[int] = []
        self.n_lines: Counter[int] = Counter()

    def news(self) -> Iterator[tuple[int, Receipt]]:
        """Yield the receipts that came since the last time, each with the rank of its worker."""
        for path in sorted(self._folder.glob("receipts-*.jsonl")):
            rank = int(path.stem.rpartition("-")[2])
            known = self._known.setdefault(rank, _Known())
            for line in _whole_lines(path, known):
                self.n_lines[rank] += 1
                receipt = self._take_in(known, line)
                if receipt is not None:
                    yield rank, receipt

    def in_hand(self, element: int, of: int) -> list[int]:
        """Return the shards that workers are at that have opened the task.

        Parameters
        ----------
        element, of : int
            Number of the element of an array that has started them, and how many it has: the worker with rank ``r``
            belongs to element ``r % of``.
        """
        workers = [known for rank, known in self._known.items() if rank % of == element and known.is_open]
        return [shard for known in workers for shard in known.in_hand[:1]]

    def died_with(self, ended: Sequence[int], of: int) -> list[int]:
        """Return the shards that workers had first in hand when they died, since the last time.

        Parameters
        ----------
        ended : sequence of int
            Elements of an array of which no process is left.
        of : int
            How many elements it has.
        """
        for rank, known in self._known.items():
            if rank % of in ended:
                self._bury(known)
        found, self._died_with = self._died_with, []
        return found

    def _take_in(self, known: _Known, line: bytes) -> Receipt | None:
        try:
            ((what, content),) = json.loads(line).items()
            receipt = Receipt(**content) if what == "receipt" else None
        except (ValueError, TypeError, AttributeError):
            return None  # torn by a kill or a full disk
        if what == "started":
            self._bury(known)
        elif what == "opened":
            known.is_open = True
        elif what == "taken":
            known.in_hand = list(content)
        elif what == "ended":
            known.in_hand = []
        if receipt is not None and receipt.shard in known.in_hand:
            known.in_hand.remove(receipt.shard)
        return receipt

    def _bury(self, known: _Known) -> None:
        if known.is_open:
            self._died_with += known.in_hand[:1]
        known.is_open, known.in_hand = False, []


def _whole_lines(path: Path, known: _Known) -> list[bytes]:
    """Return lines that were added, without one that is still being written."""
    with path.open("rb") as file:
        file.seek(known.offset)
        added = file.read()
    lines, ending, _ = added.rpartition(b"\n")
    known.offset += len(lines) + len(ending)
    return [line for line in lines.split(b"\n") if line]
