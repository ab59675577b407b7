"""Digests of content: the same for the same values and bytes, wherever and however they are kept."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Digest", "file_digest", "file_sha256"]


def file_digest(path: Path, algorithm: str) -> str:
    """Return the digest of a file's bytes, hexadecimal.

    Parameters
    ----------
    path : pathlib.Path
        Existing file.
    algorithm : {"sha1", "sha256"}
        SHA-1 guards against damage only, not against intent.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal."""
    return file_digest(path, "sha256")


class Digest:
    """A SHA-256 that is fed with named tables, arrays and text; each part says its length, so none can run over."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()

    def text(self, text: str) -> None:
        """Go on with text."""
        data = text.encode("utf-8", "surrogatepass")
        self._sha256.update(len(data).to_bytes(8, "little") + data)

    def array(self, name: str, values: NDArray[Any]) -> None:
        """Go on with numbers as float64; every NaN counts as the same."""
        self.text(f"{name} {values.shape}")
        for part in values:  # one repetition at a time: the copy without odd NaNs stays small
            plain = np.ascontiguousarray(part, dtype="<f8")
            self._sha256.update(np.where(np.isnan(plain), np.nan, plain).tobytes())

    def table(self, name: str, table: pd.DataFrame) -> None:
        """Go on with a table; a number and its text count as the same, and so does the order of the columns."""
        columns = sorted(str(column) for column in table.columns)
        self.text(f"{name} {len(table)} {columns}")
        for column in columns:
            for value in table[column]:
                self.text("" if pd.isna(value) else str(value))

    def hexdigest(self) -> str:
        """Return 64 hexadecimal digits."""
        return self._sha256.hexdigest()
