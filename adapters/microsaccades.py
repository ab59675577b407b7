"""Sub-pixel shifts that stand for microsaccades: how a deterministic model answers a stimulus differently per trial.

The shifts lie on a spiral of 0.05 degrees radius, as in Brain-Score's ``MicrosaccadeHelper`` (amplitudes after Rolfs
2009, Vision Research 49(20), 2415-2441). Unlike there, the layout of the image is known here and not guessed.
"""

from __future__ import annotations

import numpy as np

from .errors import PreprocessingError

__all__ = ["EXTENT_DEGREES", "shift_image", "spiral"]

EXTENT_DEGREES = 0.05
_SUBPIXEL = 32  # OpenCV's bilinear warp, which Brain-Score uses, places pixels on a grid of 1/32


def spiral(n_trials: int, n_rows: int, visual_degrees: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Return where each trial looks.

    Parameters
    ----------
    n_trials : int
        Number of shifts; the first is (0, 0).
    n_rows : int
        Height of the preprocessed image in pixels.
    visual_degrees : float
        Extent of the image on the retina, in degrees.

    Returns
    -------
    tuple of two arrays of shape (n_trials, 2), float64
        (x, y) in pixels, and in degrees.

    Raises
    ------
    PreprocessingError
        If the visual degrees are not known.
    """
    if visual_degrees is None:
        raise PreprocessingError(
            "require_variance=True shifts images by a fraction of a degree, but the extent of the stimuli is not known."
            " Call extractor.set_visual_degrees(8), or pass visual_degrees to ModelCommitment, first."
        )
    max_radius = EXTENT_DEGREES / visual_degrees * n_rows
    trials = np.arange(n_trials)
    radius = np.sqrt(trials / n_trials) * max_radius
    # the order of operations is Brain-Score's, so that the coordinates agree to the last bit
    angle = max_radius / np.sqrt(n_trials) * np.sqrt(trials) * 2 * np.pi / max_radius
    pixels = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return pixels, pixels / (n_rows / visual_degrees)


def shift_image(image: np.ndarray, shift: np.ndarray, channel_axis: int) -> np.ndarray:
    """Move an image by a fraction of a pixel, bilinearly; the border repeats its nearest pixel.

    Parameters
    ----------
    image : array of shape (channel, row, column) or (row, column, channel), float32
        One preprocessed image.
    shift : array of shape (2,)
        (x, y) in pixels; positive x moves the content right, positive y down.
    channel_axis : {0, -1}
        Where the channels are.

    Returns
    -------
    array of the same shape, float32
    """
    rows_axis, columns_axis = (1, 2) if channel_axis == 0 else (0, 1)
    moved = _shift_axis(image, float(shift[0]), columns_axis)
    return _shift_axis(moved, float(shift[1]), rows_axis).astype(np.float32, copy=False)


def _shift_axis(image: np.ndarray, shift: float, axis: int) -> np.ndarray:
    # OpenCV's rounding: source positions in 1/1024, then to the nearest 1/32
    offset = (int(np.round(-shift * 1024)) + 512 // _SUBPIXEL) * _SUBPIXEL // 1024
    if offset == 0:
        return image
    length = image.shape[axis]
    source = np.arange(length) * _SUBPIXEL + offset
    low = source // _SUBPIXEL
    weight = ((source % _SUBPIXEL) / _SUBPIXEL).astype(np.float32)
    shape = [1] * image.ndim
    shape[axis] = length
    weight = weight.reshape(shape)
    below = np.take(image, np.clip(low, 0, length - 1), axis=axis)
    above = np.take(image, np.clip(low + 1, 0, length - 1), axis=axis)
    return below * (np.float32(1) - weight) + above * weight
