"""An equinox CNN with all that makes equinox particular: state, inference mode, random keys, modules under vmap."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax


class Block(eqx.Module):
    conv: eqx.nn.Conv2d
    norm: eqx.nn.BatchNorm
    dropout: eqx.nn.Dropout

    def __init__(self, n_inputs: int, n_outputs: int, key: Any) -> None:
        self.conv = eqx.nn.Conv2d(n_inputs, n_outputs, 3, padding=1, use_bias=False, key=key)
        self.norm = eqx.nn.BatchNorm(n_outputs, "batch", mode="batch")
        self.dropout = eqx.nn.Dropout(0.3)

    def __call__(self, values: Any, state: Any, key: Any) -> tuple[Any, Any]:
        values, state = self.norm(self.conv(values), state)
        return self.dropout(jax.nn.relu(values), key=key), state


class CNN(eqx.Module):
    blocks: tuple[Block, ...]
    pool: eqx.nn.MaxPool2d
    mix: eqx.nn.Linear
    head: eqx.nn.MLP

    def __init__(self, key: Any) -> None:
        keys = jax.random.split(key, 4)
        self.blocks = (Block(3, 6, keys[0]), Block(6, 8, keys[1]))
        self.pool = eqx.nn.MaxPool2d(2, 2)
        self.mix = eqx.nn.Linear(8, 8, key=keys[2])
        self.head = eqx.nn.MLP(8, 5, 7, 1, key=keys[3])

    def __call__(self, image: Any, state: Any, *, key: Any) -> tuple[Any, Any]:
        for block in self.blocks:
            image, state = block(image, state, key)
            image = self.pool(image)
        tokens = jax.vmap(self.mix)(image.reshape(len(image), -1).T)
        return self.head(tokens.mean(0)), state
