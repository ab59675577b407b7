"""The bridge to Brain-Score's storage: weights that are uploaded there are downloaded by Brain-Score's own function."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from .downloading import DownloadError

__all__ = ["StoragePlace", "download_from_storage", "place_in_storage"]

_BUCKET = "brainscore-storage"
_HOST = re.compile(rf"({_BUCKET}\.)?s3([.-][a-z0-9-]+)?\.amazonaws\.com")


@dataclass(frozen=True)
class StoragePlace:
    """Where a file lies in Brain-Score's storage.

    Parameters
    ----------
    folder : str
        Within the bucket.
    file_name : str
        Within the folder.
    version_id : str or None
        Of the file, which may have been replaced; None for the newest.
    """

    folder: str
    file_name: str
    version_id: str | None

    @property
    def path(self) -> Path:
        """Where Brain-Score puts the file on this machine; its name does not tell the version."""
        home = os.environ.get("BRAINSCORE_HOME", str(Path("~/.brain-score").expanduser()))
        return Path(home) / self.folder / self.file_name


def place_in_storage(url: str) -> StoragePlace | None:
    """Return where in Brain-Score's storage an address leads, or None if it leads elsewhere.

    Examples
    --------
    >>> place = place_in_storage("https://brainscore-storage.s3.amazonaws.com/brainscore-vision/models/a.pt?versionId=x")
    >>> place.folder, place.file_name, place.version_id
    ('brainscore-vision/models', 'a.pt', 'x')
    """
    parts = urlsplit(url)
    host = _HOST.fullmatch(parts.hostname or "")
    if host is None:
        return None
    names = unquote(parts.path).strip("/").split("/")
    if not host[1] and names.pop(0) != _BUCKET:  # the older style, with the bucket in the path
        return None
    if len(names) < 2 or not all(name.strip(".") for name in names):
        return None
    return StoragePlace("/".join(names[:-1]), names[-1], parse_qs(parts.query).get("versionId", [None])[0])


def download_from_storage(place: StoragePlace) -> Path | None:
    """Download a file with ``load_weight_file`` of ``brainscore_core``.

    Returns
    -------
    Path or None
        The file, which nobody has verified yet; None where ``brainscore_core`` cannot be imported.

    Raises
    ------
    DownloadError
        If it cannot be downloaded.
    """
    try:
        from brainscore_core.supported_data_standards.brainio.s3 import load_weight_file
    except Exception:  # an installation that is broken may raise anything
        return None
    try:
        return Path(
            load_weight_file(
                bucket=_BUCKET,
                folder_name=place.folder,
                relative_path=place.file_name,
                version_id=place.version_id,
                sha1=None,  # it has not been looked at since May 2025
            )
        )
    except Exception as error:  # it raises nothing more special
        raise DownloadError(
            f"Brain-Score's load_weight_file could not download {place.folder}/{place.file_name}, version "
            f"{place.version_id}, from its storage: {error}. Compare this with the address shown after the upload."
        ) from error
