"""How alike two sets of responses are without fitting anything: RDMs and centred kernel alignment."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ScoringError
from .correlation import spearman
from .features import Features

__all__ = ["cka", "cka_biased", "rdm_similarity", "subject_similarities", "upper_triangle"]

Floats = NDArray[np.float64]


def rdm_similarity(first: Features, second: Features) -> float:
    """Correlate how different the stimuli are for one set of units with how different they are for another.

    Parameters
    ----------
    first, second : Features
        Responses to the same stimuli.

    Returns
    -------
    float
        Spearman's rho of the upper triangles of both matrices of 1 - correlation; NaN where a stimulus gives all units
        the same value.

    References
    ----------
    Kriegeskorte et al. (2008), https://doi.org/10.3389/neuro.06.004.2008.
    """
    return spearman(upper_triangle(first.correlation_rdm()), upper_triangle(second.correlation_rdm()))


def cka(first: Features, second: Features) -> float:
    """Return linear centred kernel alignment, corrected for the number of stimuli.

    Parameters
    ----------
    first, second : Features
        Responses to the same stimuli, at least 4.

    Returns
    -------
    float
        1 for the same geometry, about 0 for none in common; 0 where one of the two has no variance.

    Raises
    ------
    ScoringError
        When there are fewer than 4 stimuli.

    References
    ----------
    Song et al. (2012), Feature selection via dependence maximization, JMLR 13, eq. 4 (HSIC_1); Kornblith et al. (2019),
    https://arxiv.org/abs/1905.00414; Murphy et al. (2024), https://arxiv.org/abs/2405.01012.
    """
    if first.n_stimuli < 4:
        raise ScoringError(
            f"There are {first.n_stimuli} stimuli, but unbiased CKA needs at least 4. Use more stimuli, or cka_biased."
        )
    k, m = _without_diagonal(first.gram), _without_diagonal(second.gram)
    product = _hsic(k, k) * _hsic(m, m)
    return float(_hsic(k, m) / (np.sqrt(product) + 1e-12)) if product > 0 else 0.0


def cka_biased(first: Features, second: Features) -> float:
    """Return linear centred kernel alignment as it was first defined; it grows with units per stimulus.

    Parameters
    ----------
    first, second : Features
        Responses to the same stimuli.

    Returns
    -------
    float
        0 to 1; NaN where one of the two has no variance.

    References
    ----------
    Kornblith et al. (2019), https://arxiv.org/abs/1905.00414.
    """
    k, m = first.gram, second.gram
    variance = float((k * k).sum() * (m * m).sum())
    return float((k * m).sum() / np.sqrt(variance)) if variance > 0 else float("nan")


def subject_similarities(source: Features, target: NDArray[Any], subjects: NDArray[Any]) -> Floats:
    """Compare RDMs with each subject on its own.

    Parameters
    ----------
    source : Features
        Activations.
    target : array of shape (n_stimuli, n_neuroids)
        Recordings.
    subjects : array of shape (n_neuroids,)
        Whose neuroids they are.

    Returns
    -------
    array of shape (n_subjects,), float64
        Spearman's rho, subjects in sorted order; their mean is the raw score.
    """
    subjects = np.asarray(subjects)
    parts = (Features.of(np.asarray(target)[:, subjects == subject]) for subject in np.unique(subjects))
    return np.array([rdm_similarity(source, part) for part in parts])


def upper_triangle(matrix: Floats) -> Floats:
    """Return what stands above the diagonal of a square matrix, row by row."""
    return matrix[np.triu_indices(len(matrix), k=1)]


def _without_diagonal(gram: Floats) -> Floats:
    gram = gram.copy()
    np.fill_diagonal(gram, 0.0)
    return gram


def _hsic(k: Floats, m: Floats) -> float:
    """Return the unbiased estimate of the Hilbert-Schmidt independence criterion, for matrices of zero diagonal."""
    n = len(k)
    sums_k, sums_m = k.sum(axis=1), m.sum(axis=1)
    total = (k * m).sum() + sums_k.sum() * sums_m.sum() / ((n - 1) * (n - 2)) - 2 * (sums_k @ sums_m) / (n - 2)
    return float(total) / (n * (n - 3))
