"""Comparisons with each subject against hand-made numbers, and their edge cases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from benchmarks_local.behavioral import get_behavioral_metric, score_trials
from benchmarks_local.behavioral.people import accuracy_distance
from benchmarks_local.errors import ScoringError

from .recipes import judgements


@pytest.fixture
def people() -> pd.DataFrame:
    return judgements()


def answers_of(people: pd.DataFrame, subject: str) -> pd.Series:
    return people[people["subject"] == subject].set_index("stimulus_id")["choice"]


def test_kappa_is_scikit_learns(people: pd.DataFrame) -> None:
    model = answers_of(people, "B")
    score = score_trials(model, people.sample(frac=1, random_state=0), "error_consistency")
    for row, subject in enumerate("ABCD"):
        for column, condition in enumerate((1, 2, 3)):
            seen = people[(people["subject"] == subject) & (people["condition"] == condition)]
            is_right = seen["choice"].to_numpy() == seen["truth"].to_numpy()
            is_model_right = model.loc[seen["stimulus_id"]].to_numpy() == seen["truth"].to_numpy()
            expected = cohen_kappa_score(is_right, is_model_right)
            assert score.parts[row, column] == pytest.approx(expected, abs=1e-12)
    assert score.raw == pytest.approx(abs(score.parts.mean()), abs=1e-12)
    np.testing.assert_allclose(score.parts[1], 1)


def test_ceiling_of_kappa_is_that_of_all_pairs(people: pd.DataFrame) -> None:
    ceiling = get_behavioral_metric("error_consistency").ceiling(people)
    assert ceiling.parts.shape == (6, 3)
    pair = score_trials(answers_of(people, "A"), people[people["subject"] == "C"], "error_consistency")
    np.testing.assert_allclose(ceiling.parts[1], pair.parts[0])
    assert "one subject" in pair.flags
    assert "no ceiling" in pair.flags
    assert np.isnan(pair.value)


def test_accuracy_distance_by_hand() -> None:
    truth = ["x"] * 10
    choices = {"A": ["x"] * 8 + ["y"] * 2, "B": ["x"] * 3 + ["y"] * 7}
    ids = [f"s{i}" for i in range(10)]
    parts = [pd.DataFrame({"subject": s, "stimulus_id": ids, "truth": truth, "choice": c}) for s, c in choices.items()]
    score = accuracy_distance(dict(zip(ids, ["x"] * 5 + ["y"] * 5, strict=True)), pd.concat(parts))
    np.testing.assert_allclose(score.parts, [1 - 0.3 / 0.8, 1 - 0.2 / 0.7])
    assert score.ceiling == pytest.approx(1 - 0.5 / 0.7)
    assert score.value == pytest.approx(np.mean([1 - 0.3 / 0.8, 1 - 0.2 / 0.7]) / (1 - 0.5 / 0.7))


def test_accuracy_distance_by_condition_is_the_mean_of_the_conditions(people: pd.DataFrame) -> None:
    model = answers_of(people, "D")
    found = accuracy_distance(model, people, by=("condition",))
    each = [accuracy_distance(model, people[people["condition"] == c]).parts for c in (1, 2, 3)]
    np.testing.assert_allclose(found.parts, np.mean(each, axis=0))


def test_a_subject_is_compared_on_what_it_saw(people: pd.DataFrame) -> None:
    model = answers_of(people, "B")
    half = people[(people["subject"] != "C") | (people["condition"] < 3)]
    score = score_trials(model, half, "error_consistency")
    full = score_trials(model, people, "error_consistency")
    assert np.isnan(score.parts[2, 2])
    np.testing.assert_array_equal(np.delete(score.parts.ravel(), 8), np.delete(full.parts.ravel(), 8))
    assert score.raw == pytest.approx(np.mean([*full.parts[[0, 1, 3]].mean(axis=1), full.parts[2, :2].mean()]))
    assert "undefined kappas=1" in score.flags


def test_subjects_who_are_always_right_have_no_kappa(people: pd.DataFrame) -> None:
    perfect = people.assign(choice=people["truth"])
    score = score_trials(answers_of(perfect, "A"), perfect, "error_consistency")
    assert np.isnan(score.raw)
    assert "undefined kappas=12" in score.flags
    assert score_trials(answers_of(perfect, "A"), perfect, "accuracy_distance").value == 1


def test_the_sign_of_a_negative_kappa_is_flagged(people: pd.DataFrame) -> None:
    subject = people[(people["subject"] == "A") & (people["condition"] == 1)]
    is_right = subject["choice"] == subject["truth"]
    opposite = subject.assign(choice=np.where(is_right, "table", subject["truth"])).set_index("stimulus_id")["choice"]
    score = score_trials(opposite, subject, "error_consistency")
    assert score.parts[0, 0] < 0 < score.raw
    assert "negative kappa" in score.flags


def test_answers_that_are_missing(people: pd.DataFrame) -> None:
    with pytest.raises(ScoringError, match=r"no answer to 1 stimulus of the trials: 's0004'\. Show the model every"):
        score_trials(answers_of(people, "A").drop("s0004"), people, "error_consistency")


def test_second_answers(people: pd.DataFrame) -> None:
    again = pd.concat([people, people.iloc[[3]]])
    with pytest.raises(ScoringError, match=r"1 trial answer a stimulus a second time, e\.g\. row 120: subject 'A'"):
        score_trials(answers_of(people, "A"), again, "accuracy_distance")


def test_subjects_are_needed(people: pd.DataFrame) -> None:
    with pytest.raises(ScoringError, match="lack subject"):
        score_trials(answers_of(people, "A"), people.drop(columns="subject"), "error_consistency")


def test_a_ceiling_for_accuracy_can_be_given(people: pd.DataFrame) -> None:
    score = score_trials(answers_of(people, "A"), people, "accuracy", ceiling=0.9)
    assert (score.formula, score.value) == ("s/c", score.raw / 0.9)
    assert get_behavioral_metric("accuracy").ceiling(people).flags == ("no ceiling",)
