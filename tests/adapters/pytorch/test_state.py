"""The model, the random state and every global flag are as the user left them; so are the user's own hooks."""

from __future__ import annotations

import random
import threading

import numpy as np
import pytest
import torch
from torch import nn

import adapters


def wrapped(model, **options):
    return adapters.wrap(model, preprocessing=adapters.already_preprocessed(), **options)


class Stochastic(nn.Module):
    """Draws random numbers, also in evaluation mode."""

    def __init__(self):
        super().__init__()
        self.noisy = nn.Identity()

    def forward(self, images):
        return self.noisy(images + torch.randn_like(images)).flatten(1)


def test_random_state_is_restored_and_results_are_the_same_each_time(batch):
    images = batch(5, 3, 4, 4)
    extractor = wrapped(Stochastic(), batch_size=2)
    torch.manual_seed(1)
    random.seed(1)
    before, numbers = torch.get_rng_state(), random.getstate()
    first = extractor(images, ["noisy"])
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    second = extractor(images, ["noisy"])
    extractor.layers  # noqa: B018
    third = wrapped(Stochastic(), batch_size=2)(images, ["noisy"])
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(first.values, third.values)
    assert (first.values[0] - images[0].ravel()).std() > 0.1
    random.seed(1)
    assert random.getstate() == numbers


def test_modes_are_restored_per_submodule(batch):
    model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), nn.Dropout(0.5), nn.BatchNorm2d(2))
    model.train()
    model[1].eval()
    statistics = model[3].running_mean.clone()
    extractor = wrapped(model)
    values = extractor(batch(4, 3, 4, 4), ["logits"]).values
    assert [module.training for module in model.modules()] == [True, True, False, True, True]
    assert torch.equal(model[3].running_mean, statistics)
    assert model[3].num_batches_tracked == 0
    model.eval()
    with torch.no_grad():
        expected = model(torch.from_numpy(batch(4, 3, 4, 4))).flatten(1).numpy()
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("requires_grad", [True, False])
def test_training_goes_on_after_extraction(batch, convnet, requires_grad):
    images = batch(4, 3, 8, 8)
    convnet[0].weight.requires_grad_(requires_grad)
    flags = [parameter.requires_grad for parameter in convnet.parameters()]
    optimizer = torch.optim.SGD(convnet.parameters(), lr=0.1)
    wrapped(convnet)(images, "*")
    assert [parameter.requires_grad for parameter in convnet.parameters()] == flags
    assert all(parameter.grad is None for parameter in convnet.parameters())
    before = convnet[4].weight.detach().clone()
    convnet(torch.from_numpy(images)).square().sum().backward()
    optimizer.step()
    assert not torch.equal(before, convnet[4].weight)
    assert (convnet[0].weight.grad is not None) is requires_grad
    wrapped(convnet)(images, "*")
    assert convnet[4].weight.grad is not None


class Caches(nn.Module):
    """Keeps a tensor between forward passes, as rotary embeddings do."""

    def __init__(self):
        super().__init__()
        self.linear, self.cache = nn.Linear(12, 3), None

    def forward(self, images):
        if self.cache is None:
            self.cache = torch.ones(12) * 2
        return self.linear(images.flatten(1) * self.cache)


def test_what_a_model_caches_stays_usable_for_training(batch):
    model = Caches()
    wrapped(model)(batch(2, 3, 2, 2))
    model(torch.from_numpy(batch(2, 3, 2, 2))).sum().backward()
    assert model.linear.weight.grad is not None


def test_users_hooks_stay_and_fire_and_may_change_outputs(batch, convnet):
    images, fired = batch(3, 3, 8, 8), []
    handle = convnet[2].register_forward_hook(lambda module, args, output: fired.append(len(output)) or output * 2)
    pre = convnet[2].register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    values = wrapped(convnet)(images, ["2", "4"])
    assert fired[-1] == 3
    with torch.no_grad():
        convnet.eval()
        hidden = convnet[2](convnet[1](convnet[0](torch.from_numpy(images))))
        expected = convnet[4](convnet[3](hidden)).numpy()
    np.testing.assert_array_equal(values.sel(layer="2").values, hidden.flatten(1).numpy())
    np.testing.assert_array_equal(values.sel(layer="4").values, expected)
    assert list(convnet[2]._forward_hooks) == [handle.id]
    assert list(convnet[2]._forward_pre_hooks) == [pre.id]


@pytest.mark.parametrize("context", [torch.inference_mode, torch.no_grad, torch.enable_grad], ids=lambda c: c.__name__)
def test_the_users_gradient_mode_does_not_matter(batch, hand_hooked, convnet, context):
    images = batch(3, 3, 8, 8)
    expected = hand_hooked(convnet, images, ["0", "4"])
    extractor = wrapped(convnet)
    with context():
        before = (torch.is_grad_enabled(), torch.is_inference_mode_enabled())
        assembly = extractor(images, ["0", "4"])
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before
    for name in ("0", "4"):
        np.testing.assert_array_equal(assembly.sel(layer=name).values, expected[name])


def test_autocast_of_the_user_does_not_matter(batch, convnet):
    images, extractor = batch(3, 3, 8, 8), wrapped(convnet)
    expected = extractor(images, ["0", "4"]).values
    with torch.autocast("cpu", dtype=torch.bfloat16):
        np.testing.assert_array_equal(extractor(images, ["0", "4"]).values, expected)
        assert torch.is_autocast_enabled("cpu")


class Inferring(nn.Module):
    """Switches to inference mode itself, as released research models do."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu = nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True)

    @torch.inference_mode()
    def forward(self, images):
        return self.relu(self.conv(images)).flatten(1)


def test_models_that_run_in_inference_mode(batch, hand_hooked):
    model, images = Inferring(), batch(3, 3, 8, 8)
    expected = hand_hooked(model, images, ["conv", "relu"])
    assembly = wrapped(model)(images, ["conv", "relu"])
    for name in ("conv", "relu"):
        np.testing.assert_array_equal(assembly.sel(layer=name).values, expected[name])


def test_global_flags_are_restored(batch, convnet):
    torch.backends.mha.set_fastpath_enabled(True)
    torch.set_default_dtype(torch.float32)
    wrapped(convnet)(batch(2, 3, 8, 8))
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.is_grad_enabled()
    assert torch.compiler.is_compiling() is False


def test_default_dtype_of_the_user_does_not_matter(batch, convnet):
    images = batch(2, 3, 8, 8)
    expected = wrapped(convnet)(images).values
    torch.set_default_dtype(torch.float64)
    try:
        result = wrapped(convnet)(images)
    finally:
        torch.set_default_dtype(torch.float32)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result.values, expected)


def test_attention_is_read_on_the_path_that_calls_every_module(batch):
    layer = nn.TransformerEncoderLayer(12, 2, dim_feedforward=8, batch_first=True, dropout=0.0)
    model = nn.Sequential(nn.Flatten(2), nn.Linear(4, 12), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False))
    images = batch(3, 3, 2, 2)
    one = wrapped(model)(images, ["logits"])
    many = wrapped(model)(images, ["2.layers.0.linear1", "2.layers.1", "logits"])
    np.testing.assert_array_equal(one.values, many.sel(layer="logits").values)
    with torch.no_grad():
        expected = model.eval()(torch.from_numpy(images)).flatten(1).numpy()
    np.testing.assert_allclose(one.values, expected, rtol=1e-4, atol=1e-5)


class Waits(nn.Module):
    """Stands still in its forward until it is told to go on."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(12, 3)
        self.is_running, self.may_go_on, self.waits = threading.Event(), threading.Event(), False

    def forward(self, images):
        if self.waits:
            self.is_running.set()
            assert self.may_go_on.wait(20)
        return self.linear(images.flatten(1))


def waiting(model):
    """Wrap a model and list its layers; from now on its forward waits."""
    extractor = wrapped(model)
    extractor.adapter.layers((3, 2, 2))
    model.waits = True
    return extractor


def test_two_models_in_two_threads_leave_global_state_alone(batch):
    images, first, second = batch(2, 3, 2, 2), Waits(), Waits()
    extractors = [waiting(first), waiting(second)]
    torch.backends.mha.set_fastpath_enabled(True)
    before = torch.get_rng_state()
    threads = [threading.Thread(target=extractor, args=(images, ["linear"])) for extractor in extractors]
    threads[0].start()
    assert first.is_running.wait(20)
    threads[1].start()
    second.is_running.wait(1)  # runs inside the first one's, or waits for it: both are fine
    first.may_go_on.set()
    threads[0].join(20)
    second.may_go_on.set()
    threads[1].join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.equal(before, torch.get_rng_state())


def test_many_threads_on_one_model(batch, convnet):
    extractor, results = wrapped(convnet, batch_size=2), {}
    images = {seed: batch(5, 3, 8, 8, seed=seed) for seed in range(4)}
    expected = {seed: extractor(images[seed], ["0", "4"]).values for seed in images}
    convnet.train()

    def run(seed):
        results[seed] = [extractor(images[seed], ["0", "4"]).values for _ in range(3)]

    threads = [threading.Thread(target=run, args=(seed,)) for seed in images]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for seed in images:
        for values in results[seed]:
            np.testing.assert_array_equal(values, expected[seed])
    assert convnet.training
    assert all(not module._forward_hooks for module in convnet.modules())


def test_the_users_own_forward_in_another_thread_is_not_recorded(batch):
    model, images = Waits(), batch(2, 3, 2, 2)
    extractor, results = waiting(model), []
    thread = threading.Thread(target=lambda: results.append(extractor(images, ["linear"]).values))
    thread.start()
    assert model.is_running.wait(20)
    with torch.no_grad():
        model.linear(torch.full((2, 12), 1e6))  # fires the hook from here, while the run waits
        expected = model.linear(torch.from_numpy(images).flatten(1)).numpy()
    model.may_go_on.set()
    thread.join(20)
    np.testing.assert_array_equal(results[0], expected)
