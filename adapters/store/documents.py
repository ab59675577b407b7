"""The small JSON files of the store: each carries what it is, whose it is, and its own checksum."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .digests import canonical, digest
from .errors import StoreCorruptError

__all__ = ["FORMAT", "read_document", "seal", "serialize", "unseal"]

FORMAT = 1
_FOR_PEOPLE = ("entry", "layer")
_PROTECTED = ("format", "kind", "key", "checksum")


def seal(kind: str, key: str, body: Mapping[str, Any]) -> bytes:
    """Write a document.

    Parameters
    ----------
    kind : str
        What it is, for example ``"commit"``.
    key : str
        The entry that it belongs to.
    body : mapping of str to JSON data
        Its content.
    """
    document = {**body, "format": FORMAT, "kind": kind, "key": key}
    document["checksum"] = digest(canonical(document))
    return serialize(document)


def serialize(document: Mapping[str, Any]) -> bytes:
    """Write JSON data, for people where people read it."""
    if document.get("kind") in _FOR_PEOPLE:
        return json.dumps(document, sort_keys=True, indent=1, allow_nan=False).encode("ascii") + b"\n"
    return canonical(document)


def unseal(data: bytes, kind: str, key: str, path: Path) -> dict[str, Any]:
    """Return the body of a document.

    Raises
    ------
    StoreCorruptError
        If it is not what `seal` wrote for this entry.
    """
    try:
        document = json.loads(data)
        found = document.pop("checksum")
        is_sound = found == digest(canonical(document)) and (document["kind"], document["key"]) == (kind, key)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        is_sound = False
    if not is_sound:
        raise StoreCorruptError(
            f"{path} is not what was written there: {len(data):,} bytes that are no {kind} of entry {key[:12]}. "
            f"Mend the entry with: brain-adapters cache repair {key[:12]}"
        )
    return {name: value for name, value in document.items() if name not in _PROTECTED}


def read_document(path: Path, kind: str, key: str) -> dict[str, Any] | None:
    """Return the body of a document in a file, or None where there is no file.

    Raises
    ------
    StoreCorruptError
        If it is not what was written.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    return unseal(data, kind, key, path)
