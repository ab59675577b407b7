"""Where Brain-Score's extractor (2.4.2) is wrong or fails: each test runs both, and holds ours against a plain forward.

A test that fails because Brain-Score changed is good news; then the difference goes, and docs/decisions.md with it.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from brainscore_vision.model_helpers.brain_transformation import LabelBehavior
from brainscore_vision.model_interface import BrainModel
from torch import nn

import adapters
from adapters.errors import LayerNeverRanError, LayerNotFoundError, ModelForwardError

from .comparing import SIDE, assert_values, images_of, wrap_both


def test_convolution_before_a_relu_in_place(image_paths):
    """Theirs keeps a view of the memory that ReLU overwrites: the convolution seems rectified."""
    conv = nn.Conv2d(3, 4, 3)
    ours, theirs = wrap_both(nn.Sequential(conv, nn.ReLU(inplace=True)))
    expected = conv(images_of(image_paths[:2]))
    assert (expected < 0).any()
    assert_values(theirs(image_paths[:2], ["0"]), expected.relu())
    assert_values(ours(image_paths[:2], ["0"]), expected)


class Recurrent(nn.Module):
    """One convolution that runs three times."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def steps(self, images: torch.Tensor) -> list[torch.Tensor]:
        found = [images]
        for _ in range(3):
            found.append(self.conv(found[-1]))
        return found[1:]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.steps(images)[-1]


def test_a_module_that_runs_several_times(image_paths):
    """Theirs gives the last call and says nothing; ours gives each, and warns when it is not said which."""
    model = Recurrent()
    ours, theirs = wrap_both(model)
    expected = model.steps(images_of(image_paths[:2]))
    assert_values(theirs(image_paths[:2], ["conv"]), expected[2])
    found = ours(image_paths[:2], ["conv"], calls="all")
    assert_values(found, torch.cat([step.flatten(1) for step in expected], dim=1))
    assert list(dict.fromkeys(found["time_step"].values)) == [0, 1, 2]
    assert_values(ours(image_paths[:2], ["conv@1"]), expected[1])
    with pytest.warns(adapters.AdapterWarning, match="run several times per forward pass; you get the last call"):
        assert_values(ours(image_paths[:2], ["conv"]), expected[2])


class HalfUsed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.unused, self.used = nn.Linear(2, 2), nn.Conv2d(3, 2, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.used(images)


def test_a_layer_that_never_runs(image_paths):
    """Theirs leaves it out of the assembly, or fails with its bare name when it is the first."""
    ours, theirs = wrap_both(HalfUsed())
    assert set(theirs(image_paths[:1], ["used", "unused"])["layer"].values) == {"used"}
    with pytest.raises(KeyError, match=r"^'unused'$"):
        theirs(image_paths[:1], ["unused", "used"])
    for layers in (["used", "unused"], ["unused", "used"]):
        with pytest.raises(LayerNeverRanError, match="'unused'"):
            ours(image_paths[:1], layers)


def test_a_layer_that_does_not_exist(image_paths):
    ours, theirs = wrap_both(HalfUsed())
    with pytest.raises(AssertionError, match="No submodule found for layer use"):
        theirs(image_paths[:1], ["use"])
    with pytest.raises(LayerNotFoundError, match="Did you mean 'used'"):
        ours(image_paths[:1], ["use"])


class HeadFirst(nn.Module):
    """Registers its head before its trunk, as many models do that set the head in a base class."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.trunk = nn.Linear(4, 10), nn.Conv2d(3, 4, SIDE)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.trunk(images).flatten(1)) / 2


def test_logits_are_what_the_model_returns(image_paths):
    """Theirs takes the leaf that was registered last, here a convolution; and not what the forward did after it."""
    model = HeadFirst()
    ours, theirs = wrap_both(model)
    images = images_of(image_paths[:3])
    assert_values(theirs(image_paths[:3], ["logits"]), model.trunk(images))
    assert_values(ours(image_paths[:3], ["logits"]), model(images))


class Tokens(nn.Module):
    """A convolution (rank 3), tokens (rank 2) and a dense head (rank 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.norm, self.head = nn.Conv2d(3, 5, 4, 4), nn.LayerNorm(5), nn.Linear(5, 7)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.patches(images).flatten(2).transpose(1, 2)).mean(1))


@pytest.mark.parametrize("layers", [["patches", "norm"], ["norm", "head"], ["norm", "patches", "head"]])
def test_layers_of_different_rank(image_paths, layers):
    model = Tokens()
    ours, theirs = wrap_both(model)
    with pytest.raises(KeyError, match=r"channel_x|embedding"):
        theirs(image_paths[:2], layers)
    expected = {"patches": (patches := model.patches(images_of(image_paths[:2])))}
    expected["norm"] = model.norm(patches.flatten(2).transpose(1, 2))
    expected["head"] = model.head(expected["norm"].mean(1))
    found = ours(image_paths[:2], layers)
    assert_values(found, torch.cat([expected[layer].flatten(1) for layer in layers], dim=1))
    for layer, given in {"norm": {"channel", "embedding"}, "head": {"channel"}}.items():
        part = found.isel(neuroid=found["layer"].values == layer)
        levels = ("channel", "channel_x", "channel_y", "embedding")
        filled = {name for name in levels if name in found.indexes["neuroid"].names and part[name].notnull().all()}
        assert layer not in layers or filled == given


def test_an_output_that_is_no_tensor(image_paths):
    class Pair(nn.Module):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return images.mean((2, 3)), images.amax((2, 3))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pair, self.head = Pair(), nn.Linear(3, 2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.head(self.pair(images)[0])

    model = Net()
    ours, theirs = wrap_both(model)
    mean, largest = model.pair(images_of(image_paths[:2]))
    assert_values(ours(image_paths[:2], ["pair"]), mean)
    assert_values(ours(image_paths[:2], ["pair:1"]), largest)
    with pytest.raises(AttributeError, match="'tuple' object has no attribute 'cpu'"):
        theirs(image_paths[:2], ["pair"])


def test_a_model_without_parameters(image_paths):
    ours, theirs = wrap_both(nn.Sequential(nn.AvgPool2d(2)))
    with pytest.raises(StopIteration):
        theirs(image_paths[:2], ["0"])
    assert_values(ours(image_paths[:2], ["0"]), nn.functional.avg_pool2d(images_of(image_paths[:2]), 2))


def test_bfloat16(image_paths):
    model = nn.Sequential(nn.Conv2d(3, 4, 3)).to(torch.bfloat16)
    ours, theirs = wrap_both(model)
    found = ours(image_paths[:2], ["0"])
    assert found.dtype == np.float32
    assert_values(found, model(images_of(image_paths[:2], torch.bfloat16)), rtol=1e-2)
    with pytest.raises(TypeError, match="unsupported ScalarType BFloat16"):
        theirs(image_paths[:2], ["0"])


def test_float16_logits(make_stimulus_set):
    """Theirs stays in half precision, where the softmax of ``LabelBehavior`` overflows: every probability is NaN."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 1000)).half()
    with torch.no_grad():
        model[1].bias[0] = 20
    ours, theirs = wrap_both(model)
    stimuli = make_stimulus_set(2)
    assert theirs(stimuli, ["logits"]).dtype == np.float16
    assert ours(stimuli, ["logits"]).dtype == np.float32
    softmaxes = []
    for each in (ours, theirs):
        with np.errstate(over="ignore", invalid="ignore"):
            exponentials = np.exp(each(stimuli, ["logits"]).values)
            softmaxes.append(exponentials / exponentials.sum(1, keepdims=True))
    assert not np.isfinite(softmaxes[1]).all()
    np.testing.assert_allclose(softmaxes[0].sum(1), 1, rtol=1e-5)
    readout = LabelBehavior("net", ours)
    readout.start_task(BrainModel.Task.label, ["dog", "car"])
    assert readout.look_at(stimuli).shape == (1, 2)


def test_other_weights_under_the_same_identifier(image_paths, monkeypatch):
    """Theirs finds stored results by identifier, and answers with those of other weights; ours keeps none."""
    monkeypatch.delenv("RESULTCACHING_DISABLE")
    conv = nn.Conv2d(3, 4, 3)
    ours, theirs = wrap_both(nn.Sequential(conv))
    before = conv(images_of(image_paths[:2]))
    for each in (ours, theirs):
        assert_values(each(image_paths[:2], ["0"], stimuli_identifier="same"), before)
    nn.init.constant_(conv.weight, 0.1)
    assert_values(theirs(image_paths[:2], ["0"], stimuli_identifier="same"), before)
    assert_values(ours(image_paths[:2], ["0"], stimuli_identifier="same"), conv(images_of(image_paths[:2])))


class Failing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fails = nn.Conv2d(3, 2, 3), False

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        values = self.conv(images)
        if self.fails:
            raise ValueError("no such luck")
        return values


def test_a_forward_pass_that_raises(image_paths):
    """Theirs leaves its hooks in the model, and the model in evaluation mode."""
    model = Failing()
    ours, theirs = wrap_both(model)
    ours(image_paths[:1], ["conv"])
    model.train().fails = True
    with pytest.raises(ModelForwardError, match="no such luck"):
        ours(image_paths[:1], ["logits"])
    assert not model.conv._forward_hooks
    assert model.training
    with pytest.raises(ValueError, match="no such luck"):
        theirs(image_paths[:1], ["conv"])
    assert len(model.conv._forward_hooks) == 1
    assert not model.training
