"""What goes wrong in a run: the error says it, the model is as it was found, and the next call works."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from torch import nn

import adapters
from adapters.errors import ActivationShapeError, BudgetError, LayerNeverRanError, ModelForwardError


class Fragile(nn.Module):
    """Raises what it is told to in batch 7, once it is armed."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)
        self.norm = nn.BatchNorm2d(2)
        self.error, self.n_batches = None, 0

    def forward(self, images):
        values = self.norm(self.conv(images))
        self.n_batches += 1
        if self.error is not None and self.n_batches == 7:
            raise self.error
        return values


def armed(model, error, batch_size=2):
    """Wrap a model of 5 x 5 pixels, list its layers, and let it raise in the run that follows."""
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed(), batch_size=batch_size)
    extractor.adapter.layers((3, 5, 5))
    model.error, model.n_batches = error, 0
    return extractor


def state_of(model):
    return {
        "modes": [module.training for module in model.modules()],
        "hooks": [list(module._forward_hooks.values()) for module in model.modules()],
        "weights": {name: value.clone() for name, value in model.state_dict().items()},
        "gradients": [parameter.requires_grad for parameter in model.parameters()],
        "random": torch.get_rng_state(),
        "grad_mode": torch.is_grad_enabled(),
        "fast_attention": torch.backends.mha.get_fastpath_enabled(),
    }


def assert_same_state(before, after):
    assert torch.equal(before.pop("random"), after.pop("random"))
    weights, later = before.pop("weights"), after.pop("weights")
    assert all(torch.equal(weights[name], later[name]) for name in weights)
    assert before == after


@pytest.mark.parametrize("error", [RuntimeError("no such kernel"), StopIteration(), KeyError("x")], ids=repr)
@pytest.mark.parametrize("layers", [["conv"], ["norm", "logits"]], ids=str)
def test_model_that_raises_in_batch_seven(batch, error, layers):
    model = Fragile()
    model.eval()
    model.norm.train()
    seen = []
    model.norm.register_forward_hook(lambda module, args, output: seen.append(module.training))
    model.conv.weight.requires_grad_(False)
    extractor = armed(model, error)
    before = state_of(model)
    if layers == ["conv"]:  # stops before the error
        assert extractor(batch(20, 3, 5, 5), layers).sizes["presentation"] == 20
    else:
        with pytest.raises(ModelForwardError) as caught:
            extractor(batch(20, 3, 5, 5), layers)
        for fragment in ("Fragile", type(error).__name__, "batch 7", "(3, 5, 5)", "restored"):
            assert fragment in str(caught.value)
        assert caught.value.__cause__ is error
    assert_same_state(before, state_of(model))
    assert set(seen) == {False}
    model.error = None
    assert extractor(batch(3, 3, 5, 5), layers).sizes["presentation"] == 3


def test_interruption_restores_too(batch):
    model = Fragile()
    model.train()
    before = state_of(model)
    extractor = armed(model, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        extractor(batch(20, 3, 5, 5), ["logits"])
    assert_same_state(before, state_of(model))


def test_error_in_a_users_hook_restores_too(batch):
    model = Fragile()
    before = state_of(model)
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed(), batch_size=2)
    extractor.register_batch_activations_hook(lambda batch: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        extractor(batch(4, 3, 5, 5), ["norm"])
    assert_same_state(before, state_of(model))


def test_no_decoding_thread_outlives_a_failed_run(batch):
    extractor = armed(Fragile(), ValueError("x"), batch_size=1)
    with pytest.raises(ModelForwardError) as caught:  # the exception is kept, as notebooks do
        extractor(batch(30, 3, 5, 5), ["logits"])
    assert caught.value.__traceback__ is not None
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("decode")] == []


def test_wrong_input_size_says_what_to_change():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 2))
    with pytest.raises(ModelForwardError) as caught:
        adapters.wrap(model, preprocessing=adapters.raw(5))(np.zeros((1, 5, 5, 3)), ["1"])
    for fragment in ("Sequential", "(2, 3, 5, 5)", "preprocessing="):
        assert fragment in str(caught.value)
    assert isinstance(caught.value.__cause__, RuntimeError)


class Hungry(nn.Module):
    """Has memory for so many images at a time."""

    def __init__(self, n_fit):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)
        self.n_fit, self.n_images = n_fit, []

    def forward(self, images):
        self.n_images.append(len(images))
        values = self.conv(images)  # captured before the memory is full
        if len(images) > self.n_fit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return values.flatten(1)


@pytest.mark.parametrize("with_hook", [False, True])
@pytest.mark.parametrize(("n_fit", "remembered"), [(16, 16), (8, 8), (5, 4), (3, 2)])
def test_out_of_memory_halves_the_batch_and_remembers_it(batch, hand_hooked, n_fit, remembered, with_hook):
    model, images = Hungry(n_fit), batch(21, 3, 4, 4)
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed(), batch_size=16)
    if with_hook:
        extractor.register_batch_activations_hook(lambda batch: batch)
    layers = ["logits", "conv"]
    assembly = extractor(images, layers)
    assert extractor.batch_size == extractor.report().batch_size == remembered
    model.n_images.clear()
    again = extractor(images, layers)
    assert max(model.n_images) == remembered
    np.testing.assert_array_equal(again.values, assembly.values)
    expected = hand_hooked(model, images, ["conv"], batch_size=1)["conv"]
    for layer in layers:
        np.testing.assert_allclose(assembly.sel(layer=layer).values, expected, rtol=1e-5, atol=1e-6)


def test_out_of_memory_on_one_image_is_a_budget_error(batch):
    model = Hungry(64)
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed(), batch_size=4)
    extractor(batch(2, 3, 4, 4), ["logits"])
    model.n_fit = 0
    with pytest.raises(BudgetError, match="single image") as caught:
        extractor(batch(3, 3, 4, 4), ["logits"])
    assert "device='cpu'" in str(caught.value)
    assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)
    model.n_fit = 9
    assert extractor(batch(3, 3, 4, 4), ["logits"]).sizes["presentation"] == 3


def test_other_memory_errors_are_not_taken_for_the_devices(batch):
    extractor = armed(Fragile(), MemoryError("host"))
    with pytest.raises(ModelForwardError, match="MemoryError"):
        extractor(batch(20, 3, 5, 5), ["logits"])


class DependsOnImages(nn.Module):
    """Takes another path, or gives another shape, for bright images."""

    def __init__(self, what):
        super().__init__()
        self.often, self.always, self.what = nn.Identity(), nn.Identity(), what

    def forward(self, images):
        is_bright = bool((images > 50).any())
        if not (is_bright and self.what == "path"):
            images = self.often(images[..., :2] if is_bright and self.what == "shape" else images)
        return self.always(images.mean((2, 3)))


@pytest.mark.parametrize(
    ("what", "error", "fragments"),
    [
        ("path", LayerNeverRanError, ["'often'", "not reached", "path depends on the images"]),
        ("shape", ActivationShapeError, ["'often'", "one shape for all images"]),
    ],
)
@pytest.mark.parametrize("with_hook", [False, True])
def test_paths_and_shapes_that_depend_on_images(batch, what, error, fragments, with_hook):
    images = batch(6, 3, 4, 4)
    images[3] += 100
    extractor = adapters.wrap(DependsOnImages(what), preprocessing=adapters.already_preprocessed(), batch_size=2)
    if with_hook:
        extractor.register_batch_activations_hook(lambda batch: batch)
    assert extractor(images, ["always"]).shape == (6, 3)
    with pytest.raises(error) as caught:
        extractor(images, ["often"])
    for fragment in fragments:
        assert fragment in str(caught.value)
