"""Leases: notes that somebody is at work. They save work and keep the sweeper away; nothing relies on them."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from .files import Files, temporary_name

__all__ = ["TIME_TO_LIVE", "Lease", "is_leased"]

TIME_TO_LIVE = 600.0
"""Seconds after which a lease that nobody renewed counts for nothing."""
_RENEWED = 5  # times per life


class Lease:
    """A note in an entry that this process is at work there, renewed by a thread while its ``with`` block runs.

    Parameters
    ----------
    path : Path
        Of the entry.
    files : Files
        The disk.
    time_to_live : float
        Seconds.
    """

    def __init__(self, path: Path, files: Files, *, time_to_live: float = TIME_TO_LIVE) -> None:
        self._folder, self._files, self._time_to_live = path / "lease", files, time_to_live
        self._name = temporary_name()
        self._held: set[Path] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="store-lease", daemon=True)

    def take(self, shard: int) -> bool:
        """Claim a shard; False when another process is at it. Where a lease cannot be written, every claim succeeds."""
        return self._take(self._folder / f"shard-{int(shard)}")

    def give_back(self, shard: int) -> None:
        """End the claim to a shard."""
        self._give_back(self._folder / f"shard-{int(shard)}")

    def __enter__(self) -> Lease:
        self._take(self._folder / self._name)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        for path in tuple(self._held):
            self._give_back(path)

    def _take(self, path: Path) -> bool:
        if path in self._held:
            return True
        for _ in range(2):
            try:
                with self._files.opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL):
                    self._held.add(path)
                return True
            except FileExistsError:
                if _is_alive(path, self._time_to_live):
                    return False
                with suppress(OSError):
                    self._files.remove(path)
            except OSError:
                return True
        return False

    def _give_back(self, path: Path) -> None:
        self._held.discard(path)
        with suppress(OSError):
            self._files.remove(path)

    def _renew(self) -> None:
        while not self._ended.wait(self._time_to_live / _RENEWED):
            for path in tuple(self._held):
                with suppress(OSError):
                    os.utime(path)


def is_leased(path: Path, *, time_to_live: float = TIME_TO_LIVE) -> bool:
    """Tell whether a process is at work in an entry, as far as its leases say."""
    try:
        return any(_is_alive(each, time_to_live) for each in (path / "lease").iterdir())
    except OSError:
        return False


def _is_alive(path: Path, time_to_live: float) -> bool:
    try:
        age = time.time() - path.stat().st_mtime
    except OSError:
        return False
    return -time_to_live < age < time_to_live  # a clock that jumped leaves no lease for ever
