"""Blocks that the model itself compiles: jax traces equal ones once, and those that ran before not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from flax import linen as nn

Read = Callable[..., Any]
Batch = Callable[..., np.ndarray]
KEY = jax.random.key(0)


class Block(nn.Module):
    @nn.compact
    def __call__(self, values: Any) -> Any:
        return nn.tanh(nn.Dense(3, name="dense")(values))


class Stacked(nn.Module):
    @nn.compact
    def __call__(self, values: Any) -> Any:
        for _ in range(3):
            values = nn.jit(Block)()(values)
        return values


def test_equal_blocks_keep_their_own_names(read: Read, batch: Batch):
    module, images = Stacked(), batch(4, 3)
    variables = module.init(KEY, images)
    values, expected = images, {}
    for number in range(3):
        dense = variables["params"][f"JitBlock_{number}"]["dense"]
        expected[f"JitBlock_{number}/dense"] = values @ dense["kernel"] + dense["bias"]
        values = expected[f"JitBlock_{number}"] = np.tanh(expected[f"JitBlock_{number}/dense"])
    for name, value in expected.items():
        np.testing.assert_allclose(read((module, variables), list(images), [name]).values, value, rtol=1e-4, atol=1e-6)


def test_compiled_function_that_ran_before_is_read_and_left_as_it_was(read: Read, batch: Batch):
    images, traces = batch(3, 5), []
    weights = Inner().init(KEY, images)

    @jax.jit
    def run(values: Any) -> Any:
        traces.append(values.shape)
        return Inner().apply(weights, values)

    class Outer(nn.Module):
        @nn.compact
        def __call__(self, values: Any) -> Any:
            return nn.Dense(2, name="outer")(run(values))

    module = Outer()
    variables = module.init(KEY, images)
    expected = np.asarray(run(images))
    for n_images in (2, 3):  # as many as the adapter tries out
        run(images[:n_images])
    np.testing.assert_allclose(read((module, variables), list(images), ["inner"]).values, expected, rtol=1e-5)
    n_traces = len(traces)
    run(images)
    assert len(traces) == n_traces, "the user's own compiled function is still there"


class Inner(nn.Module):
    @nn.compact
    def __call__(self, values: Any) -> Any:
        return nn.Dense(4, name="inner")(values)
