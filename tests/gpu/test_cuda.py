"""What only CUDA can show. Without a CUDA device every test here fails, and says why; `make test` leaves them out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import adapters
from adapters.errors import BudgetError, ModelForwardError

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def cuda():
    """Fail where there is no CUDA device: a skipped test would pass for a green one."""
    if not torch.cuda.is_available():
        pytest.fail(f"tests/gpu needs a CUDA device; torch {torch.__version__} sees none here.")
    torch.manual_seed(7)
    exact = (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # compared with the CPU
    yield torch.device("cuda")
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = exact


def images_of(n_images, size=16, seed=0):
    return np.random.default_rng(seed).standard_normal((n_images, 3, size, size), dtype=np.float32)


def convnet():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(8 * 12 * 12, 10)
    ).eval()


def wrapped(model, **options):
    return adapters.wrap(model, preprocessing=adapters.already_preprocessed(), **options)


class Marks(nn.Module):
    """Returns its input, at many sizes, after work that keeps the device busy; row i is all image i."""

    def __init__(self, n_values=200_000, n_rounds=20):
        super().__init__()
        self.wide, self.busy, self.narrow = nn.Identity(), nn.Linear(2048, 2048), nn.Identity()
        self.n_values, self.n_rounds = n_values, n_rounds

    def forward(self, images):
        marks = images.flatten(1)[:, :1]
        work = torch.ones(2048, 2048, device=images.device)
        for _ in range(self.n_rounds):
            work = self.busy(work) * 1e-3
        self.wide(marks.expand(-1, self.n_values) + 0 * work[0, 0])
        return self.narrow(marks + 0 * work[0, 0])


def marked(n_images):
    return np.arange(n_images, dtype=np.float32).reshape(-1, 1, 1, 1) * np.ones((1, 3, 2, 2), np.float32)


def test_cuda_is_taken_without_being_told(cuda):
    extractor = wrapped(convnet())
    extractor(images_of(3), ["0"])
    assert extractor.adapter.asynchronous
    assert torch.cuda.max_memory_allocated() > 0


@pytest.mark.parametrize("batch_size", [1, 3, 64])
@pytest.mark.parametrize("with_hook", [False, True])
def test_values_equal_the_cpus(batch_size, with_hook):
    model, images, layers = convnet(), images_of(17), ["4", "0", "1", "2", "logits"]
    expected = wrapped(model, device="cpu", batch_size=batch_size)(images, layers)
    extractor = wrapped(model, device="cuda", batch_size=batch_size)
    if with_hook:
        extractor.register_batch_activations_hook(lambda batch: batch)
    result = extractor(images, layers)
    np.testing.assert_allclose(result.values, expected.values, rtol=1e-4, atol=1e-4)
    assert list(result["neuroid_id"].values[:20]) == list(expected["neuroid_id"].values[:20])


def test_resnet_equals_the_cpus():
    from torchvision.models import resnet18

    model, images = resnet18().eval(), images_of(5, size=64)
    layers = ["conv1", "layer1.0.relu", "layer2", "layer4.1.bn2", "fc"]
    expected = wrapped(model, device="cpu")(images, layers).values
    np.testing.assert_allclose(wrapped(model, device="cuda")(images, layers).values, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("then", ["relu", "zero", "view", "data"])
def test_operations_in_place_do_not_reach_what_was_read(cuda, then):
    class Clobbers(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide = nn.Identity()

        def forward(self, images):
            values = self.wide(images.repeat(1, 64, 1, 1))
            if then == "relu":
                torch.relu_(values)
            elif then == "zero":
                values.zero_()
            elif then == "view":
                values.chunk(2, 1)[0].mul_(-1)
            else:
                values.data.fill_(5)
            return values.flatten(1)

    images = images_of(60, size=32)
    assembly = wrapped(Clobbers(), device="cuda", batch_size=8)(images, ["wide"])
    np.testing.assert_array_equal(assembly.values, np.tile(images, (1, 64, 1, 1)).reshape(60, -1))


@pytest.mark.parametrize("batch_size", [1, 2, 7])
@pytest.mark.parametrize("with_hook", [False, True])
def test_batches_in_flight_do_not_overwrite_each_other(batch_size, with_hook):
    n_images = 60
    extractor = wrapped(Marks(), device="cuda", batch_size=batch_size)
    if with_hook:
        extractor.register_batch_activations_hook(lambda batch: batch)
    assembly = extractor(marked(n_images), ["wide", "narrow"])
    for row in range(n_images):
        assert (assembly.values[row] == row).all(), f"row {row} holds {np.unique(assembly.values[row])}"


def test_arrays_that_a_hook_keeps_are_not_reused():
    kept = []
    extractor = wrapped(Marks(n_values=1000), device="cuda", batch_size=2)
    extractor.register_batch_activations_hook(lambda batch: kept.append(batch["wide"]) or batch)
    extractor(marked(20), ["wide"])
    np.testing.assert_array_equal(np.concatenate(kept)[:, 0], np.arange(20))


class Hungry(Marks):
    """Runs out of memory from a given image on, when too many come at a time."""

    def __init__(self, n_fit, first_image, is_real=False):
        super().__init__(n_values=50_000)
        self.n_fit, self.first_image, self.is_real = n_fit, first_image, is_real

    def forward(self, images):
        values = super().forward(images)
        if len(images) > self.n_fit and float(images.max()) >= self.first_image:
            if self.is_real:
                torch.empty(2**50, dtype=torch.uint8, device=images.device)
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return values


@pytest.mark.parametrize("is_real", [False, True])
@pytest.mark.parametrize("first_image", [0, 16, 24, 40])
def test_out_of_memory_in_the_middle_halves_and_keeps_what_is_in_flight(first_image, is_real):
    extractor = wrapped(Hungry(3, first_image, is_real), device="cuda", batch_size=8)
    assembly = extractor(marked(48), ["wide", "logits"])
    np.testing.assert_array_equal(assembly.values[:, 0], np.arange(48))
    assert (assembly.values == np.arange(48)[:, None]).all()
    assert extractor.batch_size == 2


def test_out_of_memory_on_one_image_is_a_budget_error():
    model = Hungry(64, first_image=10)
    extractor = wrapped(model, device="cuda", batch_size=4)
    extractor(marked(4), ["logits"])
    model.n_fit = 0
    with pytest.raises(BudgetError, match="single image"):
        extractor(marked(20), ["logits"])
    assert next(model.parameters()).device.type == "cpu"


@pytest.mark.parametrize("home", ["cpu", "cuda"])
@pytest.mark.parametrize("fails", [False, True])
def test_model_returns_to_its_device_with_the_same_weights(home, fails):
    model = convnet().to(home)
    model.register_buffer("count", torch.tensor(3, device=home))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    extractor = wrapped(model, device="cuda")
    extractor(images_of(3), ["0"])
    if fails:
        handle = model[2].register_forward_hook(lambda *_: 1 / 0)
        with pytest.raises(ModelForwardError):
            extractor(images_of(3), ["4"])
        handle.remove()
    for name, value in model.state_dict().items():
        assert value.device.type == home
        assert torch.equal(value, before[name])
    model(torch.from_numpy(images_of(3)).to(home)).sum().backward()
    optimizer.step()  # the optimiser still holds the model's own parameters
    assert not torch.equal(model[4].weight, before["4.weight"])


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_random_state_of_every_device_is_restored(device):
    class Stochastic(nn.Module):
        def forward(self, images):
            return (images + torch.randn_like(images)).flatten(1)

    torch.manual_seed(5)
    torch.cuda.manual_seed_all(6)
    before = (torch.get_rng_state(), torch.cuda.get_rng_state_all())
    extractor = wrapped(Stochastic(), device=device, batch_size=2)
    first, second = extractor(images_of(5)).values, extractor(images_of(5)).values
    assert torch.equal(before[0], torch.get_rng_state())
    assert all(torch.equal(one, two) for one, two in zip(before[1], torch.cuda.get_rng_state_all(), strict=True))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_comes_out_as_float32(dtype):
    model, images = convnet().to("cuda", dtype), images_of(5)
    with torch.no_grad():
        expected = model(torch.from_numpy(images).to("cuda", dtype)).float().cpu().numpy()
    result = wrapped(model)(images, ["logits"])
    assert result.dtype == np.float32
    np.testing.assert_allclose(result.values, expected, rtol=1e-2, atol=1e-2)


def test_channels_last_memory_keeps_the_order():
    model, images = convnet(), images_of(5)
    expected = wrapped(model, device="cpu")(images, ["0", "2"]).values
    model.to(memory_format=torch.channels_last)
    np.testing.assert_allclose(wrapped(model, device="cuda")(images, ["0", "2"]).values, expected, atol=1e-4)


def test_models_without_parameters_run_on_cuda():
    devices = []

    class Notes(nn.Module):
        def forward(self, images):
            devices.append(images.device.type)
            return images.flatten(1)

    images = images_of(3)
    np.testing.assert_array_equal(wrapped(Notes(), device="cuda")(images).values, images.reshape(3, -1))
    assert set(devices) == {"cuda"}


def test_many_runs_do_not_collect_device_memory():
    extractor, images = wrapped(convnet(), device="cuda", batch_size=4), images_of(12)
    extractor(images, "*")
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    for _ in range(10):
        extractor(images, "*")
    torch.cuda.synchronize()
    assert torch.cuda.memory_allocated() <= before
