"""Find the small files that a module's string constants point to."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["find_data_files", "find_missing_files", "path_constants"]

_PATH_CALLS = ("join", "joinpath", "with_name")


def find_data_files(tree: ast.Module, folder: Path) -> list[Path]:
    """Return the files, other than Python's, that are named relative to a module's folder.

    ``"labels.txt"``, ``Path(__file__).parent / "data" / "labels.txt"``, ``os.path.join(HERE, "data", "labels.txt")``
    and ``HERE.joinpath("data", "labels.txt")`` are understood.

    Parameters
    ----------
    tree : ast.Module
        The parsed module.
    folder : Path
        Where the module's file is.

    Returns
    -------
    list of Path
        Existing files, sorted.
    """
    found = set()
    for name in path_constants(tree):
        if not name or len(name) > 255 or "\n" in name or "\0" in name or PurePosixPath(name).is_absolute():
            continue
        try:
            path = folder / name
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                found.add(path)
        except OSError:  # a text that no file can be called
            continue
    return sorted(found)


def find_missing_files(tree: ast.Module, folder: Path) -> list[Path]:
    """Return the files that are named relative to ``__file__`` but do not exist.

    Parameters
    ----------
    tree : ast.Module
        The parsed module.
    folder : Path
        Where the module's file is.

    Returns
    -------
    list of Path
        Perhaps the module writes them when it first runs.
    """
    places = {"__file__"}  # and the variables that are made of it
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            name = "/".join(_trailing_constants(_operands(node)))
            if PurePosixPath(name).suffix and _mentions(node, places) and not (folder / name).exists():
                found.add(folder / name)
        elif isinstance(node, ast.Assign) and _mentions(node.value, places):
            places.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return sorted(found)


def path_constants(tree: ast.Module) -> Iterator[str]:
    """Yield the strings of a module that may be the end of a path, with their parts joined by ``/``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            yield "/".join(_trailing_constants(_operands(node)))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _PATH_CALLS:
            yield "/".join(_trailing_constants(node.args))


def _mentions(node: ast.expr, names: set[str]) -> bool:
    return any(isinstance(part, ast.Name) and part.id in names for part in ast.walk(node))


def _operands(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return [*_operands(node.left), node.right]
    return [node]


def _trailing_constants(nodes: list[ast.expr]) -> list[str]:
    constants: list[str] = []
    for node in reversed(nodes):
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            break
        constants.insert(0, node.value)
    return constants
