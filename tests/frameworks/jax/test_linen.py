"""flax linen: the same values as linen's own capture_intermediates, whatever transforms the model uses."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from flax.training import train_state

import adapters
from adapters.errors import UnsupportedModelError


class Block(nn.Module):
    @nn.compact
    def __call__(self, values: Any) -> Any:
        return values + nn.relu(nn.Conv(values.shape[-1], (3, 3))(values))


class ConvNet(nn.Module):
    @nn.compact
    def __call__(self, images: Any) -> Any:
        values = nn.Conv(6, (3, 3), name="stem")(images)
        values = Block()(values)
        values = Block()(values)
        values = nn.remat(Block)(name="saved")(values)
        return nn.Dense(5)(values.mean((1, 2)))


def initialised(module: nn.Module, *shape: int) -> tuple[nn.Module, Any]:
    return module, module.init(jax.random.key(0), jnp.zeros((1, *shape)))


def captured(module: nn.Module, variables: Any, images: np.ndarray) -> dict[str, np.ndarray]:
    """Return what linen itself captures, channels first and flat."""
    _, state = module.apply(variables, images, capture_intermediates=True, mutable=["intermediates"])
    found = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(state["intermediates"])[0]:
        name = jax.tree_util.keystr(path, simple=True, separator="/").removesuffix("__call__/0").rstrip("/")
        value = np.moveaxis(leaf, -1, 1) if leaf.ndim == 4 else leaf
        found[name or "logits"] = np.asarray(value, np.float32).reshape(len(images), -1)
    return found


def test_every_layer_is_what_linen_captures(read, batch):
    module, variables = initialised(ConvNet(), 8, 9, 3)
    images = batch(5, 8, 9, 3)
    expected = captured(module, variables, images)
    adapter = adapters.wrap((module, variables), preprocessing=adapters.already_preprocessed()).adapter
    layers = adapter.layers((8, 9, 3))
    assert list(layers) == [
        *("stem", "Block_0/Conv_0", "Block_0", "Block_1/Conv_0", "Block_1", "saved/Conv_0", "saved", "Dense_0"),
    ]
    assert layers["stem"].shape == (6, 8, 9)
    assembly = read((module, variables), images, [*layers, "logits"])
    for name in (*layers, "logits"):
        got = assembly.values[:, assembly["layer"].values == name]
        np.testing.assert_allclose(got, expected[name], rtol=1e-4, atol=1e-6)


def test_bound_and_pair_are_the_same(read, batch):
    module, variables = initialised(ConvNet(), 8, 9, 3)
    images = batch(3, 8, 9, 3)
    pair, bound = (read(model, images, ["Block_1"]) for model in ((module, variables), module.bind(variables)))
    np.testing.assert_array_equal(pair.values, bound.values)


def test_bound_part_of_a_model_is_a_model(read, batch):
    module, variables = initialised(Parts(), 3)
    values = read(module.bind(variables).first, list(batch(2, 3))).values
    np.testing.assert_allclose(values, module.bind(variables).first(batch(2, 3)), rtol=1e-5)


class Parts(nn.Module):
    def setup(self) -> None:
        self.first, self.second = nn.Dense(4), nn.Dense(2)

    def __call__(self, values: Any) -> Any:
        return self.second(self.first(values))


class Step(nn.Module):
    @nn.compact
    def __call__(self, values: Any, _: Any) -> Any:
        return jnp.tanh(nn.Dense(4, name="dense")(values)), None


class Scanned(nn.Module):
    @nn.compact
    def __call__(self, values: Any) -> Any:
        loop = nn.scan(Step, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
        return loop(name="loop")(values, None)[0]


def test_layers_in_a_scan_are_called_once_per_step(read, batch):
    module, variables = initialised(Scanned(), 4)
    images = batch(3, 4)
    assembly = read((module, variables), list(images), ["loop/dense"], calls="all")
    assert list(dict.fromkeys(assembly["layer"].values)) == ["loop/dense@0", "loop/dense@1", "loop/dense@2"]
    values, expected = images, []
    for step in range(3):
        dense = jax.tree.map(lambda leaf, step=step: leaf[step], variables["params"]["loop"]["dense"])
        expected.append(values @ dense["kernel"] + dense["bias"])
        values = jnp.tanh(expected[-1])
    np.testing.assert_allclose(assembly.values, np.concatenate(expected, axis=1), rtol=1e-4, atol=1e-6)


class Training(nn.Module):
    """Says in its own code that it trains."""

    @nn.compact
    def __call__(self, values: Any) -> Any:
        values = nn.BatchNorm(use_running_average=False, name="norm")(values)
        return nn.Dropout(0.5, deterministic=False, name="dropout")(values)


def test_norm_and_dropout_are_in_inference_mode_whatever_the_code_says(read, batch):
    module = Training()
    variables = module.init({"params": jax.random.key(0), "dropout": jax.random.key(1)}, jnp.zeros((2, 3)))
    images = batch(4, 3)
    stats = {"mean": jnp.full(3, 2.0), "var": jnp.full(3, 4.0)}
    variables = {**variables, "batch_stats": {"norm": stats}}
    for layer in ("norm", "dropout"):
        values = read((module, variables), list(images), [layer]).values
        np.testing.assert_allclose(values, (images - 2) / np.sqrt(4 + 1e-5), rtol=1e-5)


class Attention(nn.Module):
    @nn.compact
    def __call__(self, images: Any) -> Any:
        tokens = images.reshape(len(images), -1, images.shape[-1])
        return nn.MultiHeadDotProductAttention(2, qkv_features=8, name="attention")(tokens, tokens)


def test_heads_are_no_image(read, batch):
    """Queries are (image, token, head, dimension): rank 4, and yet without rows and columns."""
    module, variables = initialised(Attention(), 2, 3, 5)
    images = batch(2, 2, 3, 5)
    expected = captured(module, variables, images)["logits"]
    np.testing.assert_allclose(read((module, variables), images).values, expected, rtol=1e-4, atol=1e-6)
    layers = adapters.wrap((module, variables), preprocessing=adapters.already_preprocessed()).adapter.layers((2, 3, 5))
    assert layers["attention/query"].shape == (6, 2, 4)


class Trained(nn.Module):
    @nn.compact
    def __call__(self, images: Any, train: bool = False) -> Any:
        return nn.Dense(2)(nn.BatchNorm(use_running_average=not train, name="norm")(images).mean((1, 2)))


class TrainStateWithStatistics(train_state.TrainState):
    batch_stats: Any


def test_state_of_a_training_is_read(batch):
    """As training scripts keep a model; what the optimiser remembers is no variable of it."""
    images, module = batch(3, 8, 8, 3), Trained()
    variables = module.init(jax.random.key(0), images)
    variables["batch_stats"]["norm"]["mean"] += 0.5
    parts = {"apply_fn": module.apply, "params": variables["params"], "tx": optax.adam(1e-3)}
    state = TrainStateWithStatistics.create(**parts, batch_stats=variables["batch_stats"])
    extractor = adapters.wrap(state, preprocessing=adapters.already_preprocessed())
    assert extractor.identifier == "Trained"
    expected = np.asarray(module.apply(variables, images))
    np.testing.assert_allclose(extractor(images, ["logits"]).values, expected.reshape(3, -1), rtol=1e-5, atol=1e-6)
    state = train_state.TrainState.create(**{**parts, "apply_fn": lambda *_: None})
    with pytest.raises(UnsupportedModelError, match=r"does not say its module; expected module\.apply"):
        adapters.wrap(state)


class Featured(nn.Module):
    """Returns its child's values and something beside them."""

    @nn.compact
    def __call__(self, images: Any) -> Any:
        features = nn.Conv(4, (3, 3), name="conv")(images)
        return {"features": features, "pooled": features.mean((1, 2))}


def test_container_that_returns_more_than_its_child_is_a_layer(read, batch):
    class Outer(nn.Module):
        @nn.compact
        def __call__(self, images: Any) -> Any:
            return nn.Dense(2, name="head")(Featured(name="stem")(images)["pooled"])

    module, variables = initialised(Outer(), 6, 7, 3)
    images = batch(2, 6, 7, 3)
    found = captured(module, variables, images)
    for layer, expected in (("stem:features", found["stem/conv"]), ("stem", found["stem/conv"])):
        np.testing.assert_allclose(read((module, variables), images, [layer]).values, expected, rtol=1e-4, atol=1e-6)
    pooled = found["stem/conv"].reshape(2, 4, -1).mean(-1)
    np.testing.assert_allclose(read((module, variables), images, ["stem:pooled"]).values, pooled, rtol=1e-4, atol=1e-6)
