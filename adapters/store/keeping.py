"""The descriptions of entries and layers on the disk, each in two places, so that one damaged file loses nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .documents import read_document, seal, serialize, unseal
from .errors import StoreCorruptError, reading_from
from .files import Files, discard_folder, prepare_folders, rename_if_first, write_durably
from .layout import Compression, Grid, LayerRecord, array_metadata, group_metadata

__all__ = [
    "NewLayer",
    "add_layers",
    "bytes_of",
    "entry_contents",
    "layer_contents",
    "layer_folders",
    "read_body",
]

_LAYER_FOLDER = re.compile(r"[0-9a-f]{20}")
_FOLDERS = ("commits", "layers", "temporary", "lease", "attempts", "run-cards")


def entry_contents(
    key: str, body: Mapping[str, Any], presentations: Mapping[str, Any] | None
) -> dict[str, bytes | None]:
    """Return what a new entry consists of, by relative path; None is a folder."""
    document = seal("entry", key, body)
    contents: dict[str, bytes | None] = dict.fromkeys(_FOLDERS)
    contents["entry.json"] = document
    contents["zarr.json"] = group_metadata(json.loads(document))
    contents["layers/zarr.json"] = group_metadata()
    if presentations is not None:
        contents["presentations.json"] = seal("presentations", key, {"presentations": presentations})
    return contents


@dataclass(frozen=True)
class NewLayer:
    """A layer that gets a place.

    Parameters
    ----------
    record, grid : LayerRecord, Grid
        What it is and how it is cut.
    compression : {'none', 'zstd'}
        How its chunks are kept.
    added : tuple of (int, int)
        Tells its place among the layers: they are sorted by it.
    """

    record: LayerRecord
    grid: Grid
    compression: Compression
    added: tuple[int, int]

    def contents(self, key: str) -> dict[str, bytes]:
        """Return the files that describe it."""
        body = {"layer": self.record.to_dict(), "columns": self.grid.columns, "compression": self.compression}
        return layer_contents(key, {**body, "added": list(self.added)}, self.grid)


def add_layers(files: Files, path: Path, key: str, layers: Sequence[NewLayer]) -> None:
    """Make the folders of layers, but of those that are there. The caller brings the folder around them to the disk.

    Parameters
    ----------
    files : Files
        The disk.
    path, key : Path, str
        Of the entry.
    layers : sequence of NewLayer
        All different.
    """
    new = [layer for layer in layers if not (path / layer.record.folder).exists()]
    prepared = prepare_folders(files, [{"c": None, **layer.contents(key)} for layer in new], path / "temporary")
    try:
        for layer, folder in zip(new, prepared, strict=True):
            rename_if_first(files, folder, path / layer.record.folder)
    except OSError:
        for folder in prepared:
            discard_folder(files, folder)
        raise
    for layer in layers:
        target, contents = path / layer.record.folder, layer.contents(key)
        if not any((target / name).exists() for name in contents):  # both were damaged, and repair took them away
            for name in sorted(contents, reverse=True):
                write_durably(files, target / name, contents[name], path / "temporary")


def layer_contents(key: str, body: Mapping[str, Any], grid: Grid) -> dict[str, bytes]:
    """Return the files that describe a layer."""
    document = seal("layer", key, body)
    layer = LayerRecord.from_dict(body["layer"])
    metadata = array_metadata(layer, grid, body["compression"], json.loads(document))
    return {"layer.json": document, "zarr.json": metadata}


def layer_folders(path: Path) -> list[str]:
    """Return the folders of all layers, within their entry."""
    with reading_from(path):
        names = sorted(each.name for each in (path / "layers").iterdir())
    return [f"layers/{name}" for name in names if _LAYER_FOLDER.fullmatch(name)]


def read_body(path: Path, kind: str, key: str) -> dict[str, Any] | None:
    """Return a description, from its own file or from the copy in ``zarr.json`` beside it; None where neither is there.

    Raises
    ------
    StoreCorruptError
        If neither is sound.
    """
    damage: StoreCorruptError | None = None
    with reading_from(path):
        try:
            if (body := read_document(path, kind, key)) is not None:
                return body
        except StoreCorruptError as error:
            damage = error
        copy = _copy_in(path.with_name("zarr.json"), kind, key)
    if copy is None and damage is not None:
        raise damage
    return copy


def bytes_of(path: Path) -> bytes:
    """Return the content of a file; nothing where there is no file."""
    with reading_from(path):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return b""


def _copy_in(path: Path, kind: str, key: str) -> dict[str, Any] | None:
    """Return the description that a ``zarr.json`` has among its attributes, if it is sound."""
    try:
        copy = json.loads(bytes_of(path))["attributes"]["brain_adapters"]
        return unseal(serialize(copy), kind, key, path)
    except (StoreCorruptError, ValueError, TypeError, KeyError, RecursionError):
        return None
