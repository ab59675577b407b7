"""The layer that made the recordings is found, and the extractor is left as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA

from benchmarks_local import NeuralBenchmark, ScoringError
from benchmarks_local.mock import draw_stimuli
from benchmarks_local.selection import LayerPCA, LayerSelection, layer_values, select_layer


def record_from(extractor: Any, layer: str, stimuli: Any, noise: float = 0.3) -> NeuralBenchmark:
    """Make recordings of 12 neuroids, each a mixture of eight units of a layer, with 6 repetitions."""
    rng = np.random.default_rng(0)
    values = extractor(stimuli, layers=[layer]).values
    units = rng.permutation(values.shape[1])[:8]
    responses = values[:, units] @ rng.normal(size=(8, 12))
    responses = (responses - responses.mean(axis=0)) / responses.std(axis=0)
    recordings = responses + rng.normal(0, noise, size=(6, *responses.shape))
    return NeuralBenchmark("Toy2026.IT-pls", "IT", stimuli, recordings, visual_degrees=8)


@pytest.fixture
def pca_stimuli(tmp_path: Path) -> Any:
    return draw_stimuli(tmp_path, range(2000, 2048))[0]


def test_the_generating_layer_scores_near_the_ceiling_and_is_chosen(
    make_extractor: Any, make_layer: Any, benchmark_mock: Any, pca_stimuli: Any
) -> None:
    noise = np.random.default_rng(9).normal(size=(128, 50))
    extractor = make_extractor(
        {"random": lambda pixels: np.resize(noise, (len(pixels), 50)), "generating": make_layer(30, 1)}, batch_size=200
    )
    benchmark = record_from(extractor, "generating", benchmark_mock.stimuli)
    selection = select_layer(extractor, ["random", "generating"], benchmark, benchmark.stimuli, pca_stimuli)
    assert selection.best == "generating"
    assert selection.correlations["generating"] > 0.95 * np.sqrt(benchmark.ceiling)
    assert abs(selection.correlations["random"]) < 0.2


def test_extractor_is_left_as_found_and_reduced_under_another_identifier(
    toy_extractor: Any, benchmark_mock: Any, pca_stimuli: Any
) -> None:
    select_layer(toy_extractor, ["late", "middle"], benchmark_mock, benchmark_mock.stimuli, pca_stimuli)
    assert toy_extractor.hooks == []
    assert toy_extractor.identifier == "toy"
    assert toy_extractor.identifiers_seen == ["toy", "toy-pca_1000"]


def test_extractor_is_left_as_found_after_an_error(make_extractor: Any, make_layer: Any, benchmark_mock: Any) -> None:
    def fail_on_many(pixels: np.ndarray) -> np.ndarray:
        if len(pixels) > 100:
            raise MemoryError("too many")
        return pixels

    extractor = make_extractor({"layer": fail_on_many}, batch_size=200)
    with pytest.raises(MemoryError, match="too many"):
        select_layer(extractor, ["layer"], benchmark_mock, benchmark_mock.stimuli, benchmark_mock.stimuli.iloc[:40])
    assert extractor.hooks == []
    assert extractor.identifier == "toy"


def test_pca_reduces_large_layers_as_scikit_learn_does(make_extractor: Any, make_layer: Any, pca_stimuli: Any) -> None:
    extractor = make_extractor({"large": make_layer(1500, 1), "small": make_layer(1000, 2)})
    reduce = LayerPCA(extractor, ["large", "small"], pca_stimuli)
    full = extractor(pca_stimuli, layers=["large", "small"])
    large, small = layer_values(full, "large"), layer_values(full, "small")
    reduced = reduce({"small": small[:5].reshape(5, 10, 100), "large": large[:5].reshape(5, 15, 100)})
    assert list(reduced) == ["small", "large"]
    np.testing.assert_array_equal(reduced["small"], small[:5])
    expected = PCA(47, svd_solver="full").fit(large).transform(large[:5])
    np.testing.assert_allclose(reduced["large"], expected, atol=2e-6)  # components are kept in single precision


def test_the_earlier_of_equal_layers_is_best_and_nan_never() -> None:
    assert LayerSelection({"a": float("nan"), "b": -0.1, "c": -0.1}).best == "b"


def test_constant_layers_are_refused(make_extractor: Any, benchmark_mock: Any, pca_stimuli: Any) -> None:
    extractor = make_extractor({"dead": lambda pixels: np.zeros((len(pixels), 30))})
    with pytest.raises(ScoringError, match=r"None of the layers dead varies.*does the model see the images"):
        select_layer(extractor, ["dead"], benchmark_mock, benchmark_mock.stimuli, pca_stimuli)


def test_a_layer_that_cannot_be_fitted_is_named(make_extractor: Any, benchmark_mock: Any, pca_stimuli: Any) -> None:
    extractor = make_extractor({"small": lambda pixels: pixels[:, :10]})
    with pytest.raises(ScoringError, match=r"Layer 'small': The source has 10 features"):
        select_layer(extractor, ["small"], benchmark_mock, benchmark_mock.stimuli, pca_stimuli)


def test_nan_is_found_before_it_reaches_the_components(make_extractor: Any, pca_stimuli: Any) -> None:
    extractor = make_extractor({"bad": lambda pixels: np.full((len(pixels), 30), np.nan)})
    with pytest.raises(ScoringError, match=r"values of the activations of layer 'bad' are NaN"):
        LayerPCA(extractor, ["bad"], pca_stimuli)


def test_a_layer_that_the_extractor_leaves_out_is_named(toy_extractor: Any, pca_stimuli: Any) -> None:
    activations = toy_extractor(pca_stimuli, layers=["late"])
    with pytest.raises(ScoringError, match=r"Layer 'middle' was asked for.*do not contain it"):
        layer_values(activations, "middle")
