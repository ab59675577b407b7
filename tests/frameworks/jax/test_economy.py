"""What a run costs: one compilation per layers and batch shape, and nothing computed that no requested layer needs."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import adapters
from adapters.frameworks.jax import JaxAdapter
from adapters.frameworks.jax.recent import Recent
from adapters.layers import resolve

N_BLOCKS = 12


class Deep(nn.Module):
    """Notes when Python runs through it, which is once per compilation."""

    note: Callable[[Any], None]

    @nn.compact
    def __call__(self, images: Any) -> Any:
        self.note(images.shape)
        for number in range(N_BLOCKS):
            images = nn.relu(nn.Conv(16, (3, 3), name=f"conv{number}")(images))
        return images


@pytest.fixture
def traces() -> list[tuple[int, ...]]:
    return []


@pytest.fixture
def deep(traces: list[tuple[int, ...]]) -> tuple[Deep, Any]:
    module = Deep(traces.append)
    variables = module.init(jax.random.key(0), jnp.zeros((1, 24, 24, 3)))
    traces.clear()
    return module, variables


def test_one_compilation_for_layers_and_shape(deep: Any, traces: list[Any], batch: Callable[..., np.ndarray]):
    extractor = adapters.wrap(deep, preprocessing=adapters.already_preprocessed(), batch_size=4)
    for seed in range(3):
        extractor(batch(11, 24, 24, 3, seed=seed), ["conv0", "conv3"])  # 4 + 4 + 3
    assert sorted(shape[0] for shape in traces) == [2, 3, 4], "two to list, one to compile"


def test_ragged_last_batch_is_exact(deep: Any, batch: Callable[..., np.ndarray]):
    images = batch(7, 24, 24, 3)
    values = [
        adapters.wrap(deep, preprocessing=adapters.already_preprocessed(), batch_size=size)(images, ["conv2"]).values
        for size in (7, 4, 5)
    ]
    for other in values[1:]:
        np.testing.assert_allclose(other, values[0], rtol=1e-5, atol=1e-6)


def compiled(model: Any, layer: str, n_images: int = 4) -> Callable[[], Any]:
    """Return the forward pass of one batch for one layer."""
    adapter, shape = JaxAdapter(model, device="cpu"), (24, 24, 3)
    images = np.zeros((n_images, *shape), np.float32)

    def run() -> Any:
        with adapter.open(resolve(layer, adapter.layers(shape)), shape) as forward:
            return forward(images)

    run()
    return run


def lowered(model: Any, layer: str) -> str:
    """Return the program that is compiled for one layer."""
    adapter, shape = JaxAdapter(model, device="cpu"), (24, 24, 3)
    requests = resolve(layer, adapter.layers(shape))
    with adapter.open(requests, shape) as forward:
        return forward.lowered(np.zeros((4, *shape), np.float32))


def test_program_holds_what_the_layer_needs_and_no_weights(deep: Any):
    counts = {layer: lowered(deep, layer).count("stablehlo.convolution") for layer in ("conv0", "conv5", "logits")}
    assert counts == {"conv0": 1, "conv5": 6, "logits": N_BLOCKS}
    assert "dense_resource" not in lowered(deep, "logits")
    assert len(lowered(deep, "logits")) < 40_000


def test_first_block_costs_a_fraction(deep: Any, record_property: Callable[[str, object], None]):
    seconds = {}
    for layer in ("conv0", "logits"):
        run = compiled(deep, layer, n_images=16)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        seconds[layer] = min(times)
    ratio = seconds["conv0"] / seconds["logits"]
    record_property("measured", f"jax: the first of {N_BLOCKS} convolutions costs {ratio:.0%} of the full forward pass")
    assert ratio < 0.5


class Settings(nnx.Module):
    """Holds a plain dict, which cannot be hashed, as models hold their settings."""

    def __init__(self, note: Callable[[Any], None]) -> None:
        self.dense, self.note = nnx.Linear(4, 3, rngs=nnx.Rngs(0)), note
        self.settings = {"scale": 2.0}

    def __call__(self, values: Any) -> Any:
        self.note(values.shape)
        return self.settings["scale"] * self.dense(values)


def test_nnx_model_with_settings_is_compiled_once(batch: Callable[..., np.ndarray]):
    traces: list[Any] = []
    model, images = Settings(traces.append), list(batch(4, 4))
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed())
    before = extractor(images, ["logits"]).values
    for _ in range(3):
        extractor(images, ["logits"])
    assert len(traces) == 3, "two to list, one to compile"
    model.settings["scale"] = 3.0
    np.testing.assert_allclose(extractor(images, ["logits"]).values, 1.5 * before, rtol=1e-5)


def test_what_was_compiled_last_is_remembered_and_the_oldest_forgotten():
    made: list[int] = []
    recent = Recent(2)

    def get(key: int) -> Any:
        return recent.get([key], lambda: made.append(key) or key)

    assert [get(key) for key in (1, 2, 1, 3, 1, 2)] == [1, 2, 1, 3, 1, 2]
    assert made == [1, 2, 3, 2]
    assert len(recent) == 2
    assert recent.get(np.zeros(2), lambda: "of an array") == "of an array"
    assert recent.get(np.zeros(2), lambda: "made anew") == "made anew"


def test_old_weights_are_let_go(batch: Callable[..., np.ndarray]):
    model, images = nnx.Linear(4, 3, rngs=nnx.Rngs(0)), list(batch(2, 4))
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed())
    extractor(images, ["logits"])
    old = weakref.ref(model.kernel[...])
    model.kernel = nnx.Param(2 * model.kernel[...])
    extractor(images, ["logits"])
    gc.collect()
    assert old() is None
