"""A ResNet and a vision transformer in flax linen, as training scripts write them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from flax import linen as nn
from jax import numpy as jnp


class Bottleneck(nn.Module):
    width: int
    stride: int = 1
    train: bool = False

    @nn.compact
    def __call__(self, values: Any) -> Any:
        conv = partial(nn.Conv, use_bias=False)
        norm = partial(nn.BatchNorm, use_running_average=not self.train)
        shortcut = values
        values = nn.relu(norm()(conv(self.width, (1, 1))(values)))
        values = nn.relu(norm()(conv(self.width, (3, 3), strides=self.stride)(values)))
        values = norm(scale_init=nn.initializers.zeros_init())(conv(4 * self.width, (1, 1))(values))
        if shortcut.shape != values.shape:
            shortcut = conv(4 * self.width, (1, 1), strides=self.stride, name="shortcut_conv")(shortcut)
            shortcut = norm(name="shortcut_norm")(shortcut)
        return nn.relu(values + shortcut)


class ResNet(nn.Module):
    """ResNet-50 at ``width=64`` and the default depths: 53 convolutions."""

    width: int = 64
    depths: Sequence[int] = (3, 4, 6, 3)
    n_classes: int = 1000

    @nn.compact
    def __call__(self, images: Any, train: bool = True) -> Any:
        values = nn.Conv(self.width, (7, 7), strides=2, use_bias=False, name="stem")(images)
        values = nn.relu(nn.BatchNorm(use_running_average=not train, name="stem_norm")(values))
        values = nn.max_pool(values, (3, 3), strides=(2, 2), padding="SAME")
        for stage, depth in enumerate(self.depths):
            for number in range(depth):
                stride = 2 if stage and not number else 1
                block = Bottleneck(self.width * 2**stage, stride, train, name=f"stage{stage}_block{number}")
                values = block(values)
        return nn.Dense(self.n_classes, name="head")(values.mean((1, 2)))


class EncoderBlock(nn.Module):
    n_heads: int

    @nn.compact
    def __call__(self, tokens: Any, deterministic: bool) -> Any:
        normed = nn.LayerNorm()(tokens)
        attention = nn.MultiHeadDotProductAttention(self.n_heads, dropout_rate=0.1, deterministic=deterministic)
        tokens = tokens + nn.Dropout(0.1)(attention(normed, normed), deterministic=deterministic)
        hidden = nn.gelu(nn.Dense(4 * tokens.shape[-1], name="up")(nn.LayerNorm()(tokens)))
        return tokens + nn.Dense(tokens.shape[-1], name="down")(hidden)


class ViT(nn.Module):
    width: int = 48
    depth: int = 3
    n_heads: int = 3
    n_classes: int = 10

    @nn.compact
    def __call__(self, images: Any, *, train: bool = True) -> Any:
        patches = nn.Conv(self.width, (8, 8), strides=8, padding="VALID", name="patches")(images)
        tokens = patches.reshape(len(patches), -1, self.width)
        first = self.param("class_token", nn.initializers.normal(0.02), (1, 1, self.width))
        tokens = jnp.concatenate([jnp.broadcast_to(first, (len(tokens), 1, self.width)), tokens], axis=1)
        tokens = tokens + self.param("position", nn.initializers.normal(0.02), tokens.shape[1:])
        for number in range(self.depth):
            tokens = EncoderBlock(self.n_heads, name=f"block{number}")(tokens, deterministic=not train)
        return nn.Dense(self.n_classes, name="head")(nn.LayerNorm(name="norm")(tokens)[:, 0])
