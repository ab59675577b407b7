"""Download a file by HTTPS, and go on where an earlier download of it ended. Certificates are always verified."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from adapters.errors import AdapterError
from adapters.memory import format_bytes

if TYPE_CHECKING:
    from requests import Response
    from requests.exceptions import HTTPError

__all__ = ["DownloadError", "download"]

_N_TRIES = 5
_CHUNK_BYTES = 2**16
# requests knows the first two, OpenSSL and most other programs the last; an empty one turns nothing off here.
_AUTHORITIES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_ADVICE = {
    401: "It asks for a password: host the file where everybody can read it, as Brain-Score's server has none.",
    403: "Make the file public, and see whether a link to it has run out.",
    404: "Correct the address: open it in a browser.",
}


class DownloadError(AdapterError, OSError):
    """A file is not on this machine and could not be downloaded."""


def download(url: str, path: Path) -> None:
    """Download a file, or the rest of it.

    A connection that breaks is taken up again as long as that brings the file further.

    Parameters
    ----------
    url : str
        Begins with ``https://``.
    path : Path
        Where to write. What it holds already is taken for the beginning of the file; what is there after an error is
        good for going on.

    Raises
    ------
    DownloadError
        With the reason only; whoever asked says which file it was.
    """
    from requests import exceptions

    broken = (exceptions.ChunkedEncodingError, exceptions.ConnectionError, exceptions.Timeout)
    for n_left in reversed(range(_N_TRIES)):
        n_before = _size(path)
        try:
            return _go_on(url, path, n_before)
        except exceptions.RequestException as error:
            if not (n_left and isinstance(error, broken) and _size(path) > n_before):
                raise DownloadError(_reason(error, _size(path))) from error
    return None


def _go_on(url: str, path: Path, n_before: int) -> None:
    import certifi
    import pooch
    from requests.exceptions import HTTPError
    from tqdm import tqdm

    # Compressed on its way the file could not be cut at byte n_before.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={n_before}-"} if n_before else {})}

    # pooch sets the total when it knows it; a bar without one would have no truth value. `disable`: a terminal only.
    bar = tqdm(desc=path.stem, total=1, unit="B", unit_scale=True, disable=None, file=sys.stderr)
    with path.open("ab") as file, bar:

        def look(response: Response, **_: Any) -> None:
            _refuse_plain_http(response)
            if response.status_code == 200:  # the whole file, also where only the rest was asked for
                file.truncate(0)

        downloader = pooch.HTTPDownloader(
            progressbar=bar,
            chunk_size=_CHUNK_BYTES,
            headers=headers,
            hooks={"response": look},
            verify=_authorities() or certifi.where(),
        )
        try:
            downloader(url, file, None)
        except HTTPError as error:
            if not (n_before and _status(error) == 416):  # nothing comes after what is there
                raise


def _authorities() -> str | None:
    """Return the file, or folder, of authorities that the environment names instead of the well-known ones."""
    for name in _AUTHORITIES:
        place = os.environ.get(name)
        if place and not Path(place).exists():
            raise DownloadError(f"{name}={place} names a file that does not exist. Unset it, or correct it.")
        if place:
            return place
    return None


def _refuse_plain_http(response: Response) -> None:
    target = urljoin(response.url, response.headers.get("Location", ""))
    if response.is_redirect and not target.startswith("https://"):
        raise DownloadError(
            f"the server sends on to {target}, which is not encrypted, so that anybody on the way could exchange the "
            "file. Give the address of a server that stays with https."
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _status(error: HTTPError) -> int:
    return 0 if error.response is None else error.response.status_code


def _reason(error: Any, n_bytes: int) -> str:
    from requests.exceptions import HTTPError, SSLError

    if isinstance(error, HTTPError):
        status = _status(error)
        advice = _ADVICE.get(status, "Try again later." if status >= 500 else "Correct the address.")
        return f"the server answered {error}. {advice}"
    cause = getattr(error.args[0] if error.args else error, "reason", error)
    if isinstance(error, SSLError):
        return (
            f"the certificate of the server was not accepted ({cause}). Behind a proxy that shows a certificate of its "
            "own, let SSL_CERT_FILE or REQUESTS_CA_BUNDLE name the .pem file of your institute's authority; else "
            "renew the known ones (pip install --upgrade certifi). It is verified in any case."
        )
    if n_bytes:
        return f"the connection broke ({cause}). The next call goes on after {format_bytes(n_bytes)}."
    return f"the server cannot be reached ({cause}). Look after the network, and the proxy's variable HTTPS_PROXY."
