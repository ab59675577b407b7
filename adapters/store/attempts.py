"""How often shards of an entry were begun by workers: what ends its worker every time shall not be tried for ever."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import writing_to
from .files import make_folders, temporary_name

if TYPE_CHECKING:
    from .entry import Entry

__all__ = ["Attempts", "Pulse"]

_OPENING_TOLD = 2.0  # seconds
_OPENING = 1800  # times


class Attempts:
    """Attempts of one run, of all its workers; a note is left before the work, so that a death counts.

    Parameters
    ----------
    entry : Entry
        Where the shards belong.
    run_id : str
        Of the run. Another run counts anew: whoever starts it wants to try again.
    """

    def __init__(self, entry: Entry, run_id: str) -> None:
        self.run_id = run_id
        self._files, self._folder = (
            entry.files,
            entry.path / "attempts" / hashlib.sha256(run_id.encode()).hexdigest()[:16],
        )
        self._held: dict[int, Path] = {}

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Be seen to be at work while a model is made, which may take longer than anybody is patient; for an hour."""
        over, note = threading.Event(), self._folder / f"opening-{temporary_name()}"

        def keep_telling() -> None:
            for number in range(_OPENING):
                with suppress(OSError):
                    make_folders(self._files, self._folder)
                    note.write_text(str(number), "ascii")
                if over.wait(_OPENING_TOLD):
                    break
            with suppress(OSError):
                self._files.remove(note)

        thread = threading.Thread(target=keep_telling, name="store-opening", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def count(self, shard: int) -> int:
        """Return how often a shard was begun and not finished."""
        return len(self._notes(shard))

    def begin(self, shard: int) -> None:
        """Note that this process begins a shard.

        Raises
        ------
        StoreWriteError
            If the disk refuses.
        """
        if shard in self._held:  # the next pass of the same attempt
            return
        with writing_to(self._folder):
            make_folders(self._files, self._folder)
            path = self._folder / f"{shard}-{temporary_name()}"
            with self._files.opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL):
                self._held[shard] = path

    def note(self, shard: int, n_images: int) -> None:
        """Note how many images of a shard went through the model."""
        with suppress(OSError, KeyError):
            self._held[shard].write_text(str(n_images), "ascii")

    def furthest(self, shard: int) -> int:
        """Return how many images the attempt that came furthest had behind it."""
        return max((_number_in(path) for path in self._notes(shard)), default=0)

    def finish(self, shard: int) -> None:
        """Forget the attempts at a shard, which is committed, or failed in a way that is told otherwise."""
        self._held.pop(shard, None)
        for path in self._notes(shard):
            with suppress(OSError):
                self._files.remove(path)

    def withdraw(self) -> None:
        """Take back what this process has begun: it was told to stop, which is no shard's fault."""
        for path in self._held.values():
            with suppress(OSError):
                self._files.remove(path)
        self._held.clear()

    def forget(self) -> None:
        """Forget all of this run."""
        with suppress(OSError):
            for path in self._folder.iterdir():
                self._files.remove(path)
            self._files.remove_folder(self._folder)

    def _notes(self, shard: int) -> list[Path]:
        return list(self._folder.glob(f"{int(shard)}-*"))


def _number_in(path: Path) -> int:
    try:
        return int(path.read_text("ascii") or 0)
    except (OSError, ValueError):
        return 0


class Pulse:
    """Tells whether anybody gets on with the shards of an entry, from whatever run.

    Parameters
    ----------
    entry : Entry
        Which.
    """

    def __init__(self, entry: Entry) -> None:
        self._folder, self._seen = entry.path / "attempts", frozenset[tuple[str, int]]()
        self._since = time.monotonic()

    def seconds_silent(self) -> float:
        """Return how long ago a note was last seen to be new, or another one than before."""
        seen = set[tuple[str, int]]()
        with suppress(OSError):
            for path in self._folder.glob("*/*"):
                with suppress(OSError):
                    seen.add((path.name, path.stat().st_mtime_ns))
        if seen != self._seen:  # the clocks of machines differ, so only the change counts
            self._seen, self._since = frozenset(seen), time.monotonic()
        return time.monotonic() - self._since
