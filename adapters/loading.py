"""Image loading under the names of model-tools: from a list of paths to the batch that a model takes."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any, overload

import numpy as np
from PIL import Image

from .errors import PreprocessingError
from .images import load_image, to_rgb
from .preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

__all__ = ["load_images", "load_preprocess_images", "preprocess", "preprocess_images", "read_as_data"]

ImagePath = str | os.PathLike[str]

# keras.applications.imagenet_utils.preprocess_input, per mode
_KERAS_MODES: Mapping[str, Mapping[str, Any]] = {
    "caffe": {"divisor": 1.0, "mean": (103.939, 116.779, 123.68), "channel_order": "BGR"},
    "tf": {"divisor": 127.5, "mean": (1.0, 1.0, 1.0)},
    "torch": {"mean": IMAGENET_MEAN, "std": IMAGENET_STD},
}


def load_preprocess_images(
    image_filepaths: Sequence[ImagePath],
    image_size: int,
    *,
    preprocess_type: str = "imagenet",
    normalize_mean: Sequence[float] = IMAGENET_MEAN,
    normalize_std: Sequence[float] = IMAGENET_STD,
) -> np.ndarray:
    """Load images and preprocess them as Brain-Score's PyTorch models are fed.

    Parameters
    ----------
    image_filepaths : sequence of path
        Image files; read as upright RGB.
    image_size : int
        Height and width in pixels. ``functools.partial(load_preprocess_images, image_size=224)`` is the usual
        ``preprocessing``; the wrappers read it as data.
    preprocess_type : {'imagenet', 'inception'}
        ``'imagenet'`` resizes the whole image; ``'inception'`` scales the shorter side to 256/224 of ``image_size``,
        crops the centre and brings pixels to -1..1, whatever ``normalize_mean`` and ``normalize_std`` say.
    normalize_mean, normalize_std : sequence of float
        Per channel, of pixels in 0-1.

    Returns
    -------
    array of shape (n_images, 3, image_size, image_size), float32

    Raises
    ------
    PreprocessingError
        If ``preprocess_type`` or a size is none.
    StimulusError
        If an image cannot be read.
    """
    options = {
        "preprocess_type": preprocess_type,
        "normalize_mean": normalize_mean,
        "normalize_std": normalize_std,
    }
    return preprocess_images(load_images(image_filepaths), image_size, **options)


def preprocess_images(images: Sequence[Image.Image], image_size: int, **options: Any) -> np.ndarray:
    """Preprocess decoded images; `load_preprocess_images` without the loading, and with its options.

    Parameters
    ----------
    images : sequence of PIL.Image.Image
        Mode ``RGB``.
    image_size : int
        Height and width in pixels.

    Returns
    -------
    array of shape (n_images, 3, image_size, image_size), float32
    """
    run = _for_pytorch(image_size, **options)
    return np.stack([run(to_rgb(image)) for image in images])


@overload
def load_images(image_filepaths: Sequence[ImagePath]) -> list[Image.Image]: ...
@overload
def load_images(image_filepaths: Sequence[ImagePath], image_size: int) -> np.ndarray: ...
def load_images(image_filepaths: Sequence[ImagePath], image_size: int | None = None) -> Any:
    """Load images in either of the two forms that had this name.

    Parameters
    ----------
    image_filepaths : sequence of path
        Image files; read as upright RGB.
    image_size : int, optional
        Height and width in pixels, to which the whole image is resized (bicubic).

    Returns
    -------
    list of PIL.Image.Image, or array of shape (n_images, image_size, image_size, 3), float32, 0-255
        Without ``image_size`` what ``activations.pytorch`` returned, with it what ``activations.keras`` did.

    Raises
    ------
    StimulusError
        If an image cannot be read.
    """
    images = [load_image(path) for path in image_filepaths]
    if image_size is None:
        return images
    run = Preprocessing(size=(image_size, image_size), interpolation="bicubic", divisor=1.0)
    return np.stack([np.moveaxis(run(image), 0, -1) for image in images])


def preprocess(image_filepaths: Sequence[ImagePath], image_size: int, *, mode: str = "caffe") -> np.ndarray:
    """Load images and preprocess them as ``keras.applications.imagenet_utils.preprocess_input`` does.

    Parameters
    ----------
    image_filepaths : sequence of path
        Image files; read as upright RGB.
    image_size : int
        Height and width in pixels, to which the whole image is resized (bicubic).
    mode : {'caffe', 'tf', 'torch'}
        ``'caffe'``: BGR, mean subtracted, 0-255; ``'tf'``: -1..1; ``'torch'``: ImageNet's mean and std.

    Returns
    -------
    array of shape (n_images, image_size, image_size, 3), float32

    Raises
    ------
    PreprocessingError
        If the mode is none of these.
    StimulusError
        If an image cannot be read.
    """
    run = _for_keras(image_size, mode=mode)
    return np.stack([np.moveaxis(run(load_image(path)), 0, -1) for path in image_filepaths])


def _for_pytorch(
    image_size: int,
    *,
    preprocess_type: str = "imagenet",
    normalize_mean: Sequence[float] = IMAGENET_MEAN,
    normalize_std: Sequence[float] = IMAGENET_STD,
) -> Preprocessing:
    size = (image_size, image_size)
    if preprocess_type.lower() == "imagenet":
        return Preprocessing(size=size, mean=tuple(normalize_mean), std=tuple(normalize_std))
    if preprocess_type.lower() == "inception":
        half = (0.5, 0.5, 0.5)
        return Preprocessing(size=size, resize=int(image_size * 256 / 224), mean=half, std=half)
    raise PreprocessingError(f"preprocess_type={preprocess_type!r} is unknown. Use 'imagenet' or 'inception'.")


def _for_keras(image_size: int, *, mode: str = "caffe") -> Preprocessing:
    if mode not in _KERAS_MODES:
        raise PreprocessingError(f"mode={mode!r} is unknown. Use one of {', '.join(_KERAS_MODES)}.")
    return Preprocessing(size=(image_size, image_size), interpolation="bicubic", **_KERAS_MODES[mode])


def read_as_data(preprocessing: Any) -> Any:
    """Return the data that a usual ``functools.partial`` of a function above stands for, and anything else as it is.

    Examples
    --------
    >>> read_as_data(functools.partial(load_preprocess_images, image_size=64)).shape
    (3, 64, 64)
    """
    if isinstance(preprocessing, functools.partial) and not preprocessing.args:
        if preprocessing.func is load_preprocess_images:
            return _for_pytorch(**preprocessing.keywords)
        if preprocessing.func is preprocess:
            return _for_keras(**preprocessing.keywords)
    return preprocessing
