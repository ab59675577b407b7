"""How much a score depends on which units were recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ScoringError, counted
from ..metrics import FORMULAS
from .intervals import Interval, median_without_nan, percentile_interval, verify_draws

__all__ = ["unit_bootstrap"]

_FEW = 20
_VALUES_AT_ONCE = 2_000_000

Floats = NDArray[np.float64]


def unit_bootstrap(
    raw: NDArray[Any],
    *,
    ceiling: float | NDArray[Any] | None = None,
    formula: str = "s",
    n: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Draw the recorded units anew, and score each draw.

    Nothing is fitted again: the correlations of all splits are kept per unit. Stimuli, splits and the mapping stay as
    they are, so this says what other units of the same recording might give, and nothing about other stimuli.

    Parameters
    ----------
    raw : array of shape (n_splits, n_neuroids)
        ``CrossValidated.raw`` of the score; NaN for units that are not defined in a split.
    ceiling : float or array of shape (n_splits, n_neuroids), optional
        One ceiling for all draws, or the ``raw`` of the ceiling, of which each draw takes the same units.
    formula : str
        Key of ``FORMULAS``, e.g. ``"r2/c"``; ``"s"`` for the raw score.
    n : int
        How many draws.
    level : float
        Share of the draws inside the interval, 0-1.
    seed : int
        Seed of the draws; the same seed gives the same interval.

    Returns
    -------
    Interval
        Of kind ``"unit bootstrap"``: percentiles of the draws. Units without any value are left out and flagged, as are
        fewer than 20 units.

    Raises
    ------
    ScoringError
        When fewer than two units have a value, the ceiling has other units, or a formula asks for one that is missing.

    References
    ----------
    Efron (1979), https://doi.org/10.1214/aos/1176344552.

    Examples
    --------
    >>> raw = np.random.default_rng(0).normal(0.5, 0.1, (10, 60))
    >>> str(unit_bootstrap(raw))
    '0.485 to 0.507 (95 % unit bootstrap, n = 1000)'
    """
    verify_draws(n, level)
    raw, ceiling = np.asarray(raw, dtype=np.float64), _verified(ceiling, formula, np.asarray(raw).shape)
    is_defined = ~np.isnan(raw).all(axis=0)
    kept = np.flatnonzero(is_defined)
    if len(kept) < 2:
        raise ScoringError(
            f"{counted(len(kept), 'neuroid has', 'neuroids have')} a correlation, but drawing units anew needs at "
            "least 2. Use the stimulus bootstrap, which needs one."
        )
    flags: tuple[str, ...] = (f"undefined neuroids={raw.shape[1] - len(kept)}",) if len(kept) < raw.shape[1] else ()
    flags += (f"few neuroids={len(kept)}",) if len(kept) < _FEW else ()
    score = FORMULAS[formula]
    estimate = float(score(_aggregated(raw[:, kept]), _of_units(ceiling, kept)))
    rng = np.random.default_rng(seed)
    draws, at_once = [], max(1, _VALUES_AT_ONCE // raw[:, kept].size)
    for start in range(0, n, at_once):
        units = kept[rng.integers(0, len(kept), (min(at_once, n - start), len(kept)))]
        draws.append(np.broadcast_to(score(_aggregated(raw[:, units]), _of_units(ceiling, units)), len(units)))
    return percentile_interval("unit bootstrap", np.concatenate(draws), level, estimate=estimate, flags=flags)


def _aggregated(values: Floats) -> Floats:
    """Take medians over units, the last axis, then means over splits, the first, without NaN."""
    medians = median_without_nan(values)
    known = ~np.isnan(medians)
    counts = known.sum(axis=0)
    means = np.where(known, medians, 0.0).sum(axis=0) / np.maximum(counts, 1)
    return np.asarray(np.where(counts > 0, means, np.nan))


def _of_units(ceiling: float | Floats, units: NDArray[np.intp]) -> float | Floats:
    return _aggregated(ceiling[:, units]) if isinstance(ceiling, np.ndarray) else ceiling


def _verified(ceiling: Any, formula: str, shape: tuple[int, ...]) -> float | Floats:
    if len(shape) != 2:
        raise ScoringError(
            f"The correlations have shape {shape}, expected (n_splits, n_neuroids). Pass CrossValidated.raw."
        )
    if formula not in FORMULAS:
        raise ScoringError(f"The formula {formula!r} is not known, expected one of {', '.join(FORMULAS)}.")
    if ceiling is None:
        if formula != "s":
            raise ScoringError(f"The formula {formula!r} needs a ceiling. Pass ceiling=..., or formula='s'.")
        return float("nan")
    if np.ndim(ceiling) == 0:
        return float(ceiling)
    values = np.asarray(ceiling, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != shape[1]:
        raise ScoringError(
            f"The ceiling has shape {values.shape}, expected (n_splits, {shape[1]}) for the units of the score. Pass "
            "CrossValidated.raw of the ceiling of the same recordings, or its value."
        )
    return values
