"""When a value is taken and when the forward pass ends: later operations and later layers do not matter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import adapters


class Steps(nn.Module):
    """Runs conv, then does something to its output in place, then the end."""

    def __init__(self, then):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.child = nn.Sequential(nn.Conv2d(4, 4, 1))
        self.end, self.then = nn.Flatten(), then

    def forward(self, images):
        values = self.child(self.conv(images))
        self.then(values)
        return self.end(values)


class InPlaceFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values):
        ctx.mark_dirty(values)
        return values.zero_()


def write_through_numpy(values):
    values.numpy()[:] = 7


def write_view(values):
    values.chunk(2, dim=1)[0].mul_(5)


def write_data(values):
    values.data.fill_(3)


IN_PLACE = {
    "relu": nn.ReLU(inplace=True),
    "add": lambda values: values.add_(1),
    "chunk-view": write_view,
    "index": lambda values: values.__setitem__((slice(None), 0), 9.0),
    "data": write_data,
    "numpy": write_through_numpy,
    "out": lambda values: torch.exp(values, out=values),
    "function": InPlaceFunction.apply,
    "resize": lambda values: values.unsqueeze_(0).squeeze_(0).zero_(),
}


@pytest.mark.parametrize("then", IN_PLACE)
@pytest.mark.parametrize("names", [["conv", "child", "end"], ["child.0", "logits"]], ids=str)
@pytest.mark.parametrize("with_hook", [False, True])
def test_operations_in_place_do_not_change_what_was_read(read, hand_hooked, batch, then, names, with_hook):
    model, images = Steps(IN_PLACE[then]), batch(5, 3, 6, 6)
    modules = ["conv", "child.0", "end"]
    expected = hand_hooked(model, images, modules, batch_size=2)
    expected |= {"child": expected["child.0"], "logits": expected["end"]}
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed(), batch_size=2)
    if with_hook:
        extractor.register_batch_activations_hook(lambda batch: batch)
    assembly = extractor(images, names)
    for name in names:
        np.testing.assert_array_equal(assembly.sel(layer=name).values, expected[name])


@pytest.fixture
def listed():
    """Wrap a model of 2 x 2 pixels and list its layers, so that what follows is the run and nothing else."""

    def make(model, **options):
        extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed(), **options)
        extractor.adapter.layers((3, 2, 2))
        for module in model.modules():
            if isinstance(module, Counted):
                module.n_calls = 0
        return extractor

    return make


class Chain(nn.Module):
    """Counts how often each of four layers runs; the last may raise."""

    def __init__(self, explodes=False):
        super().__init__()
        self.layers = nn.ModuleList(Counted() for _ in range(4))
        self.explodes = explodes

    def forward(self, images):
        for layer in self.layers[:3]:
            images = layer(images)
        if self.explodes:
            raise RuntimeError("must not be reached")
        return self.layers[3](images).flatten(1)


class Counted(nn.Module):
    def __init__(self):
        super().__init__()
        self.n_calls = 0

    def forward(self, values):
        self.n_calls += 1
        return values + 1


@pytest.mark.parametrize(
    ("layers", "runs"),
    [
        (["layers.0"], [1, 0, 0, 0]),
        (["layers.1", "layers.0"], [1, 1, 0, 0]),
        (["layers.2"], [1, 1, 1, 0]),
        (["layers.0", "logits"], [1, 1, 1, 1]),
    ],
    ids=str,
)
def test_forward_stops_after_the_last_requested_layer(listed, batch, layers, runs):
    model, images = Chain(), batch(6, 3, 2, 2)
    extractor = listed(model, batch_size=2)
    extractor(images, layers)
    assert [layer.n_calls for layer in model.layers] == [3 * n for n in runs]  # three batches


def test_what_comes_after_the_last_layer_may_raise(listed, batch):
    model, images = Chain(), batch(4, 3, 2, 2)
    extractor = listed(model)
    model.explodes = True
    expected = images.reshape(4, -1) + 3
    np.testing.assert_allclose(extractor(images, ["layers.2"]).values, expected, rtol=1e-5, atol=1e-6)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.after = Counted(), Counted()

    def forward(self, images):
        for _ in range(5):
            images = self.cell(images)
        return self.after(images)


@pytest.mark.parametrize(
    ("layers", "n_cells"), [(["cell@0"], 1), (["cell@2"], 3), (["cell"], 5), (["cell@0", "cell@3"], 4)], ids=str
)
def test_recurrent_layers_stop_at_the_requested_call(listed, batch, layers, n_cells):
    model, images = Recurrent(), batch(2, 3, 2, 2)
    assembly = listed(model)(images, layers, calls="last")
    assert model.cell.n_calls == n_cells
    assert model.after.n_calls == 0
    last = int(layers[-1].partition("@")[2] or 4)
    np.testing.assert_allclose(assembly.sel(layer=layers[-1]).values, images.reshape(2, -1) + last + 1, rtol=1e-6)


class Swallows(nn.Module):
    """Catches every Exception of its first part, as robust model code may."""

    def __init__(self):
        super().__init__()
        self.part, self.rest = Counted(), Counted()

    def forward(self, images):
        try:
            values = self.part(images)
        except Exception:
            values = images * 0
        return self.rest(values)


def test_model_code_that_catches_exceptions_does_not_catch_the_stop(listed, batch):
    model, images = Swallows(), batch(2, 3, 2, 2)
    np.testing.assert_array_equal(listed(model)(images, ["part"]).values, images.reshape(2, -1) + np.float32(1))
    assert model.rest.n_calls == 0


def test_the_models_input_is_not_changed_for_the_user(read, batch):
    images = batch(3, 3, 4, 4)
    kept = images.copy()
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten())
    first = read(model, images, "*")
    np.testing.assert_array_equal(images, kept)
    np.testing.assert_array_equal(first.sel(layer="0").values, np.maximum(kept, 0).reshape(3, -1))


def test_results_of_one_call_are_not_changed_by_the_next(convnet, batch):
    extractor = adapters.wrap(convnet, preprocessing=adapters.already_preprocessed())
    first = extractor(batch(3, 3, 8, 8, seed=1), ["0"])
    kept = first.values.copy()
    extractor(batch(3, 3, 8, 8, seed=2), ["0"])
    np.testing.assert_array_equal(first.values, kept)
