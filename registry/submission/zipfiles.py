"""Read a submission's zip without trusting it."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from contextlib import suppress
from functools import cached_property
from typing import BinaryIO, Literal

from .python_files import PythonFile, read_python

__all__ = ["DEFLATED_OR_STORED", "MAX_FILE_BYTES", "MAX_PYTHON_BYTES", "SubmissionZip", "UnreadableZipError"]

DEFLATED_OR_STORED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
MAX_FILE_BYTES = 5 * 2**20
MAX_PYTHON_BYTES = 2**19
_MAX_TOTAL_BYTES = 500 * 2**20
_MAX_ALL_PYTHON_BYTES = 10 * 2**20
_MAX_ENTRIES = 50_000
_KEPT_BYTES = 32 * 2**20
_PIECE = 2**18
_KINDS = ("base", "brain")
_ENCRYPTED = 0x1
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, RuntimeError, ValueError, OverflowError)


class UnreadableZipError(Exception):
    """A zip that cannot be looked at; the arguments are the code of a rule and a message."""


class SubmissionZip:
    """The names in a zip, and its texts.

    However the zip was made, this needs some hundred MB of memory at most: sizes and numbers are limited, a file is
    unpacked up to the size that it declares, and only so many contents are kept.

    Parameters
    ----------
    stream : binary file
        The zip.
    name : str
        Its name, for messages.

    Raises
    ------
    UnreadableZipError
        If it is no zip, or one that nobody should unpack.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name = name
        self.n_bytes = stream.seek(0, io.SEEK_END)
        try:
            self._archive = zipfile.ZipFile(stream)
            self.infos = self._archive.infolist()
        except (*_DAMAGE, MemoryError) as error:
            raise UnreadableZipError("zip", f"It cannot be read as a zip file ({error}).") from error
        if not self.infos:
            raise UnreadableZipError("zip", "It is a zip file with nothing in it.")
        if any(info.flag_bits & _ENCRYPTED for info in self.infos):
            raise UnreadableZipError("encrypted", "It is protected by a password.")
        total = sum(info.file_size for info in self.infos)
        if total > _MAX_TOTAL_BYTES or len(self.infos) > _MAX_ENTRIES:
            raise UnreadableZipError(
                "unpacked-size",
                f"It unpacks to {len(self.infos):,} entries of {total / 2**20:,.0f} MB; expected "
                f"{_MAX_ENTRIES:,} of {_MAX_TOTAL_BYTES // 2**20} MB at most.",
            )
        self._contents: dict[str, bytes | None] = {}
        self._n_kept_bytes = 0
        self._read: dict[str, PythonFile] = {}

    @cached_property
    def entries(self) -> list[str]:
        """All entries, as the website looks at them, each once."""
        return list(dict.fromkeys(info.filename for info in self.infos))

    @cached_property
    def names(self) -> list[str]:
        """All entries but those that macOS adds beside the root folder."""
        return [info.filename for info in self.infos if not info.filename.startswith("__MACOSX/")]

    @cached_property
    def files(self) -> list[str]:
        """Entries that are no folders, sorted."""
        return sorted({name for name in self.names if not name.endswith("/")})

    @cached_property
    def known(self) -> frozenset[str]:
        """All names, those of folders with their last ``/``."""
        return frozenset(self.names)

    @cached_property
    def folders(self) -> set[str]:
        """Folders down to the third level, by an entry or because something lies in them; without the last ``/``."""
        found: set[str] = set()
        for name in self.names:
            parts = name.split("/", 4)
            found.update("/".join(parts[:n]) for n in range(1, min(len(parts), 4)))
        return found

    @cached_property
    def roots(self) -> list[str]:
        """First parts of all names in folders."""
        return sorted({name.split("/")[0] for name in self.names if "/" in name})

    @cached_property
    def layout(self) -> Literal["plugin", "legacy"]:
        """Which layout it follows: that of 2021 if it has its file of functions, and no plugin."""
        is_legacy = any(f"{root}/models/{kind}_models.py" in self.known for root in self.roots for kind in _KINDS)
        return (
            "legacy"
            if is_legacy and not any("model_registry" in (self.text(f) or "") for f in self.inits)
            else "plugin"
        )

    @cached_property
    def plugins(self) -> list[str]:
        """The folders directly below ``<root>/models``."""
        return sorted(folder for folder in self.folders if folder.count("/") == 2 and folder.split("/")[1] == "models")

    @cached_property
    def inits(self) -> list[str]:
        """The existing ``__init__.py`` of the plugins."""
        return [f"{plugin}/__init__.py" for plugin in self.plugins if f"{plugin}/__init__.py" in self.known]

    @cached_property
    def modules(self) -> list[str]:
        """Python files."""
        return [name for name in self.files if name.endswith(".py")]

    @cached_property
    def read_modules(self) -> list[str]:
        """Python files that are read: those of up to half a MB, as long as they are not too many."""
        found, n_bytes = [], 0
        for name in self.modules:
            n_bytes += self.n_bytes_of(name)
            if self.n_bytes_of(name) <= MAX_PYTHON_BYTES and n_bytes <= _MAX_ALL_PYTHON_BYTES:
                found.append(name)
        return found

    def n_bytes_of(self, name: str) -> int:
        """Return the unpacked size of a file."""
        return self._archive.getinfo(name).file_size

    def is_damaged(self, name: str) -> bool:
        """Whether a file of up to 5 MB cannot be unpacked."""
        info = self._archive.getinfo(name)
        is_tried = info.file_size <= MAX_FILE_BYTES and info.compress_type in DEFLATED_OR_STORED
        return is_tried and self._content(name) is None

    def text(self, name: str) -> str | None:
        """Return a file's text, or None if it is binary, larger than 5 MB or damaged."""
        content = self._content(name)
        if content is None or (b"\0" in content and not name.endswith(".py")):
            return None
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            return content.decode("latin-1") if name.endswith((".py", ".txt")) else None

    def is_utf8(self, name: str) -> bool:
        """Whether a file is written in UTF-8, as far as it can be read."""
        try:
            (self._content(name) or b"").decode()
        except UnicodeDecodeError:
            return False
        return True

    def python(self, name: str) -> PythonFile:
        """Return what a Python file holds; nothing if it cannot be unpacked."""
        if name not in self._read:
            content = self._content(name)
            self._read[name] = PythonFile() if content is None else read_python(content)
        return self._read[name]

    def _content(self, name: str) -> bytes | None:
        if name in self._contents:
            return self._contents[name]
        content = None
        with suppress(*_DAMAGE):
            content = self._unpacked(self._archive.getinfo(name))
        n_bytes = len(content or b"")
        if self._n_kept_bytes + n_bytes <= _KEPT_BYTES:
            self._contents[name] = content
            self._n_kept_bytes += n_bytes
        return content

    def _unpacked(self, info: zipfile.ZipInfo) -> bytes | None:
        """Unpack a file piece by piece: in one, as many bytes would be made as there are, not as it declares."""
        if info.file_size > MAX_FILE_BYTES or info.compress_type not in DEFLATED_OR_STORED:
            return None
        with self._archive.open(info) as stream:
            content = b"".join(iter(lambda: stream.read(_PIECE), b""))
        if len(content) != info.file_size:
            raise EOFError(info.filename)
        return content
