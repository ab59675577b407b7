"""The toy network in haiku; see `adapters.testing.toys` for what each layer does."""

from __future__ import annotations

from typing import Any

from .case import AdapterCase
from .toys import NORM_EPSILON, TOKEN_NORM_EPSILON, Toy
from .toys_jax import channels_last_kernel, jax_case, probed, typed_weights

__all__ = ["haiku_case"]

_NAMES = {
    **{"conv1": "stem/~/conv1", "relu1": "stem/~/relu1", "pool": "stem/~/pool", "pool_alias": "stem"},
    **{name: name for name in ("conv2", "norm", "token_norm", "shared", "branch")},
    **{name: name for name in ("dropout", "noise", "head", "unused")},
}


def haiku_case() -> AdapterCase:
    """Return the case of a transformed function with its parameters and state; imports haiku."""
    return jax_case("haiku", _build, _NAMES)


def _forward(toy: Toy) -> Any:
    """Return the function that haiku transforms."""
    import haiku as hk
    import jax
    import jax.numpy as jnp

    class Relu(hk.Module):
        def __call__(self, values: Any) -> Any:
            return jax.nn.relu(values)

    class Branch(hk.Module):
        def __call__(self, tokens: Any) -> Any:
            positions = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape[:2])
            return positions, 2 * tokens, {"mean": tokens.mean(1)}

    class Dropout(hk.Module):
        def __call__(self, values: Any, is_training: bool) -> Any:
            return hk.dropout(hk.next_rng_key(), 0.5, values) if is_training else values

    class Noise(hk.Module):
        def __call__(self, values: Any) -> Any:
            scale = hk.get_parameter("scale", (1,), values.dtype, init=jnp.zeros)
            return values + scale * jax.random.normal(hk.next_rng_key(), (), values.dtype)

    class Stem(hk.Module):
        def __init__(self, name: str) -> None:
            super().__init__(name)
            self.conv1 = hk.Conv2D(4, 3, padding=(1, 1), name="conv1")
            self.relu1, self.pool = Relu("relu1"), hk.MaxPool((2, 2, 1), (2, 2, 1), "VALID", name="pool")

        def __call__(self, values: Any) -> Any:
            return self.pool(self.relu1(self.conv1(values)))

    def forward(images: Any, is_training: bool = True) -> Any:
        shared = hk.Linear(6, name="shared")
        values = Stem("stem")(probed(toy.probe, "start", images))
        values = hk.Conv2D(6, 3, stride=2, padding=(1, 1), name="conv2")(probed(toy.probe, "middle", values))
        values = hk.BatchNorm(True, True, 0.9, eps=NORM_EPSILON, name="norm")(values, is_training)
        tokens = values.reshape(len(values), -1, values.shape[-1])
        tokens = hk.LayerNorm(-1, True, True, eps=TOKEN_NORM_EPSILON, name="token_norm")(tokens)
        _, _, parts = Branch("branch")(shared(tokens))
        values = Noise("noise")(Dropout("dropout")(shared(parts["mean"]), is_training))
        return hk.Linear(5, name="head")(probed(toy.probe, "head", values)) / 2

    return forward


def _build(toy: Toy) -> Any:
    """Return the transformed function, its parameters and its state."""
    import haiku as hk
    import jax.numpy as jnp

    params: dict[str, dict[str, Any]] = {}
    state: dict[str, dict[str, Any]] = {}
    for name, value in typed_weights(toy).items():
        layer, _, weight = name.partition(".")
        if weight in ("mean", "variance"):
            average = value[None, None, None]
            state[f"norm/~/{weight[:4].replace('vari', 'var')}_ema"] = {
                "hidden": average,
                "average": average,
                "counter": jnp.array(1),
            }
            continue
        weight = {"kernel": "w", "bias": "b"}.get(weight, weight)
        if layer == "norm":
            value = value[None, None, None]
        value = channels_last_kernel(value) if value.ndim == 4 and weight == "w" else value
        params.setdefault(_NAMES[layer], {})[weight] = value
    return hk.transform_with_state(_forward(toy)), params, state
