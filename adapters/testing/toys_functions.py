"""The toy network as a plain function in JAX; see `adapters.testing.toys` for what each layer does."""

from __future__ import annotations

from typing import Any

from .case import AdapterCase
from .toys import LAYERS, NORM_EPSILON, TOKEN_NORM_EPSILON, Toy
from .toys_jax import channels_last_kernel, jax_case, probed, typed_weights

__all__ = ["function_case"]

_NO_MODULES = "a function has no module that could exist without running"
_NO_STRUCTURE = "checkpoint_name names arrays, never tuples of them"
_NO_CONTAINERS = "a function has no containers, and a value has one name"


def function_case() -> AdapterCase:
    """Return the case of a function of parameters and images; imports jax."""
    return jax_case(
        "function",
        _build,
        {name: name for name in LAYERS},
        expected_failures={
            "check_never_run_layer": _NO_MODULES,
            "check_structured_outputs": _NO_STRUCTURE,
            "check_aliases": _NO_CONTAINERS,
        },
    )


def _build(toy: Toy) -> Any:
    """Return the function and its parameters."""
    import jax
    import jax.numpy as jnp
    from jax.ad_checkpoint import checkpoint_name

    def convolve(images: Any, params: Any, layer: str, stride: int) -> Any:
        values = jax.lax.conv_general_dilated(
            images,
            params[f"{layer}.kernel"],
            (stride, stride),
            [(1, 1)] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return checkpoint_name(values + params[f"{layer}.bias"], layer)

    def dense(values: Any, params: Any, layer: str) -> Any:
        return checkpoint_name(values @ params[f"{layer}.kernel"] + params[f"{layer}.bias"], layer)

    def toy_network(params: Any, images: Any, key: Any) -> Any:
        values = convolve(probed(toy.probe, "start", images), params, "conv1", 1)
        values = checkpoint_name(jax.nn.relu(values), "relu1")
        lowest = jnp.array(-jnp.inf, values.dtype)
        values = jax.lax.reduce_window(values, lowest, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        values = convolve(probed(toy.probe, "middle", checkpoint_name(values, "pool")), params, "conv2", 2)
        values = (values - params["norm.mean"]) * jax.lax.rsqrt(params["norm.variance"] + NORM_EPSILON)
        values = checkpoint_name(values * params["norm.scale"] + params["norm.offset"], "norm")
        tokens = values.reshape(len(values), -1, values.shape[-1])
        tokens = jax.nn.standardize(tokens, epsilon=TOKEN_NORM_EPSILON)
        tokens = checkpoint_name(tokens * params["token_norm.scale"] + params["token_norm.offset"], "token_norm")
        tokens = dense(tokens, params, "shared")
        checkpoint_name(2 * tokens, "branch")
        values = checkpoint_name(dense(tokens.mean(1), params, "shared"), "dropout")
        draw = jax.random.normal(key, (), values.dtype)
        values = checkpoint_name(values + params["noise.scale"] * draw, "noise")
        return dense(probed(toy.probe, "head", values), params, "head") / 2

    weights = typed_weights(toy)
    return toy_network, {
        name: channels_last_kernel(value) if value.ndim == 4 else value for name, value in weights.items()
    }
