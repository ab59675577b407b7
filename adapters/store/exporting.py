"""Hand on an entry as one file: a zip in which any reader of zarr 3 finds the layers."""

from __future__ import annotations

import os
import secrets
import zipfile
from pathlib import Path

from .checking import verify
from .entry import Entry
from .errors import NotStoredError, StoreCorruptError, StoreWriteError, writing_to

__all__ = ["export"]

_LEFT_OUT = ("temporary", "lease", "pin", "attempts")


def export(entry: Entry, path: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Write a complete entry to a zip file, uncompressed: the chunks in it are as the store has them.

    Every chunk is held against its digest first. Unpacked into the folder of its key, the zip is an entry again.

    Parameters
    ----------
    entry : Entry
        What to write.
    path : path
        The file; it appears when it is complete.
    force : bool
        Whether a file that is there is replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    NotStoredError
        If parts of the entry are missing.
    StoreCorruptError
        If parts of it are damaged.
    StoreWriteError
        If the file is there already, or the disk refuses.
    """
    target = Path(path)
    if target.exists() and not force:
        raise StoreWriteError(
            f"{target} exists already. Give another name, or pass force=True (--force) to replace it."
        )
    if not entry.complete():
        raise NotStoredError(
            f"Parts of entry {entry.key[:12]} are missing. Run the same extraction with this store again, and then "
            f"export it."
        )
    if damages := verify(entry):
        raise StoreCorruptError(
            f"Entry {entry.key[:12]} is damaged: {damages[0]}. Mend it with: brain-adapters cache repair "
            f"{entry.key[:12]}"
        )
    unfinished = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    with writing_to(target):
        try:
            with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED) as archive:
                for file in sorted(entry.path.rglob("*")):
                    place = file.relative_to(entry.path)
                    if file.is_file() and place.parts[0] not in _LEFT_OUT:
                        archive.write(file, place.as_posix())
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
    return target
