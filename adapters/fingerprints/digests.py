"""Digests of bytes, arrays and plain data; all that is ever keyed goes through here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..store.digests import canonical as written
from ..store.digests import new_hasher
from .errors import NotFingerprintable

__all__ = ["SEMANTICS", "canonical", "digest_of", "key_of", "merkle"]

SEMANTICS = 1
"""Version of what values mean: raised by hand when the same recipe gives other numbers; tests guard it."""

_JSON = "Expected None, bool, int, finite float, str, and lists and dicts of these, with keys that are str."


def digest_of(data: bytes | memoryview | np.ndarray) -> str:
    """Return the BLAKE3 digest of bytes, or of the values of an array, as 64 hexadecimal digits.

    Parameters
    ----------
    data : bytes, memoryview or array
        An array counts by its values in C order, little-endian; neither its shape nor its dtype do.

    Raises
    ------
    NotFingerprintable
        For an array of objects, whose bytes are addresses.

    Examples
    --------
    >>> digest_of(b"")[:16]
    'af1349b9f5f9a1a6'
    >>> digest_of(np.arange(3, dtype=">i2")) == digest_of(np.arange(3, dtype="<i2"))
    True
    """
    if isinstance(data, np.ndarray):
        data = _bytes_of(data)
    hasher = new_hasher(is_parallel=True)
    hasher.update(data)
    return str(hasher.hexdigest())


def _bytes_of(array: np.ndarray) -> memoryview:
    if array.dtype.hasobject:
        raise NotFingerprintable.because(array, "the array", "its dtype is object, so that its bytes are addresses")
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(little).reshape(-1).view(np.uint8).data


def canonical(value: Any) -> bytes:
    """Write JSON data in the one way that equal data share: sorted keys, no spaces, ASCII, floats by their repr.

    Parameters
    ----------
    value : object
        None, bool, int, finite float, str, and lists, tuples and dicts of these; the keys of dicts are str.

    Raises
    ------
    NotFingerprintable
        If something else is in it.

    Examples
    --------
    >>> canonical({"b": 1.5, "a": [True, None]})
    b'{"a":[true,null],"b":1.5}'
    """
    _require_json(value, "the recipe")
    return written(value)


def key_of(recipe: Any) -> str:
    """Return the digest of a recipe, 64 hexadecimal digits: equal for equal recipes, whatever the order of their keys.

    Examples
    --------
    >>> key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    True
    """
    return digest_of(canonical(recipe))


def merkle(digests: Iterable[str]) -> str:
    """Return one digest for a sequence of digests, whose order counts."""
    return digest_of("".join(digests).encode("ascii"))


def _require_json(value: Any, where: str) -> None:
    if value is None or isinstance(value, (bool, int, str)):
        return
    if isinstance(value, float):
        if not np.isfinite(value):
            raise NotFingerprintable.because(value, where, f"JSON has no {value}", advice=_JSON)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise NotFingerprintable.because(
                    key, f"a key of {where}", f"JSON makes a text of {key!r}", advice=_JSON
                )
            _require_json(item, f"{where}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            _require_json(item, f"{where}[{number}]")
    else:
        raise NotFingerprintable.because(value, where, "it is no JSON data", advice=_JSON)
