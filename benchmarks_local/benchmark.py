"""Recordings, a metric and a ceiling: what a brain model is scored on."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .data.recordings import mean_over_repetitions
from .metrics import FORMULAS, CrossValidated, Features, get_metric, internal_consistency, shuffle_splits, splits_digest
from .protocols import BrainModel, TimeBins
from .scores import Score
from .screen import place_on_screen
from .verification import verify_recordings

__all__ = ["NeuralBenchmark", "static_values"]

_FEW_TESTED = 6  # correlations over fewer stimuli are skewed: their median over neuroids lies above the true one


@dataclass(frozen=True)
class NeuralBenchmark:
    """Recordings from a region that a model's activations are compared with.

    Attributes
    ----------
    identifier : str
        ``Data.region-metric``.
    region : str
        Where was recorded, e.g. ``"IT"``.
    stimuli : StimulusTable
        What was shown.
    recordings : array of shape (n_repetitions, n_stimuli, n_neuroids), float
        Responses, stimuli in the order of ``stimuli``; NaN where a stimulus was not repeated as often as others.
    visual_degrees : float
        Extent of the stimuli, degrees.
    time_bins : sequence of (int, int)
        Start and end of the recorded time bins, ms.
    metric : str
        Identifier of the metric.
    strata : str or None
        The column of ``stimuli`` that the splits are stratified on; it may be missing.
    neuroid_ids : sequence of str
        Names of the neuroids; numbers when there are none.
    given_ceiling : float or None
        A ceiling that the recordings themselves cannot tell, NaN for none at all; None for split-half reliability.
    selection : array of shape (n_stimuli,), bool, or None
        The stimuli that a layer is chosen on, when it is scored on the others.
    notes : sequence of str
        What a reader of any score has to know of the recordings; goes into its flags.
    """

    identifier: str
    region: str
    stimuli: Any
    recordings: NDArray[np.float64]
    visual_degrees: float
    time_bins: TimeBins = ((70, 170),)
    metric: str = "pls"
    strata: str | None = "object_name"
    neuroid_ids: Sequence[str] = ()
    given_ceiling: float | None = None
    selection: NDArray[np.bool_] | None = None
    notes: Sequence[str] = ()

    @cached_property
    def ceilings(self) -> CrossValidated:
        """How well the recordings predict themselves, per halving of the repetitions and neuroid."""
        return internal_consistency(self.recordings)

    @property
    def ceiling(self) -> float:
        """How well a model could do at best; NaN when that is not known."""
        return self.ceilings.value if self.given_ceiling is None else self.given_ceiling

    @cached_property
    def responses(self) -> NDArray[np.float64]:
        """The recordings averaged over the repetitions that there are, shape (n_stimuli, n_neuroids)."""
        return mean_over_repetitions(self.recordings)

    def part(self, rows: NDArray[Any]) -> NeuralBenchmark:
        """Return the benchmark on some of its stimuli, numbered or masked."""
        rows = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.asarray(rows)
        return replace(self, stimuli=self.stimuli.iloc[rows], recordings=self.recordings[:, rows], selection=None)

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

    def correlate(self, activations: NDArray[Any] | Features, *, strict: bool = False) -> CrossValidated:
        """Compare activations, in the order of ``stimuli``, with the recordings averaged over repetitions.

        Parameters
        ----------
        activations : array of shape (n_stimuli, n_features), or Features
            What to compare.
        strict : bool
            Refuse what Brain-Score refuses instead of fitting fewer components.

        Returns
        -------
        CrossValidated
            Pearson r for a mapping metric, the similarity for others.
        """
        source = activations if isinstance(activations, Features) else Features.of(activations)
        if source.n_varying == 0:  # an alignment of nothing with something is 0, which is more than a negative one
            return CrossValidated.from_raw(np.full((1, 1), np.nan), ("layer does not vary",))
        return get_metric(self.metric)(source, self.responses, strata=self.labels, parity=strict)

    def scored(self, found: CrossValidated, n_features: int, **attrs: Any) -> Score:
        """Bring what ``correlate`` returned to the ceiling.

        Parameters
        ----------
        found : CrossValidated
            How well the responses are predicted.
        n_features : int
            How many units they were predicted from.
        **attrs
            What to note in the score, e.g. ``layer``.

        Returns
        -------
        Score
            The ceiled score; NaN, and flagged, where the ceiling is not above 0.
        """
        metric, ceiling, n_neuroids = get_metric(self.metric), self.ceiling, self.recordings.shape[2]
        value = float(FORMULAS[metric.formula](found.value, ceiling))
        per_neuroid = {"raw": _mean_of_known(found.raw)} if found.raw.shape[1] == n_neuroids else {}
        if self.given_ceiling is None:
            per_neuroid["ceiling"] = _mean_of_known(self.ceilings.raw)
        return Score(
            value=value,
            error=found.error,
            ceiling=ceiling,
            raw=found.value,
            attrs={
                "benchmark": self.identifier,
                "region": self.region,
                "metric": self.metric,
                "formula": metric.formula,
                "flags": [*self.notes, *found.flags, *self._other_flags, *_flags(found.value, ceiling, value)],
                "splits": self._splits_digest,
                "neuroids": {"neuroid_id": list(self.neuroid_ids) or list(map(str, range(n_neuroids))), **per_neuroid},
                "n_stimuli": len(self.stimuli),
                "n_features": n_features,
                "n_neuroids": n_neuroids,
                **attrs,
            },
        )

    def compare(self, recordings: xr.DataArray, /, *, strict: bool = False, **attrs: Any) -> Score:
        """Score a model's recordings against those of the benchmark.

        Parameters
        ----------
        recordings : xarray.DataArray
            What ``record`` returned.
        strict : bool
            Refuse what Brain-Score refuses instead of fitting fewer components.
        **attrs
            What to note in the score, e.g. ``layer``.

        Returns
        -------
        Score
            The ceiled score.
        """
        values = static_values(recordings)
        return self.scored(self.correlate(values, strict=strict), values.shape[1], **attrs)

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

    @property
    def labels(self) -> NDArray[Any] | None:
        """What the splits are stratified on, one label per stimulus; None when there is nothing, or too little."""
        if not self._has_strata:
            return None
        labels = np.asarray(self.stimuli[self.strata].values)
        return labels if _can_be_split(labels) else None

    @property
    def _other_flags(self) -> list[str]:
        of_ceiling = [] if self.given_ceiling is not None else [f"ceiling: {flag}" for flag in self.ceilings.flags]
        n_tested = int(np.ceil(0.1 * len(self.stimuli)))
        few = [f"few test stimuli={n_tested}"] if n_tested < _FEW_TESTED and self._is_mapping else []
        return [*of_ceiling, *few, *self.strata_flags]

    @property
    def _is_mapping(self) -> bool:
        return get_metric(self.metric).kind == "mapping"

    @property
    def strata_flags(self) -> list[str]:
        """What is to be said of the column of strata: that splits cannot hold its labels."""
        return ["splits not stratified"] if self._has_strata and self.labels is None else []

    @property
    def _splits_digest(self) -> str | None:
        """Name the splits; a similarity metric compares all stimuli, or nine tenths of them, ten times."""
        if self._is_mapping:
            return splits_digest(shuffle_splits(len(self.stimuli), self.labels))
        if not self.metric.endswith("_cv"):
            return None
        return splits_digest(shuffle_splits(len(self.stimuli), self.labels, train_size=None, test_size=0.9))

    @property
    def _has_strata(self) -> bool:
        return self.strata is not None and self.strata in self.stimuli.columns


def static_values(recordings: xr.DataArray) -> NDArray[Any]:
    """Return recordings averaged over time bins, shape (n_presentations, n_neuroids)."""
    if "time_bin" in recordings.dims:
        recordings = recordings.mean("time_bin")
    values: NDArray[Any] = recordings.transpose("presentation", "neuroid").values
    return values


def _mean_of_known(raw: NDArray[np.float64]) -> list[float]:
    """Average over the splits in which a neuroid has a value; NaN where it has none."""
    counts = (~np.isnan(raw)).sum(axis=0)
    means: list[float] = np.where(counts > 0, np.nansum(raw, axis=0) / np.maximum(counts, 1), np.nan).tolist()
    return means


def _flags(raw: float, ceiling: float, value: float) -> list[str]:
    """Say what the ceiled value alone would hide."""
    flags = []
    if raw < 0:
        flags.append("negative r")
    if not ceiling > 0:
        flags.append("ceiling not defined" if np.isnan(ceiling) else "ceiling not positive")
    elif value > 1:
        flags.append("above the ceiling")
    return flags


def _can_be_split(labels: NDArray[Any]) -> bool:
    """Tell whether a tenth of the stimuli can hold each label, and the rest as well."""
    counts = np.unique(labels, return_counts=True)[1]
    return bool(counts.min() >= 2 and len(counts) <= np.ceil(0.1 * len(labels)))
