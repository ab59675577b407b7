"""What reductions compute with in PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ...errors import ReductionError
from ...reducing import Reducing

__all__ = ["TorchMath", "reduced"]


@dataclass(frozen=True)
class TorchMath:
    """PyTorch's; see `adapters.device_math.DeviceMath`.

    Parameters
    ----------
    device : torch.device
        Where the model is.
    """

    device: torch.device

    def as_device(self, array: np.ndarray) -> torch.Tensor:
        """Bring an array to the device; on the CPU it is used where it lies."""
        return torch.from_numpy(array).to(self.device)

    def as_single(self, value: torch.Tensor) -> torch.Tensor:
        """See `DeviceMath.as_single`."""
        return value if value.dtype == torch.float64 else value.float()

    def mean(self, value: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
        """See `DeviceMath.mean`; half precision is added up in single without a copy of it."""
        return value.mean(axes, dtype=torch.float64 if value.dtype == torch.float64 else torch.float32)

    def maximum(self, value: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
        """See `DeviceMath.maximum`."""
        return self.as_single(value.amax(axes))

    def product(self, value: torch.Tensor, rows: torch.Tensor, offset: torch.Tensor | None = None) -> torch.Tensor:
        """See `DeviceMath.product`."""
        flat = self.as_single(value).flatten(1)
        flat = flat if offset is None else flat - offset.to(flat.device, flat.dtype)
        return flat @ rows.to(flat.device, flat.dtype).T

    def weighted_sums(self, value: torch.Tensor, columns: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """See `DeviceMath.weighted_sums`."""
        # each row of the matrix is a bag of neuroids, embedded by the batch: nothing larger than the values is made
        table = self.as_single(value).flatten(1).T.contiguous()
        columns, weights = columns.to(table.device), weights.to(table.device, table.dtype)
        return nn.functional.embedding_bag(columns, table, mode="sum", per_sample_weights=weights).T


def reduced(reducing: Reducing, key: str, value: torch.Tensor) -> torch.Tensor:
    """Return a layer's values after its reduction.

    Raises
    ------
    ReductionError
        If the reduction writes into the values, which the model goes on to use.
    """
    if key not in reducing:
        return value
    has_version = not value.is_inference()
    before = value._version if has_version else 0
    result: torch.Tensor = reducing(key, value)
    if has_version and value._version != before:
        raise ReductionError(
            f"The reduction of layer {key!r} changed the values that it was given, and with them what the model "
            f"computes next. Return a new array: values.relu() in the place of values.relu_(), for example."
        )
    return result
