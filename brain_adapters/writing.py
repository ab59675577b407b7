"""Write an assembly to a file that appears under its name only when it is complete: netCDF, or NumPy's npz."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from adapters.errors import AdapterError

__all__ = ["OutputError", "check_output", "complete_file", "labels_of", "write_assembly"]

# xarray's name of an engine, the module it needs; the first that is installed is used
ENGINES = {"netcdf4": "netCDF4", "h5netcdf": "h5netcdf", "scipy": "scipy"}
SUFFIXES = (".nc", ".npz")
CLASSIC_LIMIT = 2**31  # bytes of one variable in the classic netCDF files that scipy writes


class OutputError(AdapterError, OSError):
    """The result cannot be written where, or as, it was asked for."""


def check_output(path: Path, n_bytes: int = 0, *, force: bool = False) -> None:
    """Refuse, before anything is computed, an output that could not be written.

    Parameters
    ----------
    path : Path
        Its suffix, ``.nc`` or ``.npz``, chooses the format.
    n_bytes : int
        Size of the values.
    force : bool
        Whether a file that exists may be replaced.

    Raises
    ------
    OutputError
        With what to change.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder; expected the name of a file, such as {path / 'activations.npz'}.")
    if path.suffix not in SUFFIXES:
        raise OutputError(f"{path} ends in {path.suffix!r}; expected .nc (netCDF) or .npz (NumPy). Choose one of them.")
    if path.exists() and not force:
        raise OutputError(f"{path} exists already. Choose another name, or replace it with --force.")
    if (file := next((each for each in path.parents if each.is_file()), None)) is not None:
        raise OutputError(f"{path} cannot be written: {file} is a file, not a folder. Choose another folder.")
    if not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {path.parent}. Create it first.")
    if path.suffix == ".nc":
        engine = _engine()
        if engine == "scipy" and n_bytes >= CLASSIC_LIMIT:
            raise OutputError(
                f"{n_bytes / 1e9:.1f} GB do not fit the classic netCDF file that scipy writes (2 GB). Write .npz, or "
                "install a newer format with: pip install 'brain-adapters[store]'"
            )


@contextlib.contextmanager
def complete_file(path: Path) -> Iterator[Path]:
    """Give a temporary file in the folder of a path, and move it there when everything went well.

    Parameters
    ----------
    path : Path
        The final name. What lies there stays untouched until the new file is complete.

    Yields
    ------
    Path
        The temporary file, empty, with the suffix of the final one.

    Raises
    ------
    OutputError
        If the folder cannot be written; this comes first, before hours of computing.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        temporary.touch()
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}. Choose another folder with --out.") from error
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def labels_of(assembly: xr.DataArray) -> dict[str, dict[str, NDArray[Any]]]:
    """Return the coordinates of each dimension as plain arrays: numbers, booleans, or fixed-width text, never objects.

    Parameters
    ----------
    assembly : xarray.DataArray
        Activations, with a MultiIndex on each dimension.

    Returns
    -------
    dict
        From dimension to ``{level: array of shape (size of the dimension,)}``.
    """
    labels = {}
    for dimension in assembly.dims:
        index = assembly.indexes[dimension]
        labels[str(dimension)] = {str(name): _level(index, name) for name in index.names}
    return labels


def write_assembly(assembly: xr.DataArray, path: Path) -> None:
    """Write activations and all their labels.

    Parameters
    ----------
    assembly : xarray.DataArray
        Activations, dims ``("presentation", "neuroid")``.
    path : Path
        ``.nc``: variable ``activations`` and one coordinate per level; read it with
        ``xarray.open_dataset(path).set_index(neuroid=["layer", "neuroid_num"])``. ``.npz``: arrays ``activations``,
        ``presentation.<level>`` and ``neuroid.<level>``, without pickle.

    Raises
    ------
    OutputError
        If the disk is full, or the file cannot be written for another reason.
    """
    labels = labels_of(assembly)
    attributes = {name: _attribute(value) for name, value in assembly.attrs.items()}
    try:
        if path.suffix == ".nc":
            _write_netcdf(assembly, labels, attributes, path)
        else:
            _write_npz(assembly, labels, path)
    except OSError as error:
        raise OutputError(
            f"The activations ({assembly.nbytes / 1e9:.1f} GB) could not be written: {error.strerror or error}. "
            "Make room on the disk, or choose another folder with --out."
        ) from error


def _write_npz(assembly: xr.DataArray, labels: Mapping[str, Mapping[str, NDArray[Any]]], path: Path) -> None:
    arrays: dict[str, Any] = {
        f"{dimension}.{name}": values for dimension, levels in labels.items() for name, values in levels.items()
    }
    np.savez(path, activations=np.asarray(assembly.values), **arrays)


def _write_netcdf(
    assembly: xr.DataArray, labels: Mapping[str, Mapping[str, NDArray[Any]]], attributes: dict[str, Any], path: Path
) -> None:
    coordinates = {
        name if name not in labels else f"{name}_label": (dimension, values)
        for dimension, levels in labels.items()
        for name, values in levels.items()
    }
    # A plain Dataset: Brain-Score's assembly class would build its MultiIndex again, which netCDF cannot hold.
    variable = (tuple(map(str, assembly.dims)), np.asarray(assembly.values), attributes)
    xr.Dataset({"activations": variable}, coords=coordinates).to_netcdf(path, engine=_engine())  # type: ignore[call-overload]


def _engine() -> str:
    for engine, module in ENGINES.items():
        if find_spec(module) is not None:
            return engine
    raise OutputError(
        "No library that writes netCDF is installed. Install one with: pip install 'brain-adapters[store]', or give a "
        "name that ends in .npz"
    )


def _attribute(value: Any) -> str | int | float:
    return value if isinstance(value, (str, int, float)) else json.dumps(value, default=str)


def _level(index: pd.Index, name: Any) -> NDArray[Any]:
    """Spread one level over its dimension; the text of a value that repeats is converted once."""
    if not isinstance(index, pd.MultiIndex):
        return _plain(index)
    position = list(index.names).index(name)
    values, codes = _plain(index.levels[position]), np.asarray(index.codes[position])
    if codes.min(initial=0) < 0:  # a missing value, which a MultiIndex codes as -1
        values = np.append(values, np.array([""] if values.dtype.kind == "U" else [np.nan]))
    return values[codes]


def _plain(values: Any) -> NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind in "biuf":
        return array
    return np.array(["" if pd.isna(value) else str(value) for value in values], dtype=str)
