"""Memory for the values of a run: allocated once, filled batch by batch."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from .errors import ActivationShapeError, AdapterError

__all__ = ["Collected"]


class Collected:
    """One array of shape (n_rows, n_neuroids), float32, with a block of columns per layer.

    Parameters
    ----------
    layers : sequence of str
        Requested texts, in order.
    n_rows : int
        Presentations.
    shapes : mapping of str to tuple of int, optional
        Output shape per image of each layer, when it is known before the first batch.
    """

    def __init__(self, layers: Sequence[str], n_rows: int, shapes: Mapping[str, tuple[int, ...]] | None = None) -> None:
        self.layers, self.n_rows = tuple(layers), n_rows
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.values: np.ndarray | None = None
        self._columns: dict[str, slice] = {}
        if shapes is not None:
            self._allocate(shapes)

    def _allocate(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.shapes = {layer: tuple(shapes[layer]) for layer in self.layers}
        sizes = [int(np.prod(self.shapes[layer], dtype=np.int64)) for layer in self.layers]
        ends = list(itertools.accumulate(sizes))
        self._columns = {
            layer: slice(end - size, end) for layer, size, end in zip(self.layers, sizes, ends, strict=True)
        }
        self.values = np.empty((self.n_rows, ends[-1]), dtype=np.float32)

    def offer(self, rows: np.ndarray) -> dict[str, np.ndarray] | None:
        """Return writable views of shape (n_images, n_neuroids) for these rows; None where there can be none."""
        if self.values is None or not _is_contiguous(rows):
            return None
        block = self.values[rows[0] : rows[-1] + 1]
        return {layer: block[:, columns] for layer, columns in self._columns.items()}

    def write(
        self, rows: np.ndarray, batch: Mapping[str, np.ndarray], offered: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Store the values of one batch; a layer that came back in the very memory of `offer` is stored already.

        Raises
        ------
        ActivationShapeError
            If a layer's shape differs from the first batch's, or from the number of images.
        """
        missing = [layer for layer in self.layers if layer not in batch]
        if missing:
            raise AdapterError(
                f"A batch came without layer {missing[0]!r}; it has {', '.join(batch)}. A hook registered with "
                f"register_batch_activations_hook must return every layer that it was given."
            )
        for layer in self.layers:
            if len(batch[layer]) != len(rows):
                raise ActivationShapeError(
                    f"Layer {layer!r} gave {len(batch[layer])} rows for {len(rows)} images; expected one per image."
                )
        if self.values is None:
            self._allocate({layer: batch[layer].shape[1:] for layer in self.layers})
        for layer in self.layers:
            if offered is None or batch[layer] is not offered[layer]:
                self._write_layer(rows, layer, batch[layer])

    def _write_layer(self, rows: np.ndarray, layer: str, batch: np.ndarray) -> None:
        flat, columns = batch.reshape(len(batch), -1), self._columns[layer]
        n_expected = columns.stop - columns.start
        if flat.shape[1] != n_expected:
            raise ActivationShapeError(
                f"Layer {layer!r} has {flat.shape[1]:,} values per image in one batch and {n_expected:,} in another. A "
                f"layer must have one shape for all images; preprocess them to one size."
            )
        self._filled()[slice(rows[0], rows[-1] + 1) if _is_contiguous(rows) else rows, columns] = flat

    def by_layer(self) -> dict[str, np.ndarray]:
        """Return each layer's values in its own shape, (n_rows, ...); views where the memory allows."""
        values = self._filled()
        return {
            layer: values[:, self._columns[layer]].reshape(self.n_rows, *self.shapes[layer]) for layer in self.layers
        }

    def _filled(self) -> np.ndarray:
        if self.values is None:
            raise AdapterError("No batch was written yet, so there are no values.")
        return self.values

    def repeat(self, rows: np.ndarray, sources: np.ndarray) -> None:
        """Copy rows to the rows of duplicates, in place and in blocks that stay small."""
        for start in range(0, len(rows), 64):
            values = self._filled()
            values[rows[start : start + 64]] = values[sources[start : start + 64]]


def _is_contiguous(rows: np.ndarray) -> bool:
    return len(rows) > 0 and int(rows[-1] - rows[0]) == len(rows) - 1 and bool((np.diff(rows) == 1).all())
