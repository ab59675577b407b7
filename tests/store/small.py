"""Small deterministic activations: any row of any layer can be computed alone, bit for bit."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from adapters.store import ActivationStore, Entry, LayerRecord

N_ROWS, BATCH_ROWS, SHARD_ROWS = 22, 2, 4
RECIPE: dict[str, Any] = {"weights": "0a1b", "stimuli": ["1", "2"], "semantics": 1}
CONV = LayerRecord("conv", (4, 3, 3), {"name": "conv"})
HALF = LayerRecord("fc:0", (10,), {"name": "fc", "part": [0]}, "float16")
DOUBLE = LayerRecord("logits", (), {"name": "logits"}, "float64")
LAYERS = [CONV, HALF, DOUBLE]


def values_of(layer: LayerRecord, rows: Iterable[int] | None = None) -> np.ndarray:
    """Return what a layer gives for some rows, (n_rows, n_units), in the data type in which it is stored."""
    numbers = np.arange(N_ROWS) if rows is None else np.asarray(list(rows))
    seed = zlib.crc32(layer.digest.encode()) % 1000
    cells = numbers[:, None] * 7919 + np.arange(layer.n_units) * 104729 + seed
    return ((cells % 1013 - 400).clip(0) / 8).astype(layer.dtype)


def open_entry(
    store: ActivationStore, recipe: Mapping[str, Any] = RECIPE, *, n_rows: int = N_ROWS, widest: int = CONV.n_units
) -> Entry:
    """Open or make the entry, with shards of four rows."""
    shard_bytes = SHARD_ROWS * widest * 4
    return store.entry(recipe, n_rows=n_rows, batch_rows=BATCH_ROWS, widest=widest, max_shard_bytes=shard_bytes)


def write_missing(
    entry: Entry,
    layers: list[LayerRecord] = LAYERS,
    *,
    order: Callable[[list[int]], list[int]] = sorted,
    threads: int = 2,
) -> int:
    """Compute and write what is missing, batch by batch; return how many shards that were."""
    missing = entry.missing(layers)
    with entry.writer(threads=threads) as writer:
        for shard in order(list(missing)):
            rows = entry.rows_of(shard)
            writer.begin(shard, missing[shard])
            for start in range(rows.start, rows.stop, BATCH_ROWS):
                batch = range(start, min(start + BATCH_ROWS, rows.stop))
                writer.append({layer.requested: values_of(layer, batch) for layer in missing[shard]})
            writer.finish()
    return len(missing)


def chunk_files(entry: Entry) -> dict[str, bytes]:
    """Return every chunk file of an entry, by path within it."""
    return {
        str(path.relative_to(entry.path)): path.read_bytes()
        for path in sorted(entry.path.glob("layers/*/c/*/*"))
        if path.is_file()
    }


def expected_chunks(folder: Path, layers: list[LayerRecord] = LAYERS, compression: Any = "none") -> dict[str, bytes]:
    """Return the chunk files of an undisturbed run."""
    entry = open_entry(ActivationStore(folder / "undisturbed", compression=compression))
    write_missing(entry, layers)
    return chunk_files(entry)


def assert_holds(entry: Entry, layers: list[LayerRecord] = LAYERS) -> None:
    """Hold everything that is stored against what was computed."""
    for layer in layers:
        np.testing.assert_array_equal(entry.read(layer, slice(None)), values_of(layer, range(entry.n_rows)))
