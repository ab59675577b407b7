"""Values are brought to (channel, row, column) where they have rows and columns, and only there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

import adapters

Read = Callable[..., Any]
Batch = Callable[..., np.ndarray]
KEY = jax.random.key(0)


class Scored(nn.Module):
    """Attention that returns its scores, (image, head, token, token), beside the tokens."""

    @nn.compact
    def __call__(self, tokens: Any) -> Any:
        heads = nn.Dense(16, name="heads")(tokens).reshape(*tokens.shape[:2], 2, 8)
        scores = nn.softmax(jnp.einsum("bthd,bshd->bhts", heads, heads))
        scores = nn.Dropout(0.1, deterministic=True, name="dropout")(scores)
        return jnp.einsum("bhts,bshd->bthd", scores, heads).reshape(*tokens.shape[:2], 16), scores


class Transformer(nn.Module):
    @nn.compact
    def __call__(self, images: Any) -> Any:
        values = nn.Conv(8, (2, 2), (2, 2), name="stem")(images)
        tokens, scores = Scored(name="attention")(values.reshape(len(values), -1, 8))
        grid = nn.Dropout(0.1, deterministic=True, name="grid")(tokens.reshape(*values.shape[:3], -1))
        return grid, scores


def test_scores_keep_their_order_and_tokens_get_their_rows_back(read: Read, batch: Batch):
    module, images = Transformer(), batch(3, 8, 6, 3)
    variables = module.init(KEY, images)
    grid, scores = (np.asarray(value) for value in module.apply(variables, images))
    for layer in ("attention/dropout", "attention:1", "logits:1"):
        np.testing.assert_allclose(read((module, variables), images, [layer]).values, scores.reshape(3, -1), rtol=1e-5)
    expected = np.moveaxis(grid, -1, 1).reshape(3, -1)
    for layer in ("grid", "logits:0", "logits"):
        np.testing.assert_allclose(read((module, variables), images, [layer]).values, expected, rtol=1e-4, atol=1e-6)
    tokens = grid.reshape(3, -1)
    np.testing.assert_allclose(read((module, variables), images, ["attention:0"]).values, tokens, rtol=1e-4, atol=1e-6)


class Rearranged(nn.Module):
    """Takes images apart in ways of which each module's result is an image again."""

    @nn.compact
    def __call__(self, images: Any) -> Any:
        n_images, n_rows, n_columns, n_channels = images.shape
        values = images.reshape(n_images, n_rows // 2, 2, n_columns // 2, 2, n_channels).transpose(0, 1, 3, 2, 4, 5)
        values = nn.Dense(8, name="merged")(values.reshape(n_images, n_rows // 2, n_columns // 2, 4 * n_channels))
        values = nn.GroupNorm(2, name="groups")(values)
        windows = values.reshape(n_images, n_rows // 4, 2, n_columns // 4, 2, 8).swapaxes(2, 3).reshape(-1, 4, 8)
        windows = nn.Dense(8)(windows).reshape(n_images, n_rows // 4, n_columns // 4, 2, 2, 8).swapaxes(2, 3)
        values = nn.LayerNorm(name="windows")(windows.reshape(values.shape))
        return nn.Dense(6, name="squeezed")(values.mean((1, 2), keepdims=True))


def test_images_that_were_taken_apart_are_images_again(read: Read, batch: Batch):
    module, images = Rearranged(), batch(2, 8, 12, 3)
    variables = module.init(KEY, images)
    _, state = module.apply(variables, images, capture_intermediates=True, mutable=["intermediates"])
    layers = adapters.wrap((module, variables), preprocessing=adapters.already_preprocessed()).adapter.layers(
        (8, 12, 3)
    )
    shapes = {"merged": (8, 4, 6), "groups": (8, 4, 6), "windows": (8, 4, 6), "squeezed": (6, 1, 1)}
    assert {layer: layers[layer].shape for layer in shapes} == shapes
    for layer in shapes:
        expected = np.moveaxis(state["intermediates"][layer]["__call__"][0], -1, 1).reshape(2, -1)
        np.testing.assert_allclose(read((module, variables), images, [layer]).values, expected, rtol=1e-4, atol=1e-5)


def test_stacks_of_images_too(read: Read, batch: Batch):
    module, videos = nn.Sequential([nn.Conv(5, (3, 3, 3)), nn.relu]), batch(2, 4, 6, 7, 3)
    variables = module.init(KEY, videos)
    expected = np.moveaxis(np.asarray(module.apply(variables, videos)), -1, 1).reshape(2, -1)
    np.testing.assert_allclose(read((module, variables), list(videos)).values, expected, rtol=1e-4, atol=1e-6)


class ConvNext(eqx.Module):
    conv: eqx.nn.Conv2d
    norm: eqx.nn.LayerNorm
    dense: eqx.nn.Linear

    def __call__(self, image: Any) -> Any:
        values = jnp.moveaxis(self.conv(image), 0, -1)
        values = jax.vmap(jax.vmap(self.norm))(values)
        return jnp.moveaxis(jax.vmap(jax.vmap(self.dense))(values), -1, 0)


def test_equinox_layer_mapped_over_rows_and_columns(read: Read, batch: Batch):
    """Layer and output are the same values, the one as (row, column, channel), the other moved by the model."""
    model = ConvNext(eqx.nn.Conv2d(3, 5, 3, key=KEY), eqx.nn.LayerNorm(5), eqx.nn.Linear(5, 4, key=KEY))
    images = batch(2, 3, 8, 9)
    expected = np.asarray(jax.vmap(model)(images)).reshape(2, -1)
    found = read(model, images, ["dense", "logits"])
    for layer in ("dense", "logits"):
        np.testing.assert_allclose(found.sel(layer=layer).values, expected, rtol=1e-4, atol=1e-6)
    values = jnp.moveaxis(jax.vmap(model.conv)(images), 1, -1)
    norm = jnp.moveaxis(jax.vmap(jax.vmap(jax.vmap(model.norm)))(values), -1, 1).reshape(2, -1)
    np.testing.assert_allclose(read(model, images, ["norm"]).values, norm, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("first", ["pool", "conv"])
def test_images_are_laid_out_as_the_first_convolution_takes_them(read: Read, batch: Batch, first: str):
    def network(images: Any) -> Any:
        def pool(values: Any) -> Any:
            return hk.MaxPool((1, 2, 2), (1, 2, 2), "VALID", channel_axis=1, name="pool")(values)

        conv = hk.Conv2D(4, 3, data_format="NCHW", name="conv")
        return conv(pool(images)) if first == "pool" else pool(conv(images))

    transformed, images = hk.without_apply_rng(hk.transform(network)), batch(2, 3, 8, 6)
    params = transformed.init(KEY, images)
    extractor = adapters.wrap((transformed, params), preprocessing=adapters.already_preprocessed())
    n_channels = 3 if first == "pool" else 4
    assert extractor.adapter.layers((3, 8, 6))["pool"].shape == (n_channels, 4, 3)
    expected = np.asarray(transformed.apply(params, images)).reshape(2, -1)
    np.testing.assert_allclose(extractor(images, ["logits"]).values, expected, rtol=1e-4, atol=1e-6)
