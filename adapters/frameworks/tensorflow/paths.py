"""Graphs that read image files themselves: how the path of a stimulus travels through batches of numbers.

Everything between a stimulus and a model is a batch of float32. A path becomes the bytes of its text, with their number
in front and a sum behind, so that what was changed on the way (a microsaccade moves images, it cannot move a path) is
noticed and not looked up.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from ...callables import PathsPreprocessing
from ...errors import PreprocessingError

__all__ = ["PATH_SHAPE", "FilePaths", "paths_of"]

_MAX_BYTES = 4094
_MODULUS = 65_521
PATH_SHAPE = (_MAX_BYTES + 2, 1, 1)
"""Shape of one path in a batch."""


class FilePaths(PathsPreprocessing):
    """Hands the paths of stimuli to the model; a stimulus that is no file is written to a temporary one first."""

    def __init__(self) -> None:
        super().__init__(lambda paths: np.stack([_encoded(path) for path in paths]))
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __call__(self, stimulus: str | Image.Image) -> np.ndarray:
        """Return the path of one stimulus as an array of shape `PATH_SHAPE`, float32."""
        return _encoded(self.file_of(stimulus) if isinstance(stimulus, Image.Image) else str(stimulus))

    def file_of(self, image: Image.Image) -> str:
        """Write an image to a file that is there as long as this object; the same image once."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="brain-adapters-")
        digest = hashlib.sha256(repr((image.size, image.mode)).encode() + image.tobytes()).hexdigest()
        path = Path(self._folder.name) / f"{digest}.png"
        if not path.exists():
            unfinished = path.with_name(f"{digest}.{os.urandom(4).hex()}")  # several threads decode
            image.save(unfinished, format="PNG")
            unfinished.replace(path)
        return str(path)

    def __repr__(self) -> str:
        return "file_paths()"


def _encoded(path: str) -> np.ndarray:
    given = np.frombuffer(os.fsencode(path), np.uint8)
    if len(given) > _MAX_BYTES:
        raise PreprocessingError(
            f"The path {path[:60]!r}... has {len(given):,} bytes; at most {_MAX_BYTES:,} can be handed to a graph. Use "
            f"a shorter one."
        )
    encoded = np.zeros(PATH_SHAPE, np.float32)
    encoded[0, 0, 0], encoded[-1, 0, 0] = len(given), _sum_of(given)
    encoded[1 : len(given) + 1, 0, 0] = given
    return encoded


def _sum_of(given: np.ndarray) -> int:
    return int((given.astype(np.int64) * (np.arange(len(given)) + 1)).sum() % _MODULUS)


def paths_of(batch: np.ndarray, model: str) -> np.ndarray:
    """Return the paths in a batch, as an array of bytes.

    Parameters
    ----------
    batch : array of shape (n_images, *PATH_SHAPE), float32
        As `FilePaths` made it.
    model : str
        For the message.

    Raises
    ------
    PreprocessingError
        If these are no paths any more.
    """
    found = []
    for row in batch.reshape(len(batch), -1):
        n_bytes = int(row[0])
        numbers = row[1 : n_bytes + 1]
        given = numbers.astype(np.uint8)
        is_whole = len(row) == _MAX_BYTES + 2 and 0 < n_bytes <= _MAX_BYTES and bool((given == numbers).all())
        if not is_whole or row[-1] != _sum_of(given):
            raise PreprocessingError(
                f"{model} reads image files itself, from their paths, and got something else. Leave preprocessing out, "
                f"pass paths or images as stimuli, and no require_variance: files cannot be moved by a microsaccade."
            )
        found.append(given.tobytes())
    return np.array(found, dtype=object)
