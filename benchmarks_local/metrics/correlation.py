"""Pearson's and Spearman's correlation, column by column."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..estimators import ranks

__all__ = ["pearson_per_neuroid", "spearman"]

Floats = NDArray[np.float64]


def pearson_per_neuroid(first: NDArray[Any], second: NDArray[Any]) -> Floats:
    """Correlate two arrays of shape (n_stimuli, n_neuroids) column by column.

    Parameters
    ----------
    first, second : array of shape (n_stimuli, n_neuroids)
        Responses of the same neuroids to the same stimuli.

    Returns
    -------
    array of shape (n_neuroids,), float64
        Pearson r; NaN where one of the two columns is constant or holds a NaN.
    """
    first, second = (np.asarray(each, dtype=np.float64) for each in (first, second))
    a, b = first - first.mean(axis=0), second - second.mean(axis=0)
    norms = np.sqrt(_products(a, a) * _products(b, b))
    # compared with each other: the mean of equal numbers is not always exactly that number
    is_constant = (first == first[:1]).all(axis=0) | (second == second[:1]).all(axis=0) | (norms == 0)
    r = _products(a, b) / np.where(is_constant, 1.0, norms)
    return np.where(is_constant, np.nan, np.clip(r, -1.0, 1.0))


def spearman(first: Floats, second: Floats) -> float:
    """Correlate the ranks of two arrays of shape (n,).

    Returns
    -------
    float
        Spearman's rho; NaN where one of the two is constant or holds a NaN.

    Examples
    --------
    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 10.0, 100.0]))
    1.0
    """
    if np.isnan(first).any() or np.isnan(second).any():
        return float("nan")
    return float(pearson_per_neuroid(ranks(first)[:, None], ranks(second)[:, None])[0])


def _products(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.einsum("ij,ij->j", a, b))
