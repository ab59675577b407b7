"""Show stimuli at the size, in visual degrees, at which a model sees the world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .stimuli import stimulus_table

__all__ = ["fit_to_screen", "place_on_screen"]

_BACKGROUND = "gray"


def place_on_screen(stimuli: Any, target_degrees: float, source_degrees: float, folder: Path) -> Any:
    """Write stimuli anew, padded with grey or cropped around the centre, as the model's screen wants them.

    Parameters
    ----------
    stimuli : StimulusTable
        Stimuli as they were shown in the experiment.
    target_degrees : float
        Extent of the model's visual field, degrees.
    source_degrees : float
        Extent of the stimuli in the experiment, degrees.
    folder : pathlib.Path
        Existing folder for the new files.

    Returns
    -------
    StimulusTable
        The same rows with a column ``degrees``; ``stimuli`` itself when the two extents are equal.

    References
    ----------
    ``benchmark_helpers/screen.py`` of brainscore_vision 2.4.2.
    """
    if target_degrees == source_degrees:
        return stimuli
    paths = {}
    for number, stimulus_id in enumerate(stimuli["stimulus_id"]):
        # Numbered, because stimuli of different folders may have the same file name.
        paths[stimulus_id] = folder / f"{number:05d}_{Path(stimuli.get_stimulus(stimulus_id)).stem}.png"
        with Image.open(stimuli.get_stimulus(stimulus_id)) as image:
            fit_to_screen(image, target_degrees / source_degrees).save(paths[stimulus_id])
    columns = {**{name: stimuli[name] for name in stimuli.columns}, "degrees": [target_degrees] * len(stimuli)}
    identifier = f"{stimuli.identifier}--target{target_degrees:.2f}--source{source_degrees:.2f}"
    return stimulus_table(identifier, columns, paths)


def fit_to_screen(image: Image.Image, ratio: float) -> Image.Image:
    """Pad an image with grey (``ratio`` >= 1) or crop it around its centre (``ratio`` < 1).

    Parameters
    ----------
    image : PIL.Image.Image
        Any mode.
    ratio : float
        Extent of the new image as a multiple of the old; the pixels themselves are not rescaled.

    Returns
    -------
    PIL.Image.Image
        RGB when padded, the mode of ``image`` when cropped.
    """
    size = np.array(image.size)
    target_size = (ratio * size).round().astype(int)
    if ratio >= 1:
        left, top = ((target_size - size) / 2).round().astype(int)
        canvas = Image.new("RGB", (int(target_size[0]), int(target_size[1])), _BACKGROUND)
        canvas.paste(image, (int(left), int(top)))
        return canvas
    left, top = ((size - target_size) / 2).round().astype(int)
    return image.crop((int(left), int(top), int(left + target_size[0]), int(top + target_size[1])))
