"""A small convolutional network in equinox, with batch norms and dropout, registered as ``small_equinox_cnn``.

An equinox model with a state is passed as the pair ``(model, state)``. The weights are random, and the same every time:
good enough to see how a model is passed, worthless as a model.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax

import adapters
from registry import register_model

EQUINOX = """@article{kidger2021equinox,
    title = {Equinox: neural networks in JAX via callable PyTrees and filtered transformations},
    author = {Kidger, Patrick and Garcia, Cristian},
    journal = {Differentiable Programming workshop at Neural Information Processing Systems},
    year = {2021},
    url = {https://arxiv.org/abs/2111.00254}
}"""


class Block(eqx.Module):
    conv: eqx.nn.Conv2d
    norm: eqx.nn.BatchNorm

    def __init__(self, n_inputs: int, n_outputs: int, key: Any) -> None:
        self.conv = eqx.nn.Conv2d(n_inputs, n_outputs, 3, stride=2, padding=1, key=key)
        self.norm = eqx.nn.BatchNorm(n_outputs, axis_name="batch", mode="batch")

    def __call__(self, values: Any, state: Any) -> tuple[Any, Any]:
        values, state = self.norm(self.conv(values), state)
        return jax.nn.relu(values), state


class SmallCNN(eqx.Module):
    blocks: list[Block]
    dropout: eqx.nn.Dropout
    head: eqx.nn.Linear

    def __init__(self, key: Any) -> None:
        keys = jax.random.split(key, 4)
        self.blocks = [Block(3 * 4**n, 3 * 4 ** (n + 1), keys[n]) for n in range(3)]
        self.dropout = eqx.nn.Dropout(0.5)
        self.head = eqx.nn.Linear(192, 1000, key=keys[3])

    def __call__(self, image: Any, state: Any, *, key: Any) -> tuple[Any, Any]:  # one image: (channel, row, column)
        for block in self.blocks:
            image, state = block(image, state)
        return self.head(self.dropout(image.mean((1, 2)), key=key)), state


@register_model(layers=["blocks.0", "blocks.1", "blocks.2"], preprocessing=adapters.imagenet(64), bibtex=EQUINOX)
def small_equinox_cnn() -> tuple[SmallCNN, eqx.nn.State]:
    return eqx.nn.make_with_state(SmallCNN)(jax.random.key(0))  # your trained pair goes here
