"""Mappings over time: one set of weights for all time bins, and a score for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ScoringError
from .correlation import pearson_per_neuroid
from .crossvalidated import CrossValidated
from .features import Features
from .metric import MappingMetric, Predicted
from .splits import Splits, verify_splits

__all__ = ["TemporalMetric"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TemporalMetric(MappingMetric):
    """Fits a mapping to all time bins at once, each bin of a stimulus a sample, and correlates bin by bin.

    Source and target have shape (n_stimuli, n_units, n_time_bins), with the same bins. The result holds one
    ``CrossValidated`` per bin in ``time_bins``; value and raw are their means.

    References
    ----------
    ``spantime_pls`` and ``spantime_ridge`` of brainscore_vision 2.4.2.
    """

    def __call__(
        self,
        source: Features | NDArray[Any],
        target: NDArray[Any],
        *,
        strata: NDArray[Any] | None = None,
        splits: Splits | None = None,
        parity: bool = False,
    ) -> CrossValidated:
        """Compare, time bin by time bin.

        Parameters
        ----------
        source : array of shape (n_stimuli, n_features, n_time_bins)
            The model's responses over time.
        target : array of shape (n_stimuli, n_neuroids, n_time_bins)
            Recordings over time, averaged over repetitions.
        strata : array of shape (n_stimuli,), optional
            Labels that splits are stratified on.
        splits : list of (training rows, test rows), optional
            Rows of stimuli; instead of the ten splits of Brain-Score.
        parity : bool
            Refuse what Brain-Score refuses.

        Returns
        -------
        CrossValidated
            With ``time_bins``.

        Raises
        ------
        ScoringError
            When the two do not fit together, or as for other metrics.
        """
        x, y = _over_time(source, target)
        if splits is not None:
            verify_splits(splits, len(x))
        splits, n_bins = self._splits(len(x), strata, splits), x.shape[2]
        predicted = self._predicted(x, y, splits, parity or self.strict)
        raw = np.empty((len(splits), n_bins, y.shape[1]))
        for row, (predictions, (_, test)) in enumerate(zip(predicted.predictions, splits, strict=True)):
            for time_bin in range(n_bins):
                raw[row, time_bin] = pearson_per_neuroid(predictions[..., time_bin], y[test, :, time_bin])
        bins = tuple(CrossValidated.from_raw(raw[:, time_bin]) for time_bin in range(n_bins))
        values = np.array([each.value for each in bins])
        whole = CrossValidated.from_raw(raw.mean(axis=1), predicted.flags, bins)
        return CrossValidated(float(values.mean()), whole.error, whole.raw, whole.flags, bins)

    def predictions(
        self, source: Features | NDArray[Any], target: NDArray[Any], splits: Splits
    ) -> list[NDArray[np.float64]]:
        """See `Metric.predictions`; source and target as for a call."""
        x, y = _over_time(source, target)
        verify_splits(splits, len(x))
        return self._predicted(x, y, splits, self.strict).predictions

    def _predicted(self, x: NDArray[Any], y: Floats, splits: Splits, is_strict: bool) -> Predicted:
        n_stimuli, _, n_bins = x.shape
        features, recordings = self._verified(_stacked(x), _stacked(y), is_strict)
        found = self.predict(features, recordings, [_of_bins(split, n_stimuli, n_bins) for split in splits])
        predictions = [np.stack(np.split(each, n_bins), axis=2) for each in found.predictions]
        return Predicted(predictions, found.flags)


def _over_time(source: Any, target: Any) -> tuple[NDArray[Any], Floats]:
    if isinstance(source, Features):
        raise ScoringError(
            "Features have no time bins, expected an array of shape (n_stimuli, n_features, n_time_bins). Pass the "
            "responses over time, or take the metric without 'spantime_'."
        )
    x, y = np.asarray(source), np.asarray(target, dtype=np.float64)
    if x.ndim != 3 or y.ndim != 3 or len(x) != len(y) or x.shape[2] != y.shape[2]:
        raise ScoringError(
            f"The source has shape {x.shape} and the target {y.shape}, expected (n_stimuli, n_units, n_time_bins) with "
            "the same stimuli and time bins. Record the model in the time bins of the recordings."
        )
    return x, y


def _stacked(values: NDArray[Any]) -> NDArray[Any]:
    """Put the time bins below each other: shape (n_time_bins * n_stimuli, n_units)."""
    return np.concatenate(np.moveaxis(values, 2, 0))


def _of_bins(
    split: tuple[NDArray[np.intp], NDArray[np.intp]], n_stimuli: int, n_bins: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    shifts = n_stimuli * np.arange(n_bins)[:, None]
    train, test = ((shifts + rows).ravel() for rows in split)
    return train, test
