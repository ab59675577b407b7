"""RDMs and alignment against scipy and by hand, and the one-to-one mapping."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from benchmarks_local.errors import ScoreExtraMissingError, ScoringError
from benchmarks_local.metrics import (
    METRICS,
    Features,
    Moments,
    pearson_per_neuroid,
    rsa_ceiling,
    shuffle_splits,
    spearman,
    subject_similarities,
)

from .recipes import repeated, subjects


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    source = random.normal(size=(40, 70))
    return source, np.round(source[:, :9] + random.normal(size=(40, 9)), 1)  # rounded: some are equal


def test_rank_correlation_is_that_of_scipy(pair: tuple[np.ndarray, np.ndarray]) -> None:
    first, second = pair[1][:, 0], pair[1][:, 1]
    assert spearman(first, second) == pytest.approx(spearmanr(first, second).statistic, abs=1e-14)
    assert np.isnan(spearman(first, np.where(second > 0, np.nan, second)))


def test_missing_scipy_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(ScoreExtraMissingError, match=r"need scipy.*pip install 'brain-adapters\[score\]'"):
        spearman(np.arange(3.0), np.arange(3.0))


def test_pearson_is_that_of_scipy_and_nan_for_a_constant_neuroid(pair: tuple[np.ndarray, np.ndarray]) -> None:
    first, second = pair[0][:, :4].copy(), pair[1][:, :4].copy()
    second[:, 3] = 0.1  # ten times this, divided by ten, is not this
    r = pearson_per_neuroid(first, second)
    for unit in range(3):
        assert r[unit] == pytest.approx(pearsonr(first[:, unit], second[:, unit]).statistic, abs=1e-14)
    assert np.isnan(r[3])
    assert np.isnan(pearson_per_neuroid(second, first)[3])


def test_rdm_by_hand(pair: tuple[np.ndarray, np.ndarray]) -> None:
    above = np.triu_indices(40, 1)
    expected = spearmanr(*(1 - np.corrcoef(each)[above] for each in pair)).statistic
    assert METRICS["rdm"](*pair).value == pytest.approx(expected, abs=1e-12)


def test_unbiased_alignment_by_hand() -> None:
    """As sums over sets of different stimuli, as the estimate is defined."""
    random = np.random.default_rng(1)
    x, y = random.normal(size=(7, 3)), random.normal(size=(7, 4))

    def independence(first: np.ndarray, second: np.ndarray) -> float:
        k, m, n = first @ first.T, second @ second.T, 7
        i = range(n)
        pairs = np.mean([k[a, b] * m[a, b] for a in i for b in i if a != b])
        threes = np.mean([k[a, b] * m[a, c] for a in i for b in i for c in i if len({a, b, c}) == 3])
        fours = np.mean([k[a, b] * m[c, d] for a in i for b in i for c in i for d in i if len({a, b, c, d}) == 4])
        return float(pairs + fours - 2 * threes)

    expected = independence(x, y) / np.sqrt(independence(x, x) * independence(y, y))
    assert METRICS["cka"](x, y).value == pytest.approx(expected, abs=1e-10)


def test_biased_alignment_by_hand(pair: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = (each - each.mean(axis=0) for each in pair)
    expected = np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    assert METRICS["cka_biased"](*pair).value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("identifier", ["rdm", "cka", "cka_biased", "rdm_cv", "cka_cv"])
def test_similarities_need_inner_products_alone(identifier: str, pair: tuple[np.ndarray, np.ndarray]) -> None:
    source, target = pair
    metric = METRICS[identifier]
    found = metric(source, target)
    from_moments = metric(Features.from_moments(Moments.of(source)), target)
    assert from_moments.value == pytest.approx(found.value, abs=1e-12)
    assert found.raw.shape == (10 if identifier.endswith("_cv") else 1, 1)
    assert metric(source, source).value == pytest.approx(1)
    if not identifier.endswith("_cv"):
        splits = shuffle_splits(40, n_splits=3)
        by_hand = [metric(source[test], target[test]).value for _, test in splits]
        np.testing.assert_allclose(metric(source, target, splits=splits).raw[:, 0], by_hand, atol=1e-9)


def test_no_variance_has_no_similarity(pair: tuple[np.ndarray, np.ndarray]) -> None:
    constant = np.full((40, 70), 3.3)
    assert METRICS["cka"](constant, pair[1]).value == 0
    for identifier in ("rdm", "cka_biased"):
        found = METRICS[identifier](constant, pair[1])
        assert np.isnan(found.value)
        assert found.flags == ("undefined=1",)


def test_too_few_stimuli_or_units(pair: tuple[np.ndarray, np.ndarray]) -> None:
    source, target = pair
    with pytest.raises(ScoringError, match=r"3 stimuli.*at least 4.*cka_biased"):
        METRICS["cka"](source[:3], target[:3])
    with pytest.raises(ScoringError, match=r"source have 1 unit.*'rdm'.*at least 2.*'cka'"):
        METRICS["rdm"](source[:, :1], target)
    with pytest.raises(ScoringError, match=r"recordings have 1 unit.*'rdm'"):
        METRICS["rdm"](source, target[:, :1])


def test_subjects_one_by_one() -> None:
    repetitions, (source, target, _) = repeated()
    found = subject_similarities(Features.of(source), target, subjects())
    expected = [METRICS["rdm"](source, target[:, subjects() == name]).value for name in "abcd"]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    ceiling = rsa_ceiling(repetitions.mean(axis=0), subjects())
    assert ceiling.value == pytest.approx(ceiling.upper.mean())
    assert (ceiling.upper > ceiling.lower).all()
    with pytest.raises(ScoringError, match=r"1 subject were given.*at least 2.*internal_consistency"):
        rsa_ceiling(target, np.array(["a"] * 12))


def test_the_best_unit_has_the_largest_signed_correlation(pair: tuple[np.ndarray, np.ndarray]) -> None:
    source, target = pair
    source[:, 3] = 0.1  # constant: correlates with nothing
    source[:, 5] = -target[:, 0]  # a perfect correlation of the wrong sign
    splits = shuffle_splits(40, n_splits=3)
    for predicted, (train, test) in zip(
        METRICS["neuron_to_neuron"].predictions(source, target, splits), splits, strict=True
    ):
        with np.errstate(invalid="ignore"):
            r = np.corrcoef(source[train].T, target[train].T)[:70, 70:]
        np.testing.assert_array_equal(predicted, source[test][:, np.nanargmax(r, axis=0)])


def test_best_units_are_found_across_blocks_of_units(pair: tuple[np.ndarray, np.ndarray]) -> None:
    target = pair[1]
    source = np.random.default_rng(0).normal(size=(40, 9000)).astype(np.float32)
    places = [8999, 4095, 4096, 0, 5000, 1, 2, 3, 8191]
    source[:, places] = target
    assert METRICS["neuron_to_neuron"](source, target).value == pytest.approx(1)


def test_units_are_not_to_be_had_from_inner_products(pair: tuple[np.ndarray, np.ndarray]) -> None:
    moments = Features.from_moments(Moments.of(pair[0]))
    for identifier in ("neuron_to_neuron", "reverse_pls"):
        with pytest.raises(ScoringError, match=rf"'{identifier}' needs the values.*Features.of\(values\)"):
            METRICS[identifier](moments, pair[1])
