"""What the operating system refuses: a message with the path and what to do, and nothing that was stored is lost."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.store import ActivationStore, Entry, StoreReadError, StoreWriteError, open_store
from adapters.store.files import Files

from .sizes import run_module
from .small import CONV, assert_holds, open_entry, values_of, write_missing


def open_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that others may enter, unlike those of pytest."""
    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    Path(folder.name).chmod(0o755)
    return folder


def test_no_permission():
    with open_folder() as folder:
        found = run_module("refused_runs", folder, "no permission")
        for path in Path(folder).rglob("*"):
            path.chmod(0o755)
    for attempt in ("entry", "shard", "resumed"):
        message, code, path = found[attempt]
        assert (code, path.startswith(f"{folder}/store/v1")) == (errno.EACCES, True)
        assert message.startswith(
            f"{path} could not be written (EACCES): you have no permission. Choose another folder"
        )
    assert (found["kept"], found["leftovers"]) == (True, 0)


def test_files_that_may_not_grow():
    with open_folder() as folder:
        found = run_module("refused_runs", folder, "small files")
    message, code, path = found["entry"]
    assert code == errno.EFBIG
    assert message.startswith(
        f"{path} could not be written (EFBIG): the file would be larger than this disk or your limit"
    )
    assert (found["kept"], found["leftovers"]) == (True, 0)


class RefusingFiles(Files):
    """Refuses to bring anything to the disk."""

    code = 0

    def sync(self, descriptor: int) -> None:
        if self.code:
            raise OSError(self.code, os.strerror(self.code))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            errno.ENOSPC,
            "the disk is full. Free some space, for example with: brain-adapters cache gc. Nothing that was",
        ),
        (errno.EDQUOT, "your quota on this disk is used up. Free some space"),
        (
            errno.EROFS,
            "this file system is read-only. Choose another folder for the store, or read only what is there.",
        ),
        (errno.EPERM, "this is not permitted. Choose another folder"),
        (
            errno.EIO,
            "the disk reported a fault. Look after the disk. Nothing that was committed is lost: the same call",
        ),
        (errno.EMFILE, "too many files are open. Raise the limit (ulimit -n), or read fewer layers at once. Nothing"),
        (errno.EBUSY, "Device or resource busy. Nothing that was committed is lost"),
    ],
)
def test_what_an_error_means(tmp_path: Path, code: int, expected: str):
    files = RefusingFiles()
    entry = open_entry(ActivationStore(tmp_path, files=files))
    write_missing(entry, order=lambda shards: shards[:3])
    files.code = code
    with pytest.raises(StoreWriteError) as raised:
        write_missing(entry)
    assert expected in str(raised.value)
    assert str(raised.value).startswith(f"{tmp_path}/v1/")
    assert isinstance(raised.value, OSError)
    assert raised.value.errno == code
    files.code = 0
    assert write_missing(entry) == entry.n_shards - 3
    assert_holds(entry)


def write_all_shards(entry: Entry, after_begin: Callable[[], object], **options: int) -> None:
    with entry.writer(**options) as writer:
        for shard in range(entry.n_shards):
            writer.begin(shard, [CONV])
            after_begin()
            writer.append({"conv": values_of(CONV, range(22)[entry.rows_of(shard)])})
            writer.finish()


def test_an_error_of_a_thread_stops_the_run(tmp_path: Path):
    files = RefusingFiles()
    entry = open_entry(ActivationStore(tmp_path, files=files))
    begun = []

    def break_disk() -> None:
        files.code = errno.ENOSPC
        begun.append(1)

    with pytest.raises(StoreWriteError, match="the disk is full"):
        write_all_shards(entry, break_disk, threads=1, queue_bytes=1)
    assert len(begun) < entry.n_shards  # not only at the end
    assert list(entry.path.glob("temporary/*")) == []


def test_a_root_that_is_a_file(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreWriteError, match=r"could not be written \(ENOTDIR\): a part of this path is a file"):
        open_entry(ActivationStore(tmp_path / "file"))


def test_an_entry_that_is_removed_while_it_is_written(tmp_path: Path):
    entry = open_entry(ActivationStore(tmp_path))
    with pytest.raises(StoreWriteError, match=r"\(ENOENT\): it is gone; was the entry removed by another process"):
        write_all_shards(entry, lambda: shutil.rmtree(entry.path, ignore_errors=True))


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_opening_what_is_no_store(tmp_path: Path, name: str):
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        StoreReadError, match=f"{name} is no store of activations: it has no folder 'v1'. Give the folder"
    ):
        open_store(tmp_path / name)


def test_a_chunk_that_cannot_be_read(tmp_path: Path):
    class BrokenFiles(Files):
        def read(self, descriptor: int, into: memoryview, offset: int) -> int:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    write_missing(open_entry(ActivationStore(tmp_path)))
    entry = open_entry(ActivationStore(tmp_path, files=BrokenFiles()))
    with pytest.raises(StoreReadError, match=r"c/0/0 could not be read \(EIO\): the disk reported a fault"):
        entry.read(CONV, slice(None))
