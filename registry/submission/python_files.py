"""What the rules ask about a Python file, found in one reading; the same file is read once in a process."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from .code_patterns import absolute_paths, cuda_calls, unverified_connections
from .datafiles import path_constants
from .syntax import Nodes

__all__ = ["PythonFile", "read_python"]

_CACHED_BYTES = 2**17
_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError, LookupError)


@dataclass(frozen=True)
class PythonFile:
    """A Python file.

    Parameters
    ----------
    error : str
        Why Python cannot read it; empty if it can.
    line : int
        Where, counted from 1; 0 if that is not known.
    names : frozenset of str
        What it defines or imports at its top level; ``*`` stands for whatever an import takes along.
    listed : tuple of str
        Texts in its function ``get_model_list``.
    absolute_paths, cuda_calls, unverified_connections : tuple of (int, str)
        Line and code of what :mod:`.code_patterns` finds.
    path_constants : frozenset of str
        Texts that may be the end of a path.
    """

    error: str = ""
    line: int = 0
    names: frozenset[str] = frozenset()
    listed: tuple[str, ...] = ()
    absolute_paths: tuple[tuple[int, str], ...] = ()
    cuda_calls: tuple[tuple[int, str], ...] = ()
    unverified_connections: tuple[tuple[int, str], ...] = ()
    path_constants: frozenset[str] = frozenset()


def read_python(content: bytes) -> PythonFile:
    """Parse a file's content, in the encoding that it declares, and collect what the rules ask about.

    Parameters
    ----------
    content : bytes
        Of any file.

    Returns
    -------
    PythonFile
        With an error if Python cannot read it.
    """
    return _read_cached(content) if len(content) <= _CACHED_BYTES else _read(content)


def _names_in(tree: ast.Module) -> frozenset[str]:
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return frozenset(names)


def _listed_in(tree: ast.Module) -> Iterator[str]:
    for function in tree.body:
        if isinstance(function, ast.FunctionDef) and function.name == "get_model_list":
            for node in ast.walk(function):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def _read(content: bytes) -> PythonFile:
    try:
        tree = ast.parse(content)
    except _UNREADABLE as error:
        line = error.lineno if isinstance(error, SyntaxError) else None
        return PythonFile(str(getattr(error, "msg", error)) or type(error).__name__, line or 0)
    nodes = Nodes(tree)
    return PythonFile(
        names=_names_in(tree),
        listed=tuple(_listed_in(tree)),
        absolute_paths=tuple(sorted(absolute_paths(nodes))),
        cuda_calls=tuple(sorted(cuda_calls(nodes))),
        unverified_connections=tuple(sorted(unverified_connections(nodes))),
        path_constants=frozenset(path_constants(nodes)),
    )


_read_cached = lru_cache(maxsize=512)(_read)
