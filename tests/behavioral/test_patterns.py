"""Patterns of confusions against a loop over the definition, and what is flagged where a cell is not defined."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from benchmarks_local.behavioral import score_trials
from benchmarks_local.behavioral.patterns import PATTERNS, model_rates
from benchmarks_local.errors import ScoringError

from .recipes import model_and_people


def quantile(share: float) -> float:
    return NormalDist().inv_cdf(share) if 0 < share < 1 else (-np.inf if share == 0 else np.inf)


def d_prime_by_hand(rates: np.ndarray, truth: np.ndarray, identifier: str) -> np.ndarray:
    n_stimuli, n_labels = rates.shape

    def of_object(shown: int, named: int) -> float:
        return float(np.mean([rates[i, named] for i in range(n_stimuli) if truth[i] == shown]))

    if identifier == "o2":
        found = np.full((n_labels, n_labels), np.nan)
        for left in range(n_labels):
            for right in set(range(n_labels)) - {left}:
                found[left, right] = quantile(1 - of_object(right, left)) - quantile(of_object(left, right))
        return np.clip(found, -5, 5)
    found = np.full_like(rates, np.nan)
    for i in range(n_stimuli):
        for d in set(range(n_labels)) - {truth[i]}:
            found[i, d] = np.clip(quantile(1 - rates[i, d]) - quantile(of_object(d, truth[i])), -5, 5)
    if identifier == "i2n":
        means = np.array([[found[truth == o, d].mean() for d in range(n_labels)] for o in range(n_labels)])
        found = found - means[truth]
    return found


@pytest.mark.parametrize("identifier", ["i2", "i2n", "o2"])
def test_d_prime_is_that_of_a_loop(identifier: str) -> None:
    random = np.random.default_rng(0)
    truth = np.array([0, 1, 2, 3, 0, 1, 2, 3, 2])
    rates = random.uniform(0.02, 0.98, (9, 4))
    rates[np.arange(9), truth] = np.nan
    rates[0, 1] = 0.0  # a perfect hit: capped
    found = PATTERNS[identifier].of_rates(rates, truth)
    np.testing.assert_allclose(found, d_prime_by_hand(rates, truth, identifier), atol=1e-12)


def test_collapsed_patterns_average_over_the_distractors() -> None:
    random = np.random.default_rng(1)
    truth = np.arange(12) % 3
    rates = random.uniform(0.1, 0.9, (12, 3))
    rates[np.arange(12), truth] = np.nan
    for one, two, axis in (("i1", "i2", 1), ("i1n", "i2n", 1), ("o1", "o2", 0)):
        expected = np.nanmean(PATTERNS[two].of_rates(rates, truth), axis=axis)
        np.testing.assert_allclose(PATTERNS[one].of_rates(rates, truth), expected, atol=1e-12)


def test_rates_of_probabilities() -> None:
    rates = model_rates(np.array([[0.6, 0.2, 0.2], [0.0, 0.0, 1.0]]), np.array([0, 1]))
    np.testing.assert_allclose(rates, [[np.nan, 0.25, 0.25], [np.nan, np.nan, 1.0]])


def test_a_model_that_is_as_people_are_reaches_the_ceiling_and_its_opposite_does_not() -> None:
    answers, trials = model_and_people()
    like = score_trials(answers, trials, "i2n")
    unlike = score_trials(answers.iloc[::-1].set_axis(answers.index), trials, "i2n")
    assert like.value > 0.8 > 0.4 > abs(unlike.value)


def test_undefined_cells_of_the_model_are_left_out_and_counted() -> None:
    answers, trials = model_and_people()
    answers.iloc[0] = [0, 0.5, 0.2, 0.3, 0, 0]  # truth and two distractors: 0 of 0
    score = score_trials(answers, trials, "i2")
    assert score.flags == ("undefined cells of the model=4",)  # two cells, in two halvings
    assert np.isfinite(score.value)


def test_cells_that_one_half_lacks_are_left_out_and_counted() -> None:
    answers, trials = model_and_people()
    score = score_trials(answers, trials.iloc[:400], "i2n")
    assert score.flags[0].startswith("undefined cells of one half=")
    assert np.isfinite(score.ceiling)
    assert np.isfinite(score.raw)


def test_a_label_that_nobody_chose_is_flagged() -> None:
    answers, trials = model_and_people()
    kept = trials[(trials["choice"] != "obj5") & (trials["truth"] != "obj5")]
    score = score_trials(answers.drop(index=answers.index[20:]), kept, "i2")
    assert "labels that were never chosen=1" in score.flags


def test_people_who_do_not_agree_have_no_ceiling_to_divide_by() -> None:
    answers, trials = model_and_people()
    random = np.random.default_rng(2)
    choice = np.where(random.uniform(size=len(trials)) < 0.5, trials["truth"], trials["dist_obj"])
    score = score_trials(answers, trials.assign(choice=choice), "o1")
    negative = score_trials(answers, trials.assign(choice=choice), "i2n")
    assert min(score.ceiling, negative.ceiling) < 0
    flagged = score if score.ceiling < 0 else negative
    assert np.isnan(flagged.value)
    assert "ceiling at or below chance" in flagged.flags
    assert np.isfinite(flagged.raw)


def test_a_constant_model_has_no_correlation() -> None:
    answers, trials = model_and_people()
    score = score_trials(pd.DataFrame(1 / 6, index=answers.index, columns=answers.columns), trials, "i2n")
    assert np.isnan(score.raw)
    assert np.isnan(score.value)


def test_a_published_ceiling_takes_the_place_of_the_halves() -> None:
    answers, trials = model_and_people()
    score = score_trials(answers, trials, "i2n", ceiling=0.4786)
    assert score.ceiling == 0.4786
    assert score.value == pytest.approx(score.raw / np.sqrt(0.4786), abs=1e-15)
    with pytest.raises(ScoringError, match=r"given ceiling is 1\.2, expected a number above 0 and at most 1"):
        score_trials(answers, trials, "i2n", ceiling=1.2)
