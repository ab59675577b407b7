"""Stored activations as labelled arrays, in old and new xarray: the same values and labels, read only where needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from adapters.assembly import LayerValues, assemble, neuroid_index
from adapters.errors import LayerNotFoundError
from adapters.store import ActivationStore, Entry, EntryNotFoundError, LayerRecord, NotStoredError
from adapters.store.labelled import presentations_document, to_xarray

from .small import CONV, DOUBLE, HALF, N_ROWS, open_entry, values_of, write_missing
from .watching import CountedFiles

SECOND = LayerRecord("conv2", (5,), {"name": "conv2"})
STORED = [CONV, SECOND]
ROWS = np.array([0, 1, 1, 5, 4, 3, 21, 0, 7, 8, 9, 10])
LABELS = pd.MultiIndex.from_arrays(
    [
        np.array([f"image {row} \0é\ud800" for row in ROWS], dtype=object),
        np.arange(len(ROWS)),
        np.linspace(0, 1, len(ROWS)),
        np.array([None, np.nan, True, "x", 2, *("y" * 7)], dtype=object),
    ],
    names=["stimulus_id", "number", "size", "mixed"],
)


@pytest.fixture
def files() -> CountedFiles:
    return CountedFiles()


@pytest.fixture
def entry(tmp_path: Path, files: CountedFiles) -> Entry:
    entry = open_entry(ActivationStore(tmp_path, files=files))
    write_missing(entry, STORED)
    files.forget()
    return entry


def lazy_and_loaded(entry: Entry, layers: list[LayerRecord] = STORED) -> tuple[Any, Any]:
    """Return the same assembly twice: from the store, and from memory as the extractor makes it."""
    index = neuroid_index([LayerValues(layer.requested, layer.shape, layer.call) for layer in layers], "toy")
    values = np.concatenate([values_of(layer, ROWS) for layer in layers], axis=1)
    return to_xarray(entry, layers, ROWS, LABELS, index), assemble(values, LABELS, index)


def assert_same(found: Any, expected: Any) -> None:
    assert found.dims == expected.dims
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found.values, expected.values)
    for name in expected.coords:
        assert list(map(repr, found[name].values.tolist())) == list(map(repr, expected[name].values.tolist())), name


def test_nothing_is_read_before_it_is_used(entry: Entry, files: CountedFiles):
    lazy, expected = lazy_and_loaded(entry)
    _ = lazy[2:9].sel(neuroid=lazy["layer"].values == "conv2")
    assert files.n_bytes == 0
    assert_same(lazy, expected)


def test_one_layer_touches_only_its_files(entry: Entry, files: CountedFiles):
    lazy, expected = lazy_and_loaded(entry)
    is_second = lazy["layer"].values == "conv2"
    assert_same(lazy[:, is_second], expected[:, is_second])
    assert all(SECOND.folder in str(path) for path in files.opened_paths)
    assert files.n_bytes == len(set(ROWS)) * SECOND.n_units * 4


def test_one_row_reads_one_row(entry: Entry, files: CountedFiles):
    lazy, expected = lazy_and_loaded(entry)
    assert_same(lazy[[6]], expected[[6]])
    assert files.n_bytes == (CONV.n_units + SECOND.n_units) * 4


@pytest.mark.parametrize(
    "select",
    [
        lambda each: each[3],
        lambda each: each[:, 2],
        lambda each: each[4, 38],
        lambda each: each[::-2, 40:1:-3],
        lambda each: each[[5, 0, 5], [40, 1, 39, 1]],
        lambda each: each[2:2],
        lambda each: each[:, 36:36],
        lambda each: each.isel(presentation=slice(1, 8)).isel(neuroid=[1, 37]).isel(presentation=[-1, 2]),
        lambda each: each.sel(layer="conv2"),
        lambda each: each.sel(number=2),
        lambda each: each[xr.DataArray([3, -1, 3], dims="point"), xr.DataArray([40, 0, 7], dims="point")],
        lambda each: each[xr.DataArray([[3, 0]], dims=("a", "b"))],
        lambda each: each.mean("presentation"),
        lambda each: each.transpose("neuroid", "presentation"),
        lambda each: each + 1,
    ],
)
def test_selections(entry: Entry, select: Any):
    lazy, expected = lazy_and_loaded(entry)
    found, wanted = select(lazy), select(expected)
    assert found.shape == wanted.shape
    np.testing.assert_array_equal(found.values, wanted.values)


def test_several_types_have_one_that_holds_all(entry: Entry):
    write_missing(entry, [HALF, DOUBLE])
    layers = [HALF, CONV, DOUBLE]
    lazy, expected = lazy_and_loaded(entry, layers)
    assert lazy.dtype == np.float64
    assert_same(lazy, expected)


def test_store_keeps_labels(tmp_path: Path):
    store = ActivationStore(tmp_path)
    document = presentations_document("toy", ROWS, LABELS)
    shape = {"n_rows": N_ROWS, "batch_rows": 2, "widest": 36, "max_shard_bytes": 600}
    entry = store.entry({"x": 1}, **shape, presentations=document)
    write_missing(entry, STORED)
    opened = ActivationStore(tmp_path).to_xarray()
    assert_same(opened, lazy_and_loaded(entry)[1])
    assert set(opened["model"].values) == {"toy"}
    assert_same(store.to_xarray(entry.key[:8], "conv2"), lazy_and_loaded(entry, [SECOND])[1])
    assert list(store.to_xarray(layers=["conv2", "conv"])["layer"].values[[0, -1]]) == ["conv2", "conv"]


def test_an_entry_without_labels_is_labelled_by_row(entry: Entry):
    opened = ActivationStore(entry.path.parents[2]).to_xarray(layers="conv")
    assert list(opened["stimulus_id"].values) == list(range(N_ROWS))
    np.testing.assert_array_equal(opened.values, values_of(CONV))


def test_rows_left_out_are_not_shown(tmp_path: Path):
    store = ActivationStore(tmp_path)
    entry = open_entry(store)
    with entry.writer() as writer:
        for shard in range(entry.n_shards):
            writer.begin(shard, [CONV])
            writer.append({"conv": values_of(CONV, range(22)[entry.rows_of(shard)])})
            writer.finish({5: "it is no image"} if shard == 1 else {})
    assert entry.skipped() == {5: "it is no image"}
    assert list(store.to_xarray()["stimulus_id"].values) == [row for row in range(22) if row != 5]


def test_incomplete_entries_open_only_on_request(tmp_path: Path):
    store = ActivationStore(tmp_path)
    with pytest.raises(EntryNotFoundError, match=r"There is nothing in .* yet\. Extract something"):
        store.to_xarray()
    entry = open_entry(store)
    with pytest.raises(NotStoredError, match="has no layers yet"):
        store.to_xarray()
    write_missing(entry, [CONV], order=lambda shards: shards[:2])
    with pytest.raises(NotStoredError, match=r"4 of 6 shards of entry .* for 1 of 1 layers.*partial=True"):
        store.to_xarray()
    partial = store.to_xarray(partial=True)
    np.testing.assert_array_equal(partial[:8].values, values_of(CONV, range(8)))
    with pytest.raises(NotStoredError, match="Rows 8 to 11"):
        partial[8].load()
    with pytest.raises(LayerNotFoundError, match=r"has no layer 'conf'\. Did you mean 'conv'"):
        store.to_xarray(layers=["conf"], partial=True)
