"""Predict each recorded neuroid by the one unit of a layer that correlates with it best."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .splits import Splits

__all__ = ["best_unit_predictions"]

_COLUMNS = 4096

Floats = NDArray[np.float64]


def best_unit_predictions(values: NDArray[Any], target: Floats, splits: Splits) -> list[Floats]:
    """Find for each neuroid the unit with the largest signed correlation over the training rows.

    Parameters
    ----------
    values : array of shape (n_stimuli, n_features), any float dtype
        Activations.
    target : array of shape (n_stimuli, n_neuroids), float64
        Recordings.
    splits : list of (training rows, test rows)
        The best unit is found anew in each split.

    Returns
    -------
    list of arrays of shape (n_test, n_neuroids), float64
        The values of the best units; NaN for a neuroid that correlates with none because one of both is constant.

    References
    ----------
    Arend et al. (2018), Center for Brains, Minds and Machines; ``neuron_to_neuron`` of brainscore_vision 2.4.2.
    """
    return [_predict(values, target, train, test) for train, test in splits]


def _predict(values: NDArray[Any], target: Floats, train: NDArray[np.intp], test: NDArray[np.intp]) -> Floats:
    n_neuroids = target.shape[1]
    best, unit = np.full(n_neuroids, -np.inf), np.full(n_neuroids, -1)
    y = _standardised(target[train])
    for start in range(0, values.shape[1], _COLUMNS):
        block = _standardised(np.asarray(values[train, start : start + _COLUMNS], dtype=np.float64))
        r = block.T @ y
        r = np.where(np.isnan(r), -np.inf, r)
        here = r.argmax(axis=0)
        value = r[here, np.arange(n_neuroids)]
        is_better = value > best
        best[is_better], unit[is_better] = value[is_better], here[is_better] + start
    predicted = np.asarray(values[np.ix_(test, np.maximum(unit, 0))], dtype=np.float64)
    predicted[:, unit < 0] = np.nan
    return predicted


def _standardised(values: Floats) -> Floats:
    """Centre columns and bring them to length 1; NaN where one is constant."""
    centred = values - values.mean(axis=0)
    lengths = np.sqrt((centred**2).sum(axis=0))
    is_constant = (values == values[:1]).all(axis=0)
    return np.asarray(centred / np.where(is_constant | (lengths == 0), np.nan, lengths))
