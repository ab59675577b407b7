"""The oracle: the toy network once more in plain NumPy, loop by loop, for every framework to be compared with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .toys import NORM_EPSILON, TOKEN_NORM_EPSILON

__all__ = ["oracle"]


def oracle(weights: Mapping[str, np.ndarray], images: np.ndarray) -> dict[str, np.ndarray]:
    """Compute every layer of the toy network in evaluation mode.

    Parameters
    ----------
    weights : mapping of str to array
        See `adapters.testing.toys.toy_weights`; ``noise.scale`` is taken as 0, because a draw has no right value.
    images : array of shape (n_images, 3, n_rows, n_columns)
        In (channel, row, column) order.

    Returns
    -------
    dict of str to array of shape (n_images, ...), float64
        By the names of `adapters.testing.toys.LAYERS`; beside them ``shared@0`` and ``shared@1`` for the two calls,
        ``branch:1`` and ``branch:2.mean`` for the parts of the structured output, and ``logits``.

    Examples
    --------
    >>> from adapters.testing.toys import toy_images, toy_weights
    >>> oracle(toy_weights(), toy_images(2))["conv2"].shape
    (2, 6, 3, 4)
    """
    w = {name: np.asarray(value, np.float64) for name, value in weights.items()}
    found: dict[str, np.ndarray] = {}
    found["conv1"] = _convolve(np.asarray(images, np.float64), w["conv1.kernel"], w["conv1.bias"], stride=1, padding=1)
    found["relu1"] = np.maximum(found["conv1"], 0)
    found["pool"] = _pool(found["relu1"], size=2)
    found["conv2"] = _convolve(found["pool"], w["conv2.kernel"], w["conv2.bias"], stride=2, padding=1)
    found["norm"] = _normalise_channels(found["conv2"], w)
    found["token_norm"] = _normalise_tokens(_tokens(found["norm"]), w)
    found["shared@0"] = found["token_norm"] @ w["shared.kernel"] + w["shared.bias"]
    found["branch"] = found["branch:1"] = 2 * found["shared@0"]
    found["branch:2.mean"] = found["shared@0"].mean(axis=1)
    found["shared"] = found["shared@1"] = found["branch:2.mean"] @ w["shared.kernel"] + w["shared.bias"]
    found["dropout"] = found["noise"] = found["shared@1"]
    found["head"] = found["noise"] @ w["head.kernel"] + w["head.bias"]
    found["logits"] = found["head"] / 2
    return found


def _convolve(images: np.ndarray, kernel: np.ndarray, bias: np.ndarray, *, stride: int, padding: int) -> np.ndarray:
    """Correlate with the kernel, position by position; padding with zeros on all four sides."""
    n_outputs, _, kernel_rows, kernel_columns = kernel.shape
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    n_rows = (padded.shape[2] - kernel_rows) // stride + 1
    n_columns = (padded.shape[3] - kernel_columns) // stride + 1
    result = np.empty((len(images), n_outputs, n_rows, n_columns))
    for row in range(n_rows):
        for column in range(n_columns):
            top, left = row * stride, column * stride
            window = padded[:, :, top : top + kernel_rows, left : left + kernel_columns]
            result[:, :, row, column] = np.einsum("nirc,oirc->no", window, kernel) + bias
    return result


def _pool(images: np.ndarray, *, size: int) -> np.ndarray:
    """Take the maximum over tiles; what is left over at the right and at the bottom is dropped."""
    n_rows, n_columns = images.shape[2] // size, images.shape[3] // size
    result = np.empty((*images.shape[:2], n_rows, n_columns))
    for row in range(n_rows):
        for column in range(n_columns):
            tile = images[:, :, row * size : (row + 1) * size, column * size : (column + 1) * size]
            result[:, :, row, column] = tile.max(axis=(2, 3))
    return result


def _normalise_channels(images: np.ndarray, w: Mapping[str, np.ndarray]) -> np.ndarray:
    """Normalise each channel by stored statistics, as batch normalisation does in evaluation mode."""
    result = np.empty_like(images)
    for channel in range(images.shape[1]):
        deviation = np.sqrt(w["norm.variance"][channel] + NORM_EPSILON)
        standard = (images[:, channel] - w["norm.mean"][channel]) / deviation
        result[:, channel] = standard * w["norm.scale"][channel] + w["norm.offset"][channel]
    return result


def _tokens(images: np.ndarray) -> np.ndarray:
    """Return every position as a token, row by row, its channels as dimensions."""
    n_images, n_channels, n_rows, n_columns = images.shape
    result = np.empty((n_images, n_rows * n_columns, n_channels))
    for row in range(n_rows):
        for column in range(n_columns):
            result[:, row * n_columns + column] = images[:, :, row, column]
    return result


def _normalise_tokens(tokens: np.ndarray, w: Mapping[str, np.ndarray]) -> np.ndarray:
    """Normalise each token over its dimensions (variance with divisor n)."""
    mean = tokens.mean(axis=-1, keepdims=True)
    variance = ((tokens - mean) ** 2).mean(axis=-1, keepdims=True)
    standard = (tokens - mean) / np.sqrt(variance + TOKEN_NORM_EPSILON)
    return standard * w["token_norm.scale"] + w["token_norm.offset"]
