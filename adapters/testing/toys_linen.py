"""The toy network in flax linen; see `adapters.testing.toys` for what each layer does."""

from __future__ import annotations

import functools
from typing import Any

from .case import AdapterCase
from .toys import NORM_EPSILON, TOKEN_NORM_EPSILON, Toy
from .toys_jax import channels_last_kernel, jax_case, jax_state, probed, typed_weights

__all__ = ["linen_case"]

_NAMES = {
    **{"conv1": "stem/layers_0", "relu1": "stem/layers_1", "pool": "stem/layers_2", "pool_alias": "stem"},
    **{name: name for name in ("conv2", "norm", "token_norm", "shared", "branch")},
    **{name: name for name in ("dropout", "noise", "head", "unused")},
}


def linen_case(*, is_bound: bool = False) -> AdapterCase:
    """Return the case of a flax linen module with its variables, as a pair or bound; imports flax."""
    if is_bound:
        return jax_case("linen bound", _bound, _NAMES, snapshot=lambda model: jax_state(model.variables))
    return jax_case("linen", _build, _NAMES)


@functools.cache
def _network() -> Any:
    """Return the class of the network, defined at first use because its base is flax's."""
    import jax
    import jax.numpy as jnp
    from flax import linen as nn

    class Relu(nn.Module):
        def __call__(self, values: Any) -> Any:
            return nn.relu(values)

    class MaxPool(nn.Module):
        def __call__(self, values: Any) -> Any:
            return nn.max_pool(values, (2, 2), (2, 2))

    class Branch(nn.Module):
        def __call__(self, tokens: Any) -> Any:
            positions = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape[:2])
            return positions, 2 * tokens, {"mean": tokens.mean(1)}

    class Noise(nn.Module):
        @nn.compact
        def __call__(self, values: Any) -> Any:
            scale = self.param("scale", nn.initializers.zeros, (1,))
            return values + scale * jax.random.normal(self.make_rng("noise"), (), values.dtype)

    class ToyNetwork(nn.Module):
        probe: Any

        def setup(self) -> None:
            self.unused = nn.Dense(2)
            self.stem = nn.Sequential([nn.Conv(4, (3, 3), padding=1), Relu(), MaxPool()])
            self.conv2 = nn.Conv(6, (3, 3), strides=2, padding=1)
            self.norm = nn.BatchNorm(epsilon=NORM_EPSILON)
            self.token_norm = nn.LayerNorm(epsilon=TOKEN_NORM_EPSILON)
            self.shared = nn.Dense(6)
            self.branch = Branch()
            self.dropout = nn.Dropout(0.5)
            self.noise = Noise()
            self.head = nn.Dense(5)

        def __call__(self, images: Any, train: bool = True) -> Any:
            values = self.stem(probed(self.probe, "start", images))
            values = self.conv2(probed(self.probe, "middle", values))
            values = self.norm(values, use_running_average=not train)
            tokens = self.token_norm(values.reshape(len(values), -1, values.shape[-1]))
            _, _, parts = self.branch(self.shared(tokens))
            values = self.dropout(self.shared(parts["mean"]), deterministic=not train)
            return self.head(probed(self.probe, "head", self.noise(values))) / 2

    return ToyNetwork


def _build(toy: Toy) -> Any:
    """Return the module and its variables."""
    params: dict[str, Any] = {}
    stats: dict[str, Any] = {}
    for name, value in typed_weights(toy).items():
        layer, _, weight = name.partition(".")
        if weight in ("mean", "variance"):
            stats[{"variance": "var"}.get(weight, weight)] = value
            continue
        value = channels_last_kernel(value) if value.ndim == 4 else value
        params.setdefault(layer, {})[{"offset": "bias"}.get(weight, weight)] = value
    params["stem"] = {"layers_0": params.pop("conv1")}
    return _network()(toy.probe), {"params": params, "batch_stats": {"norm": stats}}


def _bound(toy: Toy) -> Any:
    module, variables = _build(toy)
    return module.bind(variables)
