"""Patterns of confusions: how hard each image or object is to tell from each distractor, for a model and for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..estimators import normal_quantile
from .answers import Probabilities
from .scores import BehavioralScore, Ceiling, ceiled_score
from .trials import OfferedTrials, offered_trials, truths

__all__ = ["PATTERNS", "Pattern", "model_rates", "pattern_ceiling", "score_pattern"]

N_HALVINGS = 2
_SEED = 0
_CAP = 5.0

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True)
class Pattern:
    """Which d' are compared.

    Attributes
    ----------
    identifier : str
        ``"i1"``, ``"i1n"``, ``"i2"``, ``"i2n"``, ``"o1"`` or ``"o2"``.
    of_images : bool
        One d' per image, else one per object.
    collapsed : bool
        Averaged over distractors.
    normalized : bool
        Less the mean over all images of an object against one distractor, so that only differences between images of
        one object are left.

    References
    ----------
    Rajalingham et al. (2018), https://doi.org/10.1523/JNEUROSCI.0388-18.2018; ``metrics/i1i2`` of brainscore_vision
    2.4.2, which takes false alarms from means per object and caps d' at 5.
    """

    identifier: str
    of_images: bool
    collapsed: bool
    normalized: bool

    def of_rates(self, rates: Floats, truth: Codes) -> Floats:
        """Bring rates of wrong choices to d'.

        Parameters
        ----------
        rates : array of shape (n_stimuli, n_labels), float64
            How often a label was chosen instead of the right one, 0-1; NaN for the right label and where unknown.
        truth : array of shape (n_stimuli,), intp
            Code of the right label.

        Returns
        -------
        array, float64
            Hits less false alarms as normal quantiles, -5 to 5; of shape (n_stimuli, n_labels) or (n_labels, n_labels),
            without the last axis (objects: the first) when collapsed. NaN where not defined.
        """
        of_object = _group_means(rates, truth)
        with np.errstate(invalid="ignore"):  # infinity minus infinity is undefined, and so NaN
            if self.of_images:
                d_prime = normal_quantile(1 - rates) - normal_quantile(of_object[:, truth].T)
            else:
                d_prime = normal_quantile(1 - of_object.T) - normal_quantile(of_object)
        d_prime = np.clip(d_prime, -_CAP, _CAP)
        if self.normalized:
            d_prime = d_prime - _group_means(d_prime, truth)[truth]
        return _mean_without_nan(d_prime, axis=1 if self.of_images else 0) if self.collapsed else d_prime


PATTERNS = {
    "i1": Pattern("i1", of_images=True, collapsed=True, normalized=False),
    "i1n": Pattern("i1n", of_images=True, collapsed=True, normalized=True),
    "i2": Pattern("i2", of_images=True, collapsed=False, normalized=False),
    "i2n": Pattern("i2n", of_images=True, collapsed=False, normalized=True),
    "o1": Pattern("o1", of_images=False, collapsed=True, normalized=False),
    "o2": Pattern("o2", of_images=False, collapsed=False, normalized=False),
}


def score_pattern(
    pattern: Pattern, answers: Any, trials: pd.DataFrame, *, ceiling: Ceiling | None = None
) -> BehavioralScore:
    """Correlate a model's pattern of confusions with that of people.

    The trials are shuffled and halved twice, the same at every call; the model is compared with each first half, and
    the halves with each other for the ceiling.

    Parameters
    ----------
    pattern : Pattern
        What to compare.
    answers : Probabilities or what ``Probabilities.of`` takes
        The model's probabilities for the stimuli and labels of the trials.
    trials : pandas.DataFrame
        Columns stimulus_id, choice, dist_obj, and sample_obj or truth.
    ceiling : Ceiling, optional
        Another ceiling than that of the halves.

    Returns
    -------
    BehavioralScore
        ``raw`` is the mean r over the halvings, ``error`` their standard deviation; ``value`` is the mean of
        r / sqrt(ceiling) over the halvings.

    Raises
    ------
    ScoringError
        When the probabilities or trials cannot be used, or belong to other stimuli or labels.
    """
    probabilities = Probabilities.of(answers)
    coded = offered_trials(trials, list(probabilities.stimulus_ids), list(probabilities.labels))
    model = pattern.of_rates(model_rates(probabilities.values, coded.truth), coded.truth)
    halves = _halves(pattern, coded)
    pairs = [_correlate(model, first) for first, _second in halves]
    parts = np.array([r for r, _n_undefined in pairs])
    flags = _flags(sum(n for _r, n in pairs), "of the model")
    return ceiled_score(
        pattern.identifier,
        "s/sqrt(c)",
        raw=float(parts.mean()),
        error=float(parts.std()),
        parts=parts,
        ceiling=ceiling or _ceiling(halves),
        flags=flags + _flags(_n_never_chosen(coded), "that were never chosen", "label"),
    )


def pattern_ceiling(pattern: Pattern, trials: pd.DataFrame) -> Ceiling:
    """Correlate the patterns of two halves of people's trials.

    Parameters
    ----------
    pattern : Pattern
        What to compare.
    trials : pandas.DataFrame
        Columns stimulus_id, choice, dist_obj, and sample_obj or truth.

    Returns
    -------
    Ceiling
        Mean r over two halvings of all trials.

    Raises
    ------
    ScoringError
        When the trials cannot be used.
    """
    truth = truths(trials)
    labels = pd.unique(pd.concat([truth, trials["dist_obj"]]) if "dist_obj" in trials else truth)
    return _ceiling(_halves(pattern, offered_trials(trials, list(truth.index), list(labels))))


def model_rates(values: Floats, truth: Codes) -> Floats:
    """Turn probabilities into rates of wrong choices between the right label and one other.

    Parameters
    ----------
    values : array of shape (n_stimuli, n_labels), float64
        Probabilities.
    truth : array of shape (n_stimuli,), intp
        Code of the right label.

    Returns
    -------
    array of shape (n_stimuli, n_labels), float64
        p / (p + p of the right label); NaN for the right label itself and where both are 0.
    """
    rows = np.arange(len(truth))
    sums = values + values[rows, truth][:, None]
    rates = np.where(sums > 0, values / np.where(sums > 0, sums, 1.0), np.nan)
    rates[rows, truth] = np.nan
    return rates


def _halves(pattern: Pattern, coded: OfferedTrials) -> list[tuple[Floats, Floats]]:
    random = np.random.RandomState(_SEED)
    halves = []
    for _ in range(N_HALVINGS):
        order = np.arange(len(coded))
        random.shuffle(order)
        middle = len(order) // 2
        first, second = (pattern.of_rates(coded.rates(half), coded.truth) for half in (order[:middle], order[middle:]))
        halves.append((first, second))
    return halves


def _ceiling(halves: list[tuple[Floats, Floats]]) -> Ceiling:
    pairs = [_correlate(second, first) for first, second in halves]
    parts = np.array([r for r, _n_undefined in pairs])
    n_undefined = sum(n for _r, n in pairs)
    return Ceiling(float(parts.mean()), float(parts.std()), parts, _flags(n_undefined, "of one half"))


def _correlate(found: Floats, expected: Floats) -> tuple[float, int]:
    """Return Pearson r over the cells that both define, and how many cells only ``expected`` defines."""
    is_expected, is_found = ~np.isnan(expected), ~np.isnan(found)
    both = is_expected & is_found
    n_undefined = int((is_expected & ~is_found).sum())
    if not both.any():
        return float("nan"), n_undefined
    a, b = found[both] - found[both].mean(), expected[both] - expected[both].mean()
    norm = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norm) if norm > 0 else float("nan"), n_undefined


def _flags(n: int, of_what: str, noun: str = "undefined cell") -> tuple[str, ...]:
    return (f"{noun}s {of_what}={n}",) if n else ()


def _n_never_chosen(coded: OfferedTrials) -> int:
    return coded.n_labels - len(np.unique(coded.choice))


def _group_means(values: Floats, groups: Codes) -> Floats:
    """Average rows by group without NaN: shape (n_labels, n_labels), NaN where a group has no value in a column."""
    members = (np.arange(values.shape[1])[:, None] == groups).astype(np.float64)
    known = ~np.isnan(values)
    counts = members @ known
    return np.where(counts > 0, members @ np.where(known, values, 0.0) / np.maximum(counts, 1), np.nan)


def _mean_without_nan(values: Floats, axis: int) -> Floats:
    known = ~np.isnan(values)
    counts = known.sum(axis=axis)
    means: Floats = np.where(known, values, 0.0).sum(axis=axis) / np.maximum(counts, 1)
    return np.where(counts > 0, means, np.nan)
