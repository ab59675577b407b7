"""The bridge from datasets to the classes of brainscore_core; without it, everything stays plain xarray and pandas."""

from __future__ import annotations

import importlib.util
from typing import Any

import xarray as xr

__all__ = ["as_behavioral_assembly", "as_recording_assembly", "as_stimulus_set"]


def as_recording_assembly(indexed: xr.DataArray, plain: xr.DataArray) -> xr.DataArray:
    """Return Brain-Score's ``NeuronRecordingAssembly``, or ``indexed`` where brainscore_core is not installed.

    Parameters
    ----------
    indexed : xarray.DataArray
        With a MultiIndex along each dim.
    plain : xarray.DataArray
        The same with labels beside the dims, of which Brain-Score's classes make the indexes themselves.
    """
    if not _is_there():
        return indexed
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuronRecordingAssembly

    return NeuronRecordingAssembly(plain)


def as_behavioral_assembly(indexed: xr.DataArray, plain: xr.DataArray) -> xr.DataArray:
    """Return Brain-Score's ``BehavioralAssembly``, or ``indexed`` where brainscore_core is not installed."""
    if not _is_there():
        return indexed
    from brainscore_core.supported_data_standards.brainio.assemblies import BehavioralAssembly

    return BehavioralAssembly(plain)


def as_stimulus_set(stimuli: Any) -> Any:
    """Return Brain-Score's ``StimulusSet`` of a `StimulusTable`, or that itself where brainscore_core is missing."""
    if not _is_there():
        return stimuli
    from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet

    converted = StimulusSet(stimuli)
    converted.identifier, converted.stimulus_paths = stimuli.identifier, stimuli.stimulus_paths
    return converted


def _is_there() -> bool:
    return importlib.util.find_spec("brainscore_core") is not None
