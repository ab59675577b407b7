"""Whether one model predicts recordings better than another, on the same stimuli."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ScoringError, counted
from .intervals import Interval, median_without_nan, percentile_interval, verify_draws
from .stimuli import OutOfFold, drawn_weights, verify_recordings_of

__all__ = ["ModelDifference", "compare_models"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ModelDifference:
    """The difference of two models.

    Attributes
    ----------
    first, second : str
        Names of the models.
    difference : float
        Median r of the first less that of the second.
    interval : Interval
        Percentiles of the difference, of this pair alone.
    simultaneous : Interval
        Wide enough that with the stated level all pairs of the comparison are inside theirs at once.
    p_value : float
        Of no difference, two-sided, adjusted for the number of pairs; at least 1 / (n + 1).
    flags : tuple of str
        What a reader has to know.
    """

    first: str
    second: str
    difference: float
    interval: Interval
    simultaneous: Interval
    p_value: float
    flags: tuple[str, ...] = ()


def compare_models(
    predictions: Mapping[str, OutOfFold],
    target: NDArray[Any],
    *,
    n: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> list[ModelDifference]:
    """Draw stimuli anew, the same for all models, and look at the differences of their scores.

    What makes some stimuli easy for every model then does not count as a difference. Several pairs are judged together
    by the distribution of the largest standardised difference over pairs, so that the chance of finding any difference
    where there is none stays at 1 - level however many models there are.

    Parameters
    ----------
    predictions : mapping of str to OutOfFold
        Of each model by name, at least two; for the same recordings, best in the same folds.
    target : array of shape (n_stimuli, n_neuroids)
        Recordings averaged over repetitions.
    n : int
        How many draws.
    level : float
        Share of the draws inside the intervals, 0-1.
    seed : int
        Seed of the draws; the same seed gives the same result.

    Returns
    -------
    list of ModelDifference
        One for each pair, in the order of ``predictions``. Units that do not vary for one of the models are left out
        for all, and flagged.

    Raises
    ------
    ScoringError
        When there are fewer than two models, their shapes differ from the recordings', or no unit varies for all.

    References
    ----------
    Westfall and Young (1993), Resampling-Based Multiple Testing; Romano and Wolf (2005),
    https://doi.org/10.1198/016214504000000539.
    """
    verify_draws(n, level)
    if len(predictions) < 2:
        raise ScoringError(f"There is {counted(len(predictions), 'model')}, but a comparison needs at least 2.")
    for name, each in predictions.items():
        if not isinstance(each, OutOfFold):
            raise ScoringError(
                f"What was given for {name!r} is {type(each).__name__}, expected predictions of all stimuli. Make them "
                "with out_of_fold(metric, activations, recordings)."
            )
        values = verify_recordings_of(each, target)
    shared = ~np.isnan(np.concatenate([each.correlations(values) for each in predictions.values()])).any(axis=0)
    if not shared.any():
        raise ScoringError(
            "No neuroid varies in the recordings and in the predictions of every model, so nothing can be compared. "
            "Look for a model whose predictions are constant."
        )
    flags = (f"undefined neuroids={int((~shared).sum())}",) if not shared.all() else ()
    kept = [OutOfFold(each.predicted[:, shared], each.folds) for each in predictions.values()]
    values = values[:, shared]
    estimates = np.concatenate([median_without_nan(each.correlations(values)) for each in kept])
    draws = np.concatenate(
        [
            np.stack([median_without_nan(each.correlations(values, weights)) for each in kept])
            for weights in drawn_weights(values.shape, n, seed)
        ],
        axis=1,
    )
    return _judged(list(predictions), estimates, draws, level, flags)


def _judged(
    names: list[str], estimates: Floats, draws: Floats, level: float, flags: tuple[str, ...]
) -> list[ModelDifference]:
    pairs = list(combinations(range(len(names)), 2))
    differences = np.array([estimates[i] - estimates[j] for i, j in pairs])
    drawn = np.stack([draws[i] - draws[j] for i, j in pairs])
    drawn = drawn[:, ~np.isnan(drawn).any(axis=0)]
    errors = drawn.std(axis=1, ddof=1) if drawn.shape[1] > 1 else np.full(len(pairs), np.nan)
    scales = np.where(errors > 0, errors, 1.0)
    # Around the difference that was found, the draws show how far a difference strays when the truth is that one.
    largest = (np.abs(drawn - differences[:, None]) / scales[:, None]).max(axis=0)
    margin = float(np.quantile(largest, level)) if len(largest) else float("nan")
    found = []
    for (i, j), difference, error, values in zip(pairs, differences.tolist(), errors.tolist(), drawn, strict=True):
        size = abs(difference) / error if error > 0 else 0.0
        p_value = (1 + int((largest >= size).sum())) / (1 + len(largest)) if error > 0 else 1.0
        own_flags = (*flags, "same predictions") if error == 0 else flags
        kind = "paired stimulus bootstrap"
        half = margin * (error if error > 0 else 0.0)
        interval = percentile_interval(kind, values, level, estimate=difference, flags=own_flags)
        around = Interval(
            f"simultaneous {kind}", difference - half, difference + half, level, len(largest), difference, own_flags
        )
        found.append(ModelDifference(names[i], names[j], difference, interval, around, p_value, own_flags))
    return found
