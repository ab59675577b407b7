"""Mixed precision and channels last: on request only, close to the plain values, and in the key."""

import numpy as np
import pytest
import torch
from torch import nn

import adapters
from adapters.frameworks.pytorch import PyTorchAdapter

LAYERS = ["0", "2", "4"]
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 12, 12, 3), dtype=np.uint8)


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(512, 10))


def extractor(model: nn.Module, **options) -> adapters.ActivationsExtractor:
    return adapters.wrap(PyTorchAdapter(model, device="cpu", **options), preprocessing=adapters.raw(12), batch_size=4)


def test_bfloat16_on_request(model: nn.Module):
    plain = extractor(model)(IMAGES, LAYERS)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        images = torch.from_numpy(extractor(model).preprocess(IMAGES))
        expected = [model[: int(layer) + 1](images).float().flatten(1).numpy() for layer in LAYERS]
    rounded = extractor(model, precision="bfloat16")(IMAGES, LAYERS)
    assert rounded.dtype == np.float32
    np.testing.assert_allclose(rounded.values, np.concatenate(expected, axis=1), rtol=0, atol=1e-2)
    apart = np.abs(rounded.values - plain.values).max() / np.abs(plain.values).max()
    assert 1e-4 < apart < 3e-2
    assert not torch.is_autocast_enabled("cpu")


def test_the_callers_autocast_changes_nothing(model: nn.Module):
    plain = extractor(model)(IMAGES, LAYERS).values
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert np.array_equal(extractor(model)(IMAGES, LAYERS).values, plain)


def test_channels_last(model: nn.Module):
    strides = [weight.stride() for weight in model.parameters()]
    plain, last = (extractor(model, channels_last=each)(IMAGES, LAYERS) for each in (False, True))
    np.testing.assert_allclose(last.values, plain.values, rtol=0, atol=1e-5)
    assert last.indexes["neuroid"].equals(plain.indexes["neuroid"])
    assert [weight.stride() for weight in model.parameters()] == strides
    seen = []
    model[0].register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0].is_contiguous(memory_format=torch.channels_last))
    )
    extractor(model, channels_last=True)(IMAGES, LAYERS)
    assert seen[-1]


def test_each_has_a_key_of_its_own(model: nn.Module, tmp_path, monkeypatch):
    monkeypatch.setenv("BRAIN_ADAPTERS_CACHE_DIR", str(tmp_path / "digests"))
    for options in ({}, {"precision": "bfloat16"}, {"channels_last": True}, {"precision": "float32"}):
        extractor(model, **options)(IMAGES, LAYERS, store=tmp_path / "store")
    assert len(adapters.open_store(tmp_path / "store")) == 3


def test_unknown_precision(model: nn.Module):
    with pytest.raises(ValueError, match=r"precision='int8' is unknown\. Use one of: 'float32'"):
        PyTorchAdapter(model, precision="int8")
