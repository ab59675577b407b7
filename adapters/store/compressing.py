"""Compressed chunks: zstd at level 1, without shuffling, which is what helps activations after a ReLU.

Dense activations are not worth compressing, and a local disk is often faster than the encoder. ``"auto"`` therefore
measures the first chunk of each layer.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..errors import MissingFrameworkError
from .commits import ChunkRecord
from .digests import checksum, new_hasher
from .errors import StoreCorruptError
from .files import Files, write_all
from .layout import CHECKSUM_BYTES

__all__ = ["SAMPLE_BYTES", "compress_file", "decompress", "is_worth_compressing", "measure"]

_LEVEL = 1
SAMPLE_BYTES = 8 * 2**20
_WORTHWHILE_RATIO = 0.6
_MAGIC = b"\x28\xb5\x2f\xfd"


def compress_file(files: Files, source: Path, n_bytes: int, target: Path) -> ChunkRecord:
    """Write the compressed values of one file to another, and return what that holds; it is not on the disk yet.

    Parameters
    ----------
    files : Files
        The disk.
    source : Path
        Its first ``n_bytes`` are the values.
    n_bytes : int
        See ``source``.
    target : Path
        A new file.
    """
    with files.opened(source) as descriptor, mmap.mmap(descriptor, n_bytes, access=mmap.ACCESS_READ) as mapped:
        data = bytes(_encoder()(np.frombuffer(mapped, np.uint8), _LEVEL))
    trailer = checksum(data).to_bytes(CHECKSUM_BYTES, "little")
    hasher = new_hasher()
    with files.opened(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as descriptor:
        for part in (data, trailer):
            write_all(files, descriptor, part)
            hasher.update(part)
    return ChunkRecord(len(data) + CHECKSUM_BYTES, str(hasher.hexdigest()), "zstd")


def decompress(data: bytes | memoryview, n_bytes: int, path: str | Path) -> np.ndarray:
    """Return the bytes of a compressed chunk.

    The size is read from the head of the data first: what would not be ``n_bytes`` is refused before any memory is
    taken.

    Raises
    ------
    StoreCorruptError
        If the data are not compressed, damaged, or of another size.
    """
    decoded = np.empty(n_bytes, np.uint8)
    try:
        n_announced = _announced_bytes(data)
        if n_announced == n_bytes:
            _decoder()(np.frombuffer(data, np.uint8), decoded)
            return decoded
        problem = f"announces {n_announced:,} bytes of values"
    except (RuntimeError, ValueError, IndexError) as error:
        problem = f"cannot be decompressed ({error})"
    raise StoreCorruptError(
        f"{path} {problem}, and {n_bytes:,} bytes were expected. Nothing was read from it. Mend the entry with: "
        f"brain-adapters cache repair"
    )


def measure(sample: np.ndarray) -> tuple[float, float]:
    """Return how small a sample becomes, as a fraction, and how many bytes per second the encoder takes."""
    start = time.perf_counter()
    n_compressed = len(_encoder()(sample[:SAMPLE_BYTES], _LEVEL))
    seconds = max(time.perf_counter() - start, 1e-9)
    n_bytes = min(len(sample), SAMPLE_BYTES)
    return n_compressed / n_bytes, n_bytes / seconds


def is_worth_compressing(ratio: float, encoder_rate: float, disk_rate: float) -> bool:
    """Decide: only where much is saved, and where the disk is what everything waits for.

    Parameters
    ----------
    ratio : float
        Compressed size over size.
    encoder_rate, disk_rate : float
        Bytes per second, of all threads together.

    Examples
    --------
    >>> is_worth_compressing(0.4, encoder_rate=800e6, disk_rate=200e6)
    True
    >>> is_worth_compressing(0.4, encoder_rate=800e6, disk_rate=2e9)
    False
    """
    return ratio < _WORTHWHILE_RATIO and disk_rate < encoder_rate


def _announced_bytes(data: bytes | memoryview) -> int:
    """Return the size of the content that the head of a zstd frame tells (RFC 8878, section 3.1.1.1)."""
    if bytes(data[:4]) != _MAGIC:
        raise ValueError("no zstd frame")
    descriptor = data[4]
    is_single_segment = bool(descriptor & 0x20)
    n_dictionary_bytes = (0, 1, 2, 4)[descriptor & 0x03]
    n_size_bytes = (1 if is_single_segment else 0, 2, 4, 8)[descriptor >> 6]
    if not n_size_bytes:
        raise ValueError("its size is not told")
    start = 5 + (0 if is_single_segment else 1) + n_dictionary_bytes
    field = bytes(data[start : start + n_size_bytes])
    return int.from_bytes(field, "little") + (256 if n_size_bytes == 2 else 0)


def _encoder() -> Callable[[np.ndarray, int], bytes]:
    try:
        from numcodecs.zstd import compress
    except ImportError as error:
        raise _missing(error) from error
    encode: Callable[[np.ndarray, int], bytes] = compress
    return encode


def _decoder() -> Callable[[np.ndarray, np.ndarray], object]:
    try:
        from numcodecs.zstd import decompress as decode
    except ImportError as error:
        raise _missing(error) from error
    decoder: Callable[[np.ndarray, np.ndarray], object] = decode
    return decoder


def _missing(error: ImportError) -> MissingFrameworkError:
    return MissingFrameworkError(
        f"Compressed activations need numcodecs, which could not be imported: {error}. Install it with: "
        f"pip install 'brain-adapters[store]', or use compression='none'."
    )
