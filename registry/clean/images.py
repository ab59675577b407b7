"""Images that nobody has to download: smooth colours and noise from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["draw_images"]

_SIZE = (160, 120)  # width, height in pixels; no square, as photographs are not


def draw_images(folder: Path, names: Sequence[str]) -> list[Path]:
    """Write one RGB image under each name, the same ones every time.

    Parameters
    ----------
    folder : Path
        Where to; made if it is not there.
    names : sequence of str
        File names; the suffix decides on the format.

    Returns
    -------
    list of Path
        The files, in the order of the names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    paths = []
    for name in names:
        coarse = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize(_SIZE, Image.Resampling.BICUBIC), dtype=np.int16)
        noise = generator.integers(-20, 21, smooth.shape)
        paths.append(folder / name)
        Image.fromarray(np.clip(smooth + noise, 0, 255).astype(np.uint8)).save(paths[-1])
    return paths
