"""A small vision transformer in flax linen, registered as ``small_vit``.

Its weights are random, and the same every time: good enough to see how a JAX model is passed, worthless as a model.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

import adapters
from registry import register_model

VIT = """@inproceedings{dosovitskiy2021image,
    title = {An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale},
    author = {Dosovitskiy, Alexey and others},
    booktitle = {International Conference on Learning Representations},
    year = {2021},
    url = {https://openreview.net/forum?id=YicbFdNTTy}
}"""


class Block(nn.Module):
    @nn.compact
    def __call__(self, tokens: Any) -> Any:
        normed = nn.LayerNorm()(tokens)
        tokens = tokens + nn.MultiHeadDotProductAttention(num_heads=4, name="attention")(normed, normed)
        hidden = nn.gelu(nn.Dense(4 * tokens.shape[-1], name="up")(nn.LayerNorm()(tokens)))
        return tokens + nn.Dense(tokens.shape[-1], name="down")(hidden)


class SmallViT(nn.Module):
    depth: int = 4
    width: int = 64

    @nn.compact
    def __call__(self, images: Any) -> Any:
        patches = nn.Conv(self.width, (8, 8), strides=8, padding="VALID", name="patches")(images)
        tokens = patches.reshape(len(patches), -1, self.width)
        tokens = tokens + self.param("position", nn.initializers.normal(0.02), tokens.shape[1:])
        for number in range(self.depth):
            tokens = Block(name=f"block{number}")(tokens)
        return nn.Dense(1000, name="head")(nn.LayerNorm(name="norm")(tokens).mean(1))


@register_model(
    layers=["patches", "block0", "block1", "block2", "block3"], preprocessing=adapters.imagenet(64), bibtex=VIT
)
def small_vit() -> tuple[nn.Module, Any]:
    module = SmallViT()
    return module, module.init(jax.random.key(0), jnp.zeros((1, 64, 64, 3)))  # your trained variables go here
