"""Which stimuli a mapping is fitted on, and which it is tested on: the same at every call."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.errors import listing

from ..errors import ScoringError, counted
from ..estimators import fold_splitter, shuffle_splitter

__all__ = ["N_SPLITS", "Splits", "half_splits", "kfold_splits", "shuffle_splits", "splits_digest", "verify_splits"]

N_SPLITS = 10
_SEED = 1

Rows = NDArray[np.intp]
Splits = list[tuple[Rows, Rows]]


def shuffle_splits(
    n: int,
    strata: NDArray[Any] | None = None,
    *,
    n_splits: int = N_SPLITS,
    train_size: float | None = 0.9,
    test_size: float | None = None,
    seed: int = _SEED,
) -> Splits:
    """Split stimuli at random into training and test rows, each split anew.

    Parameters
    ----------
    n : int
        How many stimuli.
    strata : array of shape (n,), optional
        Labels that get the same share on both sides, e.g. object names. Their sort order decides on the splits: keep
        them as they are, and do not replace names by numbers.
    n_splits : int
        How many splits.
    train_size, test_size : float or None
        Share of the stimuli in the training and in the test rows, 0-1; None for the rest.
    seed : int
        Seed of the shuffling.

    Returns
    -------
    list of (training rows, test rows)
        Arrays of int; the same at every call.

    Raises
    ------
    ScoringError
        When a label has a single member, or there are fewer test or training rows than labels.

    References
    ----------
    ``CrossValidation`` of brainscore_vision 2.4.2, whose splits these are.

    Examples
    --------
    >>> [(len(train), len(test)) for train, test in shuffle_splits(40, n_splits=2)]
    [(36, 4), (36, 4)]
    """
    splitter = shuffle_splitter(strata is not None, n_splits, train_size, test_size, seed)
    return _split(splitter, n, strata)


def kfold_splits(n: int, strata: NDArray[Any] | None = None, *, n_splits: int = N_SPLITS, seed: int = _SEED) -> Splits:
    """Split shuffled stimuli into folds, so that each is tested once.

    Parameters
    ----------
    n : int
        How many stimuli.
    strata : array of shape (n,), optional
        Labels that get the same share in every fold.
    n_splits : int
        How many folds.
    seed : int
        Seed of the shuffling.

    Returns
    -------
    list of (training rows, test rows)
        Arrays of int; the same at every call.

    Raises
    ------
    ScoringError
        When there are fewer stimuli, or members of a label, than folds.
    """
    if strata is not None:
        labels, counts = np.unique(np.asarray(strata), return_counts=True)
        if counts.min() < n_splits:
            raise ScoringError(
                f"Label {labels[counts.argmin()]!s} of the strata has {counted(int(counts.min()), 'member')}, but "
                f"each of {n_splits} folds is to get one. Use fewer folds, or strata=None."
            )
    return _split(fold_splitter(strata is not None, n_splits, seed), n, strata)


def half_splits(n: int) -> Splits:
    """Split ``n`` things, e.g. repetitions, ``N_SPLITS`` times into two halves, the same at every call."""
    return shuffle_splits(n, train_size=0.5)


def splits_digest(splits: Splits) -> str:
    """Return what tells two sets of splits apart: 16 hexadecimal digits.

    Examples
    --------
    >>> splits_digest(shuffle_splits(40)) == splits_digest(shuffle_splits(40))
    True
    """
    digest = hashlib.sha256()
    for rows in (each for split in splits for each in split):
        digest.update(np.asarray(rows, dtype="<i8").tobytes() + b"|")
    return digest.hexdigest()[:16]


def verify_splits(splits: Splits, n: int) -> None:
    """Refuse splits that name rows which are not there, or test on what they train on.

    Raises
    ------
    ScoringError
        Says which split it is.
    """
    if not splits:
        raise ScoringError("There are no splits. Leave out splits, or pass pairs of training and test rows.")
    for number, (train, test) in enumerate(splits):
        for name, rows in (("training", np.asarray(train)), ("test", np.asarray(test))):
            if not len(rows) or rows.min() < 0 or rows.max() >= n:
                found = f"{rows.min()} to {rows.max()}" if len(rows) else "none"
                raise ScoringError(
                    f"Split {number} has {name} rows {found}, expected numbers from 0 to {n - 1} for {n} stimuli. "
                    "Make the splits with shuffle_splits(n, strata)."
                )
        both = np.intersect1d(train, test)
        if len(both):
            raise ScoringError(
                f"Split {number} trains and tests on the same stimuli, rows {listing(both.tolist())}. A mapping has "
                "to be tested on stimuli that it was not fitted on: make the two sides disjoint."
            )


def _split(splitter: Any, n: int, strata: NDArray[Any] | None) -> Splits:
    labels = None if strata is None else np.asarray(strata)
    if labels is not None:
        _verify_strata(labels, n)
    try:
        return list(splitter.split(np.zeros(n), labels))
    except ValueError as error:
        raise ScoringError(
            f"{counted(n, 'stimulus', 'stimuli')} cannot be split this way: {str(error).rstrip('.')}. "
            "Use more stimuli, or strata=None to split without regard to their labels."
        ) from error


def _verify_strata(labels: NDArray[Any], n: int) -> None:
    if labels.shape != (n,):
        raise ScoringError(
            f"The strata have shape {labels.shape}, expected ({n},): one label for each of {n} stimuli, in their order."
        )
    values, counts = np.unique(labels, return_counts=True)
    alone = [str(value) for value in values[counts < 2]]
    if alone:
        raise ScoringError(
            f"{counted(len(alone), 'label')} of the strata {'has' if len(alone) == 1 else 'have'} a single member: "
            f"{listing(alone)}. Each needs two, one to train and one to test on: merge labels, leave these stimuli "
            "out, or pass strata=None."
        )
