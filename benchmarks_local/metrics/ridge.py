"""Predict recordings by least squares, with a penalty on the weights or without."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .features import Features
from .splits import Splits

__all__ = ["ALPHAS", "linear_predictions", "ridge_predictions", "ridgecv_predictions"]

# As the peer has them: 99 penalties from .01 to 1e7.
ALPHAS: tuple[float, ...] = (
    *(0.01, 0.1, 0.5, 1.0),
    *np.linspace(1e1, 1e2, 4, endpoint=False).tolist(),
    *(each for power in range(2, 6) for each in np.linspace(10**power, 10 ** (power + 1), 18, endpoint=False).tolist()),
    *np.linspace(1e6, 1e7, 19).tolist(),
)

Floats = NDArray[np.float64]


def ridge_predictions(features: Features, target: Floats, splits: Splits, *, alpha: float = 1.0) -> list[Floats]:
    """Fit ridge regression to the training rows of each split and predict the test rows.

    Parameters
    ----------
    features : Features
        What to predict from.
    target : array of shape (n_stimuli, n_neuroids), float64
        What to predict.
    splits : list of (training rows, test rows)
        Where there are more units than training rows, each split takes its part of the one Gram matrix.
    alpha : float
        Penalty on the sum of squared weights, above 0; the intercept is not penalised.

    Returns
    -------
    list of arrays of shape (n_test, n_neuroids), float64
        Predictions of each split.

    References
    ----------
    Hoerl and Kennard (1970), https://doi.org/10.1080/00401706.1970.10488634; ``Ridge`` of scikit-learn.
    """
    return [_ridge(features, target, train, test, alpha) for train, test in splits]


def ridgecv_predictions(
    features: Features, target: Floats, splits: Splits, *, alphas: tuple[float, ...] = ALPHAS
) -> list[tuple[Floats, float]]:
    """Do the same with the penalty that predicts left-out training rows best, one for all neuroids.

    Parameters
    ----------
    features, target, splits
        As for `ridge_predictions`.
    alphas : tuple of float
        Penalties to choose from; the first of equals is taken.

    Returns
    -------
    list of (predictions, alpha)
        For each split an array of shape (n_test, n_neuroids), float64, and the penalty.

    References
    ----------
    Golub, Heath and Wahba (1979), https://doi.org/10.1080/00401706.1979.10489751; ``RidgeCV`` of scikit-learn.
    """
    found = []
    for train, test in splits:
        alpha = _best_alpha(features.subset(train), target[train], alphas)
        found.append((_ridge(features, target, train, test, alpha), alpha))
    return found


def linear_predictions(features: Features, target: Floats, splits: Splits) -> list[Floats]:
    """Fit least squares to the training rows of each split and predict the test rows.

    With more units than training rows the weights of least length are taken; directions of the source that are less
    than rounding are left out, as scikit-learn does since 1.6. Older versions, and with them the released
    brainscore_vision, kept one of these at times, which changes the score by as much as 4e-3.

    Parameters
    ----------
    features, target, splits
        As for `ridge_predictions`.

    Returns
    -------
    list of arrays of shape (n_test, n_neuroids), float64
        Predictions of each split.
    """
    x, found = features.rotated(), []
    for train, test in splits:
        x_mean, y_mean = x[train].mean(axis=0), target[train].mean(axis=0)
        rounding = max(len(train), features.n_features) * np.finfo(np.float64).eps
        weights = np.linalg.lstsq(x[train] - x_mean, target[train] - y_mean, rcond=rounding)[0]
        found.append((x[test] - x_mean) @ weights + y_mean)
    return found


def _ridge(features: Features, target: Floats, train: NDArray[np.intp], test: NDArray[np.intp], alpha: float) -> Floats:
    y_mean = target[train].mean(axis=0)
    y = target[train] - y_mean
    if features.n_features < len(train):  # also of inner products: the dual form loses digits of large activations
        x = features.rotated()
        x_mean = x[train].mean(axis=0)
        centred = x[train] - x_mean
        weights = np.linalg.solve(centred.T @ centred + alpha * np.eye(x.shape[1]), centred.T @ y)
        return np.asarray((x[test] - x_mean) @ weights + y_mean)
    gram = features.gram[np.ix_(train, train)]
    means = gram.mean(axis=0)
    across = features.gram[np.ix_(test, train)]
    across = across - across.mean(axis=1, keepdims=True) - means + means.mean()
    gram = gram - means - means[:, None] + means.mean()
    gram[np.diag_indices_from(gram)] += alpha
    return np.asarray(across @ np.linalg.solve(gram, y) + y_mean)


def _best_alpha(train: Features, target: Floats, alphas: tuple[float, ...]) -> float:
    """Return the penalty with the least squared error of predicting each row from all others.

    That error is the residual over one minus the leverage. Both are sums over principal axes of a / (s + a), s the
    eigenvalue, plus what lies outside of the axes; no difference of large numbers enters.
    """
    axes, squares = train.spectrum
    y = target - target.mean(axis=0)
    along = axes.T @ y
    n, n_axes = axes.shape
    is_all = n_axes >= n - 1  # with the mean, the axes span everything
    outside = np.zeros_like(y) if is_all else y - axes @ along
    leverages = axes**2
    free = np.zeros(n) if is_all else 1 - 1 / n - leverages.sum(axis=1)
    errors = []
    for alpha in alphas:
        shrinkage = alpha / (squares + alpha)
        residual = axes @ (shrinkage[:, None] * along) + outside
        errors.append(float(np.mean((residual / (leverages @ shrinkage + free)[:, None]) ** 2)))
    return alphas[int(np.argmin(errors))]
