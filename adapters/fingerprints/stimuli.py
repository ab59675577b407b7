"""Stimuli as data: digests of what each shows, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from .arrays import as_array, describe_image
from .digests import digest_of, key_of, merkle
from .errors import NotFingerprintable
from .files import FileDigests

__all__ = ["stimuli_digests", "stimuli_recipe"]

_ABSENT = "absent"


def stimuli_recipe(items: Sequence[Any], memo: FileDigests | None = None) -> dict[str, Any]:
    """Return what a run's stimuli are, as data.

    Parameters
    ----------
    items : sequence
        Paths, PIL images or arrays, in the order in which they run.
    memo : FileDigests, optional
        Remembers the digests of files; by default in the user's folder for caches.

    Raises
    ------
    NotFingerprintable
        If a stimulus is an array of objects.
    """
    return {"n": len(items), "digest": merkle(stimuli_digests(items, memo))}


def stimuli_digests(items: Sequence[Any], memo: FileDigests | None = None) -> list[str]:
    """Return one digest per stimulus, 64 hexadecimal digits.

    A file counts by its content, wherever it lies and whatever it is called; an array by dtype, shape and values; a PIL
    image by mode, size and pixels. A file that cannot be read has a digest, too: the run says what is wrong with it.

    Parameters
    ----------
    items, memo
        As for `stimuli_recipe`.
    """
    paths = [item for item in items if isinstance(item, str)]
    contents = iter((FileDigests() if memo is None else memo).of(paths) if paths else ())
    return [
        key_of(["file", next(contents) or _ABSENT] if isinstance(item, str) else _describe(item, number))
        for number, item in enumerate(items)
    ]


def _describe(item: Any, number: int) -> list[Any]:
    where = f"stimulus {number}"
    if isinstance(item, Image.Image):
        try:
            return ["image", *describe_image(item)]
        except OSError:  # its file is cut off, say; decoding it says so
            return ["image", item.mode, list(item.size), _ABSENT]
    array = as_array(item, where)
    if array.dtype.hasobject:
        raise NotFingerprintable.because(item, where, "its dtype is object, so that its bytes are addresses")
    return ["array", str(getattr(item, "dtype", array.dtype)), list(array.shape), digest_of(array)]
