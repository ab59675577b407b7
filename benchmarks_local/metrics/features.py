"""The values of a layer for some stimuli, and what metrics ask of them, each computed once and shared by all."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ScoringError
from ..verification import verify_finite
from .moments import Moments

__all__ = ["Features"]

_COLUMNS = 2048  # units worked on at a time: of 1000 stimuli they take 16 MB
_ROUNDING = np.finfo(np.float64).eps

Floats = NDArray[np.float64]


class Features:
    """Values of a layer for some stimuli, or only their inner products. Made by ``of`` or ``from_moments``.

    Regressions, representational similarity and alignment see the units of a layer only through the inner products of
    its stimuli. These are computed once, and the metrics of all regions share them.

    Parameters
    ----------
    values : array of shape (n_stimuli, n_features) or None
        Activations, any float dtype.
    moments : Moments or None
        Inner products; computed from ``values`` when None.

    Examples
    --------
    >>> features = Features.of(np.random.default_rng(0).normal(size=(30, 500)))
    >>> features.rotated().shape, features.subset(np.arange(10)).gram.shape
    ((30, 29), (10, 10))
    """

    def __init__(self, values: NDArray[Any] | None, moments: Moments | None = None) -> None:
        self._values = values
        self._parent: tuple[Features, NDArray[np.intp]] | None = None
        if moments is not None:
            self.moments = moments

    @classmethod
    def of(cls, values: NDArray[Any]) -> Features:
        """Keep the values of a layer.

        Parameters
        ----------
        values : array of shape (n_stimuli, n_features), any float dtype
            Activations. Not copied: leave them as they are.

        Raises
        ------
        ScoringError
            When they have other than two dimensions, or a value is not finite.
        """
        values = np.asarray(values)
        if values.ndim != 2 or not values.size:
            raise ScoringError(
                f"The activations have shape {values.shape}, expected (n_stimuli, n_features) with at least one of "
                "each. Flatten the values of each stimulus, e.g. with values.reshape(len(values), -1)."
            )
        verify_finite(values, "activations")
        return cls(values)

    @classmethod
    def from_moments(cls, moments: Moments) -> Features:
        """Take inner products alone; ``values`` is None, and metrics that need the units refuse these.

        Raises
        ------
        ScoringError
            When an inner product is not finite.
        """
        verify_finite(moments.gram, "inner products of the activations")
        return cls(None, moments)

    @property
    def values(self) -> NDArray[Any] | None:
        """Values of shape (n_stimuli, n_features); None where only inner products were kept."""
        if self._parent is None:
            return self._values
        whole, rows = self._parent
        return None if whole.values is None else whole.values[rows]

    @property
    def n_stimuli(self) -> int:
        """Number of stimuli."""
        if self._parent is not None:
            return len(self._parent[1])
        return len(self.moments.gram if self._values is None else self._values)

    @property
    def n_features(self) -> int:
        """Number of units."""
        if self._parent is not None:
            return self._parent[0].n_features
        return self.moments.n_features if self._values is None else int(self._values.shape[1])

    @cached_property
    def n_varying(self) -> int:
        """Number of units that are not the same for all stimuli; an upper bound where the values are not kept."""
        blocks = self._blocks()
        if not blocks or (self._parent is None and "moments" in self.__dict__):
            return self.moments.n_varying
        rows = slice(None) if self._parent is None else self._parent[1]
        parts = (block[rows] for block in blocks)
        return int(sum((part != part[:1]).any(axis=0).sum() for part in parts))

    @cached_property
    def moments(self) -> Moments:
        """Inner products over all units."""
        if self._parent is not None:
            whole, rows = self._parent
            return whole.moments.of_stimuli(rows)
        blocks = self._blocks()
        found = Moments.of(blocks[0])
        for block in blocks[1:]:
            found += Moments.of(block)
        return found

    @property
    def gram(self) -> Floats:
        """Inner products of the stimuli, each unit centred, shape (n_stimuli, n_stimuli), float64."""
        return self.moments.gram

    @property
    def is_tall(self) -> bool:
        """Whether the values are kept, and there are at most as many units as stimuli."""
        has_values = (self._values if self._parent is None else self._parent[0].values) is not None
        return has_values and self.n_features <= self.n_stimuli

    @cached_property
    def spectrum(self) -> tuple[Floats, Floats]:
        """Principal axes: array of shape (n_stimuli, r), orthonormal columns, and r eigenvalues of the Gram matrix.

        In descending order; without those that are rounding.
        """
        if not self.is_tall:
            squares, axes = np.linalg.eigh(self.gram)
            keep = _is_real(squares, self.n_features)
            return np.ascontiguousarray(axes[:, keep][:, ::-1]), squares[keep][::-1]
        centred = self._centred
        squares, directions = np.linalg.eigh(centred.T @ centred)
        keep = _is_real(squares, self.n_features)
        squares, directions = squares[keep][::-1], directions[:, keep][:, ::-1]
        return centred @ directions / np.sqrt(squares), squares

    def rotated(self) -> Floats:
        """Turn the axes of the units so that as few as possible are left.

        Returns
        -------
        array of shape (n_stimuli, r), float64, r at most n_stimuli and n_features
            Rows with the same inner products as the centred values. Of at most as many units as stimuli these are the
            centred values themselves.
        """
        return self._centred if self.is_tall else self._rotated

    def correlation_rdm(self) -> Floats:
        """Return how different the stimuli are: 1 - their correlation over units.

        Returns
        -------
        array of shape (n_stimuli, n_stimuli), float64
            0 to 2; NaN for a stimulus that gives all units the same value.

        References
        ----------
        Kriegeskorte et al. (2008), https://doi.org/10.3389/neuro.06.004.2008.
        """
        return 1 - self.moments.correlations()

    def subset(self, rows: NDArray[Any]) -> Features:
        """Return a part of the stimuli, centred about its own means.

        Parameters
        ----------
        rows : array of shape (n_rows,), int
            Which stimuli; one may come several times, as in a bootstrap.

        Returns
        -------
        Features
            Shares the inner products with these.
        """
        rows = np.asarray(rows, dtype=np.intp)
        part = Features(None)
        part._parent = (self, rows) if self._parent is None else (self._parent[0], self._parent[1][rows])
        return part

    def _blocks(self) -> list[NDArray[Any]]:
        """Return views on blocks of units, of all stimuli of the parent; none where the values are not kept."""
        values = self._values if self._parent is None else self._parent[0]._values
        if values is None:
            return []
        return [values[:, start : start + _COLUMNS] for start in range(0, values.shape[1], _COLUMNS)]

    @cached_property
    def _centred(self) -> Floats:
        values = np.asarray(self.values, dtype=np.float64)
        values = values - values[:1]  # see Moments.of
        values -= values.mean(axis=0)
        return values

    @cached_property
    def _rotated(self) -> Floats:
        axes, squares = self.spectrum
        return axes * np.sqrt(squares)


def _is_real(squares: Floats, n_features: int) -> NDArray[np.bool_]:
    """Tell which of ascending eigenvalues are more than rounding; centred rows span a direction less."""
    is_real = squares > len(squares) * _ROUNDING * max(float(squares[-1]), 0.0)
    is_real[: max(len(squares) - n_features, 0)] = False
    return np.asarray(is_real)
