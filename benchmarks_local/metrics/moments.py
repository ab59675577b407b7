"""Sums over the units of a layer that can be gathered block by block, and hold all that most metrics need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ScoringError

__all__ = ["Moments"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Inner products between stimuli over the units of a layer, or of a part of it.

    The moments of two blocks of units of the same stimuli add up to those of both blocks.

    Attributes
    ----------
    gram : array of shape (n_stimuli, n_stimuli), float64
        Inner products of the stimuli's values, each unit centred about its mean over the stimuli.
    cross : array of shape (n_stimuli,), float64
        Sum over units of the centred value times the unit's mean.
    row_sums : array of shape (n_stimuli,), float64
        Sum over units of the value itself.
    mean_norm2 : float
        Sum over units of the squared mean.
    n_features : int
        Number of units.
    n_varying : int
        Number of units that are not the same for all stimuli.

    Examples
    --------
    >>> values = np.arange(12.0).reshape(4, 3) ** 2
    >>> whole, parts = Moments.of(values), Moments.of(values[:, :2]) + Moments.of(values[:, 2:])
    >>> bool(np.allclose(whole.gram, parts.gram)), parts.n_features
    (True, 3)
    """

    gram: Floats
    cross: Floats
    row_sums: Floats
    mean_norm2: float
    n_features: int
    n_varying: int

    @classmethod
    def of(cls, values: NDArray[Any]) -> Moments:
        """Gather the moments of a block of units.

        Parameters
        ----------
        values : array of shape (n_stimuli, n_units), any float dtype
            Computed with in float64; give large layers in blocks.

        Returns
        -------
        Moments
            Of these units.
        """
        values = np.asarray(values, dtype=np.float64)
        shifted = values - values[:1]  # of a unit that does not vary exactly 0, which no rounding turns into a signal
        n_varying, shifts = int(shifted.any(axis=0).sum()), shifted.mean(axis=0)
        means, centred = values[0] + shifts, np.subtract(shifted, shifts, out=shifted)
        return cls(
            gram=centred @ centred.T,
            cross=centred @ means,
            row_sums=values.sum(axis=1),
            mean_norm2=float(means @ means),
            n_features=values.shape[1],
            n_varying=n_varying,
        )

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both blocks of units."""
        if self.gram.shape != other.gram.shape:
            raise ScoringError(
                f"Moments of {len(self.gram)} and of {len(other.gram)} stimuli cannot be added. "
                "Add blocks of units of the same stimuli."
            )
        return Moments(
            self.gram + other.gram,
            self.cross + other.cross,
            self.row_sums + other.row_sums,
            self.mean_norm2 + other.mean_norm2,
            self.n_features + other.n_features,
            self.n_varying + other.n_varying,
        )

    def of_stimuli(self, rows: NDArray[np.intp]) -> Moments:
        """Return the moments of some of the stimuli, centred about their own means.

        Parameters
        ----------
        rows : array of shape (n_rows,), int
            Which stimuli; one may come several times, as in a bootstrap.

        Returns
        -------
        Moments
            ``n_varying`` stays that of all stimuli, and so is an upper bound.
        """
        part = self.gram[np.ix_(rows, rows)]
        means, cross = part.mean(axis=0), self.cross[rows]
        mean = float(means.mean())
        return Moments(
            gram=part - means - means[:, None] + mean,
            cross=cross - cross.mean() + means - mean,
            row_sums=self.row_sums[rows],
            mean_norm2=self.mean_norm2 + 2 * float(cross.mean()) + mean,
            n_features=self.n_features,
            n_varying=self.n_varying,
        )

    def correlations(self) -> Floats:
        """Correlate the stimuli over the units.

        Returns
        -------
        array of shape (n_stimuli, n_stimuli), float64
            Pearson r; NaN for a stimulus that gives all units the same value.
        """
        products = self.gram + self.cross + self.cross[:, None] + self.mean_norm2
        sums = self.row_sums
        covariance = products - np.outer(sums, sums) / self.n_features
        variance = np.diag(covariance).copy()
        rounding = 1e-13 * np.abs(np.diag(products))
        deviations = np.sqrt(np.where(variance > rounding, variance, np.nan))
        found = np.clip(covariance / deviations / deviations[:, None], -1.0, 1.0)
        np.fill_diagonal(found, np.where(np.isnan(deviations), np.nan, 1.0))
        return found
