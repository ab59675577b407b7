"""Find a weights file on this machine, or bring it here; nothing is believed but its SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.errors import AdapterError
from adapters.memory import format_bytes

from .brainscore_storage import download_from_storage, place_in_storage
from .downloading import DownloadError, download

if TYPE_CHECKING:
    from .weights import Weights

__all__ = ["WeightsError", "cache_folder", "fetch_weights", "find_weights", "with_absolute_folders"]

_N_DIGITS = 16  # of the checksum, in the name of a folder


class WeightsError(AdapterError, ValueError):
    """The address or the checksum of a weights file is not usable, or the file is another one."""


def find_weights(weights: Weights) -> Path | None:
    """Return where a file lies on this machine, or None; the network is not touched.

    Parameters
    ----------
    weights : Weights
        Looked for by file name, alone or in a folder that is called after the first 16 digits of the checksum, in each
        folder that the environment variable ``BRAIN_ADAPTERS_WEIGHTS`` names; where Brain-Score keeps it; in the cache.
        A file with another checksum is passed over.
    """
    return next((path for path in _files(weights) if sha256_of(path) == weights.sha256), None)


def fetch_weights(weights: Weights) -> Path:
    """Return where a file lies on this machine; download it if it is not there.

    Several processes can ask for the same file: one downloads it, the others wait. It appears under its name when it
    is complete and verified.

    Parameters
    ----------
    weights : Weights
        See :func:`find_weights`.

    Raises
    ------
    DownloadError
        If the file is not here and cannot be downloaded.
    WeightsError
        If what was downloaded has another checksum; nothing of it stays.
    """
    found = find_weights(weights)
    if found is not None:
        return found
    if os.environ.get("BRAIN_ADAPTERS_OFFLINE", "0") not in ("", "0"):
        raise DownloadError(_what_to_do(weights, "BRAIN_ADAPTERS_OFFLINE is set, so nothing is downloaded."))
    from filelock import FileLock

    target = _cached(weights)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            return find_weights(weights) or _bring(weights, target)
    except AdapterError:
        raise
    except OSError as error:
        raise DownloadError(
            f"{weights.file_name} cannot be written to {target.parent}: {error}. Make room there, or let the "
            "environment variable BRAIN_ADAPTERS_CACHE name another folder."
        ) from error


def cache_folder() -> Path:
    """Return the folder for what is downloaded: ``BRAIN_ADAPTERS_CACHE``, or the system's place for caches."""
    import pooch

    named = os.environ.get("BRAIN_ADAPTERS_CACHE")
    return Path(named or pooch.os_cache("brain-adapters")).expanduser().absolute()


def with_absolute_folders(variables: Mapping[str, str]) -> dict[str, str]:
    """Return environment variables for a process that runs in another folder, and looks for weights in the same ones.

    Parameters
    ----------
    variables : mapping of str to str
        Relative folders in ``BRAIN_ADAPTERS_WEIGHTS`` and ``BRAIN_ADAPTERS_CACHE`` are meant from the working folder.
    """
    named = {
        "BRAIN_ADAPTERS_WEIGHTS": variables.get("BRAIN_ADAPTERS_WEIGHTS", "").split(os.pathsep),
        "BRAIN_ADAPTERS_CACHE": [variables.get("BRAIN_ADAPTERS_CACHE", "")],
    }
    absolute = {
        name: os.pathsep.join(str(Path(folder).expanduser().absolute()) for folder in folders if folder)
        for name, folders in named.items()
        if any(folders)
    }
    return {**variables, **absolute}


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits; read once as long as the file does not change."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(path: Path, n_bytes: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(weights: Weights) -> Iterator[Path]:
    named = os.environ.get("BRAIN_ADAPTERS_WEIGHTS", "").split(os.pathsep)
    for folder in [Path(each).expanduser().absolute() for each in named if each]:
        for path in (folder / weights.sha256[:_N_DIGITS] / weights.file_name, folder / weights.file_name):
            if path.is_file():
                yield path
    stored = (place_in_storage(url) for url in (weights.url, *weights.mirrors))
    for path in (*(place.path for place in stored if place), _cached(weights)):
        if path.is_file():
            yield path


def _cached(weights: Weights) -> Path:
    return cache_folder() / "weights" / weights.sha256[:_N_DIGITS] / weights.file_name


def _bring(weights: Weights, target: Path) -> Path:
    failures: list[DownloadError | WeightsError] = []
    for url in (weights.url, *weights.mirrors):
        try:
            return _from_storage(url, weights) or _from_web(url, weights, target)
        except (DownloadError, WeightsError) as error:
            failures.append(error)
    if len(failures) == 1 and isinstance(failures[0], WeightsError):
        raise failures[0]
    reasons = " ".join(f"{error}" for error in failures)
    raise DownloadError(_what_to_do(weights, reasons)) from failures[0]


def _from_storage(url: str, weights: Weights) -> Path | None:
    """Let Brain-Score download it where it can; a file of the same name there may be another version, and stays."""
    place = place_in_storage(url)
    if place is None or place.path.exists():
        return None
    path = download_from_storage(place)
    if path is not None and (actual := sha256_of(path)) != weights.sha256:
        message = _other_file(url, weights, path, actual)
        path.unlink()
        raise WeightsError(message)
    return path


def _from_web(url: str, weights: Weights, target: Path) -> Path:
    partial = target.with_name(f"{target.name}.partial")
    while True:
        is_resumed = partial.exists()
        try:
            download(url, partial)
        except DownloadError as error:
            if partial.exists() and not partial.stat().st_size:
                partial.unlink()
            raise DownloadError(f"From {url}: {error}") from error.__cause__
        actual = sha256_of(partial)
        if actual == weights.sha256:
            return partial.replace(target)
        message = _other_file(url, weights, partial, actual)
        partial.unlink()
        if not is_resumed:  # else its beginning may be that of another file: once more from the start
            raise WeightsError(message)


def _other_file(url: str, weights: Weights, path: Path, actual: str) -> str:
    with path.open("rb") as file:
        is_page = file.read(512).lstrip().lower().startswith((b"<!doctype html", b"<html"))
    advice = (
        "It is a web page: give the address of the file itself."
        if is_page
        else "If its author has replaced the file, see whether that suits you and write the new checksum into Weights."
    )
    return (
        f"{url} sent {format_bytes(path.stat().st_size)} with the SHA-256 {actual}; expected {weights.sha256}. Nothing "
        f"was kept. {advice}"
    )


def _what_to_do(weights: Weights, reasons: str) -> str:
    size = "" if weights.size is None else f"{format_bytes(weights.size)}, "
    others = [str(path) for path in _files(weights)]
    passed_over = f" ({others[0]} has another checksum.)" if others else ""
    return (
        f"The weights {weights.file_name} ({size}SHA-256 {weights.sha256}) are not on this machine.{passed_over} "
        f"{reasons} By hand: download {weights.url} elsewhere and save it as {_cached(weights)}, or as "
        f"{weights.file_name} in a folder that the environment variable BRAIN_ADAPTERS_WEIGHTS names."
    )
