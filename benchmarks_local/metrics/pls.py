"""Predict recordings by partial least squares, with the inner products of all stimuli shared between splits."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..estimators import single_threaded
from .features import Features
from .nipals import CrossProducts, fit_pls
from .splits import Splits

__all__ = ["N_COMPONENTS", "pls_predictions"]

N_COMPONENTS = 25
_IMPRECISE = 1e-6  # of the largest square: less is a small difference of large products
_WORTH_SHARING = 4  # splits: from here on, products over all stimuli cost less than products with each split's

Floats = NDArray[np.float64]


def pls_predictions(
    features: Features, target: Floats, splits: Splits, *, n_components: int = N_COMPONENTS
) -> list[tuple[Floats, int]]:
    """Fit PLS to the training rows of each split and predict the test rows.

    Parameters
    ----------
    features : Features
        What to predict from.
    target : array of shape (n_stimuli, n_neuroids), float64
        What to predict.
    splits : list of (training rows, test rows)
        Products over all stimuli are computed once; each split subtracts what its held-out rows add to them.
    n_components : int
        At most how many components.

    Returns
    -------
    list of (predictions, n_components)
        For each split an array of shape (n_test, n_neuroids), float64, and how many components were found.

    References
    ----------
    ``PLSRegression(25, scale=False)`` of scikit-learn, which metric ``pls`` of brainscore_vision 2.4.2 fits.
    """
    x, means, found = features.rotated(), target.mean(axis=0), []
    with single_threaded():
        shared = _Shared(
            x, target - means, is_orthogonal=not features.is_tall, is_worth_it=len(splits) >= _WORTH_SHARING
        )
        for train, test in splits:
            products, x_mean, y_mean = shared.of_split(train, _first_varying(target[train]))
            coefficients, n_found = fit_pls(products, min(n_components, x.shape[1], len(train) - 1))
            found.append(((x[test] - x_mean) @ coefficients + (y_mean + means), n_found))
    return found


class _Shared:
    """Products over all stimuli."""

    def __init__(self, x: Floats, y: Floats, *, is_orthogonal: bool, is_worth_it: bool) -> None:
        self._x, self._y = x, y
        self._squares = (x**2).sum(axis=0)
        self._is_shared = is_orthogonal or is_worth_it
        self._times: Callable[[Floats], Floats]
        if is_orthogonal:  # rotated features are
            self._times = self._squares.__mul__
        elif is_worth_it:
            self._times = (x.T @ x).__matmul__
        self._cross = x.T @ y if self._is_shared else None

    def of_split(self, train: NDArray[np.intp], first_target: int) -> tuple[CrossProducts, Floats, Floats]:
        """Return the products of the training rows, and the means over these."""
        x, y = self._x, self._y
        x_mean, y_mean, n_train = x[train].mean(axis=0), y[train].mean(axis=0), len(train)
        left_out = np.ones(len(x), dtype=bool)
        left_out[train] = False
        rest = x[left_out]
        if self._cross is None or 2 * len(rest) > n_train or len(rest) + n_train != len(x):
            return _of_rows(x[train] - x_mean, y[train] - y_mean, first_target), x_mean, y_mean
        all_times, largest = self._times, float(self._squares.max(initial=0.0))

        @cache
        def centred() -> Floats:
            return np.asarray(x[train] - x_mean)

        def times(vector: Floats) -> Floats:
            product: Floats = all_times(vector) - rest.T @ (rest @ vector)
            product -= n_train * float(x_mean @ vector) * x_mean
            if vector @ product > _IMPRECISE * largest * float(vector @ vector):
                return product
            return np.asarray(centred().T @ (centred() @ vector))

        cross = self._cross - rest.T @ y[left_out] - n_train * np.outer(x_mean, y_mean)
        return CrossProducts(cross, times, largest, first_target), x_mean, y_mean


def _of_rows(x: Floats, y: Floats, first_target: int) -> CrossProducts:
    largest = float((x**2).sum(axis=0).max(initial=0.0))
    return CrossProducts(x.T @ y, lambda vector: x.T @ (x @ vector), largest, first_target)


def _first_varying(target: Floats) -> int:
    return int(np.argmax((target != target[:1]).any(axis=0)))
