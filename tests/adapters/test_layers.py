"""Listing layers and finding requested ones: names, aliases, globs, calls, parts, and what is not there."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

import adapters
from adapters.errors import ActivationShapeError, AdapterWarning, LayerNeverRanError, LayerNotFoundError
from adapters.layers import Layer, Layers, resolve


class Net(nn.Module):
    """Registered in another order than it runs; one layer is called three times, one never."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, 4)
        self.relu = nn.ReLU()
        self.features = nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 6, 3, padding=1), norm=nn.BatchNorm2d(6)))
        self.unused = nn.Linear(2, 2)
        self.ids = Positions()
        self.block = nn.ModuleDict({"in:side": nn.Identity(), "a@1": nn.Identity()})
        self.tied = self.head

    def forward(self, images):
        values = self.relu(self.features(images))
        self.ids(values)
        values = self.block["a@1"](self.block["in:side"](self.relu(values)))
        return self.relu(self.tied(values.mean((2, 3))))


class Positions(nn.Module):
    def forward(self, images):
        return torch.arange(len(images))


@pytest.fixture
def extractor():
    return adapters.wrap(Net(), identifier="net", preprocessing=adapters.raw(8))


def test_layers_come_in_execution_order_with_kind_and_shape(extractor):
    assert list(extractor.layers) == ["features.conv", "features.norm", "relu", "block.in:side", "block.a@1", "head"]
    frame = extractor.layers.to_frame().set_index("name")
    assert frame.loc["features.conv", "kind"] == "Conv2d"
    assert frame.loc["features.conv", "shape"] == (6, 8, 8)
    assert frame.loc["features.conv", "n_neuroids"] == 384
    assert frame.loc["head", "shape"] == (4,)
    assert frame.loc["relu", "n_calls"] == 3
    assert extractor.layers["relu"].call_shapes == ((6, 8, 8), (6, 8, 8), (4,))
    assert frame.loc["head", "n_calls"] == 1


def test_aliases_are_other_names_of_the_same_values(extractor):
    assert "tied" in extractor.layers["head"].aliases
    assert "features" in extractor.layers["features.norm"].aliases
    images = np.zeros((2, 8, 8, 3))
    for alias, name in [("tied", "head"), ("features", "features.norm")]:
        assert alias in extractor.layers
        np.testing.assert_array_equal(extractor(images, [alias]).values, extractor(images, [name]).values)
        assert set(extractor(images, [alias])["layer"].values) == {alias}


def test_layers_behave_as_a_sequence_of_names(extractor):
    layers = extractor.layers
    assert (len(layers), layers[0], layers[-1]) == (6, "features.conv", "head")
    assert layers[1:3] == ("features.norm", "relu")
    assert "unused" not in layers
    assert layers["logits"].shape == (4,)
    assert [layers.index("relu"), layers.count("relu")] == [2, 1]


def test_table_names_every_layer_and_fits_a_terminal(extractor):
    table = str(extractor.layers)
    assert "6 layers in execution order" in table
    for text in ("features.conv", "Conv2d", "6 x 8 x 8", "called 3x", "also: tied"):
        assert text in table
    assert max(len(line) for line in table.splitlines()) <= 100


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("head", ["head"]),
        (["head", "features.conv"], ["head", "features.conv"]),
        (["head", "head"], ["head"]),
        ("features.*", ["features.conv", "features.norm"]),
        (["*conv", "features.*"], ["features.conv", "features.norm"]),
        (["head", "*"], ["head", "features.conv", "features.norm", "relu", "block.in:side", "block.a@1"]),
        ("feature?", ["features"]),
        ("[hr]e*", ["relu", "head"]),
        ("logits", ["logits"]),
        ("relu@1", ["relu@1"]),
        ("block.in:side", ["block.in:side"]),
        ("block.a@1", ["block.a@1"]),
        (np.array(["head"]), ["head"]),
        (("tied",), ["tied"]),
    ],
    ids=str,
)
def test_names_and_globs_are_resolved_in_requested_order(extractor, wanted, found):
    assert extractor.resolve_layers(wanted) == found
    assembly = extractor(np.zeros((2, 8, 8, 3)), layers=wanted, calls="last")
    assert list(dict.fromkeys(assembly["layer"].values)) == found


def test_a_plain_name_of_a_repeated_layer_warns_once(extractor):
    images = np.zeros((2, 8, 8, 3))
    with pytest.warns(AdapterWarning, match="relu of Net run several times") as caught:
        last = extractor(images, layers=["relu", "head"])
    for fragment in ("'relu@0' ... 'relu@2'", "calls='all'", "calls='last'"):
        assert fragment in str(caught[0].message)
    assert caught[0].filename == __file__
    again = extractor(images, layers=["relu"])  # a second warning would be an error
    np.testing.assert_array_equal(again.values, last.sel(layer="relu").values)


@pytest.mark.parametrize(
    ("wanted", "error", "fragments"),
    [
        ("feature.conv", LayerNotFoundError, ["Net has no layer 'feature.conv'", "Did you mean 'features.conv'?", "6"]),
        ("zzz", LayerNotFoundError, ["no layer 'zzz'", "extractor.layers"]),
        ("", LayerNotFoundError, ["no layer ''"]),
        ("conv*", LayerNotFoundError, ["matches 'conv*'", "6 layers"]),
        ([], LayerNotFoundError, ["No layers were requested", "layers='*'"]),
        ("relu@3", LayerNotFoundError, ["runs 3x", "'relu@3'", "'relu@2'"]),
        ("head@1", LayerNotFoundError, ["runs 1x", "'head@0'"]),
        ("unused", LayerNeverRanError, ["'unused'", "never calls it"]),
        ("ids", ActivationShapeError, ["'ids'", "no floating-point array"]),
        ("head:nothing", ActivationShapeError, ["no part 'head:nothing'", "Tensor"]),
    ],
    ids=str,
)
def test_what_is_not_there_is_explained(extractor, wanted, error, fragments):
    with pytest.raises(error) as caught:
        extractor(np.zeros((1, 8, 8, 3)), layers=wanted)
    message = str(caught.value)
    for fragment in fragments:
        assert fragment in message
    assert not message.startswith("'")  # KeyError would show its repr
    assert "  " not in message


def test_errors_are_also_the_fitting_builtins(extractor):
    with pytest.raises(KeyError):
        extractor.resolve_layers("zzz")
    with pytest.raises(KeyError):
        extractor.layers["zzz"]
    with pytest.raises(RuntimeError):
        extractor.resolve_layers("unused")


def test_default_is_the_models_output(extractor):
    assembly = extractor(np.zeros((2, 8, 8, 3)))
    assert set(assembly["layer"].values) == {"logits"}
    assert assembly.sizes == {"presentation": 2, "neuroid": 4}


class Named(nn.Module):
    """Has a layer of the reserved name, which is not the end of the model."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Linear(3 * 4 * 4, 5)
        self.top = nn.Linear(5, 2)

    def forward(self, images):
        return self.top(self.logits(images.flatten(1)))


def test_logits_is_the_final_output_whatever_a_layer_is_called():
    extractor = adapters.wrap(Named(), preprocessing=adapters.raw(4))
    images = np.random.default_rng(0).random((3, 4, 4, 3))
    assembly = extractor(images, ["logits", "top"])
    np.testing.assert_array_equal(assembly.sel(layer="logits").values, assembly.sel(layer="top").values)
    frame = extractor.layers.to_frame().set_index("name")  # and the table promises nothing else
    assert "logits" not in frame.index or frame.loc["logits", "shape"] == (2,)


@pytest.mark.parametrize("name", ["blocks/1/conv", "blocks[1].conv", ".blocks.1.conv", "Blocks.1.Conv"])
def test_name_in_the_style_of_another_framework_finds_its_layer(name):
    layers = Layers([Layer("blocks.1.conv", "Conv2d", (2, 3, 3))], model="Net", output=None)
    with pytest.raises(LayerNotFoundError, match=r"Did you mean 'blocks\.1\.conv'\? It has 1 layer; list them"):
        resolve(name, layers)
