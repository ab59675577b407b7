"""Which layer is chosen, which cannot be told from it, and the file that says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks_local import Score, ScoringError, region_layer_map, write_region_layer_map
from benchmarks_local.committing import commit_layer
from benchmarks_local.metrics import CrossValidated


def reached(r: float, spread: float, seed: int, n_neuroids: int = 60) -> CrossValidated:
    """Return what a layer reached: the same spread over neuroids in all splits."""
    generator = np.random.default_rng(seed)
    neuroids = r + generator.normal(0, spread, n_neuroids)
    return CrossValidated.from_raw(neuroids + generator.normal(0, 0.001, (10, n_neuroids)))


def test_the_highest_r_wins_and_what_is_near_it_is_a_tie() -> None:
    layers = {"a": reached(0.3, 0.05, 0), "b": reached(0.5, 0.05, 1), "c": reached(0.499, 0.05, 2)}
    found = commit_layer(layers)
    values = {name: each.value for name, each in layers.items()}
    assert found.layer == max(values, key=lambda name: values[name])
    assert found.ties == ("b", "c")
    assert not found.is_identifiable
    assert found.margin == pytest.approx(abs(values["b"] - values["c"]))


def test_the_standard_error_is_that_of_the_paired_difference() -> None:
    """Neuroids differ much more than the layers do, but all by the same amount: the layers can be told apart."""
    neuroids = np.random.default_rng(0).normal(0.4, 0.2, 100)
    near = CrossValidated.from_raw(np.tile(neuroids - 0.02, (10, 1)))
    found = commit_layer({"best": CrossValidated.from_raw(np.tile(neuroids, (10, 1))), "near": near})
    assert found.ties == ("best",)
    assert found.is_identifiable


def test_standard_error_against_a_bootstrap_by_hand() -> None:
    """A layer is a tie exactly when it lies within the standard deviation of 1,000 paired draws of neuroids."""
    generator = np.random.default_rng(5)
    best = np.tile(generator.normal(0.5, 0.1, 40), (10, 1))
    noise = generator.normal(0, 0.1, 40)
    rows = np.random.default_rng(0).integers(40, size=(1000, 40))
    for shift in (0.005, 0.01, 0.02, 0.04, 0.08):
        other = best - shift + noise
        difference = np.median(best[0][rows], axis=1) - np.median(other[0][rows], axis=1)
        gap = np.median(best[0]) - np.median(other[0])
        found = commit_layer({"x": CrossValidated.from_raw(best), "y": CrossValidated.from_raw(other)})
        is_tie = abs(gap) <= difference.std(ddof=1)
        assert (len(found.ties) == 2) == is_tie


def test_a_negative_r_never_wins() -> None:
    found = commit_layer({"anti": reached(-0.6, 0.01, 0), "weak": reached(0.1, 0.01, 1)})
    assert found.layer == "weak"


def test_layers_without_variation_are_passed_over() -> None:
    constant = CrossValidated.from_raw(np.full((10, 60), np.nan))
    assert commit_layer({"dead": constant, "alive": reached(0.2, 0.01, 0)}).layer == "alive"
    with pytest.raises(ScoringError, match=r"None of the layers dead varies with the stimuli"):
        commit_layer({"dead": constant})
    with pytest.raises(ScoringError, match=r"\(there are none\)"):
        commit_layer({})


def test_layers_on_different_splits_cannot_be_compared() -> None:
    other = CrossValidated.from_raw(np.full((5, 60), 0.2))
    with pytest.raises(ScoringError, match=r"compared on 10 and 5 splits"):
        commit_layer({"a": reached(0.5, 0.1, 0), "b": other})


def test_similarity_metrics_are_told_apart_by_their_splits() -> None:
    values = np.random.default_rng(0).normal(0.3, 0.01, (10, 1))
    found = commit_layer({"a": CrossValidated.from_raw(values), "b": CrossValidated.from_raw(values - 0.1)})
    assert found.ties == ("a",)


def scored(region: str | None, layer: str | None, model: str = "m") -> Score:
    attrs: dict[str, Any] = {"region": region, "layer": layer, "model": model}
    return Score(0.5, 0.01, 0.9, 0.67, attrs)


def test_the_map_is_what_a_registration_takes(tmp_path: Path) -> None:
    scores = [scored("V4", "conv2"), scored("IT", "fc"), scored("behavior", None)]
    assert region_layer_map(scores) == {"V4": "conv2", "IT": "fc"}
    assert region_layer_map(scores[1]) == {"IT": "fc"}
    path = write_region_layer_map(scores, tmp_path / "m.json")
    assert json.loads(path.read_text()) == {"V4": "conv2", "IT": "fc"}


def test_contradicting_maps_are_refused() -> None:
    with pytest.raises(ScoringError, match=r"commit IT to different layers, 'fc' and 'conv2'"):
        region_layer_map([scored("IT", "fc"), scored("IT", "conv2")])
    with pytest.raises(ScoringError, match=r"of the models m, n; a region_layer_map belongs to one"):
        region_layer_map([scored("IT", "fc"), scored("V4", "fc", "n")])


def test_several_layers_for_a_region_stay_several() -> None:
    assert region_layer_map(scored("IT", "conv2, fc")) == {"IT": ["conv2", "fc"]}
