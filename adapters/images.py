"""Read an image file of any common kind as 8-bit RGB, or say exactly why it cannot be read.

Brain-Score pastes grey, palette and alpha images onto an RGB canvas, which drops alpha; the same happens here. What it
crashes on or reads wrongly is read rightly here: CMYK is converted, 16-bit grey is scaled to 8 bit, and the orientation
that a camera wrote into EXIF is applied, because that is how people saw the picture.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import StimulusError

__all__ = ["array_to_image", "load_image", "to_rgb"]

_SKIP_HINT = 'Replace it, or pass on_error="skip" to leave it out and list it.'


def load_image(path: str | os.PathLike[str]) -> Image.Image:
    """Open an image file as upright 8-bit RGB.

    Parameters
    ----------
    path : str or path
        File of any format that Pillow reads.

    Returns
    -------
    PIL.Image.Image
        Mode ``RGB``, fully decoded.

    Raises
    ------
    StimulusError
        If the file is missing, empty, truncated, not an image, or larger than Pillow's decompression-bomb limit.
    """
    try:
        with Image.open(path) as opened:
            opened.load()
            return to_rgb(ImageOps.exif_transpose(opened))
    except StimulusError as error:
        raise StimulusError(f"{path}: {error}") from error
    except Image.DecompressionBombError as error:
        raise StimulusError(
            f"{path} is too large to decode safely: {error} Shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS if you "
            f"trust the file."
        ) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise StimulusError(f"{path} could not be read as an image ({_reason(path, error)}). {_SKIP_HINT}") from error


def _reason(path: str | os.PathLike[str], error: Exception) -> str:
    file = Path(path)
    if not file.exists():
        return "there is no such file"
    if file.is_dir():
        return "it is a folder"
    n_bytes = file.stat().st_size
    if n_bytes == 0:
        return "the file is empty, 0 bytes"
    if isinstance(error, UnidentifiedImageError):
        return f"its {n_bytes:,} bytes are of no image format that Pillow knows"
    if "truncated" in str(error):
        return f"truncated after {n_bytes:,} bytes"
    return str(error)


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a decoded image of any mode to 8-bit RGB.

    Raises
    ------
    StimulusError
        If the mode has no defined range of values, as floating-point TIFF.
    """
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16") or image.mode == "I":
        return Image.fromarray(_eight_bit(np.asarray(image))).convert("RGB")
    if image.mode == "F":
        raise StimulusError(
            "images of mode 'F' (floating point) have no defined range. Save it with 8 or 16 bits per channel."
        )
    if image.mode in ("P", "PA") and "transparency" in image.info:
        image = image.convert("RGBA")  # the same colours, without Pillow's warning about what is dropped next
    return image.convert("RGB")


def _eight_bit(pixels: np.ndarray) -> np.ndarray:
    values = pixels.astype(np.int64)
    if values.size and (values.min() < 0 or values.max() > 65535):
        raise StimulusError("grey values lie outside 0-65535. Save it with 8 or 16 bits per channel.")
    return np.round(values / 257).astype(np.uint8)


def array_to_image(array: Any) -> Image.Image:
    """Turn an array into an RGB image.

    Parameters
    ----------
    array : array of shape (height, width), (height, width, 1), (height, width, 3) or (height, width, 4)
        uint8 0-255, uint16 0-65535, bool, or float 0-1, which is rounded to 8 bits as in a saved file.

    Raises
    ------
    StimulusError
        If shape, dtype or range are none of these.
    """
    values = np.asarray(array)
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.size == 0 or values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[-1] not in (3, 4)):
        raise StimulusError(
            f"An image array has shape {values.shape}; expected (height, width), (height, width, 3) or "
            f"(height, width, 4). If it is preprocessed already, wrap the model with "
            f"preprocessing=adapters.already_preprocessed()."
        )
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * 255
    elif values.dtype == np.uint16:
        values = _eight_bit(values)
    elif np.issubdtype(values.dtype, np.floating):
        if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
            raise StimulusError(
                f"An image array of dtype {values.dtype} has values from {values.min():.3g} to {values.max():.3g}; "
                f"floating-point images must lie in 0-1. Divide by 255, or pass uint8."
            )
        values = np.round(values * 255).astype(np.uint8)
    elif values.dtype != np.uint8:
        raise StimulusError(f"An image array has dtype {values.dtype}; expected uint8 0-255 or float 0-1.")
    return Image.fromarray(np.ascontiguousarray(values)).convert("RGB")
