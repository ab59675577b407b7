"""The layers of one entry: what is there, how each is cut and kept, and how new ones are added."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from .errors import StoreMismatchError, writing_to
from .files import Files, sync_folder
from .keeping import NewLayer, add_layers, layer_folders, read_body
from .layout import Compression, Grid, LayerRecord, columns_per_chunk

__all__ = ["CompressionPolicy", "PlacedLayers"]

_SHARDS_AT_ONCE = 32
CompressionPolicy = Literal["none", "zstd", "auto"]


class PlacedLayers:
    """Layers that have a place in an entry, and those that will get one.

    Parameters
    ----------
    files : Files
        The disk.
    path, key : Path, str
        Of the entry.
    n_rows, shard_rows : int
        Of the entry.
    policy : {'none', 'zstd', 'auto'}
        How layers are kept that are added.
    """

    def __init__(
        self, files: Files, path: Path, key: str, *, n_rows: int, shard_rows: int, policy: CompressionPolicy
    ) -> None:
        self._files, self._path, self._key = files, path, key
        self._n_rows, self._shard_rows, self._policy = n_rows, shard_rows, policy
        self._grids: dict[str, Grid] = {}
        self._compressions: dict[str, Compression] = {}  # of layers that have a place
        self._added: dict[str, tuple[int, int]] = {}
        self._durable: set[str] = set()
        self._rooms: set[tuple[str, int]] = set()

    def records(self) -> dict[str, LayerRecord]:
        """Return the layers that have a place, by digest, in the order in which they were added."""
        found = (read_body(self._path / each / "layer.json", "layer", self._key) for each in layer_folders(self._path))
        bodies = sorted((body for body in found if body is not None), key=lambda body: body["added"])
        records = [LayerRecord.from_dict(body["layer"]) for body in bodies]
        return {record.digest: record for record in records}

    def add(self, layers: Sequence[LayerRecord]) -> None:
        """Make a place for layers that have none; with policy ``'auto'`` only remember their order."""
        now, new = time.time_ns(), [each for each in layers if each.digest not in self._durable]
        with writing_to(self._path):
            for place, layer in enumerate(new):
                self._added.setdefault(layer.digest, (now, place))
            if self._policy != "auto":
                self._make_places(new, self._policy)
            self._make_durable(new)

    def grid(self, layer: LayerRecord) -> Grid:
        """Return how a layer is cut: as is written with it, or where it is new, as it will be."""
        self.look_up(layer)
        return self._grids[layer.digest]

    def known_grid(self, layer: LayerRecord) -> Grid:
        """Return the same as `grid`, as of the last `look_up`."""
        return self._grids[layer.digest]

    def compression(self, layer: LayerRecord) -> Compression | None:
        """Return how a layer is kept; None where that is decided with its first chunk."""
        self.look_up(layer)
        return self._compressions.get(layer.digest)

    def decide(self, layer: LayerRecord, is_worthwhile: bool) -> Compression:
        """Settle how a layer is kept; whoever was first has decided for all."""
        with writing_to(self._path):
            self._make_places([layer], "zstd" if is_worthwhile else "none")
            self._make_durable([layer])
        return self._compressions[layer.digest]

    def make_room(self, layer: LayerRecord, shard: int) -> None:
        """Make the folders of the chunks of a shard, and of those after it; durable on return.

        A folder costs an ``fsync`` of the one around it, which is shared by so many shards.
        """
        first = shard - shard % _SHARDS_AT_ONCE
        if (layer.digest, first) in self._rooms:
            return
        folder, n_shards = self._path / layer.folder / "c", -(-self._n_rows // self._shard_rows)
        for each in range(first, min(first + _SHARDS_AT_ONCE, n_shards)):
            with suppress(FileExistsError):
                self._files.make_folder(folder / str(each))
        sync_folder(self._files, folder)
        self._rooms.add((layer.digest, first))

    def look_up(self, layer: LayerRecord) -> None:
        """Learn how a layer is cut and kept, until it is known: another process may add it at any time."""
        if layer.digest in self._compressions:
            return
        body = read_body(self._path / layer.folder / "layer.json", "layer", self._key)
        columns = columns_per_chunk(layer, self._shard_rows) if body is None else int(body["columns"])
        self._grids[layer.digest] = Grid(self._n_rows, layer.n_units, self._shard_rows, columns, layer.numpy_dtype)
        if body is not None:
            self._compressions[layer.digest] = body["compression"]

    def _make_places(self, layers: Sequence[LayerRecord], compression: Compression) -> None:
        unique = {layer.digest: layer for layer in reversed(layers)}.values()
        new = [NewLayer(each, self.grid(each), compression, self._added[each.digest]) for each in unique]
        add_layers(self._files, self._path, self._key, new)
        for layer in new:
            self.look_up(layer.record)
            if layer.record.digest not in self._compressions or self._grids[layer.record.digest] != layer.grid:
                raise StoreMismatchError(
                    f"Layer {layer.record.requested!r} was added to entry {self._key[:12]} by another process just "
                    f"now, and is cut otherwise there. Run the same extraction again: it goes on with what is there."
                )

    def _make_durable(self, layers: Sequence[LayerRecord]) -> None:
        """Bring the names of layers to the disk; those too that another process added, which may not come to it."""
        placed = {each.digest for each in layers if each.digest in self._compressions}
        if placed:
            sync_folder(self._files, self._path / "layers")
            self._durable |= placed
