"""Reading any rows and columns equals indexing the array, and reads no more than it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.store import ActivationStore, Entry, LayerRecord, NotStoredError, StoreCorruptError, layout, reading

from .small import CONV, HALF, LAYERS, N_ROWS, open_entry, values_of, write_missing
from .watching import CountedFiles

WIDE = LayerRecord("wide", (40,), {"name": "wide"})


@pytest.fixture(scope="module", params=["none", "zstd", "cut"])
def entry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Entry:
    """Return an entry whose chunks are plain, compressed, or cut along the units and read with small gaps."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "cut":
            patch.setattr(layout, "_SPLIT_ABOVE_UNITS", 20)
            patch.setattr(layout, "_SPLIT_BYTES", 200)
        folder = tmp_path_factory.mktemp("store")
        entry = open_entry(ActivationStore(folder, compression="zstd" if request.param == "zstd" else "none"))
        write_missing(entry, [*LAYERS, WIDE])
        for layer in (*LAYERS, WIDE):
            assert (entry.grid(layer).n_blocks > 1) == (request.param == "cut" and layer.n_units > 20)
    return ActivationStore(folder).find(entry.key)


def selections(length: int) -> st.SearchStrategy[Any]:
    """Slices and arrays of any order, with negative numbers and repetitions, and masks."""
    numbers = st.lists(st.integers(-length, length - 1), max_size=12).map(lambda each: np.array(each, int))
    masks = st.lists(st.booleans(), min_size=length, max_size=length).map(np.array)
    return st.one_of(st.slices(length), numbers, masks)


@settings(max_examples=80, deadline=None)
@given(data=st.data(), gap=st.sampled_from([0, 8, 2**15]), buffer=st.sampled_from([1, 300, 2**24]))
def test_reading_equals_indexing(entry: Entry, data: st.DataObject, gap: int, buffer: int):
    layer = data.draw(st.sampled_from([*LAYERS, WIDE]))
    rows, columns = data.draw(selections(N_ROWS)), data.draw(selections(layer.n_units))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_GAP_BYTES", gap)
        patch.setattr(reading, "_BUFFER_BYTES", buffer)
        patch.setattr(reading, "_PARALLEL_BYTES", 0 if gap else 2**23)
        found = entry.read(layer, rows, columns)
        into = np.full((found.shape[0], found.shape[1] + 2), -1, np.float64)
        entry.read(layer, rows, columns, out=into[:, 1:-1])
    expected = values_of(layer)[rows][:, columns]
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(into[:, 1:-1], expected)
    assert (into[:, [0, -1]] == -1).all()


def test_rows_read_only_their_bytes(tmp_path: Path):
    files = CountedFiles()
    entry = open_entry(ActivationStore(tmp_path, files=files))
    write_missing(entry)
    files.forget()
    entry.read(CONV, np.array([9, 2, 9]))
    assert files.n_bytes == 2 * CONV.n_units * 4
    assert {path.relative_to(entry.path) for path in files.opened_paths} == {
        Path(CONV.folder, "c", "0", "0"),
        Path(CONV.folder, "c", "2", "0"),
    }


def test_columns_far_apart_are_read_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "_GAP_BYTES", 16)
    files = CountedFiles()
    entry = open_entry(ActivationStore(tmp_path, files=files))
    write_missing(entry)
    files.forget()
    np.testing.assert_array_equal(
        entry.read(CONV, slice(0, 3), np.array([30, 1, 3])), values_of(CONV, range(3))[:, [30, 1, 3]]
    )
    assert files.n_bytes == 3 * (1 + 3) * 4


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_whole_chunks_are_held_against_their_checksum(tmp_path: Path, compression: Any):
    entry = open_entry(ActivationStore(tmp_path, compression=compression))
    write_missing(entry)
    path = entry.path / CONV.folder / "c" / "5" / "0"
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    np.testing.assert_array_equal(entry.read(CONV, slice(0, 20)), values_of(CONV, range(20)))
    expected = r"c/5/0 does not have the checksum .* brain-adapters cache repair"
    for out in (None, np.empty((22, 36), np.float64)):
        with pytest.raises(StoreCorruptError, match=expected):
            entry.read(CONV, slice(None), out=out)


def test_missing_rows_are_never_zeros(tmp_path: Path):
    entry = open_entry(ActivationStore(tmp_path))
    with pytest.raises(NotStoredError, match=r"Rows 0 to 3 of layer 'conv' are not in entry \w{12}\. Run the same"):
        entry.read(CONV, slice(None))
    write_missing(entry)
    (entry.path / CONV.folder / "c" / "5" / "0").unlink()
    np.testing.assert_array_equal(entry.read(CONV, slice(0, 20)), values_of(CONV, range(20)))
    with pytest.raises(NotStoredError, match="Rows 20 to 21 of layer 'conv'"):
        entry.read(CONV, [21])


def test_a_chunk_of_another_size_is_refused(tmp_path: Path):
    entry = open_entry(ActivationStore(tmp_path))
    write_missing(entry)
    path = entry.path / CONV.folder / "c" / "0" / "0"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(StoreCorruptError, match=r"c/0/0 has 572 bytes, and 580 were committed\. Mend"):
        entry.read(CONV, [0])


def test_memory_of_another_shape_is_refused(tmp_path: Path):
    entry = open_entry(ActivationStore(tmp_path))
    with pytest.raises(ValueError, match=r"out has shape \(2, 36\), and \(3, 36\) is what the selection gives"):
        entry.read(CONV, slice(0, 3), out=np.empty((2, 36), np.float32))


@pytest.mark.parametrize("n_bytes", [0, 100, 581])
def test_what_has_another_size_is_missing(tmp_path: Path, n_bytes: int):
    entry = open_entry(ActivationStore(tmp_path))
    write_missing(entry)
    path = entry.path / CONV.folder / "c" / "2" / "0"
    path.write_bytes((path.read_bytes() + b"x")[:n_bytes])
    assert entry.missing(LAYERS) == {2: [CONV]}
    assert not entry.complete()
    write_missing(entry)
    np.testing.assert_array_equal(entry.read(CONV, slice(None)), values_of(CONV))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (np.array([22]), "Positions of rows from 22 to 22 were asked for, and there are 22 rows"),
        (np.array([-23]), "from the end with negative numbers"),
        (np.array([1.0]), "Positions of rows of type float64 were given. Use a slice, whole numbers"),
        (np.array([True]), "a boolean array of length 22"),
    ],
)
def test_no_such_rows(tmp_path: Path, rows: np.ndarray, expected: str):
    entry = open_entry(ActivationStore(tmp_path))
    with pytest.raises(IndexError, match=expected):
        entry.read(HALF, rows)
