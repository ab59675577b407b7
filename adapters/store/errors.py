"""The errors of the store; each says what happened, where, and what to do next."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import AdapterError

__all__ = [
    "EntryNotFoundError",
    "NotStoredError",
    "StoreCorruptError",
    "StoreInUseError",
    "StoreMismatchError",
    "StoreReadError",
    "StoreValueError",
    "StoreWriteError",
    "reading_from",
    "writing_to",
]


class StoreWriteError(AdapterError, OSError):
    """The disk refused a write; what was committed before stays."""


class StoreReadError(AdapterError, OSError):
    """A file of the store cannot be read."""


class StoreCorruptError(AdapterError, ValueError):
    """A file of the store is not what was written."""


class StoreMismatchError(AdapterError, ValueError):
    """An entry or a layer was opened as something else than it is."""


class StoreValueError(AdapterError, OverflowError):
    """Values do not fit into the data type that the store shall keep."""


class StoreInUseError(AdapterError, RuntimeError):
    """An entry was to be removed that is pinned or in which somebody is at work."""


class NotStoredError(AdapterError, LookupError):
    """Rows were read that nobody has committed yet."""


class EntryNotFoundError(AdapterError, KeyError):
    """No entry of the store has this key, or several have."""


_GO_ON = "Nothing that was committed is lost: the same call again computes only what is missing."
_FULL = f"Free some space, for example with: brain-adapters cache gc. {_GO_ON}"
_MEANINGS = {
    errno.ENOSPC: f"the disk is full. {_FULL}",
    errno.EDQUOT: f"your quota on this disk is used up. {_FULL}",
    errno.EFBIG: f"the file would be larger than this disk or your limit (ulimit -f) allows. {_GO_ON}",
    errno.EROFS: "this file system is read-only. Choose another folder for the store, or read only what is there.",
    errno.EACCES: "you have no permission. Choose another folder for the store, or have its permissions changed.",
    errno.EPERM: "this is not permitted. Choose another folder for the store, or have its permissions changed.",
    errno.EIO: f"the disk reported a fault. Look after the disk. {_GO_ON}",
    errno.ENOENT: f"it is gone; was the entry removed by another process meanwhile? {_GO_ON}",
    errno.ENOTDIR: "a part of this path is a file. Choose a folder for the store.",
    errno.EMFILE: f"too many files are open. Raise the limit (ulimit -n), or read fewer layers at once. {_GO_ON}",
}


@contextmanager
def writing_to(path: str | Path) -> Iterator[None]:
    """Turn an error of the operating system into one that names the path and says what to do."""
    try:
        yield
    except AdapterError:
        raise
    except OSError as error:
        raise _explained(StoreWriteError, "written", path, error) from error


@contextmanager
def reading_from(path: str | Path) -> Iterator[None]:
    """Do the same for reading."""
    try:
        yield
    except AdapterError:
        raise
    except OSError as error:
        raise _explained(StoreReadError, "read", path, error) from error


def _explained(
    kind: type[StoreWriteError] | type[StoreReadError], doing: str, path: str | Path, error: OSError
) -> StoreWriteError | StoreReadError:
    code = error.errno or 0
    meaning = _MEANINGS.get(code, f"{error.strerror or error}. {_GO_ON}")
    explained = kind(f"{error.filename or path} could not be {doing} ({errno.errorcode.get(code, code)}): {meaning}")
    explained.errno, explained.filename = code, str(error.filename or path)
    return explained
