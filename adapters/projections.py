"""Sparse random projections, as scikit-learn defines them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from .device_math import DeviceMath
from .errors import MissingFrameworkError, ReductionError
from .reducing import LayerReduction, Reduction, Step, digest_of

__all__ = ["SparseRandomProjection"]


@dataclass(frozen=True)
class SparseRandomProjection(Reduction):
    """Random mixtures of a layer's values, which keep the distances between images.

    The matrix is scikit-learn's for the same seed, and never there as a whole. Layers with no more values than
    components stay as they are.

    Parameters
    ----------
    n_components : int or 'auto'
        Values per image afterwards; ``'auto'`` takes as many as keep all distances between the presentations of a call
        within ``eps``, by the lemma of Johnson and Lindenstrauss.
    eps : float
        Relative error of distances for ``'auto'``, between 0 and 1.
    seed : int
        Decides the matrix.
    density : float or 'auto'
        Share of entries that are not zero; ``'auto'`` is one by the square root of the number of values.

    Raises
    ------
    ReductionError
        If a parameter is out of its range.

    References
    ----------
    Li, P., Hastie, T. J., & Church, K. W. (2006). Very sparse random projections. KDD 2006, 287-296.

    Examples
    --------
    >>> SparseRandomProjection(512).name
    'SparseRandomProjection(512)'
    """

    n_components: int | Literal["auto"] = "auto"
    eps: float = 0.1
    seed: int = 0
    density: float | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        """Refuse what no matrix can be made of."""
        is_count = isinstance(self.n_components, (int, np.integer)) and not isinstance(self.n_components, bool)
        for parameter, is_fine, expected in (
            ("n_components", self.n_components == "auto" or (is_count and int(self.n_components) > 0), "1 or more"),
            ("eps", _is_between(self.eps, below=1), "a number between 0 and 1"),
            ("seed", isinstance(self.seed, (int, np.integer)) and 0 <= self.seed < 2**32, "0 or a whole number above"),
            ("density", self.density == "auto" or _is_between(self.density, below=1 + 1e-9), "a share, up to 1"),
        ):
            if not is_fine:
                auto = ", or 'auto'" if parameter in ("n_components", "density") else ""
                raise ReductionError(
                    f"SparseRandomProjection({parameter}={getattr(self, parameter)!r}): expected {expected}{auto}."
                )

    @property
    def name(self) -> str:
        """Kind and number of components."""
        return f"SparseRandomProjection({self.n_components})"

    def for_layer(
        self, layer: str, shape: tuple[int, ...], *, n_presentations: int, math: DeviceMath
    ) -> LayerReduction | None:
        """Return the projection of one layer; None where it has no more values than components."""
        n_values, n_components = int(np.prod(shape, dtype=np.int64)), self.n_components
        if n_components == "auto":
            n_components = int(_import_random_projection().johnson_lindenstrauss_min_dim(n_presentations, eps=self.eps))
        if n_values <= n_components:
            return None
        density = n_values**-0.5 if self.density == "auto" else float(self.density)
        return _Projection(n_values, int(n_components), int(self.seed), density)


def _is_between(number: Any, *, below: float) -> bool:
    return isinstance(number, (int, float, np.number)) and 0 < float(number) < below


def _import_random_projection() -> Any:
    try:
        from sklearn import random_projection
    except ImportError as error:
        raise MissingFrameworkError(
            f"Random projections are scikit-learn's, which could not be imported: {error}. Install it with: pip "
            f"install 'brain-adapters[score]'."
        ) from error
    return random_projection


@dataclass(frozen=True)
class _Projection(LayerReduction):
    """The projection of a layer; its matrix is made when it is first needed."""

    n_values: int
    n_components: int
    seed: int
    density: float

    @property
    def name(self) -> str:
        return f"SparseRandomProjection({self.n_components})"

    @property
    def step(self) -> Step:
        return _project

    @cached_property
    def _matrix(self) -> Any:
        """The matrix of scikit-learn: sparse, but for a density of 1."""
        from scipy.sparse import csr_matrix

        projection = _import_random_projection().SparseRandomProjection(
            self.n_components, density=self.density, random_state=self.seed
        )
        # only the number of columns counts
        return projection.fit(csr_matrix((1, self.n_values), dtype=np.float32)).components_

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Return columns and weights, each row of the matrix filled up to the length of the longest.

        What fills it up is one of the row's own columns with the weight 0: so that no value that is not finite gets
        into a component that has nothing to do with it.
        """
        if isinstance(self._matrix, np.ndarray):
            return {"rows": np.ascontiguousarray(self._matrix, np.float32)}
        matrix, lengths = self._matrix, np.diff(self._matrix.indptr)
        n_entries = max(int(lengths.max()), 1)
        columns, weights = (np.zeros((self.n_components, n_entries), dtype) for dtype in (np.int32, np.float32))
        is_entry = np.arange(n_entries) < lengths[:, None]
        columns[is_entry], weights[is_entry] = matrix.indices, matrix.data
        first = np.where(lengths > 0, columns[:, 0], 0)
        return {"columns": np.where(is_entry, columns, first[:, None]).astype(np.int32), "weights": weights}

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (self.n_components,)

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters, and a digest of the matrix: it is another package that makes it."""
        return {
            "reduction": "sparse random projection",
            "n_components": self.n_components,
            "seed": self.seed,
            "density": self.density,
            "matrix": digest_of(self.arrays().items()),
        }

    def __call__(self, value: Any, math: DeviceMath, arrays: Mapping[str, Any]) -> Any:
        return _project(value, math, arrays)


def _project(value: Any, math: DeviceMath, arrays: Mapping[str, Any]) -> Any:
    if "rows" in arrays:
        return math.product(value, arrays["rows"])
    return math.weighted_sums(value, arrays["columns"], arrays["weights"])
