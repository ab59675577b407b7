"""From a raw score and a ceiling to the score that is reported. The identifier of the formula goes with every score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FORMULAS", "explained_variance", "explained_variance_per_neuroid", "value_delta"]


def explained_variance(r: Any, ceiling: Any) -> Any:
    """Bring a correlation to the share of explainable variance that it explains: r squared over the ceiling.

    The ceiling is a reliability, i.e. it bounds variance and not correlation, so only r is squared. A negative r comes
    out positive: look at the raw score too.

    Parameters
    ----------
    r : float or array
        Correlation of prediction and recordings, -1 to 1.
    ceiling : float or array
        Reliability of the recordings, above 0 and at most 1.

    Returns
    -------
    float or array of float64
        0 for no, 1 for all explainable variance; NaN where the ceiling is not above 0.

    References
    ----------
    ``explained_variance`` of brainscore_vision 2.4.2; https://osf.io/preprints/psyarxiv/gjk45.

    Examples
    --------
    >>> explained_variance(0.6, 0.72)
    0.5
    """
    return _over(np.square(r), ceiling)


def explained_variance_per_neuroid(raw: NDArray[Any], ceiling: NDArray[Any]) -> float:
    """Divide neuroid by neuroid, then average: mean of r squared over the neuroid's own ceiling.

    Parameters
    ----------
    raw, ceiling : array of shape (n_neuroids,)
        Correlation and reliability of each neuroid.

    Returns
    -------
    float
        Neuroids without a correlation, or with a ceiling that is not above 0, are left out; NaN where none is left.

    References
    ----------
    ``neuroid_wise_explained_var`` of brainscore_vision 2.4.2.
    """
    shares = np.atleast_1d(explained_variance(np.asarray(raw), np.asarray(ceiling)))
    shares = shares[~np.isnan(shares)]
    return float(shares.mean()) if len(shares) else float("nan")


def value_delta(source: float, target: float, *, scale: float = 1.0) -> float:
    """Return how near a value is to another: exp(-scale * |difference|), 1 for equal values.

    Parameters
    ----------
    source, target : float
        The two values.
    scale : float
        How fast it falls with the difference.

    Returns
    -------
    float
        0 to 1.

    References
    ----------
    Metric ``value_delta`` of brainscore_vision 2.4.2.
    """
    return float(np.exp(-scale * abs(source - target)))


def _squared_ratio(score: Any, ceiling: Any) -> Any:
    return np.square(_over(score, ceiling))


def _over(score: Any, ceiling: Any) -> Any:
    """Divide; NaN where the ceiling says that there is nothing to explain."""
    ceiling = np.asarray(ceiling, dtype=np.float64)
    is_defined = ceiling > 0
    found = np.asarray(score, dtype=np.float64) / np.where(is_defined, ceiling, 1.0)
    found = np.where(is_defined, found, np.nan)
    return found if found.ndim else float(found)


def _over_root(score: Any, ceiling: Any) -> Any:
    ceiling = np.asarray(ceiling, dtype=np.float64)
    return _over(score, np.sqrt(np.maximum(ceiling, 0.0)))


def _as_it_is(score: Any, ceiling: Any) -> Any:
    return score


FORMULAS: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {
        "r2/c": explained_variance,
        "(r/c)2": _squared_ratio,  # Brain-Score before 2.4, https://github.com/brain-score/vision/pull/2169
        "s/c": _over,
        "s/sqrt(c)": _over_root,
        "s": _as_it_is,
    }
)
