"""What reductions compute with in JAX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["JaxMath"]

_ROWS = 32  # of a sparse matrix, worked on at a time
_EXACT = jax.lax.Precision.HIGHEST  # accelerators would round single precision to less


@dataclass(frozen=True)
class JaxMath:
    """JAX's, also while it is traced; see `adapters.device_math.DeviceMath`.

    Parameters
    ----------
    device : jax.Device
        Where the model runs.
    """

    device: Any

    def as_device(self, array: np.ndarray) -> jax.Array:
        """Bring an array to the device."""
        return jax.device_put(array, self.device)

    def as_single(self, value: jax.Array) -> jax.Array:
        """See `DeviceMath.as_single`."""
        return value if value.dtype == jnp.float64 else value.astype(jnp.float32)

    def mean(self, value: jax.Array, axes: tuple[int, ...]) -> jax.Array:
        """See `DeviceMath.mean`."""
        return self.as_single(value).mean(axes)

    def maximum(self, value: jax.Array, axes: tuple[int, ...]) -> jax.Array:
        """See `DeviceMath.maximum`."""
        return self.as_single(value.max(axes))

    def product(self, value: jax.Array, rows: jax.Array, offset: jax.Array | None = None) -> jax.Array:
        """See `DeviceMath.product`."""
        flat = self._flat(value)
        return jnp.matmul(flat if offset is None else flat - offset, rows.T, precision=_EXACT)

    def weighted_sums(self, value: jax.Array, columns: jax.Array, weights: jax.Array) -> jax.Array:
        """See `DeviceMath.weighted_sums`."""
        table = self._flat(value).T

        def row(entries: tuple[jax.Array, jax.Array]) -> jax.Array:
            return jnp.matmul(entries[1], table[entries[0]], precision=_EXACT)

        return jax.lax.map(row, (columns, weights), batch_size=_ROWS).T

    def _flat(self, value: jax.Array) -> jax.Array:
        return self.as_single(value).reshape(len(value), -1)
