"""Where a registered function is written."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = ["Source", "is_same_source", "package_of", "source_of"]


@dataclass(frozen=True)
class Source:
    """Place of a function in a file, and the module whose import registers it.

    Parameters
    ----------
    file : str
        Path of the file; something like ``<stdin>`` for a function that was typed in.
    line : int
        Line of its first decorator or its ``def``, counted from 1; 0 if not known.
    module : str
        Name of the module, as it was imported.
    qualname : str
        Name of the function with the functions or classes that contain it.
    registering_file : str
        Path of the module at whose top level the registration happened: importing that repeats it.
    registering_module : str
        Name of that module; ``"__main__"`` for a notebook, a prompt or a script.
    """

    file: str = "<unknown>"
    line: int = 0
    module: str = ""
    qualname: str = ""
    registering_file: str = "<unknown>"
    registering_module: str = ""

    def __str__(self) -> str:
        """Return the place as messages give it."""
        return f"{self.file}, line {self.line}" if self.line else self.file

    @property
    def is_interactive(self) -> bool:
        """Whether no file could be imported to register it again: a notebook, a prompt, ``python -c``."""
        return _is_typed(self.registering_file)

    def origin(self, identifier: str) -> tuple[str, dict[str, str]] | None:
        """Return what another process imports and calls to make a registered model again; None for a typed one."""
        if self.is_interactive:
            return None
        arguments = {"identifier": identifier, "module": self.registering_module, "file": self.registering_file}
        return "registry.remaking:remake", arguments


def source_of(function: Callable[..., Any]) -> Source:
    """Return where a function or class is written, below whatever decorators it carries.

    Parameters
    ----------
    function : callable
        A function or a class; it is being registered by the module that is being imported, if any is.

    Returns
    -------
    Source
        With what could be found out.
    """
    written = inspect.unwrap(function)
    module = getattr(written, "__module__", None) or ""
    qualname = getattr(written, "__qualname__", "")
    registering = _registering()
    code = getattr(written, "__code__", None)
    if code is not None:
        return Source(_absolute(code.co_filename), code.co_firstlineno, module, qualname, *registering)
    file = getattr(sys.modules.get(module), "__file__", None) or "<unknown>"
    try:
        line = inspect.getsourcelines(written)[1]
    except (OSError, TypeError):
        line = 0
    return Source(_absolute(file), line, module, qualname, *registering)


def is_same_source(old: Source, new: Source) -> bool:
    """Tell a function that was read again (module reload, cell run again) from a second one of the same name.

    Parameters
    ----------
    old, new : Source
        Of the function registered before and of the one to register.

    Returns
    -------
    bool
        True if ``new`` is a newer version of ``old``.
    """
    if not old.qualname or old.qualname != new.qualname:
        return False
    if _is_typed(old.file) and _is_typed(new.file):
        return old.module == new.module
    if old.file != new.file:
        return False
    return old.line == new.line or _count_definitions(new) == 1


def package_of(file: Path) -> tuple[Path, str]:
    """Return the folder that must be on ``sys.path`` to import a file, and the dotted name to import it by.

    Parameters
    ----------
    file : Path
        An absolute path that ends in ``.py``.

    Returns
    -------
    root : Path
        The first folder above the file that is no package.
    name : str
        The name below it, for example ``"mylab.models"``.
    """
    root, parts = file.parent, [file.stem]
    while (root / "__init__.py").is_file():
        parts.insert(0, root.name)
        root = root.parent
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return root, ".".join(parts)


def _count_definitions(source: Source) -> int:
    name = source.qualname.rsplit(".", 1)[-1]
    try:
        tree = ast.parse(Path(source.file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return 0
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return sum(isinstance(node, kinds) and node.name == name for node in ast.walk(tree))


def _registering() -> tuple[str, str]:
    """Return the file and the name of the module whose top level is being run."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    return (
        ("<unknown>", "")
        if frame is None
        else (
            _absolute(frame.f_code.co_filename),
            frame.f_globals.get("__name__", ""),
        )
    )


def _is_typed(file: str) -> bool:
    path = Path(file)
    return not path.is_file() or "ipykernel" in path.parent.name


def _absolute(file: str) -> str:
    return file if file.startswith("<") else str(Path(file).absolute())
