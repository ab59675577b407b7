"""Odd one out: which of three images is the one that does not belong, for a model and for people."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from adapters.errors import listing

from ..errors import ScoringError, counted
from ..verification import verify_finite
from .scores import ABOVE_CHANCE_OF_THREE, BehavioralScore, Ceiling, ceiled_score
from .trials import verify_columns

__all__ = ["SIMILARITIES", "odd_one_out", "score_triplets", "similarity"]

SIMILARITIES = ("dot", "cosine")
_IMAGES = ("image_1", "image_2", "image_3")


def similarity(features: NDArray[Any], measure: str = "dot") -> NDArray[np.float64]:
    """Say how similar a model finds each pair of stimuli.

    Parameters
    ----------
    features : array of shape (n_stimuli, n_features)
        Activations, any float dtype.
    measure : str
        ``"dot"``, the inner product, or ``"cosine"``, that of rows of length 1.

    Returns
    -------
    array of shape (n_stimuli, n_stimuli), float64
        Higher for more similar stimuli.

    Raises
    ------
    ScoringError
        For another measure, values that are not finite, and a cosine with a row of zeros.
    """
    if measure not in SIMILARITIES:
        raise ScoringError(f"The similarity {measure!r} is not known, expected one of {listing(SIMILARITIES)}.")
    values = np.asarray(features, dtype=np.float64)
    verify_finite(values, "activations")
    if measure == "cosine":
        lengths = np.linalg.norm(values, axis=1, keepdims=True)
        if not lengths.all():
            raise ScoringError(
                f"The activations of {counted(int((lengths == 0).sum()), 'stimulus', 'stimuli')} are all zero, so that "
                "their cosine is not defined. Use similarity='dot', or another layer."
            )
        values = values / lengths
    return values @ values.T


def odd_one_out(similarities: NDArray[np.floating[Any]], triplets: NDArray[np.integer[Any]]) -> NDArray[np.intp]:
    """Choose the stimulus outside the most similar pair of each triplet.

    Parameters
    ----------
    similarities : array of shape (n_stimuli, n_stimuli)
        How similar each pair is; rows and columns in the same order.
    triplets : array of shape (n_triplets, 3), integer
        Rows of ``similarities``.

    Returns
    -------
    array of shape (n_triplets,), intp
        The position of the odd one in its triplet: 0, 1 or 2. Of pairs that are equally similar the first of (0, 1),
        (0, 2), (1, 2) counts.

    References
    ----------
    Hebart et al. (2023), https://doi.org/10.7554/eLife.82580; ``OddOneOut`` of brainscore_vision 2.4.2.

    Examples
    --------
    >>> odd_one_out(np.array([[9, 1, 5], [1, 9, 2], [5, 2, 9]]), np.array([[0, 1, 2]]))
    array([1])
    """
    first, second, third = np.asarray(triplets).T
    pairs = [similarities[first, second], similarities[first, third], similarities[second, third]]
    return np.asarray(2 - np.argmax(pairs, axis=0), dtype=np.intp)


def score_triplets(answers: Any, triplets: pd.DataFrame, *, ceiling: Ceiling | None = None) -> BehavioralScore:
    """Count how often a model finds the same image odd as people do.

    Parameters
    ----------
    answers : xarray.DataArray or sequence
        The stimulus that the model found odd in each triplet, in the order of ``triplets``; the task
        ``"odd_one_out"`` gives it with dims (choice, presentation).
    triplets : pandas.DataFrame
        Columns image_1, image_2, image_3 and choice, all of them stimulus ids.
    ceiling : Ceiling, optional
        How often people agree; without it the score is the plain share of equal answers.

    Returns
    -------
    BehavioralScore
        ``raw`` is the share of equal answers, ``error`` its standard error over triplets; ``value`` is 0 at chance (a
        third), 1 at the ceiling, and no less and no more.

    Raises
    ------
    ScoringError
        When columns are missing, the answers are not of these triplets, or the choice of people is not in a triplet.

    References
    ----------
    ``Hebart2023-match`` of brainscore_vision 2.4.2, whose ceiling is 0.6767.
    """
    verify_columns(triplets, (*_IMAGES, "choice"))
    shown, chosen = triplets[list(_IMAGES)].to_numpy(object), triplets["choice"].to_numpy(object)
    given = answers.values if isinstance(answers, xr.DataArray) else np.asarray(answers, dtype=object)
    given = np.asarray(given, dtype=object).ravel()
    if len(given) != len(triplets):
        raise ScoringError(
            f"The model gave {counted(len(given), 'answer')} to {counted(len(triplets), 'triplet')}, expected one each "
            "in the same order. Show the model three stimuli for each row of the triplets."
        )
    _refuse_outsiders(chosen, shown, "The choice of people", "Write the stimulus id of the odd one into choice.")
    _refuse_outsiders(given, shown, "The model's answer", "Keep the order of the triplets.")
    hits = (given == chosen).astype(np.float64)
    raw, error = float(hits.mean()), float(hits.std() / np.sqrt(len(hits)))
    if ceiling is None:
        none = Ceiling(float("nan"), float("nan"), np.empty(0))
        return ceiled_score("odd_one_out", "s", raw=raw, error=error, parts=hits, ceiling=none, flags=("no ceiling",))
    is_outside = not 1 / 3 <= raw <= max(ceiling.value, 1 / 3)
    flags = ("bounded to 0-1",) if is_outside else ()
    return ceiled_score(
        "odd_one_out", ABOVE_CHANCE_OF_THREE, raw=raw, error=error, parts=hits, ceiling=ceiling, flags=flags
    )


def _refuse_outsiders(chosen: NDArray[np.object_], shown: NDArray[np.object_], what: str, remedy: str) -> None:
    outside = np.flatnonzero(~(shown == chosen[:, None]).any(axis=1))
    if len(outside):
        row = outside[0]
        raise ScoringError(
            f"{what} is not one of the three images in {counted(len(outside), 'triplet')}, e.g. {chosen[row]!r} of "
            f"{listing([repr(each) for each in shown[row]])} in row {row}. {remedy}"
        )
