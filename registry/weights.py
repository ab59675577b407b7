"""Where a model's weights are to be had, as data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from adapters.errors import AdapterError

__all__ = ["Weights", "WeightsError"]


class WeightsError(AdapterError, ValueError):
    """The address or the checksum of a weights file is not usable."""


@dataclass(frozen=True)
class Weights:
    """A weights file on the web and its checksum.

    Parameters
    ----------
    url : str
        Address that begins with ``https://``.
    sha256 : str
        SHA-256 of the file, 64 hexadecimal digits; kept in lower case.

    Raises
    ------
    WeightsError
        If the address is not https or the checksum has another form.

    Examples
    --------
    >>> Weights("https://example.org/net.pth", "0" * 64).file_name
    'net.pth'
    """

    url: str
    sha256: str

    def __post_init__(self) -> None:
        """Check both values."""
        parts = urlsplit(self.url) if isinstance(self.url, str) else None
        if parts is None or parts.scheme != "https" or not parts.netloc:
            raise WeightsError(
                f"Weights were given the address {self.url!r}; expected one that begins with 'https://', so that "
                "the server can trust where the file comes from. Host the file at such an address."
            )
        if not isinstance(self.sha256, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", self.sha256):
            raise WeightsError(
                f"Weights were given the checksum {self.sha256!r}; expected the file's SHA-256 as 64 hexadecimal "
                'digits. Compute it with: python -c "import hashlib, pathlib, sys; '
                'print(hashlib.sha256(pathlib.Path(sys.argv[1]).read_bytes()).hexdigest())" FILE'
            )
        object.__setattr__(self, "sha256", self.sha256.lower())

    @property
    def file_name(self) -> str:
        """Last part of the address, without a query."""
        return urlsplit(self.url).path.rsplit("/", 1)[-1]
