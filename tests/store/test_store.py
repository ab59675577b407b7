"""A store as a place: entries are made once, found by their keys, and never taken for others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.fingerprints import key_of
from adapters.store import ActivationStore, EntryNotFoundError, LayerRecord, StoreMismatchError, open_store
from adapters.store.layout import columns_per_chunk, rows_per_shard

from .small import CONV, LAYERS, RECIPE, open_entry, write_missing

MIB = 2**20


def test_the_key_is_the_recipe(tmp_path: Path):
    store = ActivationStore(tmp_path)
    entry = open_entry(store)
    assert entry.key == key_of(RECIPE)
    assert entry.path == tmp_path / "v1" / entry.key[:2] / entry.key
    assert open_entry(store, dict(reversed(RECIPE.items()))).key == entry.key
    assert open_entry(store, {**RECIPE, "semantics": 2}).key != entry.key
    assert entry.recipe == RECIPE


def test_entries_are_found(tmp_path: Path):
    store = ActivationStore(tmp_path)
    assert (len(store), list(store), store.entries(), bool(store)) == (0, [], [], True)
    entries = [open_entry(store, {"number": number}) for number in range(20)]
    assert len(store) == 20
    assert set(store) == {entry.key for entry in entries}
    assert store[entries[3].key[:10]].recipe == {"number": 3}
    assert [entry.recipe["number"] for entry in store.entries()][-1] == 3  # the one used last
    assert "20 entries" in repr(store)
    assert open_store(tmp_path).find(entries[5].key).path == entries[5].path


@pytest.mark.parametrize("given", ["", "zz", "../..", "0" * 65, "é", "A"])
def test_what_is_no_key_is_not_found(tmp_path: Path, given: str):
    store = ActivationStore(tmp_path)
    with pytest.raises(EntryNotFoundError, match=r"is the beginning of no keys in .*\(the store is empty\)"):
        store.find(given)
    entry = open_entry(store)
    with pytest.raises(EntryNotFoundError, match=f"Give more digits of one of: {entry.key[:12]}"):
        store.find(given)


def test_an_ambiguous_key_is_refused(tmp_path: Path):
    store = ActivationStore(tmp_path)
    keys = [open_entry(store, {"number": number}).key for number in range(17)]  # two of them begin alike
    digit = next(digit for digit in "0123456789abcdef" if sum(key.startswith(digit) for key in keys) > 1)
    with pytest.raises(EntryNotFoundError, match=f"'{digit}' is the beginning of [2-9] keys"):
        store.find(digit)


def test_foreign_files_are_passed_over(tmp_path: Path):
    store = ActivationStore(tmp_path)
    entry = open_entry(store)
    write_missing(entry)
    for path in (tmp_path / "v1" / "notes", entry.path.parent / ".DS_Store", entry.path / "layers" / ".x"):
        path.write_text("foreign")
    (entry.path / "commits" / "readme.txt").write_text("foreign")
    assert list(store) == [entry.key]
    assert entry.complete()
    assert len(entry.layers()) == 3


@pytest.mark.parametrize("change", [{"n_rows": 23}, {"batch_rows": 4}])
def test_other_rows_under_one_key_are_refused(tmp_path: Path, change: dict[str, int]):
    store = ActivationStore(tmp_path)
    shape = {"n_rows": 22, "batch_rows": 2, "widest": 5}
    store.entry(RECIPE, **shape)
    store.entry(RECIPE, **{**shape, "widest": 5000})  # only shapes new entries
    with pytest.raises(
        StoreMismatchError, match=r"has 22 rows in batches of 2, and was opened for .* Both belong into"
    ):
        store.entry(RECIPE, **{**shape, **change})


@pytest.mark.parametrize("name", ["n_rows", "batch_rows", "widest", "max_shard_bytes"])
def test_shapes_of_nothing_are_refused(tmp_path: Path, name: str):
    shape = {"n_rows": 22, "batch_rows": 2, "widest": 5, "max_shard_bytes": 100, name: 0}
    with pytest.raises(ValueError, match=f"{name}=0 .*must all be 1 or more|{name}=0"):
        ActivationStore(tmp_path).entry(RECIPE, **shape)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"compression": "gzip"}, "compression='gzip' is unknown. Use one of: 'none', 'zstd', 'auto'"),
        ({"writers": 0}, "writers=0 are too few to write anything. Use 1 or more"),
        ({"dtype": "int8"}, "dtype='int8', policy='exact' are not known"),
    ],
)
def test_unknown_options(tmp_path: Path, options: dict[str, Any], expected: str):
    with pytest.raises(ValueError, match=expected):
        ActivationStore(tmp_path, **options)


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [((3,), "int8", "shall be kept as 'int8'. Use one of: float16, float32, float64"), ((2, 0), "float32", "no value")],
)
def test_layers_that_cannot_be_kept(shape: tuple[int, ...], dtype: Any, expected: str):
    with pytest.raises(StoreMismatchError, match=expected):
        LayerRecord("x", shape, {}, dtype)


def test_a_layer_is_its_values_not_its_name():
    assert LayerRecord("a", (3,), {"n": 1}).digest == LayerRecord("b", (3,), {"n": 1}, call=2).digest
    others = [
        LayerRecord("a", (3, 1), {"n": 1}),
        LayerRecord("a", (3,), {"n": 2}),
        LayerRecord("a", (3,), {"n": 1}, "float16"),
    ]
    assert len({LayerRecord("a", (3,), {"n": 1}).digest, *(each.digest for each in others)}) == 4
    assert LayerRecord.from_dict(json.loads(json.dumps(CONV.to_dict()))) == CONV
    assert len({CONV, LayerRecord.from_dict(CONV.to_dict())}) == 1


@pytest.mark.parametrize(
    ("n_rows", "batch_rows", "widest", "max_shard_bytes", "expected"),
    [
        (10**6, 64, 2**17, 512 * MIB, 64),  # half a MiB a row: one batch has 32 MiB
        (10**6, 64, 2**17 - 1, 512 * MIB, 128),
        (10**6, 64, 10, 512 * MIB, 838_912),  # small layers need many rows
        (10**6, 64, 10, MIB, 26_176),  # the largest multiple of 64 below the limit
        (10**6, 64, 2**22, 512 * MIB, 64),  # 1 GiB, but whole batches
        (50, 64, 2**17, 512 * MIB, 50),
        (100, 64, 10, 512 * MIB, 100),
        (1, 1, 1, 1, 1),
    ],
)
def test_rows_of_a_shard(n_rows: int, batch_rows: int, widest: int, max_shard_bytes: int, expected: int):
    rows = rows_per_shard(n_rows, batch_rows, widest, max_shard_bytes)
    assert rows == expected
    assert rows == n_rows or rows % batch_rows == 0


@pytest.mark.parametrize(
    ("n_units", "dtype", "shard_rows", "expected"),
    [
        (8_000_000, "float32", 1, 8_000_000),
        (8_000_001, "float16", 10, 2_666_667),  # three blocks of at most 64 MiB
        (2**19, "float32", 64, 2**19),  # 128 MiB
        (2**19 + 1, "float32", 64, 174_763),
        (3, "float64", 2**24, 1),
    ],
)
def test_units_of_a_chunk(n_units: int, dtype: Any, shard_rows: int, expected: int):
    columns = columns_per_chunk(LayerRecord("x", (n_units,), {}, dtype), shard_rows)
    assert columns == expected
    assert columns == n_units or shard_rows * columns * np.dtype(dtype).itemsize <= max(64 * MIB, shard_rows * 8)


def test_how_a_layer_was_cut_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A later version may cut otherwise; what is there stays as it was cut."""
    from adapters.store import layout

    store = ActivationStore(tmp_path)
    write_missing(open_entry(store), order=lambda shards: shards[:3])
    monkeypatch.setattr(layout, "_SPLIT_ABOVE_UNITS", 5)
    monkeypatch.setattr(layout, "_SPLIT_BYTES", 100)
    entry = open_entry(store)
    assert write_missing(entry) == 3
    assert entry.grid(CONV).n_blocks == 1
    assert entry.grid(LayerRecord("new", (36,), {})).n_blocks == 6


def test_complete_is_one_read(tmp_path: Path):
    """With COMPLETE.json the records themselves are not needed."""
    entry = open_entry(ActivationStore(tmp_path))
    write_missing(entry)
    merged = json.loads((entry.path / "COMPLETE.json").read_text())
    assert set(merged["files"]) == set(entry.chunk_names(LAYERS))
    assert len(merged["root"]) == 64
    for path in (entry.path / "commits").iterdir():
        path.unlink()
    again = open_entry(ActivationStore(tmp_path))
    assert again.complete()
    np.testing.assert_array_equal(again.read(CONV, slice(None)), entry.read(CONV, slice(None)))


def test_import_is_light():
    """Writing processes need no pandas and no xarray; neither zarr nor anything that computes digests at import."""
    code = (
        "import sys, types, importlib.util as util\n"
        "folder = util.find_spec('adapters').submodule_search_locations\n"
        "package = types.ModuleType('adapters'); package.__path__ = folder; sys.modules['adapters'] = package\n"
        "import adapters.store\n"
        "print({'pandas', 'xarray', 'zarr', 'blake3', 'google_crc32c', 'numcodecs'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("n_rows", "min_shards", "expected"), [(10_000, 1, 10_000), (10_000, 32, 256), (100, 32, 64), (130, 2, 64)]
)
def test_enough_shards_for_several_workers(n_rows: int, min_shards: int, expected: int):
    assert rows_per_shard(n_rows, 64, 10, 512 * MIB, min_shards) == expected
    assert -(-n_rows // expected) >= min(min_shards, n_rows // 64)
