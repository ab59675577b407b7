"""What is gathered is what NumPy finds from all values at once, whatever the budget."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from torch import nn

import adapters
from adapters.errors import BudgetError
from benchmarks_local.errors import ScoringError
from benchmarks_local.gathering import accumulating, features_of, gather, plan_gathering
from benchmarks_local.metrics import get_metric

from .networks import LAYERS, assert_gathered, centred_gram


def test_one_pass(extractor, images, expected):
    plan = plan_gathering(extractor, images, LAYERS)
    assert (plan.n_passes, plan.layers, plan.n_presentations) == (1, tuple(LAYERS), 9)
    features = gather(extractor, images, LAYERS)
    assert list(features) == LAYERS
    assert all(each.values is None for each in features.values())
    assert_gathered(features, expected(images))


@pytest.mark.parametrize("n_columns", [1, 100, 1151])
def test_blocks_add_up(extractor, images, expected, monkeypatch, n_columns):
    """A layer is worked on in blocks of units; no toy is as wide as the block that there really is."""
    monkeypatch.setattr(accumulating, "_BLOCK_BYTES", 8 * 9 * n_columns)
    layers = ["conv2", "head"] if n_columns == 1 else LAYERS
    assert_gathered(gather(extractor, images, layers), expected(images))


def test_globs_and_order(extractor, images, expected):
    features = gather(extractor, images, ["head", "conv*"])
    assert list(features) == ["head", "conv1", "conv2"]
    assert_gathered(features, expected(images))


@pytest.mark.parametrize("n_units", [1300, 500, 150, 100], ids=lambda n: f"{n} units at a time")
def test_several_passes(extractor, images, expected, budget_for, n_units):
    """conv1 and relu1 have 8 channels of 144 values: with less room than that, parts of channels are read."""
    memory = budget_for(n_units, extractor, images, LAYERS)
    plan = plan_gathering(extractor, images, LAYERS, memory=memory)
    assert plan.n_passes >= 2663 / (n_units + 150)
    assert plan.peak_bytes <= memory
    windows = [part.window for parts in plan.passes for part in parts if part.window is not None]
    assert windows
    assert any(window.lead for window in windows) == (n_units < 144)
    assert_gathered(gather(extractor, images, LAYERS, memory=memory), expected(images))
    assert extractor.batch_size == 4


def test_stimuli_that_can_be_taken_only_once(extractor, images, expected, budget_for):
    memory = budget_for(1300, extractor, images, LAYERS)
    assert_gathered(gather(extractor, iter(images), LAYERS, memory=memory), expected(images))


def test_subsets_share_the_inner_products(extractor, images, expected):
    features, rows = gather(extractor, images, ["conv2"])["conv2"], np.array([7, 1, 4, 2])
    np.testing.assert_allclose(features.subset(rows).gram, centred_gram(expected(images)["conv2"][rows]), atol=1e-4)


def test_values_that_are_kept(extractor, images, expected):
    features = gather(extractor, images, LAYERS, keep_values=["pool"])
    np.testing.assert_allclose(features["pool"].values, expected(images)["pool"], atol=1e-6)
    assert features["pool"].values.dtype == np.float32
    assert features["conv1"].values is None
    assert_gathered(features, expected(images))
    target = expected(images)["pool"][:, np.argsort(expected(images)["pool"].std(axis=0))[-2:]]
    splits = [(np.arange(6), np.arange(6, 9))]
    assert get_metric("neuron_to_neuron")(features["pool"], target, splits=splits).value > 0.999


def test_globs_of_values_that_are_kept(extractor, images):
    features = gather(extractor, images, LAYERS, keep_values=["conv*", "head"])
    assert [layer for layer, each in features.items() if each.values is not None] == ["conv1", "conv2", "head"]


def test_values_that_do_not_fit(extractor, images, budget_for):
    memory = budget_for(10, extractor, images, LAYERS)
    with pytest.raises(BudgetError, match=r"9 presentations need .*values of relu1 41\.5 kB") as it:
        gather(extractor, images, LAYERS, memory=memory, keep_values=["relu1"])
    assert "keep the values of fewer layers" in str(it.value)


def test_values_of_a_layer_that_is_not_read(extractor, images):
    with pytest.raises(ScoringError, match=r"keep_values names layer 'con1', .* Did you mean 'conv1'\?"):
        plan_gathering(extractor, images, LAYERS, keep_values=["con1"])


def test_no_memory_at_all(extractor, images):
    with pytest.raises(BudgetError, match=r"the budget is 1\.0 MB\. Give more memory=, use fewer stimuli or layers\."):
        plan_gathering(extractor, images, LAYERS, memory="1MB")


def test_the_plan_says_what_will_happen(extractor, images, budget_for):
    memory = budget_for(1500, extractor, images, LAYERS, keep_values=["head"])
    text = str(plan_gathering(extractor, images, LAYERS, memory=memory, keep_values=["head"]))
    assert text.startswith("toy: inner products of 9 presentations in 5 layers, 2,663 values per image")
    assert "2 passes over 9 images, batches of" in text
    assert "252 B of values kept" in text
    assert "pass 1: conv1, relu1 units[0:2], 1,440 values per image" in text
    assert "pass 2: relu1 units[2:8], pool, conv2, head, 1,223 values per image" in text


def test_a_hook_gets_whole_layers(extractor, images, expected, budget_for):
    """A hook may do anything to the values, so that they are not cut before."""
    memory = budget_for(1300, extractor, images, LAYERS)
    seen = {}

    def double(batch):
        seen.update({layer: values.shape[1:] for layer, values in batch.items()})
        return {layer: 2 * values for layer, values in batch.items()}

    handle = extractor.register_batch_activations_hook(double)
    features = gather(extractor, images, LAYERS, memory=memory)
    handle.remove()
    assert seen["relu1"] == (8, 12, 12)
    assert_gathered(features, {layer: 2 * values for layer, values in expected(images).items()})


class Breaking(nn.Module):
    """Gives some images values that are not finite."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value
        self.inner = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = images.clone()
        images[(images[:, 0, 0, 0] > 0.9), 1, 2, 2] = self.value
        return self.inner(images)


@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=str)
@pytest.mark.parametrize("keep", [(), ("inner",)], ids=["inner products", "values"])
def test_values_that_are_not_finite(images, value, keep):
    images[:, 0, 0, 0] = 128
    images[4, 0, 0, 0] = 255
    extractor = adapters.wrap(Breaking(value), identifier="breaking", preprocessing=adapters.raw(12), batch_size=3)
    with pytest.raises(
        ScoringError, match=r"Layer 'inner' gave at least 1 value that is NaN or infinite.*presentation 4"
    ):
        gather(extractor, images, ["inner"], keep_values=keep)
    assert extractor.batch_size == 3


class Foreign:
    """An extractor of another library: a name, a call, and nothing else."""

    identifier = "foreign"

    def __init__(self, values: dict[str, np.ndarray], *, index: bool = True) -> None:
        self.values, self.index, self.asked = values, index, []

    def __call__(self, stimuli, layers):
        self.asked.append(list(layers))
        names = np.concatenate([np.repeat(name, self.values[name].shape[1]) for name in layers])
        assembly = xr.DataArray(
            np.concatenate([self.values[name] for name in layers], axis=1).T,
            dims=("neuroid", "presentation"),
            coords={"layer": ("neuroid", names), "neuroid_num": ("neuroid", np.arange(len(names)))},
        )
        return assembly.set_index(neuroid=["layer", "neuroid_num"]) if self.index else assembly


@pytest.mark.parametrize("index", [True, False], ids=["levels", "coordinates"])
def test_an_extractor_of_another_library(images, expected, index):
    """It does not tell the sizes of its layers: each is read alone."""
    values = expected(images)
    foreign = Foreign(values, index=index)
    features = gather(foreign, list(images), ["conv2", "head"])
    assert foreign.asked == [["conv2"], ["head"]]
    assert_gathered(features, values)


def test_values_too_large_to_be_squared():
    foreign = Foreign({"huge": np.array([[1e200, 2e200], [3e200, 1e200], [0, 1]])})
    with pytest.raises(ScoringError, match=r"layer 'huge' are as large as 3\.0e\+200, too large for their squares"):
        gather(foreign, [1, 2, 3], ["huge"])


def labelled(names, values):
    return xr.DataArray(values, dims=("presentation", "neuroid"), coords={"layer": ("neuroid", names)})


def test_layers_whose_neuroids_are_mixed():
    values = np.random.default_rng(0).normal(size=(6, 5))
    features = features_of(labelled(["a", "b", "a", "b", "b"], values), ["b", "a"])
    assert list(features) == ["b", "a"]
    np.testing.assert_allclose(features["a"].gram, centred_gram(values[:, [0, 2]]))
    np.testing.assert_allclose(features["b"].gram, centred_gram(values[:, [1, 3, 4]]))


def test_activations_without_the_layer():
    with pytest.raises(ScoringError, match=r"Layer 'c' was asked for, but the activations hold only a, b"):
        features_of(labelled(["a", "b"], np.eye(2)), ["c"])
    with pytest.raises(ScoringError, match=r"have the coordinates \(none\), and not 'layer'"):
        features_of(xr.DataArray(np.eye(2), dims=("presentation", "neuroid")), ["c"])


def test_a_table_of_stimuli(extractor, images, expected, tmp_path):
    from PIL import Image

    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    rows = [3, 0, 3]
    table = pd.DataFrame({"stimulus_id": ["c", "a", "c2"], "path": [str(tmp_path / f"{row}.png") for row in rows]})
    values = expected(images[rows])
    assert_gathered(gather(extractor, table, ["conv1", "head"]), values)
