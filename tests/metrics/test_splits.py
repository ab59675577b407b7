"""Splits are those of scikit-learn with Brain-Score's seeds, and refuse what cannot be split."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import KFold, ShuffleSplit, StratifiedKFold, StratifiedShuffleSplit

from benchmarks_local.errors import ScoringError
from benchmarks_local.metrics import METRICS, half_splits, kfold_splits, shuffle_splits, splits_digest

LABELS = np.array([f"o{8 + i % 10}" for i in range(100)])  # o8 to o17


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (shuffle_splits(100), ShuffleSplit(10, train_size=0.9, random_state=1)),
        (shuffle_splits(100, LABELS), StratifiedShuffleSplit(10, train_size=0.9, random_state=1)),
        (shuffle_splits(100, train_size=None, test_size=0.9), ShuffleSplit(10, test_size=0.9, random_state=1)),
        (kfold_splits(100, n_splits=4), KFold(4, shuffle=True, random_state=1)),
        (kfold_splits(100, LABELS, n_splits=4), StratifiedKFold(4, shuffle=True, random_state=1)),
        (half_splits(100), ShuffleSplit(10, train_size=0.5, random_state=1)),
    ],
)
def test_the_rows_are_those_of_scikit_learn(ours: list, theirs: object) -> None:
    expected = list(theirs.split(np.zeros(100), LABELS))
    assert splits_digest(ours) == splits_digest(expected)
    for split, other in zip(ours, expected, strict=True):
        for rows, other_rows in zip(split, other, strict=True):
            np.testing.assert_array_equal(rows, other_rows)


def test_other_splits_have_another_digest() -> None:
    assert splits_digest(shuffle_splits(100)) != splits_digest(shuffle_splits(100, seed=2))
    moved = [(np.append(train, test[0]), test[1:]) for train, test in shuffle_splits(100)]
    assert splits_digest(shuffle_splits(100)) != splits_digest(moved)


def test_the_sort_order_of_labels_decides() -> None:
    """Text sorts o10 before o8: numbers in their place give other splits."""
    numbers = np.array([int(label[1:]) for label in LABELS])
    assert splits_digest(shuffle_splits(100, LABELS)) != splits_digest(shuffle_splits(100, numbers))


def test_a_label_alone_cannot_be_split() -> None:
    labels = LABELS.copy()
    labels[3] = "one"
    with pytest.raises(ScoringError, match=r"1 label of the strata has a single member: one.*strata=None"):
        shuffle_splits(100, labels)
    with pytest.raises(ScoringError, match=r"Label one of the strata has 1 member.*each of 10 folds.*fewer folds"):
        kfold_splits(100, labels)


def test_what_cannot_be_split() -> None:
    with pytest.raises(ScoringError, match=r"30 stimuli cannot be split this way.*number of classes.*more stimuli"):
        shuffle_splits(30, np.arange(30) % 15)
    with pytest.raises(ScoringError, match=r"shape \(99,\), expected \(100,\): one label for each"):
        shuffle_splits(100, LABELS[1:])
    with pytest.raises(ScoringError, match=r"4 stimuli cannot be split"):
        kfold_splits(4)


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ([], "There are no splits"),
        ([(np.arange(40), np.arange(40, 61))], r"Split 0 has test rows 40 to 60, expected numbers from 0 to 59"),
        ([(np.arange(-1, 40), np.arange(40, 60))], r"training rows -1 to 39"),
        ([(np.arange(50), np.arange(0))], r"test rows none"),
        ([(np.arange(41), np.arange(40, 60))], r"Split 0 trains and tests on the same stimuli, rows 40.*disjoint"),
        ([(np.arange(2), np.arange(10, 60))], r"2 training stimuli and 50 to test on, expected at least 3 and 2"),
        ([(np.arange(59), np.arange(59, 60))], r"59 training stimuli and 1 to test on"),
    ],
)
def test_splits_of_ones_own_are_looked_at(splits: list, message: str) -> None:
    values = np.random.default_rng(0).normal(size=(60, 30))
    with pytest.raises(ScoringError, match=message):
        METRICS["ridge"](values, values[:, :3], splits=splits)
