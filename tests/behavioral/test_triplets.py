"""Odd one out against a loop over the definition, and scores of triplets by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from benchmarks_local.behavioral import odd_one_out, score_trials, similarity
from benchmarks_local.errors import ScoringError

from .recipes import features_and_triplets

TABLE = pd.DataFrame(
    {"image_1": list("abca"), "image_2": list("bcdc"), "image_3": list("cdab"), "choice": list("cdab")}
)


def test_the_odd_one_is_outside_the_most_similar_pair() -> None:
    features, triplets = features_and_triplets()
    for measure in ("dot", "cosine"):
        found = odd_one_out(similarity(features, measure), triplets)
        for position, rows in zip(found, triplets, strict=True):
            a, b, c = features[rows] / (np.linalg.norm(features[rows], axis=1)[:, None] if measure == "cosine" else 1)
            assert position == max(enumerate([b @ c, a @ c, a @ b]), key=lambda pair: pair[1])[0]


def test_of_equal_pairs_the_first_counts() -> None:
    equal = np.ones((3, 3))
    assert odd_one_out(equal, np.array([[0, 1, 2]])).tolist() == [2]
    second = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 1]])
    assert odd_one_out(second, np.array([[0, 1, 2]])).tolist() == [1]


def test_similarity_refuses_what_it_cannot_compare() -> None:
    with pytest.raises(ScoringError, match=r"similarity 'euclid' is not known, expected one of dot, cosine"):
        similarity(np.eye(3), "euclid")
    with pytest.raises(ScoringError, match=r"activations of 1 stimulus are all zero.*similarity='dot'"):
        similarity(np.array([[0.0, 0], [1, 2]]), "cosine")
    with pytest.raises(ScoringError, match=r"1 of 4 values of the activations is NaN"):
        similarity(np.array([[np.nan, 0], [1, 2]]))


def test_scores_of_triplets() -> None:
    answers = ["c", "d", "c", "b"]
    score = score_trials(answers, TABLE, "odd_one_out", ceiling=0.9)
    assert score.raw == 0.75
    assert score.value == pytest.approx((0.75 - 1 / 3) / (0.9 - 1 / 3))
    assert score.error == pytest.approx(np.sqrt(0.75 * 0.25 / 4))
    assert score.formula == "(s-1/3)/(c-1/3)"
    task = xr.DataArray(np.array([answers], dtype=object), dims=("choice", "presentation"))
    assert score_trials(task, TABLE, "odd_one_out", ceiling=0.9).value == score.value


def test_scores_of_triplets_are_bounded_and_flagged() -> None:
    best = score_trials(TABLE["choice"], TABLE, "odd_one_out", ceiling=0.6767)
    worst = score_trials(TABLE["image_1"], TABLE, "odd_one_out", ceiling=0.6767)
    assert (best.value, worst.value) == (1, 0)
    assert best.flags == worst.flags == ("bounded to 0-1",)
    assert best.raw == 1


def test_triplets_without_a_ceiling_above_chance() -> None:
    plain = score_trials(TABLE["choice"], TABLE, "odd_one_out")
    assert (plain.value, plain.formula, plain.flags) == (1, "s", ("no ceiling",))
    assert np.isnan(score_trials(TABLE["choice"], TABLE, "odd_one_out", ceiling=0.3).value)


@pytest.mark.parametrize(
    ("answers", "table", "message"),
    [
        (["c"], TABLE, r"gave 1 answer to 4 triplets, expected one each"),
        (["x", "d", "a", "b"], TABLE, r"The model's answer is not one of the three images in 1 triplet, e\.g\. 'x' of"),
        (TABLE["choice"], TABLE.assign(choice=list("cdaz")), r"choice of people is not one.*'z' of 'a', 'c', 'b' in r"),
        (TABLE["choice"], TABLE.drop(columns="image_3"), r"lack image_3"),
    ],
)
def test_answers_and_triplets_that_do_not_fit(answers: Any, table: pd.DataFrame, message: str) -> None:
    with pytest.raises(ScoringError, match=message):
        score_trials(answers, table, "odd_one_out")
