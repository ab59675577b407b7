"""The store's way to the disk: the calls of the operating system in one small class, and durable writes on top.

A file comes into being whole or not at all: it is written under a temporary name, brought to the disk (``fsync``) and
renamed; then its folder is brought to the disk, without which the new name may be gone after a power cut. A folder
comes into being in the same way, with all that is in it, and only one process can be the first.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

__all__ = [
    "Files",
    "discard",
    "discard_folder",
    "make_folders",
    "prepare_folders",
    "rename_if_first",
    "sync_all",
    "sync_folder",
    "temporary_name",
    "write_all",
    "write_durably",
]

# Some network file systems cannot bring a folder to the disk, and say so; a rename is durable there by itself.
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
_FEW, _AT_ONCE = 3, 16
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


class Files:
    """The calls of the operating system that the store makes; tests put a disk with faults in its place."""

    def open(self, path: str | Path, flags: int) -> int:
        """Open a file and return its descriptor."""
        return os.open(path, flags, 0o666)

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write some of the data at the end of what was written; return how many bytes."""
        return os.write(descriptor, data)

    def extend(self, descriptor: int, n_bytes: int) -> None:
        """Make a file as long as this, with zeros at its end, and go there."""
        os.ftruncate(descriptor, n_bytes)
        os.lseek(descriptor, 0, os.SEEK_END)

    def sync(self, descriptor: int) -> None:
        """Wait until everything that was written is on the disk."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file a name, in place of another file; a folder only where there is nothing but an empty folder."""
        os.rename(source, target)  # noqa: PTH104 - the call itself is the seam

    def make_folder(self, path: Path) -> None:
        """Make one folder."""
        os.mkdir(path)  # noqa: PTH102

    def remove(self, path: Path) -> None:
        """Remove a file."""
        os.unlink(path)  # noqa: PTH108

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder."""
        os.rmdir(path)  # noqa: PTH106

    def read(self, descriptor: int, into: memoryview, offset: int) -> int:
        """Read bytes from a position on; return how many, fewer than asked for at the end of the file."""
        return os.preadv(descriptor, [into], offset)

    def size(self, descriptor: int) -> int:
        """Return the number of bytes of an open file."""
        return os.fstat(descriptor).st_size

    @contextmanager
    def opened(self, path: str | Path, flags: int = os.O_RDONLY) -> Iterator[int]:
        """Open a file for a block."""
        descriptor = self.open(path, flags)
        try:
            yield descriptor
        finally:
            self.close(descriptor)


def temporary_name() -> str:
    """Return a name that no other process, here or on another machine, gives to a file."""
    return f"{os.getpid()}-{secrets.token_hex(8)}"


def write_all(files: Files, descriptor: int, data: bytes | bytearray | memoryview) -> None:
    """Write everything, however little the system takes at a time."""
    view = memoryview(data).cast("B")
    while view.nbytes:
        n_written = files.write(descriptor, view)
        if n_written <= 0:
            raise OSError(errno.EIO, "the system wrote nothing and gave no reason")
        view = view[n_written:]


def sync_folder(files: Files, path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    with files.opened(path) as descriptor:
        try:
            files.sync(descriptor)
        except OSError as error:
            if error.errno not in _CANNOT_SYNC:
                raise


def sync_all(files: Files, paths: Sequence[Path], folders: Sequence[Path] = ()) -> None:
    """Wait until files, and the names in folders, are on the disk: for many at a time, which costs little more."""
    waits = [partial(_sync_file, files, path) for path in paths]
    waits += [partial(sync_folder, files, folder) for folder in folders]
    if len(waits) <= _FEW:
        for wait in waits:
            wait()
        return
    with ThreadPoolExecutor(min(_AT_ONCE, len(waits))) as pool:
        list(pool.map(lambda wait: wait(), waits))


def _sync_file(files: Files, path: Path) -> None:
    with files.opened(path) as descriptor:
        files.sync(descriptor)


def write_durably(files: Files, path: Path, data: bytes, temporary: Path) -> None:
    """Put a small file in its place, in place of what is there, and return when it is on the disk.

    Parameters
    ----------
    files : Files
        The disk.
    path : Path
        Where.
    data : bytes
        What.
    temporary : Path
        A folder of the same file system where unfinished files may stay behind.
    """
    unfinished = temporary / temporary_name()
    try:
        _write_new(files, unfinished, data)
        files.rename(unfinished, path)
    except OSError:
        discard(files, unfinished)
        raise
    sync_folder(files, path.parent)


def _write_new(files: Files, path: Path, data: bytes) -> None:
    with files.opened(path, _NEW) as descriptor:
        write_all(files, descriptor, data)
        files.sync(descriptor)


def prepare_folders(files: Files, wanted: Sequence[Mapping[str, bytes | None]], temporary: Path) -> list[Path]:
    """Make folders under temporary names, and return their paths when all of it is on the disk.

    First everything is written, then everything is waited for: a disk does the second for all at once.

    Parameters
    ----------
    files : Files
        The disk.
    wanted : sequence of mapping of str to bytes or None
        For each folder, relative path -> content of a file, or None for a folder; a folder stands before what is in it.
    temporary : Path
        Where unfinished folders may stay behind.
    """
    prepared = [temporary / temporary_name() for _ in wanted]
    try:
        for path, contents in zip(prepared, wanted, strict=True):
            files.make_folder(path)
            for name, data in contents.items():
                if data is None:
                    files.make_folder(path / name)
                else:
                    with files.opened(path / name, _NEW) as descriptor:
                        write_all(files, descriptor, data)
        made = [
            (path / name, data is None)
            for path, contents in zip(prepared, wanted, strict=True)
            for name, data in contents.items()
        ]
        inside = [path for path, is_folder in made if is_folder]
        sync_all(files, [path for path, is_folder in made if not is_folder], [*inside, *prepared])
    except OSError:
        for path in prepared:
            discard_folder(files, path)
        raise
    return prepared


def rename_if_first(files: Files, prepared: Path, target: Path) -> bool:
    """Give a prepared folder its name, unless another process was first; tell whether it was us.

    A system never renames a folder onto one that has something in it, so this needs no lock. The folder around the
    target is not brought to the disk here.
    """
    try:
        files.rename(prepared, target)
    except OSError as error:
        discard_folder(files, prepared)
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def make_folders(files: Files, path: Path) -> None:
    """Make a folder and those above it, and return when their names are on the disk."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        try:
            files.make_folder(folder)
        except FileExistsError:
            if not folder.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from None
        sync_folder(files, folder.parent)  # also where another process made it: it may not be on the disk yet


def discard(files: Files, path: Path) -> None:
    """Remove a file where that is possible; what stays behind is swept up later."""
    try:
        files.remove(path)
    except OSError:
        return


def discard_folder(files: Files, path: Path) -> None:
    """Remove a folder and all that is in it, as far as that is possible."""
    for folder, folders, names in os.walk(path, topdown=False):
        for name in names:
            discard(files, Path(folder, name))
        for name in folders:
            _remove_if_empty(files, Path(folder, name))
    _remove_if_empty(files, path)


def _remove_if_empty(files: Files, path: Path) -> None:
    try:
        files.remove_folder(path)
    except OSError:
        discard(files, path)  # a link to a folder is a file
