"""From finished chunks to a commit: names first, then the record that makes them count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .commits import ChunkRecord, chunk_name
from .errors import writing_to
from .files import discard, sync_folder
from .layout import LayerRecord

if TYPE_CHECKING:
    from .entry import Entry

__all__ = ["commit", "note_completion"]

FinishedChunk = tuple[Path, ChunkRecord]


def commit(
    entry: Entry, shard: int, ready: Mapping[LayerRecord, Sequence[FinishedChunk]], skipped: Mapping[int, str]
) -> None:
    """Give finished chunks their names, and record them; durable on return.

    Parameters
    ----------
    entry : Entry
        Where they belong.
    shard : int
        Which shard.
    ready : mapping of LayerRecord to sequence of (Path, ChunkRecord)
        Files that are on the disk under temporary names, one per column block.
    skipped : mapping of int to str
        Rows left out.
    """
    if any((entry.path / chunk_name(layer.folder, shard, 0)).exists() for layer in ready):
        entry.commits.refresh()
    with writing_to(entry.path):
        placed: dict[str, ChunkRecord] = {}
        for layer, chunks in ready.items():
            if entry.has(layer, shard):  # another process was faster; its chunks are as good, and are recorded
                for path, _ in chunks:
                    discard(entry.files, path)
            else:
                placed.update(_place(entry, layer, shard, chunks))
        for folder in sorted({Path(name).parent for name in placed}):
            sync_folder(entry.files, entry.path / folder)
        if placed:
            entry.commits.write(shard, placed, skipped)


def note_completion(entry: Entry) -> None:
    """Write ``COMPLETE.json`` when all rows of all layers are there."""
    layers = list(entry.layers().values())
    if entry.complete(layers):
        with writing_to(entry.path):
            entry.commits.write_merged(entry.chunk_names(layers))


def _place(entry: Entry, layer: LayerRecord, shard: int, chunks: Sequence[FinishedChunk]) -> dict[str, ChunkRecord]:
    entry.make_room(layer, shard)
    placed = {}
    for block, (path, record) in enumerate(chunks):
        name = chunk_name(layer.folder, shard, block)
        entry.files.rename(path, entry.path / name)
        placed[name] = record
    return placed
