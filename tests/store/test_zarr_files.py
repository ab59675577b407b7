"""What we write is zarr version 3: other readers open it and find the same values."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from adapters.store import ActivationStore, LayerRecord, layout

from .small import CONV, LAYERS, N_ROWS, open_entry, values_of, write_missing

pytestmark = pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning")


@pytest.mark.parametrize("compression", ["none", "zstd", "auto"])
def test_zarr_reads_every_layer(tmp_path: Path, compression: Any):
    entry = open_entry(ActivationStore(tmp_path, compression=compression))
    write_missing(entry)
    group = zarr.open_group(entry.path, mode="r")
    for layer in LAYERS:
        array = group[layer.folder]
        assert isinstance(array, zarr.Array)
        assert array.shape == (N_ROWS, layer.n_units)
        assert array.dtype == layer.numpy_dtype
        np.testing.assert_array_equal(array[:], values_of(layer))


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_layers_cut_along_their_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: Any):
    monkeypatch.setattr(layout, "_SPLIT_ABOVE_UNITS", 20)
    monkeypatch.setattr(layout, "_SPLIT_BYTES", 200)
    entry = open_entry(ActivationStore(tmp_path, compression=compression))
    write_missing(entry)
    grid = entry.grid(CONV)
    assert (grid.n_blocks, grid.columns) == (3, 12)
    assert grid.n_units % grid.columns == 0
    odd = LayerRecord("odd", (37,), {"name": "odd"})
    write_missing(entry, [odd])
    assert (entry.grid(odd).n_blocks, entry.grid(odd).columns) == (3, 13)  # the last one is padded
    for layer in (*LAYERS, odd):
        np.testing.assert_array_equal(zarr.open_array(entry.path / layer.folder, mode="r")[:], values_of(layer))
        np.testing.assert_array_equal(entry.read(layer, slice(None)), values_of(layer))


def test_chunk_is_raw_values_and_checksum(tmp_path: Path):
    import google_crc32c

    entry = open_entry(ActivationStore(tmp_path))
    write_missing(entry)
    data = (entry.path / CONV.folder / "c" / "1" / "0").read_bytes()
    raw = values_of(CONV, range(4, 8)).tobytes()
    assert data == raw + google_crc32c.value(raw).to_bytes(4, "little")
    last = (entry.path / CONV.folder / "c" / "5" / "0").read_bytes()
    assert last[:-4] == values_of(CONV, range(20, 22)).tobytes() + bytes(2 * 4 * CONV.n_units)


def test_other_readers_see_a_missing_chunk_as_not_a_number(tmp_path: Path):
    entry = open_entry(ActivationStore(tmp_path))
    write_missing(entry)
    shutil.rmtree(entry.path / CONV.folder / "c" / "1")
    array = zarr.open_array(entry.path / CONV.folder, mode="r")
    assert np.isnan(array[4:8]).all()
    np.testing.assert_array_equal(array[:4], values_of(CONV, range(4)))


def test_other_readers_notice_a_flipped_bit(tmp_path: Path):
    entry = open_entry(ActivationStore(tmp_path))
    write_missing(entry)
    path = entry.path / CONV.folder / "c" / "0" / "0"
    data = bytearray(path.read_bytes())
    data[10] ^= 4
    path.write_bytes(data)
    with pytest.raises(ValueError, match="checksum"):
        zarr.open_array(entry.path / CONV.folder, mode="r")[:4]


def test_xarray_opens_the_layers(tmp_path: Path):
    import xarray as xr

    entry = open_entry(ActivationStore(tmp_path))
    write_missing(entry)
    opened = xr.open_zarr(entry.path / "layers", consolidated=False, chunks=None)
    for layer in LAYERS:
        variable = opened[layer.digest[:20]]
        assert variable.dims[0] == "presentation"
        np.testing.assert_array_equal(variable.values, values_of(layer))


def test_descriptions_are_for_people(tmp_path: Path):
    entry = open_entry(ActivationStore(tmp_path))
    write_missing(entry)
    described = json.loads((entry.path / "entry.json").read_text())
    assert described["recipe"] == entry.recipe
    assert (described["n_rows"], described["shard_rows"], described["batch_rows"]) == (22, 4, 2)
    layer = json.loads((entry.path / CONV.folder / "layer.json").read_text())
    assert layer["layer"]["requested"] == "conv"
    assert zarr.open_group(entry.path, mode="r").attrs["brain_adapters"]["recipe"] == entry.recipe
