"""The check on PyTorch models through ``adapters.wrap`` and the registry."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn

import adapters
from benchmarks_local import CheckError, Score, check_model, score
from benchmarks_local.mock import draw_stimuli
from benchmarks_local.selection import LayerPCA, layer_values
from registry import ModelEntry, Registry


def tiny_cnn() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 5, stride=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(8 * 7 * 7, 40),
            nn.ReLU(),
            nn.Linear(40, 10),
        ).eval()


def make_entry(function: Any = tiny_cnn, layers: Any = ("1", "2", "5"), **options: Any) -> ModelEntry:
    options = {"bibtex": "@misc{tiny, url = {https://example.org}}", **options}
    return ModelEntry(
        identifier="tiny_cnn", function=function, layers=layers, preprocessing=adapters.raw(32), **options
    )


def run(model: Any, **kwargs: Any) -> tuple[Any, list[str]]:
    stream = io.StringIO()
    return check_model(model, stream=stream, **kwargs), stream.getvalue().splitlines()


def assert_same(checked: Score, scored: Score) -> None:
    """Compare the check, which chooses a layer by principal components, with ``score`` of that layer."""
    assert scored.attrs["layer"] == checked.attrs["layer"]
    assert (scored.value, scored.raw, scored.ceiling) == pytest.approx((checked.value, checked.raw, checked.ceiling))


def test_a_registered_model_passes_and_its_score_is_that_of_score() -> None:
    registry = Registry()
    registry.register(make_entry())
    report, lines = run("tiny_cnn", registry=registry)
    assert lines[-1] == "Test successful, you are ready to submit!"
    assert report.warnings == ()
    assert report.layer in {"1", "2", "5"}
    assert_same(report.score, score("tiny_cnn", "Mock2026.IT-pls", layers=report.layer, registry=registry))
    assert report.score.raw > 0.5


def test_an_extractor_is_checked_on_layers_from_early_to_late_and_left_as_found() -> None:
    model = tiny_cnn().train()
    extractor = adapters.wrap(model, preprocessing=adapters.raw(32), identifier="mine")
    state = torch.random.get_rng_state()
    report, _ = run(extractor)
    assert report.steps[2].finding.startswith("'0' with 1,568 features, '1' with 1,568 features, '2' with 392 features")
    assert model.training
    assert all(not module._forward_hooks for module in model.modules())
    assert extractor.identifier == "mine"
    assert torch.equal(torch.random.get_rng_state(), state)


def test_random_weights_without_a_seed_are_warned_about() -> None:
    def unseeded() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 8, 5, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 7 * 7, 30))

    report, _ = run(make_entry(unseeded, layers=["1", "3"]))
    assert any("building the model twice gave different activations" in warning for warning in report.warnings)


def test_a_layer_with_too_few_features() -> None:
    with pytest.raises(
        CheckError, match=r"Step 3/8 \(layers\) failed. Layer '6' has 10 features, but PLS.*at least 25"
    ):
        run(make_entry(layers=["1", "6"]))


def test_a_layer_that_does_not_exist() -> None:
    with pytest.raises(CheckError, match=r"\(layers\) failed.*no layer '17'.*extractor.layers"):
        run(make_entry(layers=["1", "17"]))


def test_an_empty_choice_of_layers() -> None:
    with pytest.raises(CheckError, match=r"\(layers\) failed. No layers were requested"):
        run(make_entry(layers=[]))


def test_declared_commitments_are_kept_and_a_small_readout_will_do() -> None:
    entry = make_entry(region_layer_map={"IT": ["1", "5"]}, behavioral_readout_layer="6", visual_degrees=12)
    report, _ = run(entry)
    assert report.layer == "1, 5"
    assert "as region_layer_map says" in report.steps[4].finding
    assert "'6' with 10 features" in report.steps[2].finding
    assert "padded with grey for a screen of 12 degrees" in report.steps[3].finding
    assert report.score.attrs["n_features"] == 1568 + 40


def test_a_declared_layer_needs_no_selection_so_that_small_layers_may_be_listed() -> None:
    report, _ = run(make_entry(layers=["1", "5", "6"], region_layer_map={"IT": "5"}))
    assert report.layer == "5"
    assert report.steps[4].finding == "5, as region_layer_map says"
    assert "left out" not in report.steps[2].finding


def test_no_choice_of_layers_means_all_that_are_large_enough() -> None:
    report, _ = run(make_entry(layers=None))
    assert report.steps[2].finding.endswith("; 1 with fewer than 25 features left out of the selection")
    assert report.layer in {"0", "1", "2", "3", "4", "5"}
    assert_same(report.score, score(make_entry(layers=None), "Mock2026.IT-pls", layers=report.layer))


def test_an_unknown_region_is_warned_about() -> None:
    report, _ = run(make_entry(region_layer_map={"IT": "5", "XX": "1"}))
    assert report.warnings == (
        "region_layer_map names XX, which no benchmark records from. The regions are V1, V2, V4, IT.",
    )


def test_a_readout_that_normalises_over_the_batch_is_refused_though_another_layer_is_committed() -> None:
    class Centred(nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return values - values.mean(0)

    entry = make_entry(lambda: nn.Sequential(*tiny_cnn(), Centred()).eval(), ["1", "5"], behavioral_readout_layer="7")
    with pytest.raises(CheckError, match=r"\(layers\) failed. layer 7: the same stimulus gave other values"):
        run(entry)


def test_the_random_state_of_torch_is_left_as_found() -> None:
    def unseeded() -> nn.Module:
        torch.rand(3)
        return tiny_cnn()

    state = torch.get_rng_state()
    run(make_entry(unseeded, region_layer_map={"IT": "5"}))
    assert torch.equal(torch.get_rng_state(), state)


def test_components_are_those_of_scikit_learn_also_across_batches(tmp_path: Path) -> None:
    extractor = adapters.wrap(tiny_cnn(), preprocessing=adapters.raw(32), batch_size=7)
    stimuli, _ = draw_stimuli(tmp_path, range(40))
    full = layer_values(extractor(stimuli, layers=["1", "5"]), "1")
    handle = extractor.register_batch_activations_hook(LayerPCA(extractor, ["1", "5"], stimuli))
    reduced = extractor(stimuli, layers=["1", "5"])
    handle.remove()
    expected = PCA(39, svd_solver="full").fit_transform(full)
    np.testing.assert_allclose(np.abs(layer_values(reduced, "1")), np.abs(expected), rtol=1e-3, atol=1e-3)
    assert layer_values(reduced, "5").shape == (40, 40)
