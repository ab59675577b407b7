"""What reductions compute with: a few operations on the arrays of a framework, and NumPy's own for the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

__all__ = ["DeviceMath", "HostMath"]

_GATHERED = 1 << 22  # values taken out at a time


class DeviceMath(Protocol):
    """What an adapter has its reductions computed with; one per framework.

    Values are arrays of the framework, the first axis the batch. Results are float32, those of float64 values float64;
    half precision is never summed in half precision. Instances are hashable, and equal where arrays that one of them
    brought to the device can be used by the other.
    """

    def as_device(self, array: np.ndarray) -> Any:
        """Bring an array to the device."""
        ...

    def as_single(self, value: Any) -> Any:
        """Return a value as float32, unless it is float64."""
        ...

    def mean(self, value: Any, axes: tuple[int, ...]) -> Any:
        """Return the mean over axes."""
        ...

    def maximum(self, value: Any, axes: tuple[int, ...]) -> Any:
        """Return the largest value over axes."""
        ...

    def product(self, value: Any, rows: Any, offset: Any = None) -> Any:
        """Return inner products of each image's values, in one row, with rows.

        Parameters
        ----------
        value : array of shape (n_images, ...)
            Flattened per image.
        rows : array of shape (n_rows, n_neuroids), float32
            On the device.
        offset : array of shape (n_neuroids,), float32, optional
            Subtracted first.

        Returns
        -------
        array of shape (n_images, n_rows)
        """
        ...

    def weighted_sums(self, value: Any, columns: Any, weights: Any) -> Any:
        """Return sums of some of each image's values, as a product with a sparse matrix.

        Parameters
        ----------
        value : array of shape (n_images, ...)
            Flattened per image.
        columns : array of shape (n_rows, n_entries), int32
            Which values each row of the matrix takes; on the device.
        weights : array of shape (n_rows, n_entries), float32
            By what it multiplies them.

        Returns
        -------
        array of shape (n_images, n_rows)
        """
        ...


@dataclass(frozen=True)
class HostMath:
    """NumPy's, for values that are on the host."""

    def as_device(self, array: np.ndarray) -> np.ndarray:
        """Return the array."""
        return array

    def as_single(self, value: Any) -> np.ndarray:
        """See `DeviceMath.as_single`."""
        value = np.asarray(value)
        return value if value.dtype == np.float64 else value.astype(np.float32, copy=False)

    def mean(self, value: Any, axes: tuple[int, ...]) -> np.ndarray:
        """See `DeviceMath.mean`; NumPy adds up along strides as it comes, so that needs digits to spare."""
        mean = np.asarray(np.mean(value, axis=axes, dtype=np.float64))
        return mean if value.dtype == np.float64 else mean.astype(np.float32)

    def maximum(self, value: Any, axes: tuple[int, ...]) -> np.ndarray:
        """See `DeviceMath.maximum`."""
        return self.as_single(np.max(value, axis=axes))

    def product(self, value: Any, rows: np.ndarray, offset: np.ndarray | None = None) -> np.ndarray:
        """See `DeviceMath.product`."""
        flat = self.as_single(value).reshape(len(value), -1)
        result: np.ndarray = (flat if offset is None else flat - offset) @ rows.T
        return result

    def weighted_sums(self, value: Any, columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """See `DeviceMath.weighted_sums`."""
        flat = self.as_single(value).reshape(len(value), -1)
        step = max(1, _GATHERED // max(1, len(flat) * columns.shape[1]))
        parts = [
            np.einsum("nre,re->nr", flat[:, columns[start : start + step]], weights[start : start + step])
            for start in range(0, len(columns), step)
        ]
        return np.concatenate(parts, axis=1)
