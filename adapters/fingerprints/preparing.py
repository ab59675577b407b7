"""Preprocessing as data: settings where there are some, else the code, and what it makes of a few images."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..callables import AlreadyPreprocessed, PathsPreprocessing, PerImagePreprocessing, Preprocess
from ..images import to_rgb
from ..preprocessing import Preprocessing
from .describing import Describer, describe
from .digests import digest_of
from .errors import NotFingerprintable
from .objects import is_random_source

__all__ = ["preprocessing_recipe", "probe_stimuli"]

_WHERE = "the preprocessing"


def preprocessing_recipe(preprocess: Preprocess) -> dict[str, Any]:
    """Return what happens to an image before the model sees it, as data.

    Parameters
    ----------
    preprocess : Preprocess
        A `Preprocessing` is its settings. A callable is its code, all that this refers to, and what it makes of
        `probe_stimuli`.

    Raises
    ------
    NotFingerprintable
        If it cannot be told by its content, or gives different values each time.
    """
    if isinstance(preprocess, Preprocessing):
        return {"kind": "data", **preprocess.to_dict()}
    if isinstance(preprocess, AlreadyPreprocessed):
        return {"kind": "already preprocessed"}
    if type(preprocess) is PerImagePreprocessing:
        return _of_callable(preprocess, "per image", lambda image, _: preprocess(to_rgb(image)))
    if type(preprocess) is PathsPreprocessing:
        return _of_callable(preprocess, "per paths", lambda image, folder: preprocess(_saved(image, folder)))
    # one that a model brings: it hands on the paths of files, and what the files hold is in the stimuli
    return {"kind": repr(preprocess), "class": describe(type(preprocess), where=_WHERE)}


def probe_stimuli() -> list[Image.Image]:
    """Return three images of modes RGB, L and RGBA, none of them square, always the same."""
    rows, columns = np.mgrid[:131, :197]
    colours = np.stack([rows * 2 + columns, rows * columns, rows ^ columns, columns + 57], axis=-1) % 256
    pixels = colours.astype(np.uint8)
    wide = np.ascontiguousarray(pixels[::3, :, 1])
    return [Image.fromarray(pixels[..., :3].copy()), Image.fromarray(wide), Image.fromarray(pixels[:, ::2].copy())]


def _of_callable(
    preprocess: PerImagePreprocessing | PathsPreprocessing, kind: str, run: Callable[[Image.Image, Path], np.ndarray]
) -> dict[str, Any]:
    code = describe(preprocess.function, where=_WHERE, special=_describe_random)
    first, second = _outputs(run), _outputs(run)
    if first != second:
        reason = "it gives different values for the same image, each time it is called"
        advice = "Leave out the steps that draw at random, which are for training."
        raise NotFingerprintable.because(preprocess.function, _WHERE, reason, advice=advice)
    return {"kind": kind, "code": code, "probes": first}


def _outputs(run: Callable[[Image.Image, Path], np.ndarray]) -> list[list[Any]]:
    """Return shape and digest of what becomes of each probe, or the error: a callable may want images of one size."""
    found: list[list[Any]] = []
    with tempfile.TemporaryDirectory(prefix="brain-adapters-") as folder:
        for image in probe_stimuli():
            try:
                values = run(image, Path(folder))
            except Exception as error:  # a user's callable may raise anything
                found.append(["raises", type(error).__name__])
            else:
                found.append([str(values.dtype), list(values.shape), digest_of(values)])
    return found


def _saved(image: Image.Image, folder: Path) -> str:
    path = folder / f"{image.mode}.png"
    image.save(path)
    return str(path)


def _describe_random(value: Any, describer: Describer, where: str) -> Any:
    """Leave out the state of random generators: whether anything is drawn from them is seen in what comes out."""
    is_of_torch = type(value).__module__.partition(".")[0] == "torch" and type(value).__name__ == "Generator"
    return {"random": type(value).__name__} if is_random_source(value) or is_of_torch else NotImplemented
