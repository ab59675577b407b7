"""Mend a damaged entry: keep all that is sound, take the rest out of the records, so that it is computed again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from .checking import Damage, digest_file, layer_in, unsound_notes, verify
from .commits import ChunkRecord, chunk_place
from .entry import Entry
from .errors import writing_to
from .files import write_durably
from .keeping import bytes_of, entry_contents, layer_contents, layer_folders, read_body
from .layout import LayerRecord
from .placing import note_completion

__all__ = ["Repaired", "repair"]


@dataclass(frozen=True)
class Repaired:
    """What a repair found, and what has to be computed again.

    Parameters
    ----------
    damages : tuple of Damage
        All that was wrong; none of it is there any more.
    missing : dict of int to tuple of str
        Shard -> layers of which it has no values now.
    """

    damages: tuple[Damage, ...]
    missing: dict[int, tuple[str, ...]]


def repair(entry: Entry) -> Repaired:
    """Mend an entry. It may be killed at any time, and called again.

    Parameters
    ----------
    entry : Entry
        What to mend; nobody should write to it meanwhile.

    Raises
    ------
    StoreWriteError
        If the disk refuses.
    """
    damages = tuple(verify(entry, full=True))
    with writing_to(entry.path):
        if damages:
            _mend_descriptions(entry)
            _mend_records(entry, {each.path for each in damages})
        layers = list(entry.layers().values())
        missing = {shard: tuple(layer.requested for layer in each) for shard, each in entry.missing(layers).items()}
    note_completion(entry)
    return Repaired(damages, missing)


def _mend_descriptions(entry: Entry) -> None:
    for name, data in entry_contents(entry.key, entry.body(), None).items():
        if data is not None:
            _write_if_other(entry, name, data)
    for name in unsound_notes(entry):
        entry.files.remove(entry.path / name)
    for folder in layer_folders(entry.path):
        layer = layer_in(entry, folder)
        if layer is None:  # its chunks stay, and count again when the layer is asked for again
            for name in ("layer.json", "zarr.json"):
                with suppress(FileNotFoundError):
                    entry.files.remove(entry.path / folder / name)
        else:
            _mend_layer(entry, layer)


def _mend_layer(entry: Entry, layer: LayerRecord) -> None:
    body = read_body(entry.path / layer.folder / "layer.json", "layer", entry.key)
    if body is not None:
        for name, data in layer_contents(entry.key, body, entry.grid(layer)).items():
            _write_if_other(entry, f"{layer.folder}/{name}", data)


def _write_if_other(entry: Entry, name: str, data: bytes) -> None:
    if bytes_of(entry.path / name) != data:
        write_durably(entry.files, entry.path / name, data, entry.path / "temporary")


def _mend_records(entry: Entry, damaged: set[str]) -> None:
    """Replace each record that names a damaged chunk by one that names the others; new records first."""
    commits, skipped = entry.commits, entry.skipped()
    chunks = {name: commits.find(name) for name in commits.all_chunks()}
    is_bad = {name for name in chunks if name in damaged}
    bad_parts = {chunk_place(name)[:2] for name in is_bad}  # of a layer cut along its units, all blocks go together
    bodies = {name: commits.read(name) for name in commits.names()}
    dropped = [name for name, body in bodies.items() if body is None or not is_bad.isdisjoint(body["files"])]
    kept = {chunk for name, body in bodies.items() if body and name not in dropped for chunk in body["files"]}
    orphans = [name for name in chunks.keys() - kept if chunk_place(name)[:2] not in bad_parts]
    written = set()
    for shard in sorted({chunk_place(name)[1] for name in orphans}):
        sound = {name: _true_record(entry, name, chunks[name]) for name in orphans if chunk_place(name)[1] == shard}
        rows = entry.rows_of(shard)
        left_out = {row: reason for row, reason in skipped.items() if rows.start <= row < rows.stop}
        written.add(commits.write(shard, sound, left_out))
    commits.drop(name for name in dropped if name not in written)
    for name in is_bad:
        with suppress(FileNotFoundError):
            entry.files.remove(entry.path / name)


def _true_record(entry: Entry, name: str, records: Sequence[ChunkRecord]) -> ChunkRecord:
    """Return the record that tells what is in the file, where processes wrote different ones."""
    if len(records) == 1:
        return records[0]
    found = digest_file(entry.files, entry.path / name)
    return next(each for each in records if each.blake3 == found)
