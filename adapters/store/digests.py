"""Digests and canonical JSON, as every file of the store uses them."""

from __future__ import annotations

import json
from typing import Any

from ..errors import MissingFrameworkError

__all__ = ["Hasher", "canonical", "checksum", "digest", "new_hasher"]

Hasher = Any
"""What `new_hasher` returns; the module that defines it is imported at use only."""


def new_hasher(*, is_parallel: bool = False) -> Hasher:
    """Return an empty BLAKE3 digest.

    Parameters
    ----------
    is_parallel : bool
        Whether large pieces are digested on several cores; not where several threads digest already.

    Raises
    ------
    MissingFrameworkError
        If the package ``blake3`` is not installed.
    """
    try:
        from blake3 import blake3
    except ImportError as error:
        raise _missing("blake3", error) from error
    return blake3(max_threads=blake3.AUTO if is_parallel else 1)


def digest(data: bytes | memoryview) -> str:
    """Return the BLAKE3 digest of bytes, 64 hexadecimal digits."""
    hasher = new_hasher()
    hasher.update(data)
    return str(hasher.hexdigest())


def checksum(data: Any, crc: int = 0) -> int:
    """Go on with a CRC-32C over more bytes.

    Parameters
    ----------
    data : contiguous array or bytes
        A memoryview is refused by the package that computes it; wrap it with ``numpy.frombuffer``.
    crc : int
        Of the bytes before.

    Raises
    ------
    MissingFrameworkError
        If the package ``google-crc32c`` is not installed.
    """
    try:
        from google_crc32c import extend
    except ImportError as error:
        raise _missing("google-crc32c", error) from error
    return int(extend(crc, data))


def canonical(data: Any) -> bytes:
    """Write JSON data in the one way that equal data share: sorted keys, no spaces, ASCII.

    Examples
    --------
    >>> canonical({"b": 1.5, "a": [True, None]})
    b'{"a":[true,null],"b":1.5}'
    """
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _missing(package: str, error: ImportError) -> MissingFrameworkError:
    return MissingFrameworkError(
        f"The activation store needs {package}, which could not be imported: {error}. "
        f"Install it with: pip install 'brain-adapters[store]'."
    )
