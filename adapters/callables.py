"""Preprocessing that users bring: callables per image or per list of paths, and transforms that hold data."""

from __future__ import annotations

import functools
import inspect
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .errors import PreprocessingError
from .preprocessing import Preprocessing, clip, imagenet, inception, pixels, raw

__all__ = [
    "AlreadyPreprocessed",
    "PathsPreprocessing",
    "PerImagePreprocessing",
    "Preprocess",
    "already_preprocessed",
    "as_preprocessing",
]

_PATH_WORDS = ("path", "file")
_PRESETS = (imagenet, inception, clip, raw, pixels)


class AlreadyPreprocessed:
    """Hand arrays to the model as they are; made by `already_preprocessed`."""

    def __call__(self, stimulus: Any) -> np.ndarray:
        """Return the stimulus as an array of shape (...), float32, unchanged otherwise."""
        if isinstance(stimulus, (str, Path, Image.Image)):
            raise PreprocessingError(
                f"preprocessing=already_preprocessed() takes arrays in the model's own layout, but a stimulus is "
                f"{type(stimulus).__name__} {str(stimulus)[:80]!r}. Pass arrays, or a preprocessing such as "
                f"adapters.imagenet(224)."
            )
        return np.asarray(_detached(stimulus), dtype=np.float32)

    def __repr__(self) -> str:
        return "already_preprocessed()"


class PerImagePreprocessing:
    """A user's callable from one PIL image to one array.

    Parameters
    ----------
    function : callable
        Takes an RGB ``PIL.Image.Image``; returns an array or tensor of one image, with or without a batch axis of 1.
    """

    def __init__(self, function: Callable[[Image.Image], Any]) -> None:
        self.function = function

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Preprocess one image; returns an array of shape (channel, row, column) or as the callable lays it out."""
        return _one_image(self.function(image), self.function)

    def __repr__(self) -> str:
        return f"per_image({_name(self.function)})"


class PathsPreprocessing:
    """A user's callable in Brain-Score's form: from a list of image paths to a batch.

    Parameters
    ----------
    function : callable
        Takes a list of path strings; returns an array or tensor of shape (n_images, ...), or a list of them.
    """

    def __init__(self, function: Callable[[list[str]], Any]) -> None:
        self.function = function

    def __call__(self, stimulus: str | Image.Image) -> np.ndarray:
        """Preprocess one stimulus; an image that is no file is written to a temporary one first."""
        if not isinstance(stimulus, Image.Image):
            return _one_image(self.function([str(stimulus)]), self.function)
        with tempfile.TemporaryDirectory(prefix="brain-adapters-") as folder:
            path = Path(folder) / "stimulus.png"
            stimulus.save(path)
            return _one_image(self.function([str(path)]), self.function)

    def __repr__(self) -> str:
        return f"per_paths({_name(self.function)})"


Preprocess = Preprocessing | AlreadyPreprocessed | PerImagePreprocessing | PathsPreprocessing


def already_preprocessed() -> AlreadyPreprocessed:
    """Say that stimuli are arrays in the model's own layout and range, to be handed over unchanged."""
    return AlreadyPreprocessed()


def as_preprocessing(given: Any) -> Preprocess:
    """Recognise what a user passed as ``preprocessing``.

    Parameters
    ----------
    given : Preprocessing or callable
        Data; a torchvision evaluation preset, which is read as data; a Hugging Face image processor; a callable per
        RGB image; or a callable on a list of paths, as Brain-Score's ``load_preprocess_images``.

    Raises
    ------
    PreprocessingError
        If it is none of these.
    """
    if isinstance(given, (Preprocessing, AlreadyPreprocessed, PerImagePreprocessing, PathsPreprocessing)):
        return given
    if (preset := _from_torchvision_preset(given)) is not None:
        return preset
    if hasattr(given, "preprocess") and hasattr(given, "model_input_names"):
        return PerImagePreprocessing(functools.partial(_run_processor, given))
    if any(given is preset for preset in _PRESETS):
        name = given.__name__
        raise PreprocessingError(
            f"preprocessing={name} is a function that makes a preprocessing. Call it with the size in pixels: "
            f"preprocessing=adapters.{name}(224)."
        )
    if not callable(given):
        raise PreprocessingError(
            f"preprocessing={given!r} is neither a Preprocessing nor callable. Pass for example adapters.imagenet(224),"
            f" weights.transforms(), or a function of one PIL image or of a list of paths."
        )
    return PathsPreprocessing(given) if _wants_paths(given) else PerImagePreprocessing(given)


def _wants_paths(function: Callable[..., Any]) -> bool:
    """Tell the two forms apart by the first free parameter's name, else by trying an image on it."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    if parameters and any(word in parameters[0].name.lower() for word in _PATH_WORDS):
        return True
    image = Image.fromarray(np.linspace(0, 255, 137 * 211 * 3).astype(np.uint8).reshape(137, 211, 3))
    try:
        _one_image(function(image), function)
    except Exception as error_on_image:  # any error of the user's function says only that it takes no image
        with tempfile.TemporaryDirectory(prefix="brain-adapters-") as folder:
            path = Path(folder) / "probe.png"
            image.save(path)
            try:
                _one_image(function([str(path)]), function)
            except Exception as error_on_paths:
                raise PreprocessingError(
                    f"{_name(function)} works neither on one RGB PIL image ({_short(error_on_image)}) nor on a list of "
                    f"paths ({_short(error_on_paths)}). Return one array or tensor per image."
                ) from error_on_image
        return True
    return False


def _one_image(result: Any, function: Callable[..., Any]) -> np.ndarray:
    if isinstance(result, Mapping) and "pixel_values" in result:
        result = result["pixel_values"]
    if isinstance(result, (list, tuple)) and len(result) == 1:
        result = result[0]
    array = np.asarray(_detached(result))
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 3 or array.dtype == object:
        raise PreprocessingError(
            f"{_name(function)} returned shape {array.shape}, dtype {array.dtype} for one image; expected one image of "
            f"shape (channel, row, column) or (row, column, channel)."
        )
    return array.astype(np.float32, copy=False)


def _run_processor(processor: Any, image: Image.Image) -> Any:
    return processor(images=image, return_tensors="np")


def _from_torchvision_preset(given: Any) -> Preprocessing | None:
    """Read ``weights.transforms()`` of a torchvision classification model, which keeps its settings as attributes."""
    names = ("crop_size", "resize_size", "mean", "std", "interpolation")
    if type(given).__name__ != "ImageClassification" or not all(hasattr(given, name) for name in names):
        return None
    crop, resize = _single(given.crop_size), _single(given.resize_size)
    interpolation = getattr(given.interpolation, "value", None)
    if crop is None or resize is None or interpolation not in ("bilinear", "bicubic", "nearest", "lanczos"):
        return None
    return Preprocessing(
        size=(crop, crop), resize=resize, interpolation=interpolation, mean=tuple(given.mean), std=tuple(given.std)
    )


def _single(value: Any) -> int | None:
    values: Sequence[Any] = value if isinstance(value, (list, tuple)) else [value]
    return int(values[0]) if len(values) == 1 and isinstance(values[0], int) else None


def _detached(value: Any) -> Any:
    """Bring a tensor of any framework to something numpy can read."""
    return value.detach().cpu() if hasattr(value, "detach") and hasattr(value, "cpu") else value


def _name(function: Any) -> str:
    inner = function.func if isinstance(function, functools.partial) else function
    return getattr(inner, "__qualname__", type(inner).__name__)


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0][:100] if str(error) else ''}"
