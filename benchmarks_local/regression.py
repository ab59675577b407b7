"""How well a linear map from model activations predicts recordings: PLS regression and Pearson correlation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ScoringError, counted
from .estimators import pls, quiet_fit, single_threaded, stratified_splits
from .verification import verify_finite

__all__ = ["N_COMPONENTS", "CrossValidated", "pearson_per_neuroid", "pls_correlation", "rotate"]

N_COMPONENTS = 25
_ROUNDING = 1e-12  # of the largest value: equal rows are not quite equal any more when they have been rotated

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CrossValidated:
    """A value with its split spread.

    Attributes
    ----------
    value : float
        Mean over splits of the median over neuroids.
    error : float
        Standard deviation over splits divided by the square root of their number. This is the spread of overlapping
        splits, too small to be read as uncertainty about the data.
    raw : array of shape (n_splits, n_neuroids), float64
        One value per split and neuroid; NaN for a neuroid that is constant in a split.
    """

    value: float
    error: float
    raw: Floats

    @classmethod
    def from_raw(cls, raw: Floats) -> CrossValidated:
        """Aggregate as Brain-Score does: median over neuroids, then mean over splits.

        Parameters
        ----------
        raw : array of shape (n_splits, n_neuroids), float64
            One value per split and neuroid.
        """
        is_constant = np.isnan(raw).all(axis=0)
        if is_constant.all():
            return cls(float("nan"), float("nan"), raw)
        medians = np.nanmedian(raw[:, ~is_constant], axis=1)
        return cls(float(np.nanmean(medians)), float(np.nanstd(medians) / np.sqrt(len(medians))), raw)


def pls_correlation(source: NDArray[Any], target: NDArray[Any], strata: NDArray[Any]) -> CrossValidated:
    """Predict recordings from activations by cross-validated PLS and correlate prediction and recording.

    Ten splits of 90 % training stimuli, stratified; 25 components; Pearson r per neuroid on the held-out stimuli.

    Parameters
    ----------
    source : array of shape (n_stimuli, n_features)
        Model activations, any float dtype.
    target : array of shape (n_stimuli, n_neuroids)
        Recordings, averaged over repetitions; rows in the order of ``source``.
    strata : array of shape (n_stimuli,)
        Labels that the splits are stratified on, e.g. object names.

    Returns
    -------
    CrossValidated
        Its ``raw`` holds r for each split and neuroid.

    Raises
    ------
    ScoringError
        When there are fewer than 25 features or training stimuli, or a value is not finite.

    References
    ----------
    Schrimpf et al. (2018), Brain-Score, https://doi.org/10.1101/407007; metric ``pls`` of brainscore_vision 2.4.2.
    """
    x, y = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    splits = stratified_splits(np.asarray(strata))
    _refuse_what_pls_cannot_fit(x, y, n_train=len(splits[0][0]))
    with single_threaded(), quiet_fit():
        x = rotate(x)
        raw = np.stack([_correlate_split(x, y, train, test) for train, test in splits])
    return CrossValidated.from_raw(raw)


def rotate(x: Floats) -> Floats:
    """Turn the feature axes so that at most ``n_stimuli`` of them are not zero.

    PLS sees the features only through their inner products, so it finds the same predictions in the rotated space;
    with 50,000 features and 128 stimuli that is hundreds of times faster.

    Parameters
    ----------
    x : array of shape (n_stimuli, n_features), float64
        Activations.

    Returns
    -------
    array of shape (n_stimuli, min(n_stimuli, n_features)), float64
        Rows with the same inner products as those of ``x``.
    """
    if x.shape[1] <= x.shape[0]:
        return x
    return np.asarray(np.linalg.qr(x.T, mode="r"), dtype=np.float64).T.copy()


def pearson_per_neuroid(first: NDArray[Any], second: NDArray[Any]) -> Floats:
    """Correlate two arrays of shape (n_stimuli, n_neuroids) column by column.

    Parameters
    ----------
    first, second : array of shape (n_stimuli, n_neuroids)
        Responses of the same neuroids to the same stimuli.

    Returns
    -------
    array of shape (n_neuroids,), float64
        Pearson r; NaN where one of the two columns is constant.
    """
    a = np.asarray(first, dtype=np.float64) - np.mean(first, axis=0, dtype=np.float64)
    b = np.asarray(second, dtype=np.float64) - np.mean(second, axis=0, dtype=np.float64)
    norms = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    is_constant = norms == 0
    return np.where(is_constant, np.nan, (a * b).sum(axis=0) / np.where(is_constant, 1.0, norms))


def _correlate_split(x: Floats, y: Floats, train: NDArray[np.intp], test: NDArray[np.intp]) -> Floats:
    if np.ptp(x[train], axis=0).max() <= _ROUNDING * np.abs(x).max():  # scikit-learn would divide 0 by 0
        return np.full(y.shape[1], np.nan)
    regression = pls(N_COMPONENTS).fit(x[train], y[train])
    return pearson_per_neuroid(regression.predict(x[test]), y[test])


def _refuse_what_pls_cannot_fit(x: Floats, y: Floats, n_train: int) -> None:
    if x.shape[1] < N_COMPONENTS:
        raise ScoringError(
            f"The source has {counted(x.shape[1], 'feature')}, but PLS regression with {N_COMPONENTS} components needs "
            f"at least {N_COMPONENTS}. Choose a layer with more features."
        )
    if n_train < N_COMPONENTS:
        raise ScoringError(
            f"Each split has {counted(n_train, 'training stimulus', 'training stimuli')}, but PLS regression with "
            f"{N_COMPONENTS} components needs at least {N_COMPONENTS}. Use more stimuli."
        )
    verify_finite(x, "activations")
    verify_finite(y, "recordings")
