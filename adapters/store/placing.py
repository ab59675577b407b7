"""From finished chunks to a commit: names first, then the record that makes them count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .commits import ChunkRecord, chunk_name
from .errors import writing_to
from .files import discard, sync_all
from .layout import LayerRecord

if TYPE_CHECKING:
    from .entry import Entry

__all__ = ["commit", "note_completion"]

FinishedChunk = tuple[Path, ChunkRecord]


def commit(
    entry: Entry, shard: int, ready: Mapping[LayerRecord, Sequence[FinishedChunk]], skipped: Mapping[int, str]
) -> None:
    """Bring finished chunks to the disk, give them their names, and record them; durable on return.

    Parameters
    ----------
    entry : Entry
        Where they belong.
    shard : int
        Which shard.
    ready : mapping of LayerRecord to sequence of (Path, ChunkRecord)
        Whole files under temporary names, one per column block.
    skipped : mapping of int to str
        Rows left out.
    """
    if any((entry.path / chunk_name(layer.folder, shard, 0)).exists() for layer in ready):
        entry.commits.refresh()
    with writing_to(entry.path):
        wanted = {layer: chunks for layer, chunks in ready.items() if not entry.has(layer, shard)}
        for path in (path for layer, chunks in ready.items() if layer not in wanted for path, _ in chunks):
            discard(entry.files, path)  # another process was faster; its chunks are as good, and are recorded
        sync_all(entry.files, [path for chunks in wanted.values() for path, _ in chunks])
        placed: dict[str, ChunkRecord] = {}
        for layer, chunks in wanted.items():
            placed.update(_place(entry, layer, shard, chunks))
        sync_all(entry.files, [], sorted({entry.path / Path(name).parent for name in placed}))
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
