"""Subject by subject: whether a model is right as often as people are, and on the same stimuli."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from adapters.errors import listing

from ..errors import ScoringError, counted
from .answers import choices_of
from .scores import BehavioralScore, Ceiling, ceiled_score
from .trials import truths, verify_columns

__all__ = [
    "accuracy",
    "accuracy_distance",
    "accuracy_distance_ceiling",
    "error_consistency",
    "error_consistency_ceiling",
]

Floats = NDArray[np.float64]
Compare = Callable[[Floats, Floats], float]


def accuracy(answers: Any, truth: pd.Series) -> tuple[float, float, Floats]:
    """Count how often the right label was chosen.

    Parameters
    ----------
    answers : Probabilities or what ``choices_of`` takes
        The model's probabilities or choices.
    truth : pandas.Series
        The right label; the index holds stimulus ids.

    Returns
    -------
    (float, float, array of shape (n_stimuli,))
        The share of hits, their standard deviation (not its standard error, as in Brain-Score), and the hits, 0 or 1.

    Raises
    ------
    ScoringError
        When a stimulus has no answer.
    """
    hits = (_answers_for(answers, truth.index) == truth.to_numpy(object)).astype(np.float64)
    return float(hits.mean()), float(hits.std()), hits


def accuracy_distance(
    answers: Any, trials: pd.DataFrame, *, by: Sequence[str] = (), ceiling: Ceiling | None = None
) -> BehavioralScore:
    """Compare a model's accuracy with that of each subject, on the stimuli that the subject saw.

    Parameters
    ----------
    answers : Probabilities or what ``choices_of`` takes
        The model's probabilities or choices.
    trials : pandas.DataFrame
        Columns subject, stimulus_id, choice, and truth or sample_obj.
    by : sequence of str
        Columns, e.g. ``("condition",)``: compare within each combination of their values, then average.
    ceiling : Ceiling, optional
        Another ceiling than the comparison of every subject with every other.

    Returns
    -------
    BehavioralScore
        ``parts`` holds 1 - |difference| / largest possible difference for each subject in sorted order; ``raw`` is
        the mean, ``error`` the standard deviation.

    Raises
    ------
    ScoringError
        When the trials or answers cannot be used, or a subject answered a stimulus twice.

    References
    ----------
    ``accuracy_distance`` of brainscore_vision 2.4.2.
    """
    model, people, groups = _correctness(answers, trials, by)
    parts = np.array([_nan_mean(_by_group(_nearness, model, subject, groups)) for subject in people])
    ceiling = ceiling or accuracy_distance_ceiling(trials)
    raw = abs(_nan_mean(parts))
    return ceiled_score("accuracy_distance", "s/c", raw=raw, error=_nan_std(parts), parts=parts, ceiling=ceiling)


def accuracy_distance_ceiling(trials: pd.DataFrame) -> Ceiling:
    """Compare the accuracy of every subject with that of every later one, over all that both saw."""
    _model, people, groups = _correctness(None, trials, ())
    return _over_pairs(_nearness, people, groups)


def error_consistency(answers: Any, trials: pd.DataFrame, *, ceiling: Ceiling | None = None) -> BehavioralScore:
    """Ask whether a model errs on the same stimuli as people do, beyond what their accuracies make likely.

    Parameters
    ----------
    answers : Probabilities or what ``choices_of`` takes
        The model's probabilities or choices.
    trials : pandas.DataFrame
        Columns subject, stimulus_id, choice, truth or sample_obj, and perhaps condition.
    ceiling : Ceiling, optional
        Another ceiling than the comparison of every subject with every other.

    Returns
    -------
    BehavioralScore
        ``parts`` holds Cohen's kappa of being right, shape (n_subjects, n_conditions), both in sorted order; ``raw`` is
        the absolute mean, ``error`` the standard deviation. Kappa is undefined, and flagged, where both were right
        always (or never).

    Raises
    ------
    ScoringError
        When the trials or answers cannot be used, or a subject answered a stimulus twice in a condition.

    References
    ----------
    Geirhos, Meding & Wichmann (2020), https://arxiv.org/abs/2006.16736; Cohen (1960),
    https://doi.org/10.1177/001316446002000104; ``error_consistency`` of brainscore_vision 2.4.2.
    """
    model, people, groups = _correctness(answers, trials, _conditions(trials))
    parts = np.stack([_by_group(_kappa, model, subject, groups) for subject in people])
    flags = (f"undefined kappas={n}",) if (n := int(np.isnan(parts).sum())) else ()
    return ceiled_score(
        "error_consistency",
        "s/c",
        raw=abs(_mean_of_conditions(parts)),
        error=_nan_std(parts),
        parts=parts,
        ceiling=ceiling or error_consistency_ceiling(trials),
        flags=(*flags, *(("negative kappa",) if _mean_of_conditions(parts) < 0 else ())),
    )


def error_consistency_ceiling(trials: pd.DataFrame) -> Ceiling:
    """Compare the errors of every subject with those of every other, in each condition, on what both saw."""
    _model, people, groups = _correctness(None, trials, _conditions(trials))
    return _over_pairs(_kappa, people, groups)


def _correctness(answers: Any, trials: pd.DataFrame, by: Sequence[str]) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Return who was right on what: model (n_items,), people (n_subjects, n_items) with NaN for unseen, group of each.

    An item is a stimulus in one combination of the values of ``by``.
    """
    truth = truths(trials)
    verify_columns(trials, ("subject", "choice", *by))
    right = trials["choice"].to_numpy(object) == truth.loc[trials["stimulus_id"].astype(object)].to_numpy(object)
    groups = trials.groupby(list(by), sort=True).ngroup().to_numpy() if by else np.zeros(len(trials), dtype=np.intp)
    items, keys = pd.factorize(pd.MultiIndex.from_arrays([trials["stimulus_id"].astype(object), groups]))
    subjects, names = pd.factorize(trials["subject"], sort=True)
    _refuse_second_answers(trials, subjects * len(keys) + items)
    people = np.full((len(names), len(keys)), np.nan)
    people[subjects, items] = right
    stimuli, group_of_item = keys.get_level_values(0), keys.get_level_values(1).to_numpy()
    if answers is None:
        return np.full(len(keys), np.nan), people, group_of_item
    model = _answers_for(answers, stimuli) == truth.loc[stimuli].to_numpy(object)
    return model.astype(np.float64), people, group_of_item


def _answers_for(answers: Any, stimulus_ids: Any) -> NDArray[np.object_]:
    choices = choices_of(answers)
    missing = sorted({repr(each) for each in set(stimulus_ids) - set(choices.index)})
    if missing:
        raise ScoringError(
            f"The model has no answer to {counted(len(missing), 'stimulus', 'stimuli')} of the trials: "
            f"{listing(missing)}. Show the model every stimulus of the trials."
        )
    array: NDArray[np.object_] = choices.loc[list(stimulus_ids)].to_numpy(object)
    return array


def _refuse_second_answers(trials: pd.DataFrame, keys: NDArray[np.intp]) -> None:
    again = pd.Series(keys).duplicated().to_numpy()
    if again.any():
        row = int(np.flatnonzero(again)[0])
        subject, stimulus = (trials[name].iloc[row] for name in ("subject", "stimulus_id"))
        raise ScoringError(
            f"{counted(int(again.sum()), 'trial')} answer a stimulus a second time, e.g. row {row}: subject "
            f"{subject!r}, stimulus {stimulus!r}. Expected one answer per subject, stimulus and condition. Keep the "
            "first, or name the sessions apart in the column subject."
        )


def _conditions(trials: pd.DataFrame) -> tuple[str, ...]:
    return ("condition",) if "condition" in trials else ()


def _by_group(compare: Compare, first: Floats, second: Floats, groups: NDArray[np.intp]) -> Floats:
    """Compare the items that both answered, group by group; NaN for a group without any."""
    both = ~np.isnan(first) & ~np.isnan(second)
    rows = [both & (groups == group) for group in range(groups.max() + 1)]
    return np.array([compare(first[each], second[each]) if each.any() else np.nan for each in rows])


def _over_pairs(compare: Compare, people: Floats, groups: NDArray[np.intp]) -> Ceiling:
    pairs = [_by_group(compare, first, second, groups) for first, second in combinations(people, 2)]
    if not pairs:
        return Ceiling(float("nan"), float("nan"), np.empty((0, groups.max() + 1)), ("one subject",))
    parts = np.stack(pairs)
    return Ceiling(abs(_mean_of_conditions(parts)), _nan_std(parts), parts)


def _nearness(model: Floats, subject: Floats) -> float:
    """Return 1 less the difference of two accuracies, relative to the largest difference that there could be."""
    return float(1 - abs(model.mean() - subject.mean()) / max(subject.mean(), 1 - subject.mean()))


def _kappa(first: Floats, second: Floats) -> float:
    expected = first.mean() * second.mean() + (1 - first.mean()) * (1 - second.mean())
    return float(((first == second).mean() - expected) / (1 - expected)) if expected < 1 else float("nan")


def _mean_of_conditions(parts: Floats) -> float:
    """Average over conditions within each row, then over rows."""
    return _nan_mean(np.array([_nan_mean(row) for row in parts]))


def _nan_mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _nan_std(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.std()) if known.size else float("nan")
