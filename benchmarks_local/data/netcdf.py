"""NetCDF files in and out, with whichever of xarray's engines is installed."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from adapters.errors import listing

from ..errors import ScoreExtraMissingError
from .findings import DatasetError

__all__ = ["VARIABLE", "read_netcdf", "write_netcdf"]

VARIABLE = "data"
"""Name of the values, as brainio writes them."""
_MODULES = {"netcdf4": "netCDF4", "h5netcdf": "h5netcdf", "scipy": "scipy"}
_CLASSIC, _HDF5 = b"CDF", b"\x89HDF"
_READERS = {_CLASSIC: ("netcdf4", "scipy"), _HDF5: ("netcdf4", "h5netcdf")}
_CLASSIC_LIMIT = 2**31


def read_netcdf(path: Path) -> xr.DataArray:
    """Read the one array of a NetCDF file, with its labels.

    Parameters
    ----------
    path : pathlib.Path
        Classic NetCDF, or NetCDF 4.

    Returns
    -------
    xarray.DataArray
        In memory.

    Raises
    ------
    DatasetError
        If it is none of these, is damaged, or holds several arrays.
    ScoreExtraMissingError
        If nothing that is installed can read it.
    """
    with path.open("rb") as file:
        start = file.read(4)
    engines = next((names for magic, names in _READERS.items() if start.startswith(magic)), None)
    if engines is None:
        raise DatasetError(f"{path.name} begins with {start!r}, expected a NetCDF file. Write it anew with xarray.")
    engine = _engine(engines)
    try:
        # Times stay the numbers that they are: with units 'ms' xarray would make them durations.
        with xr.open_dataset(path, engine=engine, decode_times=False) as opened:
            found = opened.load()
    except (OSError, ValueError, TypeError, KeyError, IndexError, RuntimeError, AttributeError) as error:
        raise DatasetError(
            f"{path.name} could not be read as NetCDF: {type(error).__name__}: {error}. "
            "Copy it again, or write it anew."
        ) from error
    if len(found.data_vars) != 1:
        names = listing([str(name) for name in found.data_vars]) or "none"
        raise DatasetError(f"{path.name} holds the arrays {names}, expected one, called {VARIABLE!r}. Write only that.")
    array = next(iter(found.data_vars.values()))
    return array.assign_coords(
        {name: coord for name, coord in found.coords.items() if set(coord.dims) <= set(array.dims)}
    )


def write_netcdf(array: xr.DataArray, path: Path) -> None:
    """Write an array with its labels, so that brainio's loaders read it as well.

    Parameters
    ----------
    array : xarray.DataArray
        Labels beside the dims, without a MultiIndex, which NetCDF cannot hold.
    path : pathlib.Path
        New file.

    Raises
    ------
    DatasetError
        If only the classic format can be written here, and the array is too large for it.
    ScoreExtraMissingError
        If nothing that writes NetCDF is installed.
    """
    engine = _engine(tuple(_MODULES))
    if engine == "scipy" and array.nbytes >= _CLASSIC_LIMIT:
        raise DatasetError(
            f"{array.nbytes / 1e9:.1f} GB do not fit the classic NetCDF file that scipy writes, at most 2 GB. "
            "Install another engine with: pip install 'brain-adapters[score]'."
        )
    coords = {name: (coord.dims, _storable(coord.values)) for name, coord in array.coords.items()}
    variable: Any = (array.dims, array.values)
    dataset = xr.Dataset({VARIABLE: variable}, coords=coords)
    dataset.to_netcdf(path, engine=engine)  # type: ignore[call-overload]


def _storable(values: Any) -> Any:
    """Return labels as numbers or text of fixed width; objects would be guessed at by their first one."""
    return values if values.dtype.kind in "biuf" else np.array([str(each) for each in values.tolist()], dtype=str)


def _engine(engines: tuple[str, ...]) -> str:
    for engine in engines:
        if find_spec(_MODULES[engine]) is None:
            continue
        try:
            importlib.import_module(_MODULES[engine])
        except ImportError:  # there, and broken: the next one may do
            continue
        return engine
    raise ScoreExtraMissingError(
        f"This NetCDF file needs one of the packages {listing([_MODULES[engine] for engine in engines])}, and none is "
        "installed. Install one with: pip install 'brain-adapters[score]'."
    )
