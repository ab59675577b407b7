"""A zip whose bytes depend on its content only, and a file that is either whole or not there."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from .errors import SubmissionExistsError, SubmissionOutputError

__all__ = ["check_output", "to_zip", "write_whole"]

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name
_UNIX = 3


def to_zip(files: Mapping[PurePosixPath, bytes]) -> bytes:
    """Pack files into a zip that has an entry for every folder, as Brain-Score's website demands.

    Parameters
    ----------
    files : mapping of PurePosixPath to bytes
        Content of each file.

    Returns
    -------
    bytes
        The zip; the same for the same files, at any time and place.
    """
    folders = {folder for place in files for folder in place.parents[:-1]}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for place in sorted([*folders, *files], key=str):
            is_folder = place in folders
            info = zipfile.ZipInfo(f"{place}/" if is_folder else str(place), _EPOCH)
            info.create_system = _UNIX
            info.external_attr = (0o40755 << 16) | 0x10 if is_folder else 0o100644 << 16
            info.compress_type = zipfile.ZIP_STORED if is_folder else zipfile.ZIP_DEFLATED
            archive.writestr(info, b"" if is_folder else files[place], compresslevel=None if is_folder else 6)
    return stream.getvalue()


def check_output(path: Path, *, force: bool) -> None:
    """Refuse an output that exists, or whose folder cannot be one, before any work is done.

    Raises
    ------
    SubmissionExistsError
        If the file exists and is not to be replaced.
    SubmissionOutputError
        If the folder is a file.
    """
    if path.exists() and not force:
        raise SubmissionExistsError(
            f"{path} exists already and was left as it is. Pass force=True (--force) to replace it, or another folder."
        )
    if path.parent.exists() and not path.parent.is_dir():
        raise SubmissionOutputError(f"{path.parent} is a file; expected a folder to write {path.name} into.")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader never finds a part of it, even if writing is interrupted.

    Raises
    ------
    SubmissionOutputError
        If the folder cannot be made or written to.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise SubmissionOutputError(
            f"{path} could not be written: {error.strerror or error}. Nothing was left there; choose another folder."
        ) from error
