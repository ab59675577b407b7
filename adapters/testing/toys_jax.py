"""What the toy networks of all JAX libraries share: weights in channels-last order, a probe in compiled code, cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .case import AdapterCase, ModelState
from .toys import Probe, Toy

__all__ = ["channels_last_kernel", "jax_case", "jax_state", "probed", "typed_weights"]


def jax_case(
    name: str, build_model: Callable[[Toy], Any], layer_names: Mapping[str, str], **options: Any
) -> AdapterCase:
    """Return a case of our own JAX adapter, on the CPU; imports jax."""
    from ..frameworks.jax import JaxAdapter

    return AdapterCase(
        name=name,
        adapter=JaxAdapter,
        build_model=build_model,
        layer_names=layer_names,
        device="cpu",
        **{"snapshot": jax_state, "image_shape": (10, 14, 3), **options},
    )


def jax_state(model: Any) -> ModelState:
    """Return every array in a model, and beside them whatever else its structure holds."""
    import jax

    leaves, structure = jax.tree_util.tree_flatten_with_path(model)
    arrays = {jax.tree_util.keystr(path): leaf for path, leaf in leaves if hasattr(leaf, "dtype")}
    return ModelState(
        modes={"structure": str(structure), "x64": bool(jax.config.jax_enable_x64)},
        weights={name: np.asarray(array).tobytes() for name, array in arrays.items()},
    )


def typed_weights(toy: Toy) -> dict[str, Any]:
    """Return the weights as arrays of jax in the dtype of the toy."""
    import jax.numpy as jnp

    return {name: jnp.asarray(value, toy.dtype) for name, value in toy.weights.items()}


def channels_last_kernel(kernel: Any) -> Any:
    """Bring a kernel from (output, input, row, column) to (row, column, input, output)."""
    return kernel.transpose(2, 3, 1, 0)


def probed(probe: Probe, place: str, value: Any) -> Any:
    """Call the toy's probe from the compiled code, unless the value it returns is not needed."""
    import jax

    def call(array: Any) -> np.ndarray:
        array = np.asarray(array)
        probe(place, array)
        return array

    shape = jax.ShapeDtypeStruct(value.shape, value.dtype)
    return jax.pure_callback(call, shape, value, vmap_method="broadcast_all")
