"""Read a submission's zip without trusting it."""

from __future__ import annotations

import ast
import io
import zipfile
import zlib
from contextlib import suppress
from functools import cached_property
from typing import BinaryIO, Literal

__all__ = ["MAX_FILE_BYTES", "SubmissionZip", "UnreadableZipError", "names_in"]

MAX_FILE_BYTES = 5 * 2**20
_MAX_TOTAL_BYTES = 500 * 2**20
_ENCRYPTED = 0x1
_DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError, ValueError)


class UnreadableZipError(Exception):
    """A zip that cannot be looked at; the arguments are the code of a rule and a message."""


class SubmissionZip:
    """The names in a zip, and its texts.

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
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise UnreadableZipError("zip", f"It cannot be read as a zip file ({error}).") from error
        if not self.infos:
            raise UnreadableZipError("zip", "It is a zip file with nothing in it.")
        if any(info.flag_bits & _ENCRYPTED for info in self.infos):
            raise UnreadableZipError("encrypted", "It is protected by a password.")
        total = sum(info.file_size for info in self.infos)
        if total > _MAX_TOTAL_BYTES:
            raise UnreadableZipError(
                "unpacked-size", f"It unpacks to {total / 2**20:,.0f} MB; expected {_MAX_TOTAL_BYTES // 2**20} at most."
            )
        self._contents: dict[str, bytes | None] = {}
        self._trees: dict[str, ast.Module | None] = {}

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
    def folders(self) -> set[str]:
        """Folders that exist because a file lies in them or because they have an entry, without the last ``/``."""
        found = {name.rstrip("/") for name in self.names if name.endswith("/")}
        for name in self.files:
            parts = name.split("/")
            found.update("/".join(parts[:n]) for n in range(1, len(parts)))
        return found

    @cached_property
    def roots(self) -> list[str]:
        """First parts of all names in folders."""
        return sorted({name.split("/")[0] for name in self.names if "/" in name})

    @cached_property
    def layout(self) -> Literal["plugin", "legacy"]:
        """Which layout it follows: that of 2021 if it has its file of functions, and no plugin."""
        functions = [name for name in self.files if name.endswith(("models/base_models.py", "models/brain_models.py"))]
        is_legacy = any(name.count("/") == 2 for name in functions)
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
        return [f"{plugin}/__init__.py" for plugin in self.plugins if f"{plugin}/__init__.py" in self.files]

    @cached_property
    def modules(self) -> list[str]:
        """Python files."""
        return [name for name in self.files if name.endswith(".py")]

    def n_bytes_of(self, name: str) -> int:
        """Return the unpacked size of a file."""
        return self._archive.getinfo(name).file_size

    def is_damaged(self, name: str) -> bool:
        """Whether a file of up to 5 MB cannot be unpacked."""
        return self.n_bytes_of(name) <= MAX_FILE_BYTES and self._content(name) is None

    def text(self, name: str) -> str | None:
        """Return a file's text, or None if it is binary, larger than 5 MB or damaged."""
        content = self._content(name)
        if content is None or (b"\0" in content and not name.endswith(".py")):
            return None
        try:
            return content.decode()
        except UnicodeDecodeError:
            return content.decode("latin-1") if name.endswith((".py", ".txt")) else None

    def is_utf8(self, name: str) -> bool:
        """Whether a file is written in UTF-8, as far as it can be read."""
        try:
            (self._content(name) or b"").decode()
        except UnicodeDecodeError:
            return False
        return True

    def tree(self, name: str) -> ast.Module | None:
        """Return a Python file parsed, or None if that is not possible."""
        if name not in self._trees:
            text = self.text(name)
            try:
                self._trees[name] = None if text is None else ast.parse(text)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                self._trees[name] = None
        return self._trees[name]

    def _content(self, name: str) -> bytes | None:
        if name not in self._contents:
            self._contents[name] = None
            if self.n_bytes_of(name) <= MAX_FILE_BYTES:
                with suppress(*_DAMAGE):
                    self._contents[name] = self._archive.read(name)
        return self._contents[name]


def names_in(tree: ast.Module | None) -> set[str]:
    """Return the names that a module defines or imports at its top level."""
    names: set[str] = set()
    for node in tree.body if tree else []:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return names
