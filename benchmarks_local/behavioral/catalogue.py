"""The behavioral metrics by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from adapters.errors import did_you_mean, listing

from ..errors import MetricNotFoundError, ScoringError
from .patterns import PATTERNS, Pattern, pattern_ceiling, score_pattern
from .people import (
    accuracy,
    accuracy_distance,
    accuracy_distance_ceiling,
    error_consistency,
    error_consistency_ceiling,
)
from .scores import ABOVE_CHANCE_OF_THREE, BehavioralScore, Ceiling, ceiled_score
from .trials import truths
from .triplets import score_triplets

__all__ = ["BEHAVIORAL_METRICS", "BehavioralMetric", "get_behavioral_metric", "score_trials"]


@dataclass(frozen=True)
class BehavioralMetric:
    """A way to compare a model's answers with people's trials.

    Attributes
    ----------
    identifier : str
        Name of the metric.
    task : str
        What the model has to do: ``"probabilities"``, ``"label"`` (probabilities will do as well) or
        ``"odd_one_out"``.
    formula : str
        How the value comes from the score (s) and its ceiling (c).
    columns : tuple of str
        What the trials have to hold.
    error_kind : str
        What ``BehavioralScore.error`` is.
    """

    identifier: str
    task: str
    formula: str
    columns: tuple[str, ...]
    error_kind: str
    _score: Callable[[Any, pd.DataFrame, Ceiling | None], BehavioralScore]
    _ceiling: Callable[[pd.DataFrame], Ceiling] | None = None

    def __call__(self, answers: Any, trials: pd.DataFrame, *, ceiling: float | None = None) -> BehavioralScore:
        """Score a model's answers.

        Parameters
        ----------
        answers : Probabilities, xarray.DataArray, pandas.DataFrame or pandas.Series
            What the model answered in the metric's task.
        trials : pandas.DataFrame
            What people answered, with the metric's columns.
        ceiling : float, optional
            A published ceiling, instead of the agreement among ``trials``.

        Returns
        -------
        BehavioralScore
            The score with its ceiling.

        Raises
        ------
        ScoringError
            When answers or trials cannot be used, or do not belong together.
        """
        return self._score(answers, trials, None if ceiling is None else _given(ceiling))

    def ceiling(self, trials: pd.DataFrame) -> Ceiling:
        """Estimate how well people agree with each other.

        Parameters
        ----------
        trials : pandas.DataFrame
            What people answered, with the metric's columns.

        Returns
        -------
        Ceiling
            NaN for a metric that has none.

        Raises
        ------
        ScoringError
            When the trials cannot be used.
        """
        if self._ceiling is None:
            return Ceiling(float("nan"), float("nan"), np.empty(0), ("no ceiling",))
        return self._ceiling(trials)


def get_behavioral_metric(identifier: str) -> BehavioralMetric:
    """Look a behavioral metric up.

    Parameters
    ----------
    identifier : str
        A key of ``BEHAVIORAL_METRICS``.

    Returns
    -------
    BehavioralMetric
        The metric.

    Raises
    ------
    MetricNotFoundError
        When there is none of that name.

    Examples
    --------
    >>> get_behavioral_metric("i2n").formula
    's/sqrt(c)'
    """
    if identifier not in BEHAVIORAL_METRICS:
        hint = did_you_mean(identifier, BEHAVIORAL_METRICS)
        raise MetricNotFoundError(
            f"There is no behavioral metric {identifier!r}. {hint + ' ' if hint else ''}"
            f"There are {listing(list(BEHAVIORAL_METRICS), 20)}."
        )
    return BEHAVIORAL_METRICS[identifier]


def score_trials(
    answers: Any, trials: pd.DataFrame, metric: str | BehavioralMetric = "i2n", *, ceiling: float | None = None
) -> BehavioralScore:
    """Score a model's answers against people's trials.

    Parameters
    ----------
    answers : Probabilities, xarray.DataArray, pandas.DataFrame or pandas.Series
        What the model answered: probabilities with dims (presentation, choice), or as a table with stimulus ids as its
        index and labels as its columns; for some metrics the chosen labels alone.
    trials : pandas.DataFrame
        What people answered: columns stimulus_id and choice, and as the metric needs sample_obj and dist_obj, truth,
        subject, condition; or image_1, image_2, image_3 and choice.
    metric : str or BehavioralMetric
        A key of ``BEHAVIORAL_METRICS``.
    ceiling : float, optional
        A published ceiling, instead of the agreement among ``trials``.

    Returns
    -------
    BehavioralScore
        The score with its ceiling.

    Raises
    ------
    MetricNotFoundError
        When there is no metric of that name.
    ScoringError
        When answers or trials cannot be used, or do not belong together.

    Examples
    --------
    >>> answers = pd.Series({"a.png": "dog", "b.png": "cat"})
    >>> trials = pd.DataFrame({"stimulus_id": ["a.png", "b.png"], "truth": ["dog", "dog"]})
    >>> score_trials(answers, trials, "accuracy").raw
    0.5
    """
    found = get_behavioral_metric(metric) if isinstance(metric, str) else metric
    return found(answers, trials, ceiling=ceiling)


def _given(value: float) -> Ceiling:
    if not 0 < value <= 1:
        raise ScoringError(f"The given ceiling is {value:g}, expected a number above 0 and at most 1.")
    return Ceiling(float(value), float("nan"), np.empty(0))


def _score_accuracy(answers: Any, trials: pd.DataFrame, ceiling: Ceiling | None) -> BehavioralScore:
    raw, error, hits = accuracy(answers, truths(trials))
    none = Ceiling(float("nan"), float("nan"), np.empty(0))
    formula = "s" if ceiling is None else "s/c"
    return ceiled_score("accuracy", formula, raw=raw, error=error, parts=hits, ceiling=ceiling or none)


def _pattern_metric(pattern: Pattern) -> BehavioralMetric:
    return BehavioralMetric(
        identifier=pattern.identifier,
        task="probabilities",
        formula="s/sqrt(c)",
        columns=("stimulus_id", "sample_obj", "dist_obj", "choice"),
        error_kind="standard deviation over halvings",
        _score=lambda answers, trials, ceiling: score_pattern(pattern, answers, trials, ceiling=ceiling),
        _ceiling=lambda trials: pattern_ceiling(pattern, trials),
    )


_METRICS = (
    *(_pattern_metric(pattern) for pattern in PATTERNS.values()),
    BehavioralMetric(
        "accuracy", "label", "s", ("stimulus_id", "truth"), "standard deviation over stimuli", _score_accuracy
    ),
    BehavioralMetric(
        "accuracy_distance",
        "label",
        "s/c",
        ("subject", "stimulus_id", "truth", "choice"),
        "standard deviation over subjects",
        lambda answers, trials, ceiling: accuracy_distance(answers, trials, ceiling=ceiling),
        accuracy_distance_ceiling,
    ),
    BehavioralMetric(
        "error_consistency",
        "label",
        "s/c",
        ("subject", "stimulus_id", "truth", "choice"),
        "standard deviation over subjects and conditions",
        lambda answers, trials, ceiling: error_consistency(answers, trials, ceiling=ceiling),
        error_consistency_ceiling,
    ),
    BehavioralMetric(
        "odd_one_out",
        "odd_one_out",
        ABOVE_CHANCE_OF_THREE,
        ("image_1", "image_2", "image_3", "choice"),
        "standard error over triplets",
        lambda answers, trials, ceiling: score_triplets(answers, trials, ceiling=ceiling),
    ),
)
BEHAVIORAL_METRICS: Mapping[str, BehavioralMetric] = MappingProxyType({each.identifier: each for each in _METRICS})
