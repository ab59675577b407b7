"""What a metric gives when the model's stimuli and the recorded ones have nothing to do with each other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ScoringError, counted
from ..metrics import CrossValidated, Features, Metric, Splits, shuffle_splits
from .intervals import verify_draws

__all__ = ["PermutationTest", "permutation_test"]

# Fitted neuroid by neuroid: shuffled copies of the recordings stand side by side in one fit, and share its work.
_PER_NEUROID = {"ridge", "linear_predictivity", "neuron_to_neuron"}
_COLUMNS_AT_ONCE = 4096

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class PermutationTest:
    """A score against what shuffled stimuli give.

    Attributes
    ----------
    value : float
        The metric of the data as they are.
    p_value : float
        Share of shuffled values that are at least as high, the value itself counted: (k + 1) / (n + 1).
    null : array of shape (n,), float64
        The metric of shuffled stimuli; NaN where it is not defined, which counts as at least as high.
    n : int
        How many shuffles.
    seed : int
        Seed of the shuffles.
    flags : tuple of str
        What a reader has to know, e.g. ``"arrangements=6"``: no p below 1 in 6 can come out.
    """

    value: float
    p_value: float
    null: Floats = field(repr=False)
    n: int
    seed: int
    flags: tuple[str, ...] = ()


def permutation_test(
    metric: Metric,
    source: Features | NDArray[Any],
    target: NDArray[Any],
    *,
    strata: NDArray[Any] | None = None,
    splits: Splits | None = None,
    n: int = 1000,
    seed: int = 0,
) -> PermutationTest:
    """Ask whether a score is higher than when the stimuli of the recordings are shuffled.

    The source stays as it is, so that its inner products and their rotation are computed once. Stimuli are shuffled
    within strata: with object names as strata the question is whether the model says more about the recordings than
    which object is shown; without strata, whether it says anything.

    Parameters
    ----------
    metric : Metric
        E.g. ``get_metric("pls")``.
    source : Features or array of shape (n_stimuli, n_features)
        The model's responses.
    target : array of shape (n_stimuli, n_neuroids)
        Recordings averaged over repetitions, stimuli in the same order.
    strata : array of shape (n_stimuli,), optional
        Labels within which stimuli are shuffled, and that splits are stratified on.
    splits : list of (training rows, test rows), optional
        Instead of the metric's own; the same for all shuffles. Fewer splits take less time.
    n : int
        How many shuffles.
    seed : int
        Seed of the shuffles; the same seed gives the same result.

    Returns
    -------
    PermutationTest
        One-sided p value.

    Raises
    ------
    ScoringError
        When the strata leave nothing to shuffle, the metric is not defined for the data, or as the metric does.

    References
    ----------
    Phipson and Smyth (2010), https://doi.org/10.2202/1544-6115.1585.
    """
    verify_draws(n, 0.5)
    features = source if isinstance(source, Features) else Features.of(np.asarray(source))
    target = np.asarray(target, dtype=np.float64)
    labels = np.zeros(features.n_stimuli) if strata is None else np.asarray(strata)
    codes, flags = _verified_strata(labels, features.n_stimuli, n)
    if splits is None and metric.kind == "mapping":
        splits = shuffle_splits(features.n_stimuli, strata)
    observed = metric(features, target, strata=strata, splits=splits)
    if np.isnan(observed.value):
        raise ScoringError(
            f"Metric {metric.identifier!r} is not defined for these data, so there is nothing to test. "
            "Look for constant recordings, or a layer that is the same for all stimuli."
        )
    orders = _orders(codes, n, np.random.default_rng(seed))
    if metric.identifier.removesuffix("_cv").removesuffix("_split") in _PER_NEUROID and target.ndim == 2:
        null = _side_by_side(metric, features, target, orders, splits, n)
    else:
        null = np.array([metric(features, target[each], strata=strata, splits=splits).value for each in orders])
    n_undefined = int(np.isnan(null).sum())
    flags += (f"undefined shuffles={n_undefined}",) if n_undefined else ()
    n_as_high = int((null >= observed.value).sum()) + n_undefined
    return PermutationTest(observed.value, (n_as_high + 1) / (n + 1), null, n, seed, (*observed.flags, *flags))


def _side_by_side(
    metric: Metric, source: Features, target: Floats, orders: Iterator[Rows], splits: Splits | None, n: int
) -> Floats:
    n_neuroids = target.shape[1]
    at_once = max(1, _COLUMNS_AT_ONCE // n_neuroids)
    found: list[float] = []
    while len(found) < n:
        copies = [target[next(orders)] for _ in range(min(at_once, n - len(found)))]
        raw = metric(source, np.hstack(copies), splits=splits).raw
        found += [CrossValidated.from_raw(part).value for part in np.split(raw, len(copies), axis=1)]
    return np.array(found)


def _orders(codes: Rows, n: int, rng: np.random.Generator) -> Iterator[Rows]:
    """Yield ``n`` orders of the stimuli in which each takes the place of one of its stratum."""
    places = np.argsort(codes, kind="stable")
    for _ in range(n):
        order = np.empty_like(places)
        order[places] = np.lexsort((rng.random(len(codes)), codes))
        yield order


def _verified_strata(labels: NDArray[Any], n_stimuli: int, n: int) -> tuple[Rows, tuple[str, ...]]:
    if labels.shape != (n_stimuli,):
        raise ScoringError(
            f"The strata have shape {labels.shape}, expected ({n_stimuli},): one label for each stimulus."
        )
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    n_alone = int((counts == 1).sum())
    if n_alone == len(counts):
        raise ScoringError(
            f"Each of the {counted(len(counts), 'stratum', 'strata')} has a single stimulus, so there is nothing to "
            "shuffle. Use coarser strata, or strata=None."
        )
    flags = (f"strata of one stimulus={n_alone}",) if n_alone else ()
    n_arrangements = math.prod(math.factorial(min(int(each), 20)) for each in counts)
    return codes, (*flags, f"arrangements={n_arrangements}") if n_arrangements <= n else flags
