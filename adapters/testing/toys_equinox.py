"""The toy network in equinox; see `adapters.testing.toys` for what each layer does."""

from __future__ import annotations

import functools
from typing import Any

from .case import AdapterCase
from .toys import IMAGE_SHAPE, NORM_EPSILON, TOKEN_NORM_EPSILON, Toy
from .toys_jax import jax_case, probed, typed_weights

__all__ = ["equinox_case"]

_NAMES = {
    **{"conv1": "stem.layers.0", "relu1": "stem.layers.1", "pool": "stem.layers.2", "pool_alias": "stem"},
    **{name: name for name in ("conv2", "norm", "token_norm", "shared", "branch")},
    **{name: name for name in ("dropout", "noise", "head", "unused")},
}


def equinox_case() -> AdapterCase:
    """Return the case of an equinox module with state; imports equinox."""
    return jax_case("equinox", _build, _NAMES, image_shape=IMAGE_SHAPE)


@functools.cache
def _network() -> Any:
    """Return the class of the network, defined at first use because its base is equinox's."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    class Branch(eqx.Module):
        def __call__(self, tokens: Any) -> Any:
            return jnp.arange(len(tokens)), 2 * tokens, {"mean": tokens.mean(0)}

    class Noise(eqx.Module):
        scale: Any

        def __call__(self, values: Any, key: Any) -> Any:
            return values + self.scale * jax.random.normal(key, (), values.dtype)

    class ToyNetwork(eqx.Module):
        head: eqx.nn.Linear
        unused: eqx.nn.Linear
        stem: eqx.nn.Sequential
        conv2: eqx.nn.Conv2d
        norm: eqx.nn.BatchNorm
        token_norm: eqx.nn.LayerNorm
        shared: eqx.nn.Linear
        branch: Branch
        dropout: eqx.nn.Dropout
        noise: Noise
        probe: Any = eqx.field(static=True)

        def __init__(self, toy: Toy, key: Any) -> None:
            relu, pool = eqx.nn.Lambda(jax.nn.relu), eqx.nn.MaxPool2d(2, 2)
            self.head = eqx.nn.Linear(6, 5, key=key)
            self.unused = eqx.nn.Linear(6, 2, key=key)
            self.stem = eqx.nn.Sequential([eqx.nn.Conv2d(3, 4, 3, padding=1, key=key), relu, pool])
            self.conv2 = eqx.nn.Conv2d(4, 6, 3, stride=2, padding=1, key=key)
            self.norm = eqx.nn.BatchNorm(6, "batch", eps=NORM_EPSILON, mode="batch", dtype=jnp.dtype(toy.dtype))
            self.token_norm = eqx.nn.LayerNorm(6, eps=TOKEN_NORM_EPSILON)
            self.shared = eqx.nn.Linear(6, 6, key=key)
            self.branch = Branch()
            self.dropout = eqx.nn.Dropout(0.5)
            self.noise = Noise(jnp.zeros(1))
            self.probe = toy.probe

        def __call__(self, image: Any, state: Any, key: Any) -> Any:
            values = self.stem(probed(self.probe, "start", image))
            values, state = self.norm(self.conv2(probed(self.probe, "middle", values)), state)
            tokens = jax.vmap(self.token_norm)(values.reshape(len(values), -1).T)
            _, _, parts = self.branch(jax.vmap(self.shared)(tokens))
            values = self.dropout(self.shared(parts["mean"]), key=key)
            return self.head(probed(self.probe, "head", self.noise(values, key))) / 2, state

    return ToyNetwork


def _build(toy: Toy) -> Any:
    """Return the module, in training mode, and its state."""
    import equinox as eqx
    import jax

    model, state = eqx.nn.make_with_state(_network())(toy, jax.random.key(0))
    weights = typed_weights(toy)
    for name, value in weights.items():
        layer, _, weight = name.partition(".")
        attribute = {"kernel": "weight", "offset": "bias"}.get(weight, weight)
        if weight in ("mean", "variance"):
            continue
        if layer in ("norm", "token_norm") and weight == "scale":
            attribute = "weight"
        if weight == "bias" and layer in ("conv1", "conv2"):
            value = value[:, None, None]  # as equinox's convolutions keep it
        value = value.T if weight == "kernel" and value.ndim == 2 else value
        model = eqx.tree_at(functools.partial(_weight, layer, attribute), model, value)
    statistics = weights["norm.mean"], weights["norm.variance"]
    return model, state.set(model.norm.batch_state_index, statistics)


def _weight(layer: str, attribute: str, model: Any) -> Any:
    return getattr(model.stem.layers[0] if layer == "conv1" else getattr(model, layer), attribute)
