"""Compressed chunks: zstd as others read it, chosen by measure, and no bomb is ever unpacked."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
from numcodecs.zstd import compress

from adapters.store import ActivationStore, Entry, LayerRecord, StoreCorruptError, StoreValueError, shards, verify
from adapters.store.compressing import decompress, is_worth_compressing, measure
from adapters.store.files import Files

from .small import CONV, assert_holds, open_entry, values_of, write_missing

DENSE = LayerRecord("dense", (1000,), {"name": "dense"})
SPARSE = LayerRecord("sparse", (1000,), {"name": "sparse"})


@pytest.mark.parametrize("n_bytes", [1, 100, 255, 256, 300, 65_791, 65_792, 200_000])
def test_any_size_is_unpacked(n_bytes: int):
    """The head of a frame tells sizes in four ways."""
    data = np.arange(n_bytes, dtype=np.uint8)
    np.testing.assert_array_equal(decompress(compress(data, 1), n_bytes, Path("x")), data)


def frame(descriptor: int, *rest: int) -> bytes:
    return bytes([0x28, 0xB5, 0x2F, 0xFD, descriptor, *rest])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            compress(np.zeros(50_000_000, np.uint8), 1),
            "announces 50,000,000 bytes of values, and 1,000 bytes were expected",
        ),
        (compress(np.zeros(999, np.uint8), 1), "announces 999 bytes of values"),
        (frame(0xE0, *b"\xff" * 8), "announces 18,446,744,073,709,551,615 bytes"),
        (frame(0xC3, 0, *b"\x01\x00\x00\x00", *(1000).to_bytes(8, "little")), "cannot be decompressed"),
        (frame(0x00, 0x58, 1, 2, 3), "cannot be decompressed (its size is not told)"),
        (b"no zstd frame at all", "cannot be decompressed (no zstd frame)"),
        (b"", "cannot be decompressed"),
        (frame(0x60)[:5], "announces 256 bytes"),
        (compress(np.arange(1000, dtype=np.uint8), 1)[:-20], "cannot be decompressed"),
    ],
)
def test_bombs_and_damage_are_refused(data: bytes, expected: str):
    tracemalloc.start()
    try:
        with pytest.raises(StoreCorruptError) as raised:
            decompress(data, 1000, Path("layers/x"))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
    assert f"layers/x {expected}" in str(raised.value)
    assert "Nothing was read from it. Mend the entry with: brain-adapters cache repair" in str(raised.value)


def test_a_bomb_in_the_place_of_a_chunk(tmp_path: Path):
    """It has a right checksum, and even a record; its content is too large all the same."""
    entry = open_entry(ActivationStore(tmp_path, compression="zstd"))
    write_missing(entry)
    bomb = compress(np.zeros(100_000_000, np.uint8), 1)
    path = entry.path / CONV.folder / "c" / "0" / "0"
    data = bomb + google_crc32c.value(bomb).to_bytes(4, "little")
    path.write_bytes(data)
    record = entry.commits.find(f"{CONV.folder}/c/0/0")[0]
    entry.commits.write(0, {f"{CONV.folder}/c/0/0": type(record)(len(data), "0" * 64, "zstd")}, {})
    tracemalloc.start()
    with pytest.raises(StoreCorruptError, match="announces 100,000,000 bytes of values, and 576 bytes were expected"):
        entry.read(CONV, [0])
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


class TimedFiles(Files):
    """A disk that is slow."""

    seconds = 0.0

    def sync(self, descriptor: int) -> None:
        time.sleep(self.seconds)


def write_shard(entry: Entry, shard: int, layer: LayerRecord, values: np.ndarray) -> None:
    with entry.writer(threads=1) as writer:
        writer.begin(shard, [layer])
        writer.append({layer.requested: values})
        writer.finish()


def write_layer(entry: Entry, layer: LayerRecord, values: np.ndarray) -> None:
    for shard in entry.missing([layer]):
        write_shard(entry, shard, layer, values[entry.rows_of(shard)])


@pytest.mark.parametrize(
    ("layer", "is_encoder_slow", "expected"), [(SPARSE, False, "zstd"), (DENSE, False, "none"), (SPARSE, True, "none")]
)
def test_auto_measures_the_first_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layer: LayerRecord, is_encoder_slow: bool, expected: str
):
    if is_encoder_slow:
        monkeypatch.setattr(shards, "measure", lambda sample: (measure(sample)[0], 1.0))
    files = TimedFiles()
    entry = open_entry(ActivationStore(tmp_path, compression="auto", files=files), n_rows=40, widest=1000)
    values = np.random.default_rng(0).normal(size=(40, 1000)).astype(np.float32)
    if layer is SPARSE:
        values[:, ::2], values[:, 1:800] = 0, 0
    files.seconds = 0.003
    write_layer(entry, layer, values)
    assert entry.compression_of(layer) == expected
    names = entry.chunk_names([layer])
    assert {record.compression for name in names for record in entry.commits.find(name)} == {expected}
    np.testing.assert_array_equal(entry.read(layer, slice(None)), values)
    assert verify(entry) == []


@pytest.mark.parametrize(
    ("ratio", "encoder_rate", "disk_rate", "expected"),
    [(0.59, 2.0, 1.0, True), (0.6, 2.0, 1.0, False), (0.1, 1.0, 1.0, False), (0.1, 1.0, 2.0, False)],
)
def test_what_is_worth_compressing(ratio: float, encoder_rate: float, disk_rate: float, expected: bool):
    assert is_worth_compressing(ratio, encoder_rate, disk_rate) is expected


def test_a_layer_stays_as_it_began(tmp_path: Path):
    write_missing(open_entry(ActivationStore(tmp_path, compression="none")), [CONV], order=lambda shards: shards[:2])
    entry = open_entry(ActivationStore(tmp_path, compression="zstd"))
    write_missing(entry)
    assert_holds(entry)
    assert entry.compression_of(CONV) == "none"
    assert {layer.requested: entry.compression_of(layer) for layer in entry.layers().values()}["logits"] == "zstd"


def test_compressed_files_are_smaller(tmp_path: Path):
    def n_bytes(compression: Any) -> int:
        entry = open_entry(ActivationStore(tmp_path / compression, compression=compression), n_rows=40, widest=1000)
        write_layer(entry, SPARSE, np.zeros((40, 1000), np.float32))
        return sum(path.stat().st_size for path in entry.path.glob("layers/*/c/*/*"))

    assert n_bytes("zstd") < 0.01 * n_bytes("none")


def test_half_precision_never_becomes_infinite(tmp_path: Path):
    entry = open_entry(ActivationStore(tmp_path))
    half = LayerRecord("large", (3,), {"name": "large"}, "float16")
    sound = np.array([[1e-8, 65504, np.inf], [-np.inf, np.nan, -65504]] * 2, np.float32)
    write_shard(entry, 0, half, sound)
    np.testing.assert_array_equal(entry.read(half, slice(0, 4)), sound.astype(np.float16))
    expected = r"Layer 'large' has values up to 7e\+04, and float16 ends at 6\.55e\+04\. Keep this layer as float32"
    with pytest.raises(StoreValueError, match=expected):
        write_shard(entry, 1, half, np.full((4, 3), -7e4, np.float32))
    assert 1 in entry.missing([half])
    assert list(entry.path.glob("temporary/*")) == []


def test_a_missing_package_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import sys

    from adapters.errors import MissingFrameworkError

    for module, package in (("numcodecs.zstd", "numcodecs"), ("google_crc32c", "google-crc32c"), ("blake3", "blake3")):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            with pytest.raises(
                MissingFrameworkError, match=rf"need.* {package}.*pip install 'brain-adapters\[store\]'"
            ):
                write_missing(open_entry(ActivationStore(tmp_path / package, compression="zstd")))


def test_values_are_as_given(tmp_path: Path):
    entry = open_entry(ActivationStore(tmp_path, compression="zstd"))
    write_missing(entry)
    np.testing.assert_array_equal(entry.read(CONV, [3, 1]), values_of(CONV, [3, 1]))
