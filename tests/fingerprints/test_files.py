"""Digests of files: remembered while a file is as it was, never believed beyond that, and lost without harm."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3

from adapters.fingerprints import FileDigests
from adapters.fingerprints.files import ENVIRONMENT_VARIABLE, cache_folder


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Move the clock, as files are remembered only once they have been at rest for two seconds."""
    now = time.time_ns

    def move(seconds: float) -> None:
        monkeypatch.setattr(time, "time_ns", lambda: now() + int(seconds * 1e9))

    return move


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number}.png").write_bytes(os.urandom(1000 + number))
    return [str(path) for path in sorted(folder.iterdir())]


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "memory" / "digests.sqlite"


def expected(files: list[str]) -> list[str]:
    return [blake3(Path(file).read_bytes()).hexdigest() for file in files]


def test_files_at_rest_are_read_once(files: list[str], memory: Path, later: Callable[[float], None]):
    later(3)
    for n_read in (len(files), 0):
        digests = FileDigests(memory)
        assert digests.of(files) == expected(files)
        assert digests.n_read == n_read


def test_files_that_were_just_written_are_not_remembered(files: list[str], memory: Path):
    for _ in range(2):
        digests = FileDigests(memory)
        assert digests.of(files) == expected(files)
        assert digests.n_read == len(files)


def test_an_edit_that_keeps_size_and_time_is_seen(files: list[str], memory: Path, later: Callable[[float], None]):
    later(3)
    FileDigests(memory).of(files)
    path = Path(files[0])
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    digests = FileDigests(memory)
    assert digests.of(files) == expected(files)
    assert digests.n_read == 1


def test_a_file_in_the_place_of_another_is_seen(files: list[str], memory: Path, later: Callable[[float], None]):
    later(3)
    FileDigests(memory).of(files)
    Path(files[1]).write_bytes(os.urandom(Path(files[0]).stat().st_size))
    os.utime(files[1], ns=(0, Path(files[0]).stat().st_mtime_ns))
    Path(files[1]).replace(files[0])
    assert FileDigests(memory).of(files[:1]) == expected(files[:1])


def test_what_is_no_file_has_no_digest(tmp_path: Path, memory: Path):
    os.mkfifo(tmp_path / "pipe")  # to open it would wait for ever
    assert (
        FileDigests(memory).of([str(tmp_path), str(tmp_path / "missing"), str(tmp_path / "pipe"), "a\0b"]) == [None] * 4
    )


def test_names_that_are_no_text(tmp_path: Path, memory: Path, later: Callable[[float], None]):
    later(3)
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
    Path(path).write_bytes(b"abc")
    for n_read in (1, 0):
        digests = FileDigests(memory)
        assert digests.of([path]) == expected([path])
        assert digests.n_read == n_read


@pytest.mark.parametrize("seed", range(25))
def test_a_damaged_memory_is_thrown_away(files: list[str], memory: Path, later: Callable[[float], None], seed: int):
    later(3)
    FileDigests(memory).of(files)
    rng = np.random.default_rng(seed)
    content = bytearray(memory.read_bytes())
    if seed % 5 == 0:
        content = content[: rng.integers(len(content))]
    elif seed % 5 == 1:
        content = bytearray(rng.bytes(len(content)))
    else:
        for place in rng.integers(len(content), size=20):
            content[place] ^= 1 << rng.integers(8)
    memory.write_bytes(bytes(content))
    for _ in range(2):
        assert FileDigests(memory).of(files) == expected(files)
    last = FileDigests(memory)
    assert last.of(files) == expected(files)
    if seed % 5 < 2:  # a few flipped bits can hide from SQLite; then a file is read again, and never believed wrongly
        assert last.n_read == 0


def test_a_digest_that_was_changed_in_memory_is_not_believed(
    files: list[str], memory: Path, later: Callable[[float], None]
):
    later(3)
    FileDigests(memory).of(files)
    with sqlite3.connect(memory) as database:
        database.execute("UPDATE digests SET digest = ?", ["0" * 64])
    database.close()
    assert FileDigests(memory).of(files) == expected(files)


@pytest.mark.parametrize("trouble", ["a folder that is a file", "a locked database"])
def test_no_memory_is_no_error(
    files: list[str], memory: Path, trouble: str, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
):
    later(3)
    if trouble == "a folder that is a file":
        memory.parent.write_text("")
        assert FileDigests(memory).of(files) == expected(files)
        return
    FileDigests(memory).of(files)
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, timeout: real(path, timeout=0.05))
    holder = real(memory, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        digests = FileDigests(memory)
        assert digests.of(files) == expected(files)
        assert digests.n_read == len(files)
    finally:
        holder.close()
    assert memory.exists()


PROCESS = """
import sys, time
from adapters.fingerprints import FileDigests
now = time.time_ns
time.time_ns = lambda: now() + 3_000_000_000
_, memory, start, *files = sys.argv
files = files[int(start):] + files[:int(start)]
for _ in range(20):
    print(*FileDigests(memory).of(files))
"""


def test_processes_share_a_memory(files: list[str], memory: Path, later: Callable[[float], None]):
    commands = [[sys.executable, "-c", PROCESS, str(memory), str(3 * number), *files] for number in range(3)]
    started = [subprocess.Popen(each, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for each in commands]
    for number, process in enumerate(started):
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
        rotated = [*files[3 * number :], *files[: 3 * number]]
        assert set(output.splitlines()) == {" ".join(expected(rotated))}
    later(3)
    last = FileDigests(memory)
    assert last.of(files) == expected(files)
    assert last.n_read == 0


def test_where_the_memory_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path / "here"))
    assert FileDigests().path.parent == cache_folder() == tmp_path / "here"
    monkeypatch.delenv(ENVIRONMENT_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "brain-adapters"
