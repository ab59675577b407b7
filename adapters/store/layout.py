"""What lies where in an entry, and how a layer is cut into chunks. No text of a user ever becomes a path."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from .digests import canonical, digest
from .errors import StoreMismatchError

__all__ = [
    "CHECKSUM_BYTES",
    "Compression",
    "Grid",
    "LayerRecord",
    "StorageType",
    "array_metadata",
    "columns_per_chunk",
    "group_metadata",
    "rows_per_shard",
]

StorageType = Literal["float16", "float32", "float64"]
Compression = Literal["none", "zstd"]
_TYPES: dict[StorageType, str] = {"float16": "<f2", "float32": "<f4", "float64": "<f8"}
_MIB = 2**20
_CHUNK_BYTES = 32 * _MIB  # smaller chunks spend the time on fsync: 16 MiB reach 0.8 of a raw file's speed, 4 MiB half
_SPLIT_ABOVE_BYTES = 128 * _MIB  # what a reader has to hold for one row, where it can only read whole chunks
_SPLIT_ABOVE_UNITS = 8_000_000
_SPLIT_BYTES = 64 * _MIB
CHECKSUM_BYTES = 4


@dataclass(frozen=True)
class LayerRecord:
    """What is stored under one layer.

    Parameters
    ----------
    requested : str
        The text of the request; a label, not part of what is keyed.
    shape : tuple of int
        Of one row, after the reduction.
    recipe : mapping of str to JSON data
        Which values of the model these are.
    dtype : {'float32', 'float16', 'float64'}
        As they are kept.
    call : int, optional
        Call number when one call of several was requested; a label, too.
    """

    requested: str
    shape: tuple[int, ...]
    recipe: Mapping[str, Any]
    dtype: StorageType = "float32"
    call: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(length) for length in self.shape))
        if self.dtype not in _TYPES:
            raise StoreMismatchError(
                f"Layer {self.requested!r} shall be kept as {self.dtype!r}. Use one of: {', '.join(_TYPES)}."
            )
        if self.n_units < 1:
            raise StoreMismatchError(
                f"Layer {self.requested!r} has shape {self.shape} per image, which is no value at all. Leave it out."
            )

    def __hash__(self) -> int:
        return hash(self.digest)

    @cached_property
    def digest(self) -> str:
        """Name of the layer within its entry, 64 hexadecimal digits."""
        return digest(canonical({"recipe": self.recipe, "shape": self.shape, "dtype": self.dtype}))

    @property
    def folder(self) -> str:
        """Its folder in the entry."""
        return f"layers/{self.digest[:20]}"

    @property
    def n_units(self) -> int:
        """Values per row."""
        return math.prod(self.shape)

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The data type on the disk, little-endian."""
        return np.dtype(_TYPES[self.dtype])

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "requested": self.requested,
            "shape": list(self.shape),
            "recipe": dict(self.recipe),
            "dtype": self.dtype,
            "call": self.call,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LayerRecord:
        """Read it from JSON data."""
        return cls(data["requested"], tuple(data["shape"]), data["recipe"], data["dtype"], data["call"])


@dataclass(frozen=True)
class Grid:
    """How one layer is cut: a row block is a shard, and very wide layers are cut along their units as well.

    Parameters
    ----------
    n_rows, n_units : int
        Of the whole layer.
    shard_rows : int
        Rows per shard, the same for all layers.
    columns : int
        Units per chunk; the last block's chunks are padded.
    dtype : numpy.dtype
        Of the values on the disk.
    """

    n_rows: int
    n_units: int
    shard_rows: int
    columns: int
    dtype: np.dtype[Any]

    @property
    def n_blocks(self) -> int:
        """Number of column blocks."""
        return math.ceil(self.n_units / self.columns)

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk's values."""
        return self.shard_rows * self.columns * self.dtype.itemsize

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of a chunk."""
        return self.columns * self.dtype.itemsize

    def block_columns(self, block: int) -> slice:
        """Return the units of one column block."""
        return slice(block * self.columns, min((block + 1) * self.columns, self.n_units))


def columns_per_chunk(record: LayerRecord, shard_rows: int) -> int:
    """Return how many units of a new layer go into one chunk: all, unless a chunk would be hard to handle.

    Examples
    --------
    >>> columns_per_chunk(LayerRecord("conv1", (64, 112, 112), {}), shard_rows=64)
    200704
    """
    shard_bytes = shard_rows * record.n_units * record.numpy_dtype.itemsize
    if record.n_units <= _SPLIT_ABOVE_UNITS and shard_bytes <= _SPLIT_ABOVE_BYTES:
        return record.n_units
    n_blocks = min(record.n_units, math.ceil(shard_bytes / _SPLIT_BYTES))
    return math.ceil(record.n_units / n_blocks)


def rows_per_shard(n_rows: int, batch_rows: int, widest: int, max_shard_bytes: int, min_shards: int = 1) -> int:
    """Return how many rows a shard has: whole batches, so that any shard can be computed alone, bit for bit.

    Parameters
    ----------
    n_rows : int
        Of the whole entry; one shard is never longer.
    batch_rows : int
        Rows that are computed together.
    widest : int
        Values per row of the widest layer; its chunks get 32 MiB.
    max_shard_bytes : int
        Upper limit for the widest layer's chunk; a shard has at least one batch, whatever it takes.
    min_shards : int
        How many there should be at least, so that several workers have something to do, if there are enough batches.

    Examples
    --------
    >>> rows_per_shard(50_000, 64, 10_000, 2**29)
    896
    """
    row_bytes = 4 * widest
    n_batches = math.ceil(_CHUNK_BYTES / (batch_rows * row_bytes))
    n_batches = max(1, min(n_batches, max_shard_bytes // (batch_rows * row_bytes)))
    n_batches = min(n_batches, max(1, math.ceil(n_rows / batch_rows) // min_shards))
    return min(n_batches * batch_rows, n_rows)


def array_metadata(record: LayerRecord, grid: Grid, compression: Compression, document: Mapping[str, Any]) -> bytes:
    """Write ``zarr.json`` of a layer, so that any reader of zarr version 3 opens it.

    The fill value is not-a-number: a missing chunk reads as that in other readers, never as zeros.
    """
    zstd = [{"name": "zstd", "configuration": {"level": 1, "checksum": False}}] if compression == "zstd" else []
    metadata = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [grid.n_rows, grid.n_units],
        "data_type": record.dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [grid.shard_rows, grid.columns]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": "NaN",
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, *zstd, {"name": "crc32c"}],
        "dimension_names": ["presentation", f"neuroid_{record.digest[:20]}"],  # each layer has its own size
        "attributes": {"brain_adapters": document},
        "storage_transformers": [],
    }
    return canonical(metadata)


def group_metadata(document: Mapping[str, Any] | None = None) -> bytes:
    """Write ``zarr.json`` of a group."""
    attributes = {} if document is None else {"brain_adapters": document}
    return canonical({"zarr_format": 3, "node_type": "group", "attributes": attributes})
