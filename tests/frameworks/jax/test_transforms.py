"""Layers under JAX's transforms: read where something of each call comes out, refused with a reason where not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import adapters
from adapters.errors import ActivationShapeError

Read = Callable[..., Any]
Batch = Callable[..., np.ndarray]


class Branched(nn.Module):
    @nn.compact
    def __call__(self, values: Any) -> Any:
        dense = nn.Dense(3, name="dense")
        dense(values)
        values = nn.Dense(3, name="first")(values)
        return jax.lax.cond(values.sum() > 0, lambda values: dense(values), lambda values: values, values)


class Repeated(nn.Module):
    """Calls a layer before its loop as well: the value of that call must not pass for the last one."""

    @nn.compact
    def __call__(self, values: Any) -> Any:
        dense = nn.Dense(3, name="dense")
        start = (dense(nn.Dense(3, name="first")(values)), 0)

        def step(_: Any, carry: Any) -> Any:
            return dense(carry[0]), carry[1] + 1

        return nn.while_loop(lambda _, carry: carry[1] < 3, step, self, start)[0]


class NnxBranched(nnx.Module):
    def __init__(self) -> None:
        self.first, self.dense = nnx.Linear(3, 3, rngs=nnx.Rngs(0)), nnx.Linear(3, 3, rngs=nnx.Rngs(1))

    def __call__(self, values: Any) -> Any:
        values = self.first(values)
        return nnx.cond(
            values.sum() > 0, lambda dense, values: dense(values), lambda _, values: values, self.dense, values
        )


class NnxRepeated(NnxBranched):
    def __call__(self, values: Any) -> Any:
        def step(carry: Any) -> Any:
            return carry[0], carry[0](carry[1]), carry[2] + 1

        return nnx.while_loop(lambda carry: carry[2] < 3, step, (self.dense, self.first(values), 0))[1]


def initialised(module: nn.Module) -> tuple[nn.Module, Any]:
    return module, module.init(jax.random.key(0), jnp.ones((1, 3)))


@pytest.mark.parametrize(
    ("build", "operation"),
    [
        (lambda: initialised(Branched()), "cond"),
        (lambda: initialised(Repeated()), "while"),
        (NnxBranched, "cond"),
        (NnxRepeated, "while"),
    ],
    ids=["linen cond", "linen while", "nnx cond", "nnx while"],
)
def test_layers_inside_branches_and_open_loops_say_so(
    read: Read, batch: Batch, build: Callable[[], Any], operation: str
):
    model, images = build(), list(batch(2, 3))
    assert read(model, images, ["first", "logits"]).shape == (2, 6)
    expected = rf"cannot be read: it runs inside JAX's '{operation}'.*before or after it, or write a loop with jax\.lax"
    for request in ("dense", "dense:0"):
        with pytest.raises(ActivationShapeError, match=expected):
            read(model, images, [request])


class Layer(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.dense = nnx.Linear(3, 3, rngs=rngs)

    def __call__(self, values: Any) -> Any:
        return jnp.tanh(self.dense(values))


class NnxScanned(nnx.Module):
    def __init__(self, *, n_layers: int = 3) -> None:
        rngs = nnx.Rngs(0)
        make = nnx.vmap(Layer, in_axes=(0,), out_axes=0)
        self.layers = nnx.split_rngs(splits=n_layers)(lambda rngs: make(rngs))(rngs)

    def __call__(self, values: Any) -> Any:
        run = nnx.scan(lambda layer, values: layer(values), in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
        return run(self.layers, values)


def test_nnx_scan_is_called_once_per_layer(read: Read, batch: Batch):
    model, images = NnxScanned(), batch(4, 3)
    kernels, biases = (np.asarray(variable[...]) for variable in (model.layers.dense.kernel, model.layers.dense.bias))
    values, expected = images, []
    for kernel, bias in zip(kernels, biases, strict=True):
        expected.append(values @ kernel + bias)
        values = np.tanh(expected[-1])
    got = read(model, list(images), ["layers.dense", "logits"], calls="all")
    np.testing.assert_allclose(got.values, np.concatenate([*expected, values], axis=1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("transform", [nnx.remat, nnx.jit])
def test_nnx_remat_and_jit_are_read_through(read: Read, batch: Batch, transform: Callable[..., Any]):
    class Wrapped(nnx.Module):
        def __init__(self) -> None:
            self.layer = Layer(nnx.Rngs(0))

        def __call__(self, values: Any) -> Any:
            return 2 * transform(lambda layer, values: layer(values))(self.layer, values)

    model, images = Wrapped(), batch(4, 3)
    expected = np.asarray(model.layer.dense(images))
    np.testing.assert_allclose(read(model, list(images), ["layer.dense"]).values, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("transform", [nn.remat, nn.jit])
def test_linen_transforms_are_read_through(read: Read, batch: Batch, transform: Callable[..., Any]):
    class Wrapped(nn.Module):
        @nn.compact
        def __call__(self, values: Any) -> Any:
            return nn.Dense(2)(transform(nn.Dense)(4, name="layer")(values))

    module, variables = initialised(Wrapped())
    images = batch(4, 3)
    _, state = module.apply(variables, images, capture_intermediates=True, mutable=["intermediates"])
    expected = state["intermediates"]["layer"]["__call__"][0]
    got = read((module, variables), list(images), ["layer"])
    np.testing.assert_allclose(got.values, expected, rtol=1e-4, atol=1e-6)


def test_linen_vmap_that_puts_its_axis_before_the_batch_says_so(read: Read, batch: Batch):
    class Heads(nn.Module):
        @nn.compact
        def __call__(self, values: Any) -> Any:
            options = {"variable_axes": {"params": 0}, "split_rngs": {"params": True}, "axis_size": 4}
            return nn.vmap(nn.Dense, in_axes=None, out_axes=1, **options)(5, name="heads")(values)

    model, images = initialised(Heads()), list(batch(2, 3))
    assert read(model, images).shape == (2, 20)
    with pytest.raises(ActivationShapeError, match=r"'heads' of Heads cannot be read: it returned shape \(4, "):
        read(model, images, ["heads"])


def test_haiku_modules_that_say_channels_first_are_believed(read: Read, batch: Batch):
    """Also by those around and after them, which do not say; until a module says channels last."""

    class Twice(hk.Module):
        def __call__(self, values: Any) -> Any:
            return 2 * hk.Conv2D(4, 3, data_format="NCHW", name="first")(values)

    def network(images: Any) -> Any:
        values = Twice(name="twice")(images)
        return hk.Conv2D(6, 3, name="last")(values.transpose(0, 2, 3, 1))

    transformed, images = hk.transform(network), batch(2, 3, 5, 7)
    params = transformed.init(jax.random.PRNGKey(0), images)
    layers = adapters.wrap((transformed, params), preprocessing=adapters.already_preprocessed()).adapter.layers(
        (3, 5, 7)
    )
    shapes = {name: layers[name].shape for name in (*layers, "logits")}
    assert shapes == {"twice/first": (4, 5, 7), "twice": (4, 5, 7), "last": (6, 5, 7), "logits": (6, 5, 7)}
    expected = jnp.moveaxis(transformed.apply(params, None, images), -1, 1).reshape(2, -1)
    np.testing.assert_allclose(read((transformed, params), images).values, expected, rtol=1e-4, atol=1e-6)
