"""The one bridge from floors 0-2 to Brain-Score: its assembly class, where ``brainscore_core`` is installed."""

from __future__ import annotations

import importlib.util
from typing import Any

import xarray as xr

__all__ = ["as_neuroid_assembly"]


def as_neuroid_assembly(assembly: xr.DataArray) -> Any:
    """Return Brain-Score's ``NeuroidAssembly`` of the same values and coordinates, or the input without it."""
    if importlib.util.find_spec("brainscore_core") is None:
        return assembly
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly

    return NeuroidAssembly(assembly)
