"""Whole architectures with random weights: every layer as each library itself reads it."""

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
from flax import nnx

import adapters

from . import architectures_equinox, architectures_linen, architectures_nnx

HEADS = ("query", "key", "value")  # what these return is (image, token, head, dimension), and no image


def randomised(shapes: Any) -> Any:
    """Return random weights of these shapes, such that values neither explode nor vanish; nothing is compiled."""
    generator = np.random.default_rng(0)

    def draw(path: Any, leaf: Any) -> Any:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.key(0)
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return jnp.ones(leaf.shape, leaf.dtype)
        values = generator.standard_normal(leaf.shape, dtype=np.float32)
        if leaf.size > max(leaf.shape):  # a kernel; its last axis are the outputs
            return jnp.asarray(values * (2 / np.prod(leaf.shape[:-1])) ** 0.5)
        is_positive = any(word in jax.tree_util.keystr(path) for word in ("var", "scale"))
        return jnp.asarray(1 + 0.3 * np.tanh(values) if is_positive else 0.1 * values)

    return jax.tree_util.tree_map_with_path(draw, shapes)


def flat(name: str, value: Any) -> np.ndarray:
    """Return values in (channel, row, column) order, one row per image."""
    is_image = value.ndim == 4 and not name.endswith(HEADS)
    return np.asarray(jnp.moveaxis(value, -1, 1) if is_image else value).reshape(len(value), -1)


def named(captured: Any, separator: str) -> dict[str, np.ndarray]:
    """Return what flax captured, by the name of the layer."""
    expected = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(captured)[0]:
        name = jax.tree_util.keystr(path, simple=True, separator=separator)
        name = name.removesuffix(f"__call__{separator}0").rstrip(separator) or "logits"
        expected[name] = flat(name, leaf)
    return expected


def require_same(model: Any, images: np.ndarray, expected: dict[str, np.ndarray], *, n_convs: int = 1) -> None:
    """Read everything in one pass, with a ragged last batch, and compare it with what the library gave."""
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed(), batch_size=2)
    layers = extractor.adapter.layers(images.shape[1:])
    names = {alias for name in layers for alias in (name, *layers[name].aliases)}
    assert (names, layers.unreadable) == (set(expected) - {"logits"}, {})
    assert sum("Conv" in layers[name].kind for name in layers) == n_convs
    assembly = extractor(images, [*layers, "logits"], progress=False)
    for name in (*layers, "logits"):
        got, largest = assembly.values[:, assembly["layer"].values == name], np.abs(expected[name]).max()
        assert 1e-3 < largest < 1e4, name
        np.testing.assert_allclose(got, expected[name], rtol=1e-4, atol=1e-5 * largest, err_msg=name)


@pytest.mark.parametrize(
    ("module", "n_convs"),
    [(architectures_linen.ResNet(width=4, n_classes=7), 53), (architectures_linen.ViT(), 1)],
    ids=["ResNet", "ViT"],
)
def test_linen(batch: Callable[..., np.ndarray], module: nn.Module, n_convs: int):
    images = batch(3, 32, 32, 3)
    variables = randomised(jax.eval_shape(lambda: module.init(jax.random.key(0), images[:1], train=False)))

    @jax.jit
    def capture(variables: Any, images: Any) -> Any:
        options = {"capture_intermediates": True, "mutable": ["intermediates"]}
        return module.apply(variables, images, train=False, **options)[1]["intermediates"]

    require_same((module, variables), images, named(capture(variables, images), "/"), n_convs=n_convs)


@pytest.mark.parametrize(
    ("build", "n_convs"),
    [
        (lambda: architectures_nnx.ResNet(nnx.Rngs(0), width=4, n_classes=7), 53),
        (lambda: architectures_nnx.ViT(nnx.Rngs(0), size=32), 1),
    ],
    ids=["ResNet", "ViT"],
)
def test_nnx(batch: Callable[..., np.ndarray], build: Callable[[], Any], n_convs: int, monkeypatch: pytest.MonkeyPatch):
    graph, shapes = nnx.split(nnx.eval_shape(build))
    weights, images = randomised(shapes), batch(3, 32, 32, 3)
    capture = nnx_captures if hasattr(nnx, "capture") else nnx_calls

    @jax.jit
    def evaluate(weights: Any, images: Any) -> Any:
        model = nnx.merge(graph, weights)
        model.eval()
        return capture(model, images, monkeypatch)

    expected = evaluate(weights, images)
    require_same(nnx.merge(graph, weights), images, named(expected, "."), n_convs=n_convs)


def nnx_captures(model: Any, images: Any, _: pytest.MonkeyPatch) -> Any:
    """Return what nnx itself captures, in flax from 0.12.8 on."""
    _, state = nnx.capture(model, nnx.Intermediate, method_outputs=nnx.Intermediate)(images)
    return nnx.to_pure_dict(state)


def nnx_calls(model: Any, images: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what calls return, heard by hand."""
    paths = {id(node): path for path, node in nnx.iter_graph(model) if isinstance(node, nnx.Module)}
    heard: dict[str, Any] = {}

    def listen(kind: Any) -> None:
        original = kind.__call__

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            output = original(self, *args, **kwargs)
            heard[".".join([*map(str, paths[id(self)]), "__call__.0"])] = output
            return output

        monkeypatch.setattr(kind, "__call__", call)

    for kind in {type(node) for _, node in nnx.iter_graph(model) if isinstance(node, nnx.Module) and callable(node)}:
        listen(kind)
    model(images)
    monkeypatch.undo()
    return heard


def test_equinox(batch: Callable[..., np.ndarray]):
    """Norms by their running statistics, no dropout, and the parts called by hand."""
    model, state = eqx.nn.make_with_state(architectures_equinox.CNN)(jax.random.key(0))
    images = batch(5, 3, 8, 12)
    expected: dict[str, Any] = {}
    values = jnp.asarray(images)
    for number, block in enumerate(model.blocks):
        mean, variance = (jnp.linspace(low, 2, block.norm.input_size) for low in (-1, 0.5))
        state = state.set(block.norm.batch_state_index, (mean, variance))
        values = expected[f"blocks.{number}.conv"] = jax.vmap(block.conv)(values)
        values = (values - mean[:, None, None]) / jnp.sqrt(variance + block.norm.eps)[:, None, None]
        expected[f"blocks.{number}.norm"] = values
        values = expected[f"blocks.{number}.dropout"] = expected[f"blocks.{number}"] = jax.nn.relu(values)
        values = expected[f"pool@{number}"] = jax.vmap(model.pool)(values)
    tokens = values.reshape(5, 8, -1).transpose(0, 2, 1) @ model.mix.weight.T + model.mix.bias
    expected["mix"] = tokens
    expected["head.layers.0"] = tokens.mean(1) @ model.head.layers[0].weight.T + model.head.layers[0].bias
    hidden = jax.nn.relu(expected["head.layers.0"])
    expected["head.layers.1"] = expected["logits"] = hidden @ model.head.layers[1].weight.T + model.head.layers[1].bias
    extractor = adapters.wrap((model, state), preprocessing=adapters.already_preprocessed(), batch_size=2)
    names = list(expected)
    assembly = extractor(images, names, progress=False)
    for name in names:
        got = assembly.values[:, assembly["layer"].values == name]
        np.testing.assert_allclose(got, np.asarray(expected[name]).reshape(5, -1), rtol=1e-4, atol=1e-5, err_msg=name)
    assert model.blocks[0].dropout.inference is False


def test_haiku(batch: Callable[..., np.ndarray]):
    """Haiku's own ResNet-50, against haiku's own interceptors."""
    transformed = hk.transform_with_state(lambda images, is_training: hk.nets.ResNet50(10)(images, is_training))
    images = batch(3, 32, 32, 3)
    shapes = jax.eval_shape(lambda: transformed.init(jax.random.key(0), images, is_training=True))
    params, state = randomised(shapes)
    state = {name: jax.tree.map(jnp.abs, value) for name, value in state.items()}

    @jax.jit
    def hear(params: Any, state: Any) -> dict[str, Any]:
        heard: dict[str, Any] = {}

        def keep(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
            output = call(*args, **kwargs)
            if context.method_name == "__call__":
                heard[context.module.module_name] = output
            return output

        with hk.experimental.intercept_methods(keep):
            output, _ = transformed.apply(params, state, None, images, is_training=False)
        return {**heard, "logits": output}

    heard = hear(params, state)
    expected = {name: flat("", value) for name, value in heard.items()}
    require_same((transformed, params, state), images, expected, n_convs=53)
