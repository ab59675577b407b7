"""nnx, equinox, haiku and functions: the same values as calling the parts by hand; the model is left as found."""

from __future__ import annotations

from functools import partial
from typing import Any

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from jax.ad_checkpoint import checkpoint_name

import adapters
from adapters.errors import UnsupportedModelError


class NnxNet(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.dense = nnx.Linear(4, 5, rngs=rngs)

    def __call__(self, images: Any) -> Any:
        return self.dense(self.dropout(self.norm(self.conv(images)).mean((1, 2))))


def test_nnx_is_what_its_parts_return(read, batch):
    model, images = NnxNet(nnx.Rngs(0)), batch(5, 6, 7, 3)
    model.train()
    conv = np.moveaxis(np.asarray(model.conv(images)), -1, 1)
    np.testing.assert_allclose(read(model, images, ["conv"]).values, conv.reshape(5, -1), rtol=1e-4, atol=1e-6)
    values = read(model, images, ["norm", "dropout", "dense"])
    assert (model.dropout.deterministic, model.norm.use_running_average) == (False, False)
    assert type(model.conv) is nnx.Conv
    model.eval()
    expected = np.moveaxis(np.asarray(model.norm(model.conv(images))), -1, 1)
    got = values.values[:, values["layer"].values == "norm"]
    np.testing.assert_allclose(got, expected.reshape(5, -1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(values.values[:, -5:], model(images), rtol=1e-4, atol=1e-6)


def test_nnx_model_that_was_trained_since_gives_its_new_values(read, batch):
    model, images = NnxNet(nnx.Rngs(0)), batch(2, 6, 7, 3)
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed())
    before = extractor(images, ["conv"]).values
    model.conv.kernel = nnx.Param(2 * jnp.asarray(model.conv.kernel[...]))
    np.testing.assert_allclose(extractor(images, ["conv"]).values, 2 * before, rtol=1e-5)


def test_nnx_draws_do_not_depend_on_the_keys_used_before(read, batch):
    class Noisy(nnx.Module):
        def __init__(self, seed: int) -> None:
            self.rngs = nnx.Rngs(seed)

        def __call__(self, values: Any) -> Any:
            return values + self.draw()

        def draw(self) -> Any:
            return jax.random.normal(self.rngs.params(), ())

    first, second = Noisy(1), Noisy(2)
    second.draw()
    images = batch(2, 3)
    np.testing.assert_array_equal(read(first, list(images)).values, read(second, list(images)).values)
    assert not np.allclose(read(first, list(images)).values, images)


class EquinoxNet(eqx.Module):
    convs: list[eqx.nn.Conv2d]
    token: eqx.nn.Linear

    def __init__(self, key: Any) -> None:
        self.convs = [eqx.nn.Conv2d(3, 4, 3, key=key), eqx.nn.Conv2d(4, 6, 3, key=key)]
        self.token = eqx.nn.Linear(6, 5, key=key)

    def __call__(self, image: Any) -> Any:
        for conv in self.convs:
            image = jax.nn.relu(conv(image))
        return jax.vmap(self.token)(image.reshape(6, -1).T).mean(0)


def test_equinox_is_what_its_parts_return(read, batch):
    model, images = EquinoxNet(jax.random.key(3)), batch(3, 3, 8, 9)
    first = jax.vmap(model.convs[0])(images)
    second = jax.vmap(model.convs[1])(jax.nn.relu(first))
    tokens = jax.nn.relu(second).reshape(3, 6, -1).transpose(0, 2, 1) @ model.token.weight.T + model.token.bias
    expected = {"convs.0": first, "convs.1": second, "token": tokens, "logits": tokens.mean(1)}
    for name, value in expected.items():
        got = read(model, images, [name]).values
        np.testing.assert_allclose(got, np.asarray(value).reshape(3, -1), rtol=1e-4, atol=1e-6)
    assert type(model.convs[0]) is eqx.nn.Conv2d


def test_equinox_images_draw_by_their_position_in_the_batch(read, batch):
    class Noisy(eqx.Module):
        def __call__(self, image: Any, key: Any) -> Any:
            return jax.random.normal(key, image.shape)

    images = batch(5, 3)
    drawn = read(Noisy(), list(images)).values
    assert len(np.unique(drawn)) == drawn.size
    np.testing.assert_array_equal(read(Noisy(), list(images[:2])).values, drawn[:2])


def haiku_net(images: Any) -> Any:
    values = hk.Conv2D(4, 3, name="conv")(images)
    return hk.nets.MLP([6, 5], name="head")(values.mean((1, 2)))


@pytest.mark.parametrize("with_state", [False, True])
def test_haiku_is_what_its_interceptors_see(read, batch, with_state: bool):
    images, seen = batch(3, 6, 7, 3), {}

    def keep(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        output = call(*args, **kwargs)
        if context.method_name == "__call__":
            seen[context.module.module_name] = np.asarray(output)
        return output

    transformed = (hk.transform_with_state if with_state else hk.transform)(haiku_net)
    found = transformed.init(jax.random.PRNGKey(0), images)
    model = (transformed, *found) if with_state else (transformed, found)
    with hk.experimental.intercept_methods(keep):
        transformed.apply(*model[1:], None, images)
    assert set(seen) == {"conv", "head/~/linear_0", "head/~/linear_1", "head"}
    for name, value in seen.items():
        value = np.moveaxis(value, -1, 1) if value.ndim == 4 else value
        got = read(model, images, [name]).values
        np.testing.assert_allclose(got, value.reshape(3, -1), rtol=1e-4, atol=1e-6)


def mlp(params: Any, images: Any, scale: float = 1.0) -> Any:
    hidden = checkpoint_name(jax.nn.relu(images @ params["first"]), "hidden")
    return jax.jit(lambda values: checkpoint_name(values * scale, "scaled"))(hidden @ params["second"])


@pytest.mark.parametrize("function", [mlp, jax.jit(mlp), partial(mlp, scale=1.0)], ids=["plain", "jit", "partial"])
def test_function_is_read_where_it_names_values(read, batch, function: Any):
    images, params = batch(4, 3), {"first": batch(3, 5, seed=1), "second": batch(5, 2, seed=2)}
    hidden = np.maximum(images @ params["first"], 0)
    values = read((function, params), list(images), ["scaled", "hidden"])
    expected = np.concatenate([hidden @ params["second"], hidden], axis=1)
    np.testing.assert_allclose(values.values, expected, rtol=1e-4, atol=1e-6)


def test_bare_function_is_not_guessed_at():
    with pytest.raises(UnsupportedModelError, match=r"mlp is a function.*takes a pair \(function, parameters\)"):
        adapters.wrap(mlp)


def test_structured_output_keeps_the_order_of_its_keys(read, batch):
    """The first part is the default; jax itself would sort them."""

    class Named(nn.Module):
        @nn.compact
        def __call__(self, values: Any) -> Any:
            return {"second": nn.Dense(2, name="dense")(values), "first": values}

    class NamedEquinox(eqx.Module):
        def __call__(self, values: Any) -> Any:
            return {"second": 2 * values, "first": values}

    images, module = batch(3, 4), Named()
    variables = module.init(jax.random.key(0), images)
    expected = module.apply(variables, images)["second"]
    np.testing.assert_allclose(read((module, variables), list(images)).values, expected, rtol=1e-5)
    np.testing.assert_allclose(read(NamedEquinox(), list(images)).values, 2 * images, rtol=1e-6)


def test_images_come_in_the_precision_that_most_layers_can_take(read, batch):
    """One layer of half precision must not round the images of all others, whatever its name."""

    class Mixed(nn.Module):
        @nn.compact
        def __call__(self, values: Any) -> Any:
            values = nn.Dense(4, name="stem")(values)
            return nn.Dense(3, name="adapter", param_dtype=jnp.bfloat16, dtype=jnp.float32)(values)

    images, module = 128 + 50 * batch(3, 4), Mixed()
    variables = module.init(jax.random.key(0), images)
    stem = variables["params"]["stem"]
    expected = images @ np.asarray(stem["kernel"]) + stem["bias"]
    np.testing.assert_allclose(read((module, variables), list(images), ["stem"]).values, expected, rtol=1e-5)


def test_parameters_of_a_function_are_any_nested_arrays_and_settings(read, batch):
    images, kernel = batch(3, 4), batch(4, 2, seed=1)
    expected = images @ kernel
    read_with = {
        "array": (lambda weights, values: values @ weights, jnp.asarray(kernel)),
        "settings": (
            lambda params, values: (values @ params["w"]).reshape(-1, params["n"]),
            {"w": kernel, "n": 2, "name": "net"},
        ),
        "state": (lambda state, values: values @ state["w"], nnx.State({"w": jnp.asarray(kernel)})),
    }
    for model in read_with.values():
        np.testing.assert_allclose(read(model, list(images)).values, expected, rtol=1e-4, atol=1e-6)


def test_nnx_model_that_takes_its_random_numbers(read, batch):
    class Noisy(nnx.Module):
        def __init__(self) -> None:
            self.dense = nnx.Linear(4, 3, rngs=nnx.Rngs(0))
            self.dropout = nnx.Dropout(0.5)

        def __call__(self, values: Any, rngs: nnx.Rngs) -> Any:
            return self.dropout(self.dense(values), rngs=rngs)

    model, images = Noisy(), batch(3, 4)
    np.testing.assert_allclose(read(model, list(images)).values, model.dense(images), rtol=1e-4, atol=1e-6)


def test_equinox_module_that_was_compiled_is_the_module(batch):
    model = EquinoxNet(jax.random.key(3))
    images = batch(2, 3, 8, 9)
    extractor = adapters.wrap(eqx.filter_jit(model), preprocessing=adapters.already_preprocessed())
    assert extractor.identifier == "EquinoxNet"
    assert list(extractor.adapter.layers((3, 8, 9))) == ["convs.0", "convs.1", "token"]
    np.testing.assert_allclose(extractor(images, ["logits"]).values, jax.vmap(model)(images), rtol=1e-4, atol=1e-6)
