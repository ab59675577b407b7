"""Partial least squares by the iteration of NIPALS, run on the small matrix of cross products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CrossProducts", "fit_pls"]

_MAX_ITERATIONS = 500  # this and the next as in scikit-learn's PLSRegression
_TOLERANCE = 1e-6
_EXHAUSTED = 2e-14  # of the largest square of a source: less is rounding in values of single precision
_EXPLAINED = 1e-26  # of the squared cross products: less is rounding
_STALE = 0.1  # an updated matrix that shrank to this share is computed anew, before rounding tells

Floats = NDArray[np.float64]


@dataclass
class CrossProducts:
    """What PLS needs to know of training data, source and target centred over the training stimuli.

    Attributes
    ----------
    cross : array of shape (n_features, n_targets), float64
        Source times target; overwritten by the fit.
    times : callable
        Multiplies an array of shape (n_features,) with the products of the source with itself.
    largest_square : float
        Largest sum of squares of a feature, or an upper bound within a factor of the number of features.
    first_target : int
        The target that the iteration starts with: the first that varies.
    """

    cross: Floats
    times: Callable[[Floats], Floats]
    largest_square: float
    first_target: int


def fit_pls(data: CrossProducts, n_components: int) -> tuple[Floats, int]:
    """Fit partial least squares regression.

    The weights of a component are found by power iteration with the start and the stop of scikit-learn's
    ``PLSRegression(scale=False)``. That stop is loose (squared change of the weights below 1e-6), so the result depends
    on the iteration: one with exact singular vectors differs by up to 1e-3 in the correlation of a neuroid. Here the
    iteration multiplies with the products of the cross products, of shape (n_targets, n_targets) or (n_features,
    n_features), whichever is smaller, and the data are never deflated. It ends where the source is used up, e.g. with
    17 components of 18 training stimuli, or the target is explained: one component more would divide rounding errors
    by each other. scikit-learn ends where all that is left of the target is below 2e-15, and not where units say the
    same but for rounding in single precision, which it then fits.

    Parameters
    ----------
    data : CrossProducts
        Of the training data.
    n_components : int
        At most how many components; the fit ends earlier where source or target is used up.

    Returns
    -------
    coefficients : array of shape (n_features, n_targets), float64
        For the centred source.
    n_components : int
        How many components were found.

    References
    ----------
    Wegelin (2000), A survey of partial least squares (PLS) methods, University of Washington, Technical Report 371.
    Dayal and MacGregor (1997), https://doi.org/10.1002/(SICI)1099-128X(199701)11:1<73::AID-CEM435>3.0.CO;2-#.
    """
    n_features, n_targets = data.cross.shape
    rotations, loadings = np.zeros((n_features, n_components)), np.zeros((n_features, n_components))
    target_loadings = np.zeros((n_targets, n_components))
    power, found = _PowerIteration(data.cross), 0
    all_products = power.trace
    for k in range(n_components):
        if not power.trace > _EXPLAINED * all_products:
            break
        weights = power.weights(data.first_target)
        rotation = weights - rotations[:, :k] @ (loadings[:, :k].T @ weights)
        products = data.times(rotation)
        square = float(rotation @ products)
        if not square > _EXHAUSTED * data.largest_square * max(1.0, float(rotation @ rotation)):
            break  # the weights, of length 1, lie in what earlier components used up
        loading, target_loading = products / square, data.cross.T @ rotation / square
        power.deflate(products, target_loading)
        rotations[:, k], loadings[:, k], target_loadings[:, k] = rotation, loading, target_loading
        found = k + 1
    return rotations[:, :found] @ target_loadings[:, :found].T, found


class _PowerIteration:
    """Finds the first left singular vector of the cross products, and keeps their products with themselves."""

    def __init__(self, cross: Floats) -> None:
        self._cross = cross
        self._is_on_targets = cross.shape[1] <= cross.shape[0]
        self.restart()

    def restart(self) -> None:
        """Compute the products anew."""
        self._products = self._cross.T @ self._cross if self._is_on_targets else self._cross @ self._cross.T
        self._restarted_at = self.trace

    @property
    def trace(self) -> float:
        """The sum of the squared cross products."""
        return float(np.trace(self._products))

    def weights(self, start: int) -> Floats:
        """Return the weights that the iteration which begins with target ``start`` stops at; zero where all are."""
        first = self._cross[:, start]
        length = float(np.sqrt(first @ first))
        if length == 0 or self._cross.shape[1] == 1:
            return first / (length or 1.0)
        if not self._is_on_targets:
            return self._iterate(first / length)
        unit = np.zeros(self._cross.shape[1])
        unit[start] = 1.0
        found: Floats = self._cross @ self._iterate(unit)
        return found / np.sqrt(found @ found)

    def _iterate(self, vector: Floats) -> Floats:
        """Multiply until the weights change little: those are the vector itself, or the cross products times it."""
        product = self._products @ vector
        weights = product if self._is_on_targets else vector  # what the weights' inner products are taken with
        square = vector @ weights
        for _ in range(_MAX_ITERATIONS - 1):
            scale = np.sqrt(product @ product)
            if not scale > 0 or not square > 0:
                return vector
            new = product / scale
            new_product = self._products @ new
            new_weights = new_product if self._is_on_targets else new
            new_square = new @ new_weights
            change = 2.0 - 2.0 * (new @ weights) / np.sqrt(square * new_square)
            vector, product, weights, square = new, new_product, new_weights, new_square
            if change < _TOLERANCE:
                break
        return vector

    def deflate(self, products: Floats, target_loading: Floats) -> None:
        """Take a component out; ``products`` are those of the source with its scores."""
        if self._is_on_targets:
            inner, outer = products, target_loading
            across = self._cross.T @ products
        else:
            inner, outer = target_loading, products
            across = self._cross @ target_loading
        across -= 0.5 * float(inner @ inner) * outer
        update = np.outer(across, outer)
        self._products -= update
        self._products -= update.T
        self._cross -= np.outer(products, target_loading)
        if not self.trace > _STALE * self._restarted_at:
            self.restart()
