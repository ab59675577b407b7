"""In PyTorch values are reduced in the hook: nothing else is copied, and nothing that the model does later is seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import adapters
from adapters.errors import ReductionError
from adapters.frameworks.pytorch import PyTorchAdapter
from adapters.layers import resolve
from adapters.reductions import as_reductions

SHAPE = (3, 8, 10)


class Net(nn.Module):
    """Writes in place into everything that it has returned before."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.tokens = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 6)

    def forward(self, images: torch.Tensor) -> Any:
        maps = self.conv(images)
        tokens = self.tokens(maps.flatten(2).transpose(1, 2))
        maps.mul_(100)
        result = tokens.sum((1, 2)) + maps.sum((1, 2, 3))
        tokens.zero_()
        return result


@pytest.fixture
def adapter() -> PyTorchAdapter:
    return PyTorchAdapter(Net(), device="cpu")


def images(n_images: int = 3) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n_images, *SHAPE)).astype(np.float32)


def run(
    adapter: PyTorchAdapter, reduce: Any, batch: np.ndarray, out: Mapping[str, np.ndarray] | None = None
) -> dict[str, Any]:
    """Return what a forward pass gives, as it is."""
    layers = adapter.layers(SHAPE)
    requests = resolve(["conv", "tokens"], layers)
    shapes = {request.requested: layers[request.name].shape for request in requests}
    reductions = as_reductions(reduce, requests, shapes, n_presentations=len(batch), adapter=adapter)
    with adapter.open(requests, SHAPE, reductions) as forward:
        return dict(forward(batch, out))


def test_what_the_forward_pass_returns_is_reduced_and_its_own(adapter: PyTorchAdapter):
    """Views of what the model goes on to overwrite are copied: as large as they are, and not as what they are of."""
    plain = {name: value.numpy() for name, value in run(adapter, None, images()).items()}
    found = run(adapter, {"conv": lambda values: values[:, 1:3], "tokens": "cls"}, images())
    np.testing.assert_array_equal(found["conv"], plain["conv"][:, 1:3])
    np.testing.assert_array_equal(found["tokens"], plain["tokens"][:, 0])
    assert found["conv"].untyped_storage().nbytes() == 4 * 3 * 2 * 8 * 10
    assert found["tokens"].untyped_storage().nbytes() == 4 * 3 * 6


def test_offered_memory_of_the_reduced_size_is_filled(adapter: PyTorchAdapter):
    plain = run(adapter, {"conv": "mean", "tokens": "tokens"}, images())
    block = np.zeros((3, 4 + 79 * 6), np.float32)
    offered = {"conv": block[:, :4], "tokens": block[:, 4:]}
    found = run(adapter, {"conv": "mean", "tokens": "tokens"}, images(), offered)
    assert all(found[name] is offered[name] for name in offered)
    np.testing.assert_array_equal(block[:, :4], plain["conv"])
    np.testing.assert_array_equal(block[:, 4:], plain["tokens"].flatten(1))


@pytest.mark.parametrize("write", [lambda values: values.relu_(), lambda values: values.mul_(2)[:, 0]])
def test_functions_that_write_into_values_are_refused(adapter: PyTorchAdapter, write: Callable[..., Any]):
    with pytest.raises(ReductionError, match=r"layer 'conv' changed the values.*values\.relu\(\) in the place"):
        run(adapter, {"conv": write}, images())
    assert float(run(adapter, {"conv": lambda values: values.relu()}, images())["conv"].min()) == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_half_precision_is_reduced_in_single(dtype: torch.dtype):
    """A value that half precision does not have: the mean of two neighbours, and a function sees float32."""
    model = Net().to(dtype)
    with torch.no_grad():
        model.conv.bias += 64
    adapter, seen = PyTorchAdapter(model, device="cpu"), []

    def noted(values: torch.Tensor) -> torch.Tensor:
        seen.append(values.dtype)
        return values.mean(1)

    plain = {name: value.double().numpy() for name, value in run(adapter, None, images()).items()}
    found = run(adapter, {"conv": "mean", "tokens": noted}, images())
    assert {value.dtype for value in found.values()} == {torch.float32}
    np.testing.assert_allclose(found["conv"], plain["conv"].mean((2, 3)), rtol=1e-6)
    np.testing.assert_allclose(found["tokens"], plain["tokens"].mean(1), rtol=1e-5)
    assert seen[-1] == (torch.float64 if dtype == torch.float64 else torch.float32)


def test_values_that_are_not_finite_are_reduced_as_numpy_does(adapter: PyTorchAdapter):
    with torch.no_grad():
        adapter.model.conv.bias[0] = float("nan")
        adapter.model.conv.bias[1] = float("inf")
    for kind in ("mean", "max"):
        found = run(adapter, kind, images())["conv"]
        assert torch.isnan(found[:, 0]).all()
        assert torch.isposinf(found[:, 1]).all()
        assert torch.isfinite(found[:, 2:]).all()


def test_calls_and_parts_are_reduced_by_what_was_requested():
    """The text of a request, or the name of the layer, finds the reduction."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.Identity()
            self.pair = Pair()

        def forward(self, images: torch.Tensor) -> Any:
            first, second = self.pair(self.block(self.block(images) * 2))
            return first + second

    class Pair(nn.Module):
        def forward(self, values: torch.Tensor) -> Any:
            return values, values + 1

    extractor = adapters.wrap(Twice(), preprocessing=adapters.already_preprocessed())
    batch, layers = images(2), ["block@0", "block@1", "pair:1"]
    found = extractor(batch, layers, reduce={"block@1": "max", "block": "mean", "pair": "mean"})
    per_layer = np.split(found.values, 3, axis=1)
    mean = batch.mean((2, 3))
    for values, wanted in zip(per_layer, (mean, 2 * batch.max((2, 3)), 2 * mean + 1), strict=True):
        np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=1e-6)
    assert found["time_step"].values[:6].tolist() == [0, 0, 0, 1, 1, 1]
