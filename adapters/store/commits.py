"""Commit records: they alone decide what exists.

A record names the chunk files of one shard and some layers, with size and digest of each; it is written when all of
them are on the disk. Records are never changed. One that cannot be read counts as none: its shard is computed again.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .digests import canonical, digest
from .documents import read_document, seal, unseal
from .errors import StoreCorruptError, reading_from
from .files import Files, write_durably
from .layout import Compression

__all__ = ["ChunkRecord", "Commits", "chunk_name", "chunk_place"]

_NAME = re.compile(r"(?P<shard>\d{1,12})-[0-9a-f]{20}\.json")
_CHUNK = re.compile(r"(?P<folder>layers/[0-9a-f]{20})/c/(?P<shard>\d{1,12})/(?P<block>\d{1,9})")


@dataclass(frozen=True)
class ChunkRecord:
    """What a chunk file holds.

    Parameters
    ----------
    n_bytes : int
        Size of the file.
    blake3 : str
        Digest of the whole file.
    compression : {'none', 'zstd'}
        How the values are kept.
    """

    n_bytes: int
    blake3: str
    compression: Compression


def chunk_name(folder: str, shard: int, block: int) -> str:
    """Return the path of a chunk within its entry."""
    return f"{folder}/c/{shard}/{block}"


def chunk_place(name: str) -> tuple[str, int, int]:
    """Return layer folder, shard and column block of the path of a chunk.

    Examples
    --------
    >>> chunk_place(chunk_name("layers/0123456789abcdef0123", 7, 0))
    ('layers/0123456789abcdef0123', 7, 0)
    """
    match = _CHUNK.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is no path of a chunk. Paths of chunks come from chunk_name().")
    return match["folder"], int(match["shard"]), int(match["block"])


class Commits:
    """The commit records of one entry, read as far as they are needed.

    Parameters
    ----------
    path : Path
        Of the entry.
    key : str
        Of the entry.
    files : Files
        The disk.
    """

    def __init__(self, path: Path, key: str, files: Files) -> None:
        self._path, self._key, self._files = path, key, files
        self._chunks: dict[str, tuple[ChunkRecord, ...]] = {}
        self._skipped: dict[int, str] = {}
        self._seen: set[str] = set()
        self._is_merged_read = False
        self._lock = threading.Lock()

    def find(self, name: str) -> tuple[ChunkRecord, ...]:
        """Return what records say about a chunk: one thing, unless the model is not deterministic."""
        with self._lock:
            if not self._is_merged_read:
                self._read_merged()
        return self._chunks.get(name, ())

    def all_chunks(self) -> list[str]:
        """Return the paths of all chunks that are recorded, as far as was read."""
        return list(self._chunks)

    def refresh(self) -> None:
        """Read the records that were written since the last time."""
        with self._lock, reading_from(self._path):
            for name in set(self.names()) - self._seen:
                if (body := self.read(name)) is not None:
                    self._add(body)
                self._seen.add(name)
            if not self._is_merged_read:
                self._read_merged()

    def reload(self) -> None:
        """Read everything anew, after records were removed or written again."""
        new = Commits(self._path, self._key, self._files)
        new.refresh()
        with self._lock:
            self._chunks, self._skipped, self._seen = new._chunks, new._skipped, new._seen
            self._is_merged_read = True

    def skipped(self) -> dict[int, str]:
        """Return the rows that were left out, each with the reason."""
        self.refresh()
        return dict(sorted(self._skipped.items()))

    def names(self) -> list[str]:
        """Return the file names of all records."""
        return sorted(filter(_NAME.fullmatch, _names_in(self._path / "commits")))

    def read(self, name: str) -> dict[str, Any] | None:
        """Return what one record says; None where it is gone or damaged."""
        try:
            body = read_document(self._path / "commits" / name, "commit", self._key)
        except StoreCorruptError:
            return None
        return body if body is not None and name == _name_of(body) else None

    def write(self, shard: int, chunks: Mapping[str, ChunkRecord], skipped: Mapping[int, str]) -> str:
        """Commit chunks that are on the disk; durable on return. Returns the name of the record."""
        body = {
            "shard": shard,
            "files": {name: vars(record) for name, record in chunks.items()},
            "skipped": {str(row): reason for row, reason in skipped.items()},
        }
        name, data = _name_of(body), seal("commit", self._key, body)
        write_durably(self._files, self._path / "commits" / name, data, self._path / "temporary")
        with self._lock:
            self._add(body)
        return name

    def write_merged(self, names: Iterable[str]) -> None:
        """Write ``COMPLETE.json``: what all records say about these chunks, so that opening is one read."""
        chunks = {name: vars(self._chunks[name][0]) for name in sorted(names)}
        skipped = {str(row): reason for row, reason in sorted(self._skipped.items())}
        body = {"files": chunks, "skipped": skipped, "root": _root_of(chunks)}
        path, data = self._path / "COMPLETE.json", seal("complete", self._key, body)
        try:
            is_there = path.read_bytes() == data
        except FileNotFoundError:
            is_there = False
        if not is_there:
            write_durably(self._files, path, data, self._path / "temporary")

    def read_merged(self) -> dict[str, Any] | None:
        """Return what ``COMPLETE.json`` says, or None where there is none.

        Raises
        ------
        StoreCorruptError
            If it is damaged.
        """
        path = self._path / "COMPLETE.json"
        body = read_document(path, "complete", self._key)
        if body is not None and body["root"] != _root_of(body["files"]):
            unseal(b"", "complete", self._key, path)
        return body

    def drop(self, names: Iterable[str]) -> None:
        """Remove records; first what was merged from them."""
        for path in (self._path / "COMPLETE.json", *(self._path / "commits" / name for name in names)):
            with suppress(FileNotFoundError):
                self._files.remove(path)
        self.reload()

    def _read_merged(self) -> None:
        self._is_merged_read = True
        try:
            body = self.read_merged()
        except StoreCorruptError:  # the records themselves are still there
            return
        if body is not None:
            self._add(body)

    def _add(self, body: Mapping[str, Any]) -> None:
        for name, data in body["files"].items():
            record, known = ChunkRecord(**data), self._chunks.get(name, ())
            if record not in known and _CHUNK.fullmatch(name):
                self._chunks[name] = (record, *known)
        self._skipped.update({int(row): reason for row, reason in body["skipped"].items()})


def _names_in(path: Path) -> list[str]:
    try:
        return os.listdir(path)  # noqa: PTH208 - of very many names nothing but the text is needed
    except FileNotFoundError:
        return []


def _name_of(body: Mapping[str, Any]) -> str:
    folders = sorted({name.partition("/c/")[0] for name in body["files"]})
    return f"{body['shard']}-{digest(canonical(folders))[:20]}.json"


def _root_of(chunks: Mapping[str, Mapping[str, Any]]) -> str:
    """Return one digest over the digests of all chunks."""
    return digest(canonical([[name, chunks[name]["n_bytes"], chunks[name]["blake3"]] for name in sorted(chunks)]))
