"""What is assumed when nobody said: the preprocessing of a model without one, and the shape of its input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from .callables import AlreadyPreprocessed, Preprocess
from .contract import Adapter
from .decoding import Decoder
from .errors import PreprocessingError, StimulusError, warn
from .preprocessing import Preprocessing, imagenet

__all__ = ["guess_preprocessing", "image_shape_of"]

_USUAL_SIZE = 224
# neither square nor a usual size, so a preprocessing that does not resize is noticed
_PROBE = Image.fromarray(np.linspace(0, 255, 137 * 211 * 3).astype(np.uint8).reshape(137, 211, 3))


def guess_preprocessing(adapter: Adapter) -> Preprocessing:
    """Assume ImageNet's normalisation at the model's own size, and warn, because a wrong one gives wrong values."""
    height, width = adapter.input.size or (_USUAL_SIZE, _USUAL_SIZE)
    warn(
        f"No preprocessing travels with {adapter.identifier}: assuming ImageNet's mean and std at {height} x {width} "
        f"pixels. To be sure pass wrap(model, preprocessing=...), for example weights.transforms() or "
        f"adapters.imagenet({height}).",
    )
    guess = imagenet(height).to_dict()
    return Preprocessing.from_dict({**guess, "size": (height, width)})


def image_shape_of(preprocess: Preprocess, adapter: Adapter, items: Sequence[Any]) -> tuple[int, ...]:
    """Return the shape of one preprocessed image, without batch axis, in the layout of the model.

    Parameters
    ----------
    preprocess : Preprocess
        Data says its shape; a user's callable is tried on the first stimulus, or on a generated image.
    adapter : Adapter
        Says layout and size.
    items : sequence
        Stimuli, possibly none.
    """
    axis = adapter.input.channel_axis
    if isinstance(preprocess, Preprocessing):
        channels, height, width = preprocess.shape
        return (channels, height, width) if axis == 1 else (height, width, channels)
    if isinstance(preprocess, AlreadyPreprocessed):
        return _given_shape(preprocess, adapter, items)
    for item in (*items[:1], _PROBE):
        try:
            return tuple(Decoder([item], preprocess, 1, channel_axis=axis).one(0).shape)
        except StimulusError:
            if item is _PROBE:
                raise
    raise PreprocessingError(f"{preprocess} could not be tried on any image.")


def _given_shape(preprocess: AlreadyPreprocessed, adapter: Adapter, items: Sequence[Any]) -> tuple[int, ...]:
    if items:
        return tuple(preprocess(items[0]).shape)
    height, width = adapter.input.size or (_USUAL_SIZE, _USUAL_SIZE)
    n_channels = adapter.input.n_channels
    return (n_channels, height, width) if adapter.input.channel_axis == 1 else (height, width, n_channels)
