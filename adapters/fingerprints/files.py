"""Digests of files by content, remembered as long as a file does not change.

What is remembered is only a saving: the file that holds it may be deleted at any time, is shared by processes, and is
thrown away when it is damaged. It is believed only about files that were at rest when they were read: two writes within
one tick of the file system's clock leave the same times behind.
"""

from __future__ import annotations

import itertools
import os
import stat
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from ..decoding import n_threads
from ..store.digests import new_hasher

__all__ = ["ENVIRONMENT_VARIABLE", "FileDigests", "cache_folder"]

ENVIRONMENT_VARIABLE = "BRAIN_ADAPTERS_CACHE_DIR"
_FILE_NAME = "file-digests-1.sqlite"
_AT_REST_NS = 2_000_000_000
_PART = 1 << 20
_N_AT_ONCE = 500  # as many places for values as every build of SQLite has
_TABLE = "CREATE TABLE IF NOT EXISTS digests (path BLOB PRIMARY KEY, status TEXT, digest TEXT, checksum INTEGER)"
_SELECT = "SELECT path, status, digest, checksum FROM digests WHERE path IN ({})"
_INSERT = "INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?)"

# SQLite's codes for a file that others use, that must not be written, or for which there is no room: none is damage
_PASSING = frozenset({3, 5, 6, 8, 10, 13, 14, 15, 22, 23})

_Digest = Sequence[str]
"""Status and digest of one file."""


def cache_folder() -> Path:
    """Return the folder for what may be deleted: ``BRAIN_ADAPTERS_CACHE_DIR``, else the system's place for caches."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "brain-adapters"


class FileDigests:
    """Digests of files, from memory where a file is as it was.

    Parameters
    ----------
    path : path, optional
        The SQLite file; by default in `cache_folder`. Where it cannot be used, every file is read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file, memory = Path(folder) / "image.png", Path(folder) / "digests.sqlite"
    ...     _ = file.write_bytes(b"abc")
    ...     FileDigests(memory).of([str(file)])[0][:8]
    '6437b3ac'
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(path) if path is not None else cache_folder() / _FILE_NAME
        self.n_read = 0
        """How many files had to be read so far."""

    def of(self, paths: Sequence[str]) -> list[str | None]:
        """Return the digest of each file's content, 64 hexadecimal digits; None for what is no file to be read.

        Parameters
        ----------
        paths : sequence of str
            Files.
        """
        places = [os.path.abspath(path) for path in paths]  # noqa: PTH100 - not resolved: where a link leads may change
        known = self._use(lambda database: _remembered(database, places), {})
        parts = [places[start : start + _N_AT_ONCE] for start in range(0, len(places), _N_AT_ONCE)]
        with ThreadPoolExecutor(n_threads(), thread_name_prefix="digest") as pool:
            states = list(itertools.chain.from_iterable(pool.map(_statuses_of, parts)))
            unknown = [
                place
                for place, status in zip(places, states, strict=True)
                if status is not None and known.get(place, ("", ""))[0] != status
            ]
            fresh = dict(zip(unknown, pool.map(_read, unknown), strict=True))
        self.n_read += len(fresh)
        rows = [
            (os.fsencode(place), *found, _checksum(os.fsencode(place), *found))
            for place, (found, is_at_rest) in fresh.items()
            if found is not None and is_at_rest
        ]
        if rows:
            self._use(lambda database: _remember(database, rows), None)
        now = {**known, **{place: found for place, (found, _) in fresh.items()}}
        return [
            found[1] if status is not None and (found := now.get(place)) is not None else None
            for place, status in zip(places, states, strict=True)
        ]

    def _use(self, work: Callable[[Any], Any], otherwise: Any) -> Any:
        """Return what some work with the database gives, or something else where there can be none."""
        import sqlite3

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=10)) as database, database:
                database.text_factory = lambda text: text.decode("utf-8", "replace")
                database.execute("PRAGMA synchronous = OFF")
                database.execute(_TABLE)
                return work(database)
        except OSError:
            return otherwise
        except sqlite3.Error as error:
            if (getattr(error, "sqlite_errorcode", 0) & 0xFF) not in _PASSING:
                for name in (self.path, f"{self.path}-journal"):
                    with suppress(OSError):
                        Path(name).unlink(missing_ok=True)
            return otherwise


def _remember(database: Any, rows: Sequence[tuple[Any, ...]]) -> None:
    import sqlite3

    database.executemany(_INSERT, rows)
    if len(_remembered(database, [os.fsdecode(path) for path, *_ in rows])) < len({path for path, *_ in rows}):
        raise sqlite3.DatabaseError(
            "rows cannot be found that were just written"
        )  # damaged, and SQLite does not see it


def _remembered(database: Any, places: Sequence[str]) -> dict[str, _Digest]:
    found: dict[str, _Digest] = {}
    for start in range(0, len(places), _N_AT_ONCE):
        part = [os.fsencode(place) for place in places[start : start + _N_AT_ONCE]]
        marks = ",".join("?" * len(part))
        rows: Iterator[tuple[bytes, str, str, int]] = database.execute(_SELECT.format(marks), part)
        found.update((os.fsdecode(path), row) for path, *row, checksum in rows if checksum == _checksum(path, *row))
    return found


def _checksum(path: bytes, status: str, digest: str) -> int:
    """Return a sum by which a damaged row is found: SQLite itself does not look at what it holds."""
    return zlib.crc32(f"{path!r} {status} {digest}".encode("utf-8", "replace"))


def _statuses_of(places: Sequence[str]) -> list[str | None]:
    return [_status_of(place) for place in places]


def _status_of(place: str) -> str | None:
    """Return what changes when a file does; None where there is no file."""
    try:
        return _written(Path(place).stat())
    except (OSError, ValueError):
        return None


def _written(status: os.stat_result) -> str | None:
    # the time of the inode's last change betrays an edit that put the time of modification back
    found = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return " ".join(map(str, found)) if stat.S_ISREG(status.st_mode) else None


def _read(place: str) -> tuple[_Digest | None, bool]:
    """Return status and digest of a file, and whether it was at rest: not written meanwhile, nor just before."""
    now = time.time_ns()
    hasher, buffer = new_hasher(is_parallel=True), bytearray(_PART)
    try:
        with Path(place).open("rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            while n_bytes := file.readinto(buffer):
                hasher.update(memoryview(buffer)[:n_bytes])
            after = os.fstat(file.fileno())
    except OSError:
        return None, False
    is_at_rest = now - max(before.st_mtime_ns, before.st_ctime_ns) > _AT_REST_NS and _written(before) == _written(after)
    return (_written(before) or "", str(hasher.hexdigest())), is_at_rest
