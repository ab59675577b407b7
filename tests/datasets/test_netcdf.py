"""NetCDF files through every engine that is installed, and what is none."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from benchmarks_local import ScoreExtraMissingError
from benchmarks_local.data import DatasetError, netcdf
from benchmarks_local.data.assemblies import recordings_from_assembly, recordings_to_assembly
from benchmarks_local.data.netcdf import read_netcdf, write_netcdf
from benchmarks_local.data.recordings import Recordings

from .building import responses

INSTALLED = [module for module in ("netCDF4", "h5netcdf", "scipy") if find_spec(module)]


@pytest.mark.parametrize("module", INSTALLED)
def test_every_engine_gives_back_what_it_got(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str):
    monkeypatch.setattr(netcdf, "find_spec", lambda name: find_spec(name) if name == module else None)
    neuroids = pd.DataFrame({"neuroid_id": list("abcdef"), "region": "IT", "row": range(6), "depth": [0.1] * 6})
    neuroids["subject"] = ["", "Tïto", "犬", "a b", "c", "longer than all others"]
    ids = [f"ü{each:02d}" for each in range(102)]
    values = responses()
    values[0, 0, 0], values[1, 2, 3], values[2, 4] = -0.0, 5e-324, np.nan
    write_netcdf(recordings_to_assembly(Recordings(values, ids, neuroids)), tmp_path / "x.nc")
    back = recordings_from_assembly(read_netcdf(tmp_path / "x.nc"))
    assert back.values.tobytes() == values.tobytes()
    assert list(back.stimulus_ids) == ids
    for name in neuroids.columns:
        assert back.neuroids[name].tolist() == neuroids[name].tolist()


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (b"text", "begins with b'text', expected a NetCDF file"),
        (b"CDF\x01" + b"\xff" * 20, "could not be read as NetCDF"),
    ],
)
def test_damaged_netcdf(tmp_path: Path, content: bytes, fragment: str):
    (tmp_path / "x.nc").write_bytes(content)
    with pytest.raises(DatasetError, match=fragment):
        read_netcdf(tmp_path / "x.nc")


def test_netcdf_holds_one_array(tmp_path: Path):
    two = xr.Dataset({"a": ("x", np.zeros(2)), "b": ("x", np.zeros(2))})
    two.to_netcdf(tmp_path / "x.nc", engine="scipy")
    with pytest.raises(DatasetError, match="holds the arrays a, b, expected one, called 'data'"):
        read_netcdf(tmp_path / "x.nc")


def test_units_of_time_do_not_turn_numbers_into_dates(tmp_path: Path):
    array = xr.DataArray(
        np.zeros(2),
        dims=("time_bin",),
        coords={"time_bin_start": ("time_bin", [70, 80], {"units": "seconds since 2000-01-01"})},
    )
    array.to_dataset(name="data").to_netcdf(tmp_path / "x.nc", engine="scipy")
    assert read_netcdf(tmp_path / "x.nc")["time_bin_start"].values.tolist() == [70, 80]


def test_netcdf_without_a_library_and_beyond_the_classic_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    huge = SimpleNamespace(nbytes=2**31, coords={})
    monkeypatch.setattr(netcdf, "find_spec", lambda name: object() if name == "scipy" else None)
    with pytest.raises(DatasetError, match=r"2\.1 GB do not fit the classic NetCDF file"):
        write_netcdf(huge, tmp_path / "x.nc")
    (tmp_path / "x.nc").write_bytes(b"\x89HDF\r\n")
    with pytest.raises(ScoreExtraMissingError, match=r"one of the packages netCDF4, h5netcdf.*brain-adapters\[score\]"):
        read_netcdf(tmp_path / "x.nc")
