"""The same ResNet and vision transformer in flax nnx; blocks are attributes, which every version of nnx takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flax import nnx
from jax import numpy as jnp


class Bottleneck(nnx.Module):
    def __init__(self, n_inputs: int, width: int, stride: int, rngs: nnx.Rngs) -> None:
        n_outputs = 4 * width
        self.conv1 = nnx.Conv(n_inputs, width, (1, 1), use_bias=False, rngs=rngs)
        self.norm1 = nnx.BatchNorm(width, rngs=rngs)
        self.conv2 = nnx.Conv(width, width, (3, 3), strides=stride, use_bias=False, rngs=rngs)
        self.norm2 = nnx.BatchNorm(width, rngs=rngs)
        self.conv3 = nnx.Conv(width, n_outputs, (1, 1), use_bias=False, rngs=rngs)
        self.norm3 = nnx.BatchNorm(n_outputs, rngs=rngs)
        self.has_shortcut = n_inputs != n_outputs or stride != 1
        if self.has_shortcut:
            self.shortcut_conv = nnx.Conv(n_inputs, n_outputs, (1, 1), strides=stride, use_bias=False, rngs=rngs)
            self.shortcut_norm = nnx.BatchNorm(n_outputs, rngs=rngs)

    def __call__(self, values: Any) -> Any:
        shortcut = self.shortcut_norm(self.shortcut_conv(values)) if self.has_shortcut else values
        values = nnx.relu(self.norm1(self.conv1(values)))
        values = nnx.relu(self.norm2(self.conv2(values)))
        return nnx.relu(self.norm3(self.conv3(values)) + shortcut)


class ResNet(nnx.Module):
    """ResNet-50 at ``width=64`` and the default depths: 53 convolutions."""

    def __init__(
        self, rngs: nnx.Rngs, *, width: int = 64, depths: Sequence[int] = (3, 4, 6, 3), n_classes: int = 1000
    ) -> None:
        self.stem = nnx.Conv(3, width, (7, 7), strides=2, use_bias=False, rngs=rngs)
        self.stem_norm = nnx.BatchNorm(width, rngs=rngs)
        n_channels, names = width, []
        for stage, depth in enumerate(depths):
            for number in range(depth):
                stride = 2 if stage and not number else 1
                names.append(f"stage{stage}_block{number}")
                setattr(self, names[-1], Bottleneck(n_channels, width * 2**stage, stride, rngs))
                n_channels = 4 * width * 2**stage
        self.blocks = tuple(names)
        self.head = nnx.Linear(n_channels, n_classes, rngs=rngs)

    def __call__(self, images: Any) -> Any:
        values = nnx.relu(self.stem_norm(self.stem(images)))
        values = nnx.max_pool(values, (3, 3), strides=(2, 2), padding="SAME")
        for name in self.blocks:
            values = getattr(self, name)(values)
        return self.head(values.mean((1, 2)))


class EncoderBlock(nnx.Module):
    def __init__(self, width: int, n_heads: int, rngs: nnx.Rngs) -> None:
        self.norm1, self.norm2 = nnx.LayerNorm(width, rngs=rngs), nnx.LayerNorm(width, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(n_heads, width, dropout_rate=0.1, decode=False, rngs=rngs)
        self.dropout = nnx.Dropout(0.1, rngs=rngs)
        self.up, self.down = nnx.Linear(width, 4 * width, rngs=rngs), nnx.Linear(4 * width, width, rngs=rngs)

    def __call__(self, tokens: Any) -> Any:
        tokens = tokens + self.dropout(self.attention(self.norm1(tokens)))
        return tokens + self.down(nnx.gelu(self.up(self.norm2(tokens))))


class ViT(nnx.Module):
    def __init__(
        self, rngs: nnx.Rngs, *, size: int, width: int = 48, depth: int = 3, n_heads: int = 3, n_classes: int = 10
    ) -> None:
        self.patches = nnx.Conv(3, width, (8, 8), strides=8, padding="VALID", rngs=rngs)
        self.class_token = nnx.Param(0.02 * nnx.initializers.normal(1.0)(rngs.params(), (1, 1, width)))
        self.position = nnx.Param(nnx.initializers.normal(0.02)(rngs.params(), ((size // 8) ** 2 + 1, width)))
        self.depth, self.width = depth, width
        for number in range(depth):
            setattr(self, f"block{number}", EncoderBlock(width, n_heads, rngs))
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.head = nnx.Linear(width, n_classes, rngs=rngs)

    def __call__(self, images: Any) -> Any:
        tokens = self.patches(images).reshape(len(images), -1, self.width)
        first = jnp.broadcast_to(self.class_token[...], (len(images), 1, self.width))
        tokens = jnp.concatenate([first, tokens], axis=1) + self.position[...]
        for number in range(self.depth):
            tokens = getattr(self, f"block{number}")(tokens)
        return self.head(self.norm(tokens)[:, 0])
