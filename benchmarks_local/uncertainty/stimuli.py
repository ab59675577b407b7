"""How much a score depends on which stimuli were shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ScoringError, counted
from ..metrics import FORMULAS, Features, Metric, half_splits, kfold_splits, spearman_brown
from ..metrics.metric import MappingMetric
from .intervals import Interval, median_without_nan, percentile_interval, verify_draws
from .weighted import bootstrap_weights, weighted_correlations

__all__ = ["OutOfFold", "drawn_weights", "out_of_fold", "stimulus_bootstrap", "verify_recordings_of"]

_FEW = 30
_FEWEST = 5
_VALUES_AT_ONCE = 4_000_000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of every stimulus by a fit that did not see it.

    Attributes
    ----------
    predicted : array of shape (n_stimuli, n_neuroids), float64
        Stimuli in the order of the recordings.
    folds : array of shape (n_stimuli,), intp
        By which fit each stimulus was predicted.
    """

    predicted: Floats
    folds: NDArray[np.intp]

    def correlations(self, target: NDArray[Any], weights: NDArray[Any] | None = None) -> Floats:
        """Correlate predictions and recordings, as deviations from the means of each fold.

        Parameters
        ----------
        target : array of shape (n_stimuli, n_neuroids)
            Recordings.
        weights : array of shape (n_draws, n_stimuli), optional
            How often each draw holds each stimulus; each once when None.

        Returns
        -------
        array of shape (n_draws, n_neuroids), float64
            Pearson r; NaN where predictions or recordings do not vary.
        """
        weights = np.ones((1, len(self.predicted))) if weights is None else weights
        return weighted_correlations(self.predicted, target, weights, self.folds)


def out_of_fold(
    metric: Metric,
    source: Features | NDArray[Any],
    target: NDArray[Any],
    *,
    strata: NDArray[Any] | None = None,
    n_folds: int = 10,
    seed: int = 1,
) -> OutOfFold:
    """Predict every stimulus once, each fold by a mapping that was fitted on the others.

    Parameters
    ----------
    metric : Metric
        A mapping metric, e.g. ``get_metric("pls")``.
    source : Features or array of shape (n_stimuli, n_features)
        The model's responses.
    target : array of shape (n_stimuli, n_neuroids)
        Recordings averaged over repetitions, stimuli in the same order.
    strata : array of shape (n_stimuli,), optional
        Labels that get the same share in every fold.
    n_folds : int
        How many folds.
    seed : int
        Seed of the folds.

    Returns
    -------
    OutOfFold
        Predictions and folds.

    Raises
    ------
    ScoringError
        When the metric predicts no recordings, or as it and ``kfold_splits`` do.
    """
    if not isinstance(metric, MappingMetric) or metric.is_reverse:
        raise ScoringError(
            f"Metric {metric.identifier!r} does not predict recordings, so there are no predictions to draw from. "
            "Take a mapping such as 'pls' or 'ridge'; for others there are the unit bootstrap and permutation_test."
        )
    target = np.asarray(target, dtype=np.float64)
    splits = kfold_splits(len(target), strata, n_splits=n_folds, seed=seed)
    found = metric.predictions(source, target, splits)
    predicted, folds = np.empty_like(target), np.empty(len(target), dtype=np.intp)
    for fold, ((_train, test), values) in enumerate(zip(splits, found, strict=True)):
        predicted[test], folds[test] = values, fold
    return OutOfFold(predicted, folds)


def stimulus_bootstrap(
    predictions: OutOfFold,
    target: NDArray[Any],
    *,
    repetitions: NDArray[Any] | None = None,
    ceiling: float | None = None,
    formula: str = "s",
    n: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Draw stimuli anew, and score the predictions of each draw.

    Nothing is fitted again: each stimulus keeps the prediction of the fit that did not see it. So this says how well
    the score of these fits is known from these stimuli; that fits to other stimuli would differ too is not in it. The
    statistic is the median over units of r over all stimuli, as deviations from the means of each fold; it is near the
    score, which averages over splits, but not the same. The interval says which value it belongs to in ``estimate``.

    Parameters
    ----------
    predictions : OutOfFold
        Of `out_of_fold`.
    target : array of shape (n_stimuli, n_neuroids)
        Recordings averaged over repetitions.
    repetitions : array of shape (n_repetitions, n_stimuli, n_neuroids), optional
        The recordings before they were averaged: the ceiling (internal consistency) is computed anew for each draw,
        from the same stimuli. Score and ceiling then vary together, as they would for other stimuli.
    ceiling : float, optional
        One ceiling for all draws instead, when it is known from elsewhere.
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
        Of kind ``"stimulus bootstrap"``: percentiles of the draws. Units that do not vary are left out and flagged, as
        are fewer than 30 stimuli.

    Raises
    ------
    ScoringError
        When there are fewer than 5 stimuli, shapes differ, no unit varies, or a formula lacks its ceiling.

    References
    ----------
    Efron (1979), https://doi.org/10.1214/aos/1176344552.
    """
    verify_draws(n, level)
    target = verify_recordings_of(predictions, target)
    halves = _verified_halves(repetitions, ceiling, formula, target.shape)
    correlations = predictions.correlations(target)
    n_undefined = int(np.isnan(correlations).sum())
    if n_undefined == target.shape[1]:
        raise ScoringError(
            f"None of the {counted(target.shape[1], 'neuroid')} varies both in the recordings and in the predictions, "
            "so there is no correlation. Look at the recordings, and choose another layer."
        )
    flags: tuple[str, ...] = (f"undefined neuroids={n_undefined}",) if n_undefined else ()
    flags += (f"few stimuli={len(target)}",) if len(target) < _FEW else ()

    def statistic(weights: Floats) -> Floats:
        raw = median_without_nan(predictions.correlations(target, weights))
        of_draw = (
            _ceilings(halves, weights) if halves else np.full(len(weights), np.nan if ceiling is None else ceiling)
        )
        return np.asarray(FORMULAS[formula](raw, of_draw), dtype=np.float64)

    draws = [statistic(weights) for weights in drawn_weights(target.shape, n, seed)]
    estimate = float(statistic(np.ones((1, len(target))))[0])
    return percentile_interval("stimulus bootstrap", np.concatenate(draws), level, estimate=estimate, flags=flags)


def drawn_weights(shape: tuple[int, ...], n: int, seed: int) -> Iterator[Floats]:
    """Yield the weights of ``n`` draws of stimuli, in parts whose arrays stay small.

    Parameters
    ----------
    shape : (int, int)
        How many stimuli and neuroids.
    n : int
        How many draws in all.
    seed : int
        Seed of the draws.

    Yields
    ------
    array of shape (n_draws, n_stimuli), float64
        How often each draw holds each stimulus.
    """
    rng, at_once = np.random.default_rng(seed), max(1, _VALUES_AT_ONCE // max(5 * shape[1], shape[0]))
    for start in range(0, n, at_once):
        yield bootstrap_weights(shape[0], min(at_once, n - start), rng)


def verify_recordings_of(predictions: OutOfFold, target: NDArray[Any]) -> Floats:
    """Return the recordings as float64; refuse those of other stimuli or units, and too few stimuli to draw from.

    Raises
    ------
    ScoringError
        Says what is expected.
    """
    values = np.asarray(target, dtype=np.float64)
    if values.shape != predictions.predicted.shape or values.ndim != 2:
        raise ScoringError(
            f"The recordings have shape {values.shape}, and the predictions {predictions.predicted.shape}. Pass the "
            "recordings of shape (n_stimuli, n_neuroids) that were predicted."
        )
    if len(values) < _FEWEST:
        raise ScoringError(
            f"There are {counted(len(values), 'stimulus', 'stimuli')}, too few to draw from: expected at least "
            f"{_FEWEST}, and better {_FEW}. Use more stimuli."
        )
    return values


def _verified_halves(
    repetitions: NDArray[Any] | None, ceiling: float | None, formula: str, shape: tuple[int, ...]
) -> list[tuple[Floats, Floats]]:
    if formula not in FORMULAS:
        raise ScoringError(f"The formula {formula!r} is not known, expected one of {', '.join(FORMULAS)}.")
    if (repetitions is None) == (ceiling is None) and (formula != "s" or ceiling is not None):
        raise ScoringError(
            f"The formula {formula!r} was given {'neither' if ceiling is None else 'both'} of repetitions and ceiling, "
            "expected one. Pass repetitions to compute the ceiling of each draw, or one ceiling for all."
        )
    if repetitions is None:
        return []
    values = np.asarray(repetitions, dtype=np.float64)
    if values.ndim != 3 or values.shape[1:] != shape or len(values) < 2:
        raise ScoringError(
            f"The repetitions have shape {values.shape}, expected (at least 2, {shape[0]}, {shape[1]}) for the stimuli "
            "and neuroids that were predicted."
        )
    return [(_mean(values[one]), _mean(values[other])) for one, other in half_splits(len(values))]


def _mean(values: Floats) -> Floats:
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    return np.where(counts > 0, np.where(known, values, 0.0).sum(axis=0) / np.maximum(counts, 1), np.nan)


def _ceilings(halves: list[tuple[Floats, Floats]], weights: Floats) -> Floats:
    """Compute the internal consistency of each draw, as ``internal_consistency`` does of all stimuli."""
    each = [median_without_nan(spearman_brown(weighted_correlations(*half, weights))) for half in halves]
    return np.asarray(np.mean(each, axis=0))
