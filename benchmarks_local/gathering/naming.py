"""What a stimulus is called of which nothing but its file is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["ids_of_files"]


def ids_of_files(paths: Sequence[str]) -> list[str]:
    """Name stimuli by their files, as the extractor does: without the ending, or by the path where names repeat.

    Parameters
    ----------
    paths : sequence of str
        One per presentation; the same path may come several times.

    Examples
    --------
    >>> ids_of_files(["a/dog.png", "a/cat.png", "a/dog.png"]), ids_of_files(["a/dog.png", "b/dog.png"])
    (['dog', 'cat', 'dog'], ['a/dog.png', 'b/dog.png'])
    """
    names = [Path(path).stem for path in paths]
    return names if len(set(names)) == len(set(paths)) else list(paths)
