"""Make room: remove entries that were not used for long, and what interrupted processes left behind."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .entry import Entry
from .errors import StoreInUseError, writing_to
from .files import Files, discard, discard_folder, make_folders, sync_folder, temporary_name, write_durably
from .leasing import is_leased
from .store import ActivationStore

__all__ = ["Swept", "folder_bytes", "is_pinned", "pin", "remove", "sweep", "unpin"]

_DAY = 86_400.0
_ORDERS_KEPT = 30 * _DAY


@dataclass(frozen=True)
class Swept:
    """What was removed.

    Parameters
    ----------
    keys : tuple of str
        Of the entries.
    n_leftovers : int
        Files and folders that interrupted processes had left.
    n_bytes : int
        Of all that together.
    """

    keys: tuple[str, ...]
    n_leftovers: int
    n_bytes: int


def sweep(
    store: ActivationStore,
    *,
    max_bytes: int | None = None,
    older_than: float | None = None,
    leftovers_older_than: float = _DAY,
) -> Swept:
    """Remove what is not needed. Entries that are pinned, or in which somebody is at work, stay.

    Parameters
    ----------
    store : ActivationStore
        Where.
    max_bytes : int, optional
        Entries go, those first that were not used for longest, until the store is not larger.
    older_than : float, optional
        Entries go that were not used for so many seconds.
    leftovers_older_than : float
        Age in seconds at which an unfinished file belongs to nobody any more; orders of distributed runs, at which a
        failed one left its logs, stay for 30 days at least.

    Raises
    ------
    StoreWriteError
        If the disk refuses.
    """
    with writing_to(store.root):
        n_leftovers, n_bytes = _sweep_leftovers(store, leftovers_older_than)
        entries = store.entries()
        sizes = {entry.key: folder_bytes(entry.path) for entry in entries}
        total, now, removed = sum(sizes.values()), time.time(), []
        for entry in entries:
            is_old = older_than is not None and now - entry.last_used > older_than
            is_too_much = max_bytes is not None and total > max_bytes
            if (is_old or is_too_much) and not is_pinned(entry) and not is_leased(entry.path):
                remove(entry)
                removed.append(entry.key)
                total -= sizes[entry.key]
    return Swept(tuple(removed), n_leftovers, n_bytes + sum(sizes[key] for key in removed))


def remove(entry: Entry) -> None:
    """Remove an entry; other processes see it whole or not at all.

    Raises
    ------
    StoreInUseError
        If it is pinned, or somebody is at work in it.
    StoreWriteError
        If the disk refuses.
    """
    if is_pinned(entry):
        raise StoreInUseError(
            f"Entry {entry.key[:12]} is pinned, so it stays. Unpin it first: brain-adapters cache pin --off "
            f"{entry.key[:12]}"
        )
    if is_leased(entry.path):
        raise StoreInUseError(
            f"A process is writing to entry {entry.key[:12]} (see {entry.path / 'lease'}), so it stays. Wait for it; a "
            f"process that was killed counts for nothing after ten minutes."
        )
    remove_folder(entry.files, entry.path)


def remove_folder(files: Files, path: Path) -> None:
    """Remove the folder of an entry: first its name, then what is in it."""
    temporary = path.parents[1] / "temporary"
    with writing_to(path):
        make_folders(files, temporary)
        doomed = temporary / temporary_name()
        files.rename(path, doomed)
        sync_folder(files, path.parent)
        discard_folder(files, doomed)


def pin(entry: Entry) -> None:
    """Keep an entry from being removed.

    Raises
    ------
    StoreWriteError
        If the disk refuses.
    """
    with writing_to(entry.path):
        write_durably(entry.files, entry.path / "pin", b"", entry.path / "temporary")


def unpin(entry: Entry) -> None:
    """Take back `pin`."""
    with writing_to(entry.path), suppress(FileNotFoundError):
        entry.files.remove(entry.path / "pin")


def is_pinned(entry: Entry) -> bool:
    """Tell whether an entry is pinned."""
    return (entry.path / "pin").exists()


def folder_bytes(path: Path) -> int:
    """Return the bytes of all files below a folder."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                total += Path(folder, name).lstat().st_size
    return total


def _sweep_leftovers(store: ActivationStore, older_than: float) -> tuple[int, int]:
    """Remove unfinished files and stale leases; return how many there were, and their bytes."""
    version = store.root / "v1"
    folders = {version / "temporary": older_than}
    for key in store:
        entry = version / key[:2] / key
        folders |= {entry / name: older_than for name in ("temporary", "lease", "attempts")}
        folders[entry / "tasks"] = max(older_than, _ORDERS_KEPT)  # a job may wait for days until it begins
    n_removed = n_bytes = 0
    for folder, age in folders.items():
        for path in folder.iterdir() if folder.is_dir() else ():
            with suppress(OSError):
                if abs(time.time() - path.lstat().st_mtime) <= age:
                    continue
                n_bytes += folder_bytes(path) if path.is_dir() else path.lstat().st_size
                n_removed += 1
                (discard_folder if path.is_dir() else discard)(store.files, path)
    return n_removed, n_bytes
