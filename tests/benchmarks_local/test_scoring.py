"""Scores: known answers, what is noted in them, and benchmarks that do not exist."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.errors import UnsupportedModelError
from benchmarks_local import BenchmarkNotFoundError, Score, ScoringError, list_benchmarks, score
from benchmarks_local.candidate import as_candidate, spread_layers


def test_score_of_an_extractor_names_its_layer_and_repeats(toy_extractor: Any, make_extractor: Any) -> None:
    first = score(toy_extractor, "Mock2026.IT-pls")
    again = score(make_extractor(toy_extractor.functions), "Mock2026.IT-pls")
    assert first == again
    assert first.attrs["layer"] in {"early", "middle", "late"}
    assert first.attrs["model"] == "toy"
    assert first.value == pytest.approx(first.raw**2 / first.ceiling)
    assert float(first) == first.value
    assert 0.4 < first.value < 1
    assert str(first).endswith(f"layer {first.attrs['layer']})")


def test_a_model_that_does_not_see_the_images_scores_about_zero(make_extractor: Any) -> None:
    def ignore(pixels: np.ndarray) -> np.ndarray:
        return np.random.default_rng(len(pixels)).normal(size=(len(pixels), 40))

    assert abs(score(make_extractor({"noise": ignore}), "Mock2026.IT-pls").raw) < 0.2


def test_score_of_a_brain_model_has_no_layer(make_brain_model: Any) -> None:
    result = score(make_brain_model(degrees=10), "Mock2026.IT-pls")
    assert "layer" not in result.attrs
    assert result.attrs["n_features"] == 576
    assert result.raw > 0.5


def test_benchmark_with_time_bins_averages_them(make_brain_model: Any, benchmark_mock: Any) -> None:
    class Temporal(make_brain_model):  # type: ignore[misc]
        def look_at(self, stimuli: Any, number_of_trials: int = 1) -> Any:
            static = super().look_at(stimuli)
            return static.expand_dims(time_bin=3).copy(data=np.stack([static.values * k for k in (0, 1, 2)]))

    assert benchmark_mock(Temporal()).raw == pytest.approx(benchmark_mock(make_brain_model()).raw, abs=1e-9)


def test_temporary_folders_are_removed(toy_extractor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    score(toy_extractor, "Mock2026.IT-pls")
    assert list(tmp_path.iterdir()) == []


def test_unknown_benchmark(toy_extractor: Any) -> None:
    with pytest.raises(BenchmarkNotFoundError, match=r"no benchmark 'Mock2026.V4-pls'. Did you mean 'Mock2026.IT-pls'"):
        score(toy_extractor, "Mock2026.V4-pls")
    with pytest.raises(KeyError, match=r"Here are: .*Mock2026.IT-pls"):
        score(toy_extractor, "x")


def test_list_benchmarks() -> None:
    assert list_benchmarks("[DM]*26.*") == ["Mock2026.IT-pls"]
    assert list_benchmarks("*V4*") == []


def test_what_cannot_be_scored() -> None:
    with pytest.raises(UnsupportedModelError, match=r"class 'dict'.*adapters.wrap\(model\)"):
        as_candidate({})


def test_layers_are_spread_over_those_with_enough_features(make_extractor: Any) -> None:
    sizes = [10, 30, 31, 32, 33, 34, 35, 36, 37, 24]
    functions = {f"l{i}": lambda pixels, size=size: pixels[:, :size] for i, size in enumerate(sizes)}
    assert spread_layers(make_extractor(functions)) == ["l1", "l3", "l5", "l6", "l8"]
    assert spread_layers(make_extractor({"only": lambda pixels: pixels})) == ["only"]


def test_no_layer_is_large_enough(make_extractor: Any) -> None:
    with pytest.raises(ScoringError, match=r"has 1 layer, none with 25 or more features"):
        spread_layers(make_extractor({"small": lambda pixels: pixels[:, :24]}))


def test_an_extractor_that_does_not_list_its_layers(toy_extractor: Any) -> None:
    del toy_extractor.layers
    with pytest.raises(ScoringError, match=r"does not list its layers.*@register_model\(layers"):
        spread_layers(toy_extractor)


def test_score_without_attrs_prints() -> None:
    assert str(Score(0.5, 0.01, 0.9, 0.67)) == "0.500 (r = 0.670 ± 0.010, ceiling 0.900)"
