"""What scoring asks of a model. Any object with these members will do; nothing needs to inherit from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import xarray as xr

__all__ = ["BatchHook", "BrainModel", "Extractor", "HookHandle"]

BatchHook = Callable[[Mapping[str, Any]], Mapping[str, Any]]
TimeBins = Sequence[tuple[int, int]]


class HookHandle(Protocol):
    """What registering a hook returns."""

    def remove(self) -> None:
        """Unregister the hook."""


class Extractor(Protocol):
    """What gives activations: ``adapters.wrap(model)``, and Brain-Score's own wrappers as well."""

    identifier: str

    def __call__(self, stimuli: Any, layers: Sequence[str]) -> xr.DataArray:
        """Return activations, dims (presentation, neuroid), stimuli in the order in which they were given."""

    def register_batch_activations_hook(self, hook: BatchHook) -> HookHandle:
        """Let a hook change the activations of each batch, layer name to array of shape (n_batch, ...)."""


class BrainModel(Protocol):
    """What can be treated as an experimental subject; Brain-Score's interface of the same name."""

    def visual_degrees(self) -> float:
        """Return the extent of the visual field, degrees."""

    def start_recording(self, recording_target: str, time_bins: TimeBins) -> None:
        """Record from a region from now on, in time bins of (start, end) ms."""

    def start_task(self, task: str, fitting_stimuli: Any) -> None:
        """Perform a task from now on, after learning it from labelled stimuli."""

    def look_at(self, stimuli: Any, number_of_trials: int = 1) -> xr.DataArray:
        """Show stimuli; return the recordings, or the behaviour in the task."""
