"""Preprocessing as data: decode, resize, crop, normalise, in the same arithmetic as torchvision on PIL images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from numbers import Integral
from typing import Any, Literal

import numpy as np
from PIL import Image

from .errors import PreprocessingError

__all__ = ["Preprocessing", "clip", "imagenet", "inception", "pixels", "raw"]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_CHANNELS = {"RGB": (0, 1, 2), "BGR": (2, 1, 0), "L": (0,)}
_INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class Preprocessing:
    """From an image to what a model takes; plain data, so it can be stored, compared and shipped.

    Parameters
    ----------
    size : tuple of (int, int)
        Height and width that the model receives, in pixels.
    resize : int or tuple of (int, int), optional
        An int scales the shorter side to it and then crops the centre to ``size``; a pair resizes to exactly that;
        None resizes to ``size``, so that the whole image stays visible, as Brain-Score does it.
    interpolation : {'bilinear', 'bicubic', 'nearest', 'lanczos'}
        Pillow's, with antialiasing.
    divisor : float
        255 brings pixels to 0-1; 1 leaves them at 0-255.
    mean, std : tuple of float
        Subtracted and divided by, per channel, after the division by ``divisor``.
    channel_order : {'RGB', 'BGR', 'L'}
        BGR for models of Caffe's line; L for models with a single grey channel (``mean`` and ``std`` then have one
        value; luma after ITU-R 601, as Pillow computes it).

    Examples
    --------
    >>> imagenet(224).size
    (224, 224)
    >>> Preprocessing.from_dict(imagenet(224).to_dict()) == imagenet(224)
    True
    """

    size: tuple[int, int]
    resize: int | tuple[int, int] | None = None
    interpolation: str = "bilinear"
    divisor: float = 255.0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    channel_order: Literal["RGB", "BGR", "L"] = "RGB"

    def __post_init__(self) -> None:
        """Bring lists to tuples and refuse what cannot work."""
        object.__setattr__(self, "size", _pair(self.size, "size"))
        if self.resize is not None:
            rows, columns = _pair(self.resize, "resize")
            object.__setattr__(self, "resize", rows if isinstance(self.resize, Integral) else (rows, columns))
        if self.channel_order not in _CHANNELS:
            raise PreprocessingError(
                f"channel_order={self.channel_order!r} is unknown. Use one of {', '.join(_CHANNELS)}."
            )
        n_channels = len(_CHANNELS[self.channel_order])
        for name in ("mean", "std"):
            values = tuple(float(value) for value in getattr(self, name))
            if len(values) != n_channels:
                raise PreprocessingError(
                    f"{name}={values} has {len(values)} values; expected {n_channels}, one per channel of "
                    f"{self.channel_order!r}."
                )
            object.__setattr__(self, name, values)
        if 0.0 in (*self.std, self.divisor):
            raise PreprocessingError(f"std={self.std}, divisor={self.divisor}: a division by 0. Use 1.0 for 'leave'.")
        if self.interpolation not in _INTERPOLATIONS:
            raise PreprocessingError(
                f"interpolation={self.interpolation!r} is unknown. Use one of {', '.join(_INTERPOLATIONS)}."
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one result: (channel, row, column)."""
        return (len(_CHANNELS[self.channel_order]), *self.size)

    def __call__(self, image: Image.Image, out: np.ndarray | None = None) -> np.ndarray:
        """Preprocess one image.

        Parameters
        ----------
        image : PIL.Image.Image
            Mode ``RGB``.
        out : array of shape `shape`, float32, optional
            Memory for the result.

        Returns
        -------
        array of shape `shape`, float32
            (channel, row, column).
        """
        image = image.convert("L") if self.channel_order == "L" else image
        pixels = np.atleast_3d(np.asarray(self.resized(image)))
        result = np.empty(self.shape, np.float32) if out is None else out
        tables = _tables(self.divisor, self.mean, self.std)
        for position, channel in enumerate(_CHANNELS[self.channel_order]):
            # 256 possible inputs: a table gives the very floats of (x / divisor - mean) / std in one pass
            np.take(tables[position], pixels[:, :, channel], out=result[position], mode="clip")
        return result

    def resized(self, image: Image.Image) -> Image.Image:
        """Return the image at the model's size, before normalisation; useful to look at what a model sees."""
        height, width = self.size
        method = _INTERPOLATIONS[self.interpolation]
        if isinstance(self.resize, int):
            target = _scaled(image.size, self.resize)
        else:
            rows, columns = self.resize or self.size
            target = (columns, rows)
        scaled = image if target == image.size else image.resize(target, method)
        if scaled.size == (width, height):
            return scaled
        # torchvision's CenterCrop rounds half to even, and pads with black what is too small
        left, top = round((scaled.width - width) / 2.0), round((scaled.height - height) / 2.0)
        if scaled.width < width or scaled.height < height:
            pad_left, pad_top = max((width - scaled.width) // 2, 0), max((height - scaled.height) // 2, 0)
            canvas = Image.new(image.mode, (max(scaled.width, width), max(scaled.height, height)))
            canvas.paste(scaled, (pad_left, pad_top))
            left, top = round((canvas.width - width) / 2.0), round((canvas.height - height) / 2.0)
            scaled = canvas
        return scaled.crop((left, top, left + width, top + height))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Make one from what `to_dict` gave, also after a trip through JSON."""
        plain: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**plain)


def _pair(value: Any, name: str) -> tuple[int, int]:
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(values) != 2 or not all(isinstance(length, Integral) and int(length) >= 1 for length in values):
        raise PreprocessingError(f"{name}={value!r} is no size. Expected pixels: one int, or (height, width).")
    return int(values[0]), int(values[1])


def _scaled(size: tuple[int, int], shorter_side: int) -> tuple[int, int]:
    """Return (width, height) with the shorter side at ``shorter_side``, cut off as torchvision does."""
    width, height = size
    if width <= height:
        return shorter_side, int(shorter_side * height / width)
    return int(shorter_side * width / height), shorter_side


@lru_cache(maxsize=32)
def _tables(divisor: float, mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[np.ndarray, ...]:
    pixels = np.arange(256, dtype=np.float32) / np.float32(divisor)
    return tuple(
        ((pixels - np.float32(channel_mean)) / np.float32(channel_std)).astype(np.float32)
        for channel_mean, channel_std in zip(mean, std, strict=True)
    )


def imagenet(size: int = 224, *, resize: int | tuple[int, int] | None = None) -> Preprocessing:
    """Preprocess as ImageNet models of torchvision's line are trained, with the whole image visible.

    Parameters
    ----------
    size : int
        Height and width in pixels.
    resize : int or tuple of (int, int), optional
        Scale the shorter side to this, or the image to these (height, width), and crop the centre, as torchvision's
        evaluation does (256 for 224). By default the image is resized to ``size`` without cropping, as Brain-Score
        does it, so that stimuli keep their extent in visual degrees.
    """
    return Preprocessing(size=(size, size), resize=resize, mean=IMAGENET_MEAN, std=IMAGENET_STD)


def inception(size: int = 299, *, resize: int | tuple[int, int] | None = None) -> Preprocessing:
    """Preprocess to -1..1 for models of the Inception line.

    Parameters
    ----------
    size : int
        Height and width in pixels.
    resize : int or tuple of (int, int), optional
        As for `imagenet`. Brain-Score's ``preprocess_type="inception"`` scales the shorter side to 8/7 of ``size``: 256
        for 224, 341 for 299. By default the whole image is resized to ``size``.
    """
    return Preprocessing(size=(size, size), resize=resize, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def clip(size: int = 224) -> Preprocessing:
    """Preprocess as OpenAI's CLIP: shorter side to ``size``, bicubic, centre crop, CLIP's mean and std."""
    return Preprocessing(size=(size, size), resize=size, interpolation="bicubic", mean=CLIP_MEAN, std=CLIP_STD)


def raw(size: int = 224) -> Preprocessing:
    """Resize to ``size`` pixels and scale to 0-1, nothing else."""
    return Preprocessing(size=(size, size))


def pixels(size: int = 224) -> Preprocessing:
    """Whole image, values 0-255: for models that scale their images themselves."""
    return Preprocessing(size=(size, size), divisor=1.0)
