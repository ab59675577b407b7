"""Find what is damaged in an entry: every file is held against what was written."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .commits import chunk_place
from .digests import new_hasher
from .documents import read_document
from .entry import Entry
from .errors import StoreCorruptError, StoreReadError, reading_from
from .files import Files
from .keeping import bytes_of, entry_contents, layer_contents, layer_folders, read_body
from .layout import LayerRecord

__all__ = ["Damage", "digest_file", "layer_in", "unsound_notes", "verify"]

_READ_BYTES = 2**20
_IS_DAMAGE = (errno.ENOENT, errno.EIO)  # other errors, as too many open files, say nothing about the chunk
_FEW = 16  # chunks that are read as fast by one thread


@dataclass(frozen=True)
class Damage:
    """One file that is not what was written.

    Parameters
    ----------
    path : str
        Within the entry.
    problem : str
        What is wrong with it.
    shard : int, optional
        Which row block, where it is a chunk.
    layer : str, optional
        The text of the layer's request, where it is a chunk.
    """

    path: str
    problem: str
    shard: int | None = None
    layer: str | None = None

    def __str__(self) -> str:
        whose = "" if self.shard is None else f" (shard {self.shard} of layer {self.layer!r})"
        return f"{self.path}{whose}: {self.problem}"


def verify(entry: Entry, *, full: bool = True) -> list[Damage]:
    """Check all files of an entry.

    Parameters
    ----------
    entry : Entry
        What to check.
    full : bool
        Whether every chunk is read and its digest compared; otherwise only its size.

    Returns
    -------
    list of Damage
        Empty when everything is as it was written. What was never committed is no damage.
    """
    entry.commits.reload()
    return [*_in_descriptions(entry), *_in_records(entry), *_in_chunks(entry, full)]


def digest_file(files: Files, path: Path) -> str:
    """Return the digest of a file, read in small pieces."""
    hasher, buffer, offset = new_hasher(), np.empty(_READ_BYTES, np.uint8), 0
    with files.opened(path) as descriptor:
        while n_read := files.read(descriptor, buffer.data, offset):
            hasher.update(buffer[:n_read])
            offset += n_read
    return str(hasher.hexdigest())


def _in_descriptions(entry: Entry) -> Iterator[Damage]:
    for name, data in entry_contents(entry.key, entry.body(), None).items():
        if data is not None and bytes_of(entry.path / name) != data:
            yield Damage(name, "is not what was written")
    for name in unsound_notes(entry):
        yield Damage(name, "is not what was written")
    for folder in layer_folders(entry.path):
        yield from _in_layer(entry, folder)


def unsound_notes(entry: Entry) -> list[str]:
    """Return the damaged ones of the files that come back with the next run: labels and run cards."""
    cards = sorted(f"run-cards/{path.name}" for path in (entry.path / "run-cards").glob("*.json"))
    unsound = []
    for name, kind in (("presentations.json", "presentations"), *((card, "run-card") for card in cards)):
        try:
            read_document(entry.path / name, kind, entry.key)
        except StoreCorruptError:
            unsound.append(name)
    return unsound


def _in_layer(entry: Entry, folder: str) -> Iterator[Damage]:
    layer = layer_in(entry, folder)
    if layer is None:
        yield Damage(f"{folder}/layer.json", "and the copy in zarr.json are both damaged or belong to another layer")
        return
    body: Any = read_body(entry.path / folder / "layer.json", "layer", entry.key)
    for name, data in layer_contents(entry.key, body, entry.grid(layer)).items():
        if bytes_of(entry.path / folder / name) != data:
            yield Damage(f"{folder}/{name}", "is not what was written")


def layer_in(entry: Entry, folder: str) -> LayerRecord | None:
    """Return the layer that a folder holds; None where nothing sound says so, or what does belongs elsewhere."""
    try:
        body = read_body(entry.path / folder / "layer.json", "layer", entry.key)
    except StoreCorruptError:
        return None
    layer = None if body is None else LayerRecord.from_dict(body["layer"])
    return layer if layer is not None and layer.folder == folder else None


def _in_records(entry: Entry) -> Iterator[Damage]:
    recorded: set[str] = set()
    for name in entry.commits.names():
        body = entry.commits.read(name)
        if body is None:
            yield Damage(f"commits/{name}", "is no sound commit record")
        else:
            recorded |= body["files"].keys()
    try:
        merged = entry.commits.read_merged()
    except StoreCorruptError:
        yield Damage("COMPLETE.json", "is not what was written")
        return
    lost = sorted(merged["files"].keys() - recorded) if merged is not None else []
    for name in lost:
        yield Damage(f"commits/{chunk_place(name)[1]}-*.json", f"is gone; only COMPLETE.json still records {name}")


def _in_chunks(entry: Entry, full: bool) -> list[Damage]:
    layers = {folder: layer_in(entry, folder) for folder in layer_folders(entry.path)}
    names = sorted(entry.commits.all_chunks(), key=chunk_place)
    if full and len(names) > _FEW:
        with ThreadPoolExecutor(max(1, min(4, os.cpu_count() or 1))) as pool:
            problems = list(pool.map(lambda name: _problem_of(entry, name, full), names))
    else:
        problems = [_problem_of(entry, name, full) for name in names]
    damages = []
    for name, problem in zip(names, problems, strict=True):
        if problem:
            folder, shard, _ = chunk_place(name)
            layer = layers.get(folder)
            damages.append(Damage(name, problem, shard, None if layer is None else layer.requested))
    return damages


def _problem_of(entry: Entry, name: str, full: bool) -> str:
    """Return what is wrong with a chunk; an empty text where nothing is."""
    path, records = entry.path / name, entry.commits.find(name)
    try:
        with reading_from(path):
            n_bytes = path.stat().st_size
            found = digest_file(entry.files, path) if full else None
    except StoreReadError as error:
        if error.errno not in _IS_DAMAGE:
            raise
        return "is gone" if error.errno == errno.ENOENT else "cannot be read any more"
    if all(record.n_bytes != n_bytes for record in records):
        return f"has {n_bytes:,} bytes, and {records[0].n_bytes:,} were written"
    if found is None or any(record.blake3 == found for record in records):
        return ""
    return "is not what was written (its digest is another)"
