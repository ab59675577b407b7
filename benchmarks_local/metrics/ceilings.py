"""How well a model could do at best: what the noise in the recordings leaves to be predicted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ScoringError, counted
from .correlation import pearson_per_neuroid, spearman
from .crossvalidated import CrossValidated
from .features import Features
from .similarity import upper_triangle
from .splits import N_SPLITS, half_splits

__all__ = [
    "SubjectConsistency",
    "internal_consistency",
    "internal_consistency_over_time",
    "predictor_consistency",
    "rsa_ceiling",
    "spearman_brown",
]

_MIN_STIMULI = 10  # of predictor_consistency, as in brainscore_vision

Floats = NDArray[np.float64]


def spearman_brown(r: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correct the correlation of two halves to the reliability of the whole: 2r / (1 + r).

    Parameters
    ----------
    r : array of any shape, float64
        Correlations of two halves of the repetitions.

    Returns
    -------
    array of the same shape, float64
        The reliability of the average over all repetitions; -inf for r = -1.

    References
    ----------
    Spearman (1910), https://doi.org/10.1111/j.2044-8295.1910.tb00206.x; Brown (1910),
    https://doi.org/10.1111/j.2044-8295.1910.tb00207.x.
    """
    with np.errstate(divide="ignore"):
        return 2 * r / (1 + r)


def internal_consistency(repetitions: NDArray[Any]) -> CrossValidated:
    """Estimate the ceiling of recordings from how well two halves of their repetitions agree.

    Parameters
    ----------
    repetitions : array of shape (n_repetitions, n_stimuli, n_neuroids)
        Responses per repetition; NaN for a presentation that is missing. A stimulus that a neuroid has no presentation
        of in one of the halves is left out for this neuroid, in this halving.

    Returns
    -------
    CrossValidated
        Ten random halvings; its ``raw`` holds the corrected r for each halving and neuroid. Missing presentations are
        counted in ``flags``.

    Raises
    ------
    ScoringError
        When there are fewer than two repetitions, or values are infinite.

    References
    ----------
    Metric ``internal_consistency`` of brainscore_vision 2.4.2.
    """
    values = _repeated(repetitions, 3)
    missing = np.isnan(values)
    n_missing = int(missing.sum())
    filled, counts = (np.where(missing, 0.0, values), (~missing).astype(np.float64)) if n_missing else (values, None)
    raw = []
    for halves in half_splits(len(values)):
        first, second = (
            filled[rows].mean(axis=0) if counts is None else _means(filled[rows].sum(axis=0), counts[rows].sum(axis=0))
            for rows in halves
        )
        raw.append(spearman_brown(_pearson_of_common(first, second)))
    return CrossValidated.from_raw(np.stack(raw), (f"missing values={n_missing}",) if n_missing else ())


def internal_consistency_over_time(repetitions: NDArray[Any]) -> CrossValidated:
    """Estimate the ceiling in each time bin.

    Parameters
    ----------
    repetitions : array of shape (n_repetitions, n_stimuli, n_neuroids, n_time_bins)
        Responses per repetition and time bin.

    Returns
    -------
    CrossValidated
        With the ceiling of each bin in ``time_bins``; value and raw are their means.

    Raises
    ------
    ScoringError
        As for ``internal_consistency``.

    References
    ----------
    Metric ``internal_consistency_temporal`` of brainscore_vision 2.4.2.
    """
    values = _repeated(repetitions, 4)
    bins = tuple(internal_consistency(values[..., time_bin]) for time_bin in range(values.shape[3]))
    whole = CrossValidated.from_raw(np.mean([each.raw for each in bins], axis=0), time_bins=bins)
    return CrossValidated(float(np.mean([each.value for each in bins])), whole.error, whole.raw, whole.flags, bins)


def predictor_consistency(repetitions: NDArray[Any], *, seed: int = 0) -> CrossValidated:
    """Estimate the ceiling with repetitions that are halved anew for each stimulus.

    Parameters
    ----------
    repetitions : array of shape (n_repetitions, n_stimuli, n_neuroids)
        Responses per repetition, stimuli in sorted order of their identifiers; NaN for what is missing. Stimuli that
        were presented less than twice are left out.
    seed : int
        Seed of the halvings.

    Returns
    -------
    CrossValidated
        Ten random halvings; NaN with fewer than 10 stimuli.

    Raises
    ------
    ScoringError
        When there are fewer than two repetitions, or values are infinite.

    References
    ----------
    Metric ``predictor_consistency`` of brainscore_vision 2.4.2.
    """
    values = _repeated(repetitions, 3)
    missing = np.isnan(values)
    presented = np.asarray(~missing.all(axis=2))
    presentations = [np.flatnonzero(presented[:, stimulus]) for stimulus in range(values.shape[1])]
    is_used = np.array([len(each) >= 2 for each in presentations])
    filled, counts = np.where(missing, 0.0, values), (~missing).astype(np.float64)
    rng, raw = np.random.default_rng(seed), []
    for _ in range(N_SPLITS):
        is_first = np.zeros(presented.shape, dtype=bool)
        for stimulus in np.flatnonzero(is_used):
            rows = rng.permutation(presentations[stimulus])
            is_first[rows[: len(rows) // 2], stimulus] = True
        halves = [_weighted(filled, counts, half & presented) for half in (is_first, ~is_first)]
        first, second = (half[is_used] for half in halves)
        found = np.full(values.shape[2], np.nan) if is_used.sum() < _MIN_STIMULI else _pearson_of_common(first, second)
        raw.append(spearman_brown(found))
    return CrossValidated.from_raw(np.stack(raw))


@dataclass(frozen=True)
class SubjectConsistency:
    """How well the RDMs of subjects agree.

    Attributes
    ----------
    value : float
        Upper bound: mean correlation of a subject with the mean of all subjects, itself included.
    lower_bound : float
        Mean correlation of a subject with the mean of the others.
    upper, lower : array of shape (n_subjects,), float64
        Of each subject, in sorted order.
    """

    value: float
    lower_bound: float
    upper: Floats
    lower: Floats


def rsa_ceiling(values: NDArray[Any], subjects: NDArray[Any]) -> SubjectConsistency:
    """Estimate the ceiling of representational similarity from the agreement of subjects.

    Parameters
    ----------
    values : array of shape (n_stimuli, n_neuroids)
        Recordings averaged over repetitions.
    subjects : array of shape (n_neuroids,)
        Whose neuroids they are.

    Returns
    -------
    SubjectConsistency
        A score is divided by ``value`` without squaring.

    Raises
    ------
    ScoringError
        When there are fewer than two subjects.

    References
    ----------
    Nili et al. (2014), https://doi.org/10.1371/journal.pcbi.1003553; ``rsa_ceiling`` of brainscore_vision 2.4.2.
    """
    values, subjects = np.asarray(values, dtype=np.float64), np.asarray(subjects)
    names = np.unique(subjects)
    if len(names) < 2 or subjects.shape != values.shape[1:]:
        raise ScoringError(
            f"{counted(len(names), 'subject')} were given for neuroids of shape {values.shape[1:]}, expected one name "
            "per neuroid and at least 2 subjects. Without these use internal_consistency on the repetitions."
        )
    rdms = [upper_triangle(Features.of(values[:, subjects == name]).correlation_rdm()) for name in names]
    total = np.sum(rdms, axis=0)
    upper = np.array([spearman(each, total) for each in rdms])
    lower = np.array([spearman(each, total - each) for each in rdms])
    return SubjectConsistency(float(upper.mean()), float(lower.mean()), upper, lower)


def _repeated(repetitions: NDArray[Any], n_dims: int) -> Floats:
    values = np.asarray(repetitions, dtype=np.float64)
    if values.ndim != n_dims:
        raise ScoringError(
            f"The repetitions have shape {values.shape}, expected (n_repetitions, n_stimuli, n_neuroids"
            f"{', n_time_bins' if n_dims == 4 else ''}). Use internal_consistency without time bins and "
            "internal_consistency_over_time with them."
        )
    if len(values) < 2:
        raise ScoringError(
            f"The recordings have {len(values)} repetition(s), but a split-half ceiling needs at least 2. "
            "Bring recordings with repeated presentations."
        )
    if np.isinf(values).any():
        raise ScoringError(
            f"{int(np.isinf(values).sum()):,} of {values.size:,} recorded values are infinite. Mark what is missing "
            "with NaN."
        )
    return values


def _weighted(filled: Floats, counts: Floats, half: NDArray[np.bool_]) -> Floats:
    """Average over the presentations of a half, of shape (n_repetitions, n_stimuli)."""
    chosen = half.astype(np.float64)
    return _means(np.einsum("rs,rsn->sn", chosen, filled), np.einsum("rs,rsn->sn", chosen, counts))


def _means(sums: Floats, counts: Floats) -> Floats:
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _pearson_of_common(first: Floats, second: Floats) -> Floats:
    """Correlate per neuroid over the stimuli that both have; NaN for fewer than three."""
    is_common = ~(np.isnan(first) | np.isnan(second))
    if is_common.all():
        return pearson_per_neuroid(first, second)
    found = np.full(first.shape[1], np.nan)
    for neuroid in np.flatnonzero(is_common.sum(axis=0) >= 3):
        rows = is_common[:, neuroid]
        found[neuroid] = pearson_per_neuroid(first[rows, neuroid, None], second[rows, neuroid, None])[0]
    return found
