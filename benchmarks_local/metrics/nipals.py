"""Partial least squares by the iteration of NIPALS, run on the small matrix of cross products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CrossProducts", "fit_pls"]

_MAX_ITERATIONS = 500  # this and the next as in scikit-learn's PLSRegression
_TOLERANCE = 1e-6
_EPS = np.finfo(np.float64).eps
_VANISHED = 1e-12  # of a target's largest value: less is rounding
_SUSPICIOUS = 1e-10  # of a target's sum of squares: below, differences of sums of squares say nothing any more
_EXHAUSTED = 100 * _EPS  # of the largest square of a source: less is rounding
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
    source : callable
        Returns the source, shape (n_train, n_features); asked for only where a target is nearly explained.
    target : array of shape (n_train, n_targets), float64
        The target.
    magnitude : array of shape (n_targets,), float64
        Largest absolute value of each target before it was centred.
    """

    cross: Floats
    times: Callable[[Floats], Floats]
    largest_square: float
    source: Callable[[], Floats]
    target: Floats
    magnitude: Floats


def fit_pls(data: CrossProducts, n_components: int) -> tuple[Floats, int]:
    """Fit partial least squares regression.

    The weights of a component are found by power iteration with the start and the stop of scikit-learn's
    ``PLSRegression(scale=False)``. That stop is loose (squared change of the weights below 1e-6), so the result depends
    on the iteration: one with exact singular vectors differs by up to 1e-3 in the correlation of a neuroid. Here the
    iteration multiplies with the products of the cross products, of shape (n_targets, n_targets) or (n_features,
    n_features), whichever is smaller, and the data are never deflated.

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
    power, rest = _PowerIteration(data.cross), _Rest(data)
    found = 0
    for k in range(n_components):
        vanished = rest.vanished(rotations[:, :k], target_loadings[:, :k])
        if vanished.all():
            break
        if data.cross[:, vanished].any():
            data.cross[:, vanished] = 0.0
            power.restart()
        weights = power.weights(int(np.argmin(vanished)))
        rotation = weights - rotations[:, :k] @ (loadings[:, :k].T @ weights)
        products = data.times(rotation)
        square = float(rotation @ products)
        if not square > _EXHAUSTED * data.largest_square * max(1.0, float(rotation @ rotation)):
            break  # the weights, of length 1, lie in what earlier components used up
        loading, target_loading = products / square, data.cross.T @ rotation / square
        power.deflate(products, target_loading)
        rest.deflate(rotation, square, target_loading)
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
        self._trace = float(np.trace(self._products))

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
        if not np.trace(self._products) > _STALE * self._trace:
            self.restart()


class _Rest:
    """What is left of the targets: sums of squares while they tell, the values themselves where a target vanishes."""

    def __init__(self, data: CrossProducts) -> None:
        self._data = data
        largest = np.abs(data.target).max(axis=0)
        self._floor = np.maximum(_VANISHED * largest, 10 * _EPS * np.maximum(1.0, data.magnitude))
        self._vanished = largest < self._floor
        self._squares = (data.target**2).sum(axis=0)
        self._suspicious = _SUSPICIOUS * self._squares
        self._values: Floats | None = None

    def vanished(self, rotations: Floats, target_loadings: Floats) -> NDArray[np.bool_]:
        """Tell which targets are explained but for rounding, given the components so far."""
        is_suspicious = ~self._vanished & (self._squares <= self._suspicious)
        if self._values is None and is_suspicious.any():
            self._source = self._data.source()
            self._values = self._data.target - self._source @ rotations @ target_loadings.T
        if self._values is not None:
            self._vanished |= np.abs(self._values).max(axis=0) < self._floor
            self._values[:, self._vanished] = 0.0
        return self._vanished

    def deflate(self, rotation: Floats, square: float, target_loading: Floats) -> None:
        """Take a component out."""
        self._squares -= square * target_loading**2
        if self._values is not None:
            self._values -= np.outer(self._source @ rotation, target_loading)
