"""What a run costs: one trace for all batches, and nothing computed that no requested layer needs."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import adapters
from adapters.frameworks.tensorflow import TensorFlowAdapter
from adapters.layers import resolve

N_BLOCKS = 12


class Deep(tf.Module):
    """Counts how often Python runs through it, which is once per trace."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        widths = [3] + [16] * N_BLOCKS
        self.kernels = [
            tf.Variable((0.1 * rng.standard_normal((3, 3, before, after))).astype(np.float32))
            for before, after in pairwise(widths)
        ]
        self.blocks = [Block() for _ in self.kernels]

    def __call__(self, images: Any) -> Any:
        NOTES.append(images.shape)
        for kernel, block in zip(self.kernels, self.blocks, strict=True):
            images = block(tf.nn.conv2d(images, kernel, 1, "SAME"))
        return images


class Block(tf.Module):
    def __call__(self, values: Any) -> Any:
        return tf.nn.relu(values)


NOTES: list[Any] = []


@pytest.fixture
def deep() -> Deep:
    NOTES.clear()
    return Deep()


def test_one_trace_for_all_layers_and_batches(deep: Deep, batch: Callable[..., np.ndarray]):
    extractor = adapters.wrap(deep, preprocessing=adapters.already_preprocessed(), batch_size=4)
    for seed in range(3):
        extractor(batch(11, 24, 24, 3, seed=seed), ["blocks.0", "blocks.3"])  # 4 + 4 + 3
    extractor(batch(2, 24, 24, 3), ["blocks.5"])
    assert [tuple(shape) for shape in NOTES] == [(None, 24, 24, 3)]


def test_first_block_costs_a_fraction(deep: Deep, record_property: Callable[[str, object], None]):
    adapter, shape, images = TensorFlowAdapter(deep), (48, 48, 3), np.zeros((16, 48, 48, 3), np.float32)
    seconds = {}
    for layer in ("blocks.0", "logits"):
        with adapter.open(resolve(layer, adapter.layers(shape)), shape) as forward:
            forward(images)
            times = []
            for _ in range(5):
                start = time.perf_counter()
                adapter.to_host(forward(images))
                times.append(time.perf_counter() - start)
        seconds[layer] = min(times)
    ratio = seconds["blocks.0"] / seconds["logits"]
    record_property("measured", f"tensorflow: the first of {N_BLOCKS} convolutions costs {ratio:.0%} of the full pass")
    assert ratio < 0.5
