"""How well a model could do at best: what the noise in the recordings leaves to be predicted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ScoringError
from .estimators import half_splits
from .regression import CrossValidated, pearson_per_neuroid

__all__ = ["explained_variance", "internal_consistency", "spearman_brown"]


def spearman_brown(r: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correct the correlation of two halves to the reliability of the whole: 2r / (1 + r).

    Parameters
    ----------
    r : array of any shape, float64
        Correlations of two halves of the repetitions.

    Returns
    -------
    array of the same shape, float64
        The reliability of the average over all repetitions.

    References
    ----------
    Spearman (1910), https://doi.org/10.1111/j.2044-8295.1910.tb00206.x; Brown (1910),
    https://doi.org/10.1111/j.2044-8295.1910.tb00207.x.
    """
    return 2 * r / (1 + r)


def internal_consistency(repetitions: NDArray[Any]) -> CrossValidated:
    """Estimate the ceiling of recordings from how well two halves of their repetitions agree.

    Parameters
    ----------
    repetitions : array of shape (n_repetitions, n_stimuli, n_neuroids)
        Responses per repetition.

    Returns
    -------
    CrossValidated
        Ten random halvings; its ``raw`` holds the corrected r for each halving and neuroid.

    Raises
    ------
    ScoringError
        When there are fewer than two repetitions.

    References
    ----------
    Metric ``internal_consistency`` of brainscore_vision 2.4.2.
    """
    repetitions = np.asarray(repetitions, dtype=np.float64)
    if len(repetitions) < 2:
        raise ScoringError(
            f"The recordings have {len(repetitions)} repetition(s), but a split-half ceiling needs at least 2. "
            "Bring recordings with repeated presentations."
        )
    raw = [
        spearman_brown(pearson_per_neuroid(repetitions[first].mean(axis=0), repetitions[second].mean(axis=0)))
        for first, second in half_splits(len(repetitions))
    ]
    return CrossValidated.from_raw(np.stack(raw))


def explained_variance(r: float, ceiling: float) -> float:
    """Bring a correlation to the share of explainable variance that it explains: r squared over the ceiling.

    The ceiling is a reliability, i.e. it bounds variance and not correlation, so only r is squared. A negative r comes
    out positive: look at the raw score too.

    Parameters
    ----------
    r : float
        Correlation of prediction and recordings, -1 to 1.
    ceiling : float
        Reliability of the recordings, above 0 and at most 1.

    Returns
    -------
    float
        0 for no, 1 for all explainable variance.

    References
    ----------
    ``explained_variance`` of brainscore_vision 2.4.2; https://osf.io/preprints/psyarxiv/gjk45.
    """
    return r**2 / ceiling
