"""What cannot be read is refused in words that say what came, what was expected, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen as nn
from flax import nnx

import adapters
from adapters.errors import (
    ActivationShapeError,
    DeviceError,
    LayerNotFoundError,
    ModelForwardError,
    UnsupportedModelError,
)

KEY = jax.random.PRNGKey(0)
SHAPE = (8, 9, 3)


class Plain(nn.Module):
    @nn.compact
    def __call__(self, images: Any) -> Any:
        return nn.Conv(4, (3, 3), name="stem")(images)


class Normed(nn.Module):
    @nn.compact
    def __call__(self, images: Any) -> Any:
        values = nn.BatchNorm(use_running_average=True, name="norm")(nn.Conv(4, (3, 3), name="stem")(images))
        return nn.Dense(2, name="head")(values.mean((1, 2)))


class NnxNet(nnx.Module):
    def __init__(self) -> None:
        self.stem = nnx.Conv(3, 4, (3, 3), rngs=nnx.Rngs(0))

    def __call__(self, images: Any) -> Any:
        return self.stem(images)


class Stateful(eqx.Module):
    norm: eqx.nn.BatchNorm

    def __init__(self, n_channels: int = 3) -> None:
        self.norm = eqx.nn.BatchNorm(n_channels, "batch", mode="batch")

    def __call__(self, image: Any, state: Any) -> tuple[Any, Any]:
        return self.norm(image, state)


class OtherState(eqx.Module):
    other: eqx.nn.BatchNorm

    def __init__(self) -> None:
        self.other = eqx.nn.BatchNorm(3, "batch", mode="batch")


def convolve(images: Any) -> Any:
    return hk.Conv2D(4, 3, name="stem")(images)


def channels_first(images: Any) -> Any:
    return hk.Conv2D(4, 3, data_format="NCHW", name="stem")(images)


def variables_of(module: nn.Module) -> Any:
    return module.init(KEY, jnp.zeros((1, *SHAPE)))


def haiku_params() -> Any:
    return hk.transform(convolve).init(KEY, jnp.zeros((1, *SHAPE)))


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "linen unbound": (Plain, r"Plain came without its variables\. Pass the pair: adapters\.wrap\(\(module, variables"),
    "parameters without their collection": (
        lambda: (Normed(), variables_of(Normed())["params"]),
        r"collections are \['head', 'norm', 'stem'\]; expected 'params'.*pass \(module, \{'params': params\}\)",
    ),
    "two linen modules": (lambda: (Normed(), Plain()), r"Normed came with a Plain in place of its variables\. Pass"),
    "linen and a number": (lambda: (Normed(), 3), r"Normed came with a int in place of its variables\. Pass"),
    "linen and torch": (
        lambda: (Normed(), torch.nn.Linear(3, 4)),
        r"Normed came with a Linear in place of its variables\. Pass",
    ),
    "torch and linen": (
        lambda: (torch.nn.Linear(3, 4), Normed()),
        "tuple holds Linear, Normed; one model was expected",
    ),
    "dict of torch and nnx": (
        lambda: {"first": torch.nn.Linear(3, 4), "second": NnxNet()},
        "dict holds Linear, NnxNet; one model was expected",
    ),
    "two nnx modules": (lambda: (NnxNet(), NnxNet()), "tuple holds NnxNet, NnxNet; one model was expected"),
    "equinox without its state": (
        Stateful,
        r"Stateful takes a state, which did not come with it\. Pass adapters\.wrap\(\(model, state\)\), with model, ",
    ),
    "haiku without its parameters": (
        lambda: hk.transform(convolve),
        r"haiku Transformed came with 0 of the 1 things.*Pass adapters\.wrap\(\(transformed, params\)\)",
    ),
    "haiku without its state": (
        lambda: (hk.transform_with_state(convolve), haiku_params()),
        r"came with 1 of the 2 things.*Pass adapters\.wrap\(\(transformed, params, state\)\)",
    ),
    "haiku with something else": (
        lambda: (hk.transform(convolve), None),
        r"haiku Transformed came with a NoneType in place of its parameters or state; expected what transformed\.init",
    ),
    "compiled function": (
        lambda: jax.jit(convolve),
        r"compiled function 'convolve' came without its parameters\. Pass adapters\.wrap\(\(function, params\)\)",
    ),
    "apply of a module": (
        lambda: (Plain().apply, variables_of(Plain())),
        r"Plain\.apply came in place of the Plain itself.*adapters\.wrap\(\(module, variables\)\)",
    ),
    "variables before their module": (
        lambda: (variables_of(Plain()), Plain()),
        r"variables came first, and then the flax linen module Plain\. Pass the pair: adapters\.wrap\(\(module, varia",
    ),
    "parts of an nnx module": (
        lambda: nnx.split(NnxNet()),
        r"nnx module came in 2 parts, as nnx\.split leaves it\..*adapters\.wrap\(nnx\.merge\(\*parts\)\)",
    ),
    "parameters alone": (
        lambda: variables_of(Plain()),
        "dict with 1 items was given, as weights come; expected a model",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_model_that_cannot_run_is_refused(what: str):
    build, message = REFUSED[what]
    with pytest.raises(UnsupportedModelError, match=message):
        adapters.wrap(build(), preprocessing=adapters.already_preprocessed())


FAILING: dict[str, tuple[Callable[[], Any], tuple[int, ...], str]] = {
    "without batch_stats": (
        lambda: (Normed(), {"params": variables_of(Normed())["params"]}),
        SHAPE,
        r"Normed raised ScopeCollectionNotFound.*It came with \['params'\]\. Pass all collections that module\.init",
    ),
    "variables of another module": (
        lambda: (Normed(), {**variables_of(Normed()), "params": variables_of(Plain())["params"]}),
        SHAPE,
        r"It came with \['batch_stats', 'params'\]\. Pass all collections.* for this very module",
    ),
    "variables of other sizes": (
        lambda: (Plain(), {"params": {"stem": {"kernel": jnp.zeros((3, 3, 3, 5)), "bias": jnp.zeros(5)}}}),
        SHAPE,
        "variables are of another module, or were made for images of another size",
    ),
    "linen, channels first": (
        lambda: (Plain(), variables_of(Plain())),
        (3, 8, 9),
        r"These images look like \(channel, row, column\), and models of this kind take \(row, column, channel\)",
    ),
    "nnx, channels first": (NnxNet, (3, 8, 9), r"take \(row, column, channel\); transpose them"),
    "haiku, channels first": (
        lambda: (hk.transform(convolve), haiku_params()),
        (3, 8, 9),
        r"take \(row, column, channel\); transpose them",
    ),
    "equinox, channels last": (
        lambda: eqx.nn.Sequential([eqx.nn.Conv2d(3, 4, 3, key=KEY)]),
        SHAPE,
        r"look like \(row, column, channel\), and models of this kind take \(channel, row, column\)",
    ),
    "too many channels": (
        lambda: (Plain(), variables_of(Plain())),
        (8, 9, 7),
        r"Plain raised ScopeParamShapeError on a batch of shape \(2, 8, 9, 7\)",
    ),
    "haiku with parameters of another function": (
        lambda: (hk.transform(convolve), {"other": {"w": jnp.zeros(3)}}),
        SHAPE,
        r"parameters or the state are of another function.*transformed\.init returned",
    ),
    "haiku with channels first": (
        lambda: (
            hk.transform(channels_first),
            hk.transform(channels_first).init(KEY, jnp.zeros((1, 3, 8, 9))),
        ),
        SHAPE,
        r"data_format='NCHW', the images must come as \(channel, row, column\): preprocessing= takes a function",
    ),
    "equinox with the state of another": (
        lambda: (Stateful(), eqx.nn.make_with_state(OtherState)()[1]),
        (3, 8, 9),
        r"state holds no such entry; pass the one that equinox\.nn\.make_with_state made with this model",
    ),
}


@pytest.mark.parametrize("what", FAILING)
def test_model_that_fails_says_what_to_do(read: Callable[..., Any], batch: Callable[..., np.ndarray], what: str):
    build, shape, message = FAILING[what]
    with pytest.raises(ModelForwardError, match=message):
        read(build(), batch(2, *shape))


@pytest.mark.parametrize(
    ("asked", "message"),
    [("features.12", "Plain has no layer 'features.12'.*extractor.layers"), ("stm", "Did you mean 'stem'")],
)
def test_name_of_another_style(read: Callable[..., Any], batch: Callable[..., np.ndarray], asked: str, message: str):
    with pytest.raises(LayerNotFoundError, match=message):
        read((Plain(), variables_of(Plain())), batch(2, *SHAPE), [asked])


@pytest.mark.parametrize("device", ["gpu", "cuda:7", "cpu:x"])
def test_device_that_is_not_here(device: str):
    with pytest.raises(DeviceError, match=f"device='{device}' was asked for.*finds no such device here; it has: cpu:0"):
        adapters.wrap((Plain(), variables_of(Plain())), device=device)


class Counted(nn.Module):
    @nn.compact
    def __call__(self, images: Any) -> Any:
        return nn.Conv(4, (3, 3), name="stem")(images), Positions(name="positions")(images)


class Positions(nn.Module):
    def __call__(self, images: Any) -> Any:
        return jnp.argmax(images, -1)


def test_messages_call_an_array_an_array(read: Callable[..., Any], batch: Callable[..., np.ndarray]):
    """And not by the name of the class that stands for one while jax traces the model."""
    model, images = (Counted(), variables_of(Counted())), batch(2, *SHAPE)
    with pytest.raises(ActivationShapeError, match="has no part 'stem:part'; it is an array"):
        read(model, images, ["stem:part"])
    with pytest.raises(ActivationShapeError, match="it returned an array, which holds no floating-point array"):
        read(model, images, ["positions"])
