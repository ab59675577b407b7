"""The toy network in flax nnx; see `adapters.testing.toys` for what each layer does."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

from .case import AdapterCase, ModelState
from .toys import NORM_EPSILON, TOKEN_NORM_EPSILON, Toy
from .toys_jax import channels_last_kernel, jax_case, jax_state, probed, typed_weights

__all__ = ["nnx_case"]

_NAMES = {
    **{"conv1": "stem.layers.0", "relu1": "stem.layers.1", "pool": "stem.layers.2", "pool_alias": "stem"},
    **{name: name for name in ("conv2", "norm", "token_norm", "shared", "branch")},
    **{name: name for name in ("dropout", "noise", "head", "unused")},
}


def nnx_case() -> AdapterCase:
    """Return the case of a flax nnx module; imports flax."""
    return jax_case("nnx", _build, _NAMES, snapshot=_snapshot)


@functools.cache
def _network() -> Any:
    """Return the class of the network, defined at first use because its base is flax's."""
    import jax
    import jax.numpy as jnp
    from flax import nnx

    class Relu(nnx.Module):
        def __call__(self, values: Any) -> Any:
            return nnx.relu(values)

    class MaxPool(nnx.Module):
        def __call__(self, values: Any) -> Any:
            return nnx.max_pool(values, (2, 2), (2, 2))

    class Branch(nnx.Module):
        def __call__(self, tokens: Any) -> Any:
            positions = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape[:2])
            return positions, 2 * tokens, {"mean": tokens.mean(1)}

    class Noise(nnx.Module):
        def __init__(self, rngs: Any) -> None:
            self.scale = nnx.Param(jnp.zeros(1))
            self.rngs = rngs

        def __call__(self, values: Any) -> Any:
            draw = jax.random.normal(self.rngs.noise(), (), values.dtype)
            return values + self.scale * draw

    class ToyNetwork(nnx.Module):
        def __init__(self, toy: Toy, rngs: Any) -> None:
            self.probe = toy.probe
            self.head = nnx.Linear(6, 5, rngs=rngs)  # made first and run last
            self.unused = nnx.Linear(6, 2, rngs=rngs)
            self.stem = nnx.Sequential(nnx.Conv(3, 4, (3, 3), padding=1, rngs=rngs), Relu(), MaxPool())
            self.conv2 = nnx.Conv(4, 6, (3, 3), strides=2, padding=1, rngs=rngs)
            self.norm = nnx.BatchNorm(6, epsilon=NORM_EPSILON, rngs=rngs)
            self.token_norm = nnx.LayerNorm(6, epsilon=TOKEN_NORM_EPSILON, rngs=rngs)
            self.shared = nnx.Linear(6, 6, rngs=rngs)
            self.branch = Branch()
            self.dropout = nnx.Dropout(0.5, rngs=rngs)
            self.noise = Noise(rngs)

        def __call__(self, images: Any) -> Any:
            values = self.stem(probed(self.probe, "start", images))
            values = self.norm(self.conv2(probed(self.probe, "middle", values)))
            tokens = self.token_norm(values.reshape(len(values), -1, values.shape[-1]))
            _, _, parts = self.branch(self.shared(tokens))
            values = self.noise(self.dropout(self.shared(parts["mean"])))
            return self.head(probed(self.probe, "head", values)) / 2

    return ToyNetwork


def _build(toy: Toy) -> Any:
    """Build the network as a training script leaves it: in training mode, but for one frozen layer."""
    from flax import nnx

    model = _network()(toy, nnx.Rngs(1))
    for name, value in typed_weights(toy).items():
        layer, _, weight = name.partition(".")
        module = model.stem.layers[0] if layer == "conv1" else getattr(model, layer)
        attribute = {"offset": "bias", "variance": "var"}.get(weight, weight)
        kind = nnx.BatchStat if weight in ("mean", "variance") else nnx.Param
        setattr(module, attribute, kind(channels_last_kernel(value) if value.ndim == 4 else value))
    model.train()
    model.norm.eval()
    return model


def _snapshot(model: Any) -> ModelState:
    """Return the arrays, modes and classes; random keys are arrays, too."""
    import jax
    from flax import nnx

    state = jax.tree_util.tree_map(
        lambda leaf: jax.random.key_data(leaf) if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf,
        nnx.split(model)[1],
    )
    modes = {"dropout": model.dropout.deterministic, "norm": model.norm.use_running_average}
    kinds = {name: type(getattr(model, name)) for name in ("conv2", "shared", "noise")}
    found = jax_state(state)
    return replace(found, modes={**found.modes, **modes, **kinds})
