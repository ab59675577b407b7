"""Recordings, a metric and a ceiling: what a brain model is scored on."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .ceilings import explained_variance, internal_consistency
from .protocols import BrainModel, TimeBins
from .regression import CrossValidated, pls_correlation
from .scores import Score
from .screen import place_on_screen
from .verification import verify_recordings

__all__ = ["NeuralBenchmark"]


@dataclass(frozen=True)
class NeuralBenchmark:
    """Recordings from a region that a model's activations are to predict by PLS regression.

    Attributes
    ----------
    identifier : str
        ``Data.region-metric``.
    region : str
        Where was recorded, e.g. ``"IT"``.
    stimuli : StimulusTable
        What was shown, with a column ``object_name`` that the splits are stratified on.
    recordings : array of shape (n_repetitions, n_stimuli, n_neuroids), float
        Responses, stimuli in the order of ``stimuli``.
    visual_degrees : float
        Extent of the stimuli, degrees.
    time_bins : sequence of (int, int)
        Start and end of the recorded time bins, ms.
    """

    identifier: str
    region: str
    stimuli: Any
    recordings: NDArray[np.float64]
    visual_degrees: float
    time_bins: TimeBins = ((70, 170),)

    @cached_property
    def ceiling(self) -> CrossValidated:
        """How well the recordings predict themselves."""
        return internal_consistency(self.recordings)

    def place_on_screen(self, target_degrees: float, folder: Path) -> Any:
        """Return the stimuli at the size at which a model of ``target_degrees`` sees them, new files in ``folder``."""
        return place_on_screen(self.stimuli, target_degrees, self.visual_degrees, folder)

    def record(self, model: BrainModel, stimuli: Any) -> xr.DataArray:
        """Record from the model while it looks at stimuli.

        Parameters
        ----------
        model : BrainModel
            The experimental subject.
        stimuli : StimulusTable
            Stimuli of this benchmark, placed on the model's screen.

        Returns
        -------
        xarray.DataArray
            Recordings, dims presentation, neuroid and perhaps time_bin.

        Raises
        ------
        ScoringError
            When the benchmark could not work with the recordings.
        """
        model.start_recording(self.region, time_bins=list(self.time_bins))
        recordings = model.look_at(stimuli)
        verify_recordings(recordings, stimuli, self.region)
        return recordings

    def correlate(self, activations: NDArray[np.floating[Any]]) -> CrossValidated:
        """Predict the recordings, averaged over repetitions, from activations in the order of ``stimuli``.

        Parameters
        ----------
        activations : array of shape (n_stimuli, n_features)
            What to predict from.

        Returns
        -------
        CrossValidated
            Pearson r.
        """
        return pls_correlation(activations, self.recordings.mean(axis=0), self.stimuli["object_name"].values)

    def compare(self, recordings: xr.DataArray, /, **attrs: Any) -> Score:
        """Score a model's recordings against those of the benchmark.

        Parameters
        ----------
        recordings : xarray.DataArray
            What ``record`` returned.
        **attrs
            What to note in the score, e.g. ``layer``.

        Returns
        -------
        Score
            The ceiled score.
        """
        if "time_bin" in recordings.dims:
            recordings = recordings.mean("time_bin")
        r = self.correlate(recordings.transpose("presentation", "neuroid").values)
        ceiling = self.ceiling.value
        return Score(
            value=explained_variance(r.value, ceiling),
            error=r.error,
            ceiling=ceiling,
            raw=r.value,
            attrs={
                "benchmark": self.identifier,
                "metric": "pls",
                "formula": "r**2 / ceiling",
                "n_stimuli": recordings.sizes["presentation"],
                "n_features": recordings.sizes["neuroid"],
                "n_neuroids": self.recordings.shape[2],
                **attrs,
            },
        )

    def __call__(self, model: BrainModel, /, **attrs: Any) -> Score:
        """Show the stimuli to the model, record from it and score the recordings.

        Parameters
        ----------
        model : BrainModel
            The experimental subject.
        **attrs
            What to note in the score.

        Returns
        -------
        Score
            The ceiled score.
        """
        with tempfile.TemporaryDirectory(prefix="brain_adapters_screen_") as folder:
            placed = self.place_on_screen(model.visual_degrees(), Path(folder))
            return self.compare(self.record(model, placed), **attrs)
