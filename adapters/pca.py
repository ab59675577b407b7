"""Principal components of layers with many more neuroids than images.

With n images and N neuroids, n << N, the components follow from the n x n matrix of inner products between images; a
singular value decomposition of the n x N matrix finds the same at more than ten times the price.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .errors import ActivationShapeError

__all__ = ["PrincipalComponents"]

_COLUMNS = 2048  # worked on at a time: 1000 images of them in double precision take 16 MB
_SHORT = 1e-3  # of the first singular value


class PrincipalComponents:
    """Principal components of one layer, with the names that scikit-learn's ``PCA`` has for them.

    Components are orthogonal, sorted by the variance that they explain, and signed so that the largest entry of each is
    positive, as in scikit-learn since 1.5. n images span n - 1 directions about their mean, fewer where images repeat.
    scikit-learn fills up with directions that are decided by rounding; here those components, and scores, are zero.

    Parameters
    ----------
    values : array of shape (n_images, n_neuroids), float32
        What to fit. Taken over: the components are written into this memory.
    n_components : int
        At most ``n_images`` and ``n_neuroids``.

    Raises
    ------
    ActivationShapeError
        If there are too few images or neuroids, or a value is not finite.

    References
    ----------
    Sirovich, L. (1987). Turbulence and the dynamics of coherent structures. Part I: Coherent structures. Quarterly of
    Applied Mathematics, 45(3), 561-571. (The "method of snapshots".)

    Examples
    --------
    >>> images = np.array([[0, 0, 0], [2, 0, 0], [0, 0, 1]], dtype=np.float32)
    >>> components = PrincipalComponents(images.copy(), n_components=2)
    >>> components.transform(images).shape
    (3, 2)
    """

    def __init__(self, values: np.ndarray, n_components: int) -> None:
        if n_components > min(values.shape):
            raise ActivationShapeError(
                f"There are no {n_components} principal components of {values.shape[0]} images x {values.shape[1]} "
                f"neuroids. Use at most {min(values.shape)}, or more images."
            )
        n_images = len(values)
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is refused below
            self.mean_, gram = _mean_and_products(values)
        if not np.isfinite(gram).all():
            raise ActivationShapeError(
                f"Some of {n_images} images x {values.shape[1]} neuroids are not finite, or too large; principal "
                f"components need finite values. Look at the layer with numpy.isfinite(extractor(...).values)."
            )
        squares, weights = np.linalg.eigh(gram)  # ascending
        squares, weights = squares[::-1][:n_components], np.ascontiguousarray(weights.T[::-1][:n_components])
        is_real = squares > squares[0] * n_images * np.finfo(np.float64).eps
        lengths = np.sqrt(np.where(is_real, squares, 0.0))
        self.explained_variance_ = np.where(is_real, squares, 0.0) / max(n_images - 1, 1)
        # the components times their singular values; dividing when they are used saves a pass through this memory
        self._scaled = values[:n_components]
        signs = _project(values, self.mean_, weights, int(np.sum(lengths > _SHORT * lengths[0])))
        self._scale = np.divide(signs, lengths, where=is_real, out=np.zeros(n_components))

    @property
    def components_(self) -> np.ndarray:
        """Components, of shape (n_components, n_neuroids), float32: a new array, as large as what was fitted."""
        return self._scaled * self._scale[:, None].astype(np.float32)

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Return the scores of images on the components.

        Parameters
        ----------
        values : array of shape (n_images, n_neuroids)

        Returns
        -------
        array of shape (n_images, n_components), float32

        Raises
        ------
        ActivationShapeError
            If the number of neuroids is not the fitted one.
        """
        if values.ndim != 2 or values.shape[1] != len(self.mean_):
            raise ActivationShapeError(
                f"An array of shape {values.shape} was given to principal components of {len(self.mean_)} neuroids. "
                f"Pass one row of {len(self.mean_)} values per image."
            )
        scores = np.zeros((len(values), len(self._scale)))
        for columns in _blocks(len(self.mean_)):
            centred = np.subtract(values[:, columns], self.mean_[columns], dtype=np.float32)
            scores += centred @ self._scaled[:, columns].T
        return (scores * self._scale).astype(np.float32)


def _blocks(n_columns: int) -> Iterator[slice]:
    return (slice(start, min(start + _COLUMNS, n_columns)) for start in range(0, n_columns, _COLUMNS))


def _mean_and_products(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean image, float32, and the inner products of the images about it.

    The products are double: rounded to single precision, their small eigenvalues would be noise.
    """
    mean, products = np.empty(values.shape[1], np.float32), np.zeros((len(values), len(values)))
    for columns in _blocks(values.shape[1]):
        block = values[:, columns].astype(np.float64)
        mean[columns] = block.mean(0)
        block -= mean[columns]
        products += block @ block.T
    # the mean is rounded to single precision, so each product is off by the same few parts; centring again removes them
    products -= products.mean(0)
    products -= products.mean(1, keepdims=True)
    return mean, products


def _project(values: np.ndarray, mean: np.ndarray, weights: np.ndarray, n_single: int) -> np.ndarray:
    """Overwrite the first rows of values with ``weights @ (values - mean)``; return the sign of each row's largest.

    Single precision leaves 1e-9 of the first component in each: too much for rows that are far shorter than the first.
    Those from ``n_single`` on are computed in double precision, at twice the price.
    """
    n_components, single = len(weights), weights[:n_single].astype(np.float32)
    largest, rows = np.zeros(n_components, np.float32), np.arange(n_components)
    for columns in _blocks(values.shape[1]):
        block = np.empty((n_components, columns.stop - columns.start), np.float32)
        block[:n_single] = single @ (values[:, columns] - mean[columns])
        if n_single < n_components:
            block[n_single:] = weights[n_single:] @ (values[:, columns] - mean[columns].astype(np.float64))
        values[:n_components, columns] = block
        found = block[rows, np.abs(block).argmax(1)]
        largest = np.where(np.abs(found) > np.abs(largest), found, largest)
    return np.where(largest < 0, -1.0, 1.0)
