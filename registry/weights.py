"""Where a model's weights are to be had, as data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from adapters.planning import WeightsFile

from .fetching import WeightsError, fetch_weights, find_weights

__all__ = ["Weights", "WeightsError"]


@dataclass(frozen=True)
class Weights:
    """A weights file on the web and its checksum.

    Parameters
    ----------
    url : str
        Address that begins with ``https://``.
    sha256 : str
        SHA-256 of the file, 64 hexadecimal digits; kept in lower case.
    size : int, optional
        Of the file in bytes, for plans and messages.
    mirrors : sequence of str
        More addresses of the same file, tried in this order when the first fails.

    Raises
    ------
    WeightsError
        If an address is not https, or the checksum or size has another form.

    Examples
    --------
    >>> Weights("https://example.org/net.pth", "0" * 64).file_name
    'net.pth'
    """

    url: str
    sha256: str
    size: int | None = None
    mirrors: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check the values."""
        mirrors = (self.mirrors,) if isinstance(self.mirrors, str) else tuple(self.mirrors)
        for url in (self.url, *mirrors):
            parts = urlsplit(url) if isinstance(url, str) else None
            if parts is None or parts.scheme != "https" or not parts.netloc:
                raise WeightsError(
                    f"Weights were given the address {url!r}; expected one that begins with 'https://', so that "
                    "the server can trust where the file comes from. Host the file at such an address."
                )
        if not isinstance(self.sha256, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", self.sha256):
            raise WeightsError(
                f"Weights were given the checksum {self.sha256!r}; expected the file's SHA-256 as 64 hexadecimal "
                'digits. Compute it with: python -c "import hashlib, pathlib, sys; '
                'print(hashlib.sha256(pathlib.Path(sys.argv[1]).read_bytes()).hexdigest())" FILE'
            )
        if self.size is not None and (isinstance(self.size, bool) or not isinstance(self.size, int) or self.size < 1):
            raise WeightsError(
                f"Weights were given size={self.size!r}; expected the file's number of bytes, 1 or more. It may be "
                "left out."
            )
        object.__setattr__(self, "sha256", self.sha256.lower())
        object.__setattr__(self, "mirrors", mirrors)

    @property
    def file_name(self) -> str:
        """Last part of the address, without a query."""
        name = urlsplit(self.url).path.rsplit("/", 1)[-1]
        return name if name.strip(".") else "weights"

    def fetch(self) -> Path:
        """Return the file, downloaded if it is not on this machine yet, and verified.

        Call it in the registered function: what is registered shall cost nothing before it is used.

        Returns
        -------
        Path
            In the first place where it is found: a folder of the environment variable ``BRAIN_ADAPTERS_WEIGHTS``,
            Brain-Score's, or the cache, ``BRAIN_ADAPTERS_CACHE``.

        Raises
        ------
        DownloadError
            If the file is not here and cannot be downloaded; ``BRAIN_ADAPTERS_OFFLINE=1`` forbids downloads.
        WeightsError
            If what was downloaded has another checksum; nothing of it stays.
        """
        return fetch_weights(self)

    def find(self) -> Path | None:
        """Return the file if it is on this machine, verified, else None; the network is not touched."""
        return find_weights(self)

    def describe(self) -> WeightsFile:
        """Return what a plan says about the file."""
        path = self.find()
        size = self.size if path is None else path.stat().st_size
        return WeightsFile(self.file_name, self.sha256, size, is_here=path is not None)
