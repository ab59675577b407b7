"""An interval says what was drawn anew, how often, and what share of the draws it holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ScoringError
from ..estimators import normal_quantile
from ..metrics import CrossValidated

__all__ = ["Interval", "median_without_nan", "percentile_interval", "split_spread", "verify_draws"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A range around a score.

    Attributes
    ----------
    kind : str
        ``"split spread"``, ``"unit bootstrap"``, ``"stimulus bootstrap"`` or ``"paired stimulus bootstrap"``.
    low, high : float
        Its ends; NaN where they are not defined.
    level : float
        The share of draws inside, 0-1.
    n : int
        How many draws; of the split spread, how many splits.
    estimate : float
        The same statistic of the data as they are. Of a stimulus bootstrap it is not quite the score itself, see
        `stimulus_bootstrap`.
    flags : tuple of str
        What a reader has to know, e.g. ``"few stimuli=12"``.

    Examples
    --------
    >>> str(Interval("unit bootstrap", 0.31, 0.42, level=0.95, n=1000))
    '0.310 to 0.420 (95 % unit bootstrap, n = 1000)'
    """

    kind: str
    low: float
    high: float
    level: float
    n: int
    estimate: float = float("nan")
    flags: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.low:.3f} to {self.high:.3f} ({100 * self.level:g} % {self.kind}, n = {self.n})"


def split_spread(score: CrossValidated, *, level: float = 0.95) -> Interval:
    """Show how far the splits of one cross-validation are apart, as Brain-Score's error does.

    Parameters
    ----------
    score : CrossValidated
        What a metric or ceiling returned.
    level : float
        0-1.

    Returns
    -------
    Interval
        Value and error times the normal quantile. The splits share most of their stimuli, and all come from the same
        units: this is not an interval for what other data would give.

    Raises
    ------
    ScoringError
        When the level is not between 0 and 1.
    """
    verify_draws(1, level)
    half = float(normal_quantile(np.array((1 + level) / 2))) * score.error
    flags = ("one split",) if len(score.raw) == 1 else ()
    return Interval("split spread", score.value - half, score.value + half, level, len(score.raw), score.value, flags)


def percentile_interval(
    kind: str, draws: Floats, level: float, *, estimate: float, flags: tuple[str, ...] = ()
) -> Interval:
    """Take the middle share of what was drawn.

    Parameters
    ----------
    kind : str
        What was drawn anew.
    draws : array of shape (n,), float64
        The statistic of each draw; NaN where it is not defined.
    level : float
        0-1.
    estimate : float
        The statistic of the data as they are.
    flags : tuple of str
        What is known already; undefined draws are added.

    Returns
    -------
    Interval
        NaN when more than half of the draws are not defined.

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.
    """
    defined = draws[~np.isnan(draws)]
    if len(defined) < len(draws):
        flags = (*flags, f"undefined draws={len(draws) - len(defined)}")
    low = high = float("nan")
    if 2 * len(defined) > len(draws):
        low, high = (float(each) for each in np.quantile(defined, [(1 - level) / 2, (1 + level) / 2]))
    return Interval(kind, low, high, level, len(draws), estimate, flags)


def verify_draws(n: int, level: float) -> None:
    """Refuse a level that is no share, and a number of draws below 1.

    Raises
    ------
    ScoringError
        Says what is expected.
    """
    if not 0 < level < 1:
        raise ScoringError(f"The level is {level:g}, expected a share between 0 and 1, e.g. 0.95.")
    if n < 1:
        raise ScoringError(f"{n} draws were asked for, expected at least 1. A usual number is 1000.")


def median_without_nan(values: Floats) -> Floats:
    """Return medians over the last axis, NaN left out; NaN where nothing else is there.

    Parameters
    ----------
    values : array of shape (..., n), float64
        Numbers.

    Returns
    -------
    array of shape (...), float64
        Medians, without the warnings of numpy's own.
    """
    ordered = np.sort(values, axis=-1)  # NaN last
    counts = (~np.isnan(ordered)).sum(axis=-1)
    last = np.maximum(counts - 1, 0)
    middle = np.stack([last // 2, (last + 1) // 2], axis=-1)
    return np.asarray(np.where(counts > 0, np.take_along_axis(ordered, middle, axis=-1).mean(axis=-1), np.nan))
