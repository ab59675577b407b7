"""A value with its split spread: what every metric and ceiling returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CrossValidated"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CrossValidated:
    """A value with its split spread.

    Attributes
    ----------
    value : float
        Mean over splits of the median over neuroids.
    error : float
        Standard deviation over splits divided by the square root of their number; NaN for a single split. This is the
        spread of overlapping splits, too small to be read as uncertainty about the data.
    raw : array of shape (n_splits, n_neuroids), float64
        One value per split and neuroid; NaN for a neuroid that is constant in a split. Similarities have one column.
    flags : tuple of str
        What a reader of the value has to know, e.g. ``"components=17"`` or ``"undefined=1"``.
    time_bins : tuple of CrossValidated
        One per time bin, of metrics over time; empty otherwise.
    """

    value: float
    error: float
    raw: Floats
    flags: tuple[str, ...] = ()
    time_bins: tuple[CrossValidated, ...] = ()

    @classmethod
    def from_raw(
        cls, raw: Floats, flags: tuple[str, ...] = (), time_bins: tuple[CrossValidated, ...] = ()
    ) -> CrossValidated:
        """Aggregate as Brain-Score does: median over neuroids, then mean over splits, NaN left out of both.

        Parameters
        ----------
        raw : array of shape (n_splits, n_neuroids), float64
            One value per split and neuroid.
        flags : tuple of str
            As they are; how many neuroids have not a single value is added.
        time_bins : tuple of CrossValidated
            As they are.
        """
        is_undefined = np.isnan(raw)
        n_undefined = int(is_undefined.all(axis=0).sum())
        if n_undefined:
            flags = (*flags, f"undefined={n_undefined}")
        if is_undefined.any():
            defined = [row[~where] for row, where in zip(raw, is_undefined, strict=True)]
            medians = np.array([np.median(row) for row in defined if len(row)])
        else:
            medians = np.median(raw, axis=1)
        if not len(medians):
            return cls(float("nan"), float("nan"), raw, flags, time_bins)
        error = float(np.std(medians) / np.sqrt(len(medians))) if len(medians) > 1 else float("nan")
        return cls(float(np.mean(medians)), error, raw, flags, time_bins)
