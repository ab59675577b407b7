"""Bring stimuli of every form to one: items to look at, and a table of what is known about each presentation."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from .errors import StimulusError, listing

__all__ = ["Stimuli", "as_stimuli"]

PATH_COLUMNS = ("stimulus_path", "path", "image_path", "filepath", "file_path", "filename", "image_file_name")
_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}


@dataclass(frozen=True)
class Stimuli:
    """What is shown, in order.

    Parameters
    ----------
    items : tuple
        One path (str), PIL image or array per presentation.
    labels : pandas.DataFrame
        One row per presentation; its columns become presentation coordinates.
    identifier : str, optional
        Name of the stimulus set, when it has one.
    """

    items: tuple[Any, ...]
    labels: pd.DataFrame
    identifier: str | None = None

    def __len__(self) -> int:
        return len(self.items)

    @property
    def keys(self) -> list[Any]:
        """What makes two presentations the same stimulus: the path, or the very object."""
        return [item if isinstance(item, str) else id(item) for item in self.items]


def as_stimuli(given: Any) -> Stimuli:
    """Recognise stimuli in any of the forms that users have them.

    Parameters
    ----------
    given : path, sequence, array, DataFrame or StimulusSet
        A folder (its image files, sorted, subfolders included); one file; a list of paths, PIL images or arrays; an
        array of shape (n_images, height, width, 3); a DataFrame with a column of paths; a brainio ``StimulusSet``.

    Returns
    -------
    Stimuli
        In the given order; duplicates are kept.

    Raises
    ------
    StimulusError
        If there are none, or the form is not known.
    """
    stimuli = _recognise(given)
    if len(stimuli) == 0:
        raise StimulusError("No stimuli were given. Pass at least one image path, PIL image or array.")
    return stimuli


def _recognise(given: Any) -> Stimuli:
    if isinstance(given, Stimuli):
        return given
    if hasattr(given, "get_stimulus") and isinstance(given, pd.DataFrame):
        return _from_stimulus_set(given)
    if isinstance(given, pd.DataFrame):
        return _from_frame(given)
    if isinstance(given, (str, os.PathLike)):
        if not str(given):
            raise StimulusError(f"The stimuli are {given!r}, an empty text. Pass the path of a file or folder.")
        return _from_paths(_files_of(Path(given)))
    if isinstance(given, Image.Image):
        return _from_images([given])
    if hasattr(given, "ndim") and hasattr(given, "shape"):
        return _from_array(given)
    if isinstance(given, Iterable):
        return _from_list(list(given))
    raise StimulusError(
        f"Stimuli of {type(given)} are not known. Pass paths, a folder, PIL images, arrays of shape "
        f"(height, width, 3), a DataFrame with a column of paths, or a StimulusSet."
    )


def _from_stimulus_set(stimulus_set: Any) -> Stimuli:
    labels = pd.DataFrame({column: stimulus_set[column].to_numpy() for column in stimulus_set.columns})
    if "stimulus_id" not in labels:
        raise StimulusError(
            f"The StimulusSet has no column 'stimulus_id'; it has {listing(list(labels.columns))}. Add one."
        )
    paths = tuple(str(stimulus_set.get_stimulus(stimulus_id)) for stimulus_id in labels["stimulus_id"])
    return Stimuli(paths, labels, identifier=getattr(stimulus_set, "identifier", None))


def _from_frame(frame: pd.DataFrame) -> Stimuli:
    column = next((name for name in PATH_COLUMNS if name in frame.columns), None)
    if column is None:
        raise StimulusError(
            f"The DataFrame has columns {listing(list(frame.columns))}, none of which holds paths. "
            f"Name the column of paths 'stimulus_path'."
        )
    labels = pd.DataFrame({str(name): frame[name].to_numpy() for name in frame.columns})
    paths = tuple(str(path) for path in labels[column])
    if "stimulus_id" not in labels:
        labels.insert(0, "stimulus_id", _ids_of(paths))
    return Stimuli(paths, labels)


def _ids_of(paths: Sequence[str]) -> list[str]:
    """Name each stimulus by its file's stem, or by its whole path where stems repeat across folders."""
    stems = [Path(path).stem for path in paths]
    return stems if len(set(stems)) == len(set(paths)) else list(paths)


def _files_of(path: Path) -> list[str]:
    if not path.is_dir():
        return [str(path)]
    files = sorted(str(file) for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())
    if not files:
        raise StimulusError(f"Folder {path} holds no image files ({', '.join(sorted(_SUFFIXES))}).")
    return files


def _from_paths(paths: Sequence[str]) -> Stimuli:
    return Stimuli(tuple(paths), pd.DataFrame({"stimulus_path": np.array(paths, dtype=object)}))


def _from_images(images: Sequence[Any]) -> Stimuli:
    width = max(4, len(str(len(images))))
    # the same object twice is the same stimulus twice, as the same path would be
    first: dict[int, str] = {}
    ids = [first.setdefault(id(image), f"stimulus_{index:0{width}d}") for index, image in enumerate(images)]
    return Stimuli(tuple(images), pd.DataFrame({"stimulus_id": np.array(ids, dtype=object)}))


def _from_array(array: Any) -> Stimuli:
    if array.ndim == 4:
        return _from_images([array[index] for index in range(array.shape[0])])
    if array.ndim == 1:
        return _from_list(list(array))
    raise StimulusError(
        f"A stimulus array has shape {tuple(array.shape)}; expected (n_images, height, width, 3). "
        f"For a single image pass [image]."
    )


def _from_list(items: list[Any]) -> Stimuli:
    if all(isinstance(item, (str, os.PathLike)) for item in items):
        return _from_paths([str(item) for item in items])
    for position, item in enumerate(items):
        if not isinstance(item, Image.Image) and not hasattr(item, "shape"):
            raise StimulusError(
                f"Stimulus {position} is {type(item).__name__} {str(item)[:80]!r}; expected all paths, or all PIL "
                f"images and arrays."
            )
    return _from_images(items)
