"""Find the small files that a module's text points to."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from .syntax import Nodes

__all__ = ["find_data_files", "find_missing_files", "path_constants"]

_PATH_CALLS = ("join", "joinpath", "with_name")
_IN_MODEL_FOLDERS = ("saved_model.pb", "_METADATA", "_CHECKPOINT_METADATA")
_SAME = ("Path", "PurePath", "PosixPath", "str", "fspath", "abspath", "realpath", "normpath", "absolute", "resolve")


def find_data_files(tree: ast.Module, file: Path) -> list[Path]:
    """Return the files, other than Python's, that are named relative to a module's file or folder.

    Of a folder that holds a model (a SavedModel of TensorFlow, a checkpoint of orbax) all files are returned.
    ``"labels.txt"``, ``Path(__file__).parent / "data" / "labels.txt"``, ``os.path.join(HERE, "data", "labels.txt")``
    and ``HERE.joinpath("data", "labels.txt")`` are understood, and other ways to make a path of ``__file__``.

    Parameters
    ----------
    tree : ast.Module
        The parsed module.
    file : Path
        The module's file.

    Returns
    -------
    list of Path
        Existing files, sorted.
    """
    named = [file.parent / name for name in path_constants(Nodes(tree)) if _is_relative(name)]
    paths = {*named, *_resolved_paths(tree, file)}
    in_folders = {each for path in paths if _is_model_folder(path) for each in path.rglob("*")}
    return sorted(path for path in paths | in_folders if _is_data(path))


def find_missing_files(tree: ast.Module, file: Path) -> list[Path]:
    """Return the files that are named relative to ``__file__`` but do not exist.

    Parameters
    ----------
    tree : ast.Module
        The parsed module.
    file : Path
        The module's file.

    Returns
    -------
    list of Path
        Perhaps the module writes them when it first runs.
    """
    return sorted({path for path in _resolved_paths(tree, file) if path.suffix and not _exists(path)})


def path_constants(nodes: Nodes) -> Iterator[str]:
    """Yield the strings of a module that may be the end of a path, with their parts joined by ``/``."""
    for constant in nodes.of(ast.Constant):
        if isinstance(constant.value, str):
            yield constant.value
    for operation in nodes.of(ast.BinOp):
        if isinstance(operation.op, ast.Div):
            yield "/".join(_trailing_constants(_operands(operation)))
    for call in nodes.of(ast.Call):
        if isinstance(call.func, ast.Attribute) and call.func.attr in _PATH_CALLS:
            yield "/".join(_trailing_constants(call.args))


def _resolved_paths(tree: ast.Module, file: Path) -> list[Path]:
    """Return every path that a module makes of ``__file__`` and constants.

    Understood are ``/``, ``+``, f-strings, ``os.path.join``, ``dirname``, ``joinpath``, ``parent``, ``parents[n]``,
    ``with_name``, ``with_suffix``, and variables that are assigned one such path, or one string.

    Parameters
    ----------
    tree : ast.Module
        The parsed module.
    file : Path
        The module's file.

    Returns
    -------
    list of Path
        Of files and folders; links are not followed. Parts of a longer path are left out.
    """
    resolver = _Resolver(tree, file)
    parts: set[int] = set()
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.expr) or id(node) in parts:
            continue
        path = resolver.path(node)
        if path is not None:
            parts.update(map(id, ast.walk(node)))
            found.append(Path(os.path.normpath(path)))
    return found


class _Resolver:
    def __init__(self, tree: ast.Module, file: Path) -> None:
        self._paths: dict[str, str | None] = {"__file__": str(file)}
        self._texts: dict[str, str | None] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    self._assign(target, node.value)
            elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
                self._assign(node.target, node.value)
            elif isinstance(node, ast.arg):
                self._paths[node.arg] = self._texts[node.arg] = None

    def path(self, node: ast.expr) -> str | None:
        """Return the path that an expression stands for, or None if that is not made of ``__file__``, or not known."""
        if isinstance(node, ast.Name):
            return self._paths.get(node.id)
        if isinstance(node, ast.BinOp):
            return self._operation(node)
        if isinstance(node, ast.JoinedStr) and node.values:
            values = [value.value if isinstance(value, ast.FormattedValue) else value for value in node.values]
            return self._joined(values[0], values[1:], "")
        if isinstance(node, ast.Attribute):
            path = self.path(node.value) if node.attr == "parent" else None
            return None if path is None else os.path.dirname(path)  # noqa: PTH120 - of a text, as the module does
        if isinstance(node, ast.Subscript):
            return self._ancestor(node)
        return self._call(node) if isinstance(node, ast.Call) else None

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        """Remember what a variable is; one that is assigned twice is not known."""
        if isinstance(target, ast.Name):
            is_new = target.id not in self._paths
            self._paths[target.id] = self.path(value) if is_new else None
            self._texts[target.id] = self._text(value) if is_new else None

    def _text(self, node: ast.expr) -> str | None:
        if isinstance(node, ast.Name):
            return self._texts.get(node.id)
        if isinstance(node, ast.JoinedStr):
            texts = [
                self._text(value.value if isinstance(value, ast.FormattedValue) else value) for value in node.values
            ]
            return None if None in texts else "".join(text for text in texts if text)
        return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None

    def _joined(self, first: ast.expr, rest: Sequence[ast.expr], separator: str) -> str | None:
        path = self.path(first)
        texts = [self._text(node) for node in rest]
        known = [text for text in texts if text is not None]
        if path is None or len(known) < len(texts) or (separator and any(text.startswith("/") for text in known)):
            return None
        return separator.join([path, *known])

    def _operation(self, node: ast.BinOp) -> str | None:
        separator = {ast.Div: "/", ast.Add: ""}.get(type(node.op))
        return None if separator is None else self._joined(node.left, [node.right], separator)

    def _ancestor(self, node: ast.Subscript) -> str | None:
        if not (isinstance(node.value, ast.Attribute) and node.value.attr == "parents"):
            return None
        path, number = self.path(node.value.value), getattr(node.slice, "value", None)
        if path is None or not isinstance(number, int) or not 0 <= number < len(Path(path).parents):
            return None
        return str(Path(path).parents[number])

    def _call(self, node: ast.Call) -> str | None:
        if isinstance(node.func, ast.Attribute):
            name, owner = node.func.attr, self.path(node.func.value)
        else:
            name, owner = getattr(node.func, "id", ""), None
        operands = (
            node.args if owner is None or not isinstance(node.func, ast.Attribute) else [node.func.value, *node.args]
        )
        if not operands or node.keywords:
            return None
        if name in ("join", "joinpath") or (name in _SAME and len(operands) > 1):
            return self._joined(operands[0], operands[1:], "/")
        path = self.path(operands[0])
        if path is None or name in _SAME:
            return path
        if name == "dirname":
            return os.path.dirname(path)  # noqa: PTH120 - of a text, as the module does
        text = self._text(operands[1]) if len(operands) == 2 else None
        if text and name == "with_name":
            return str(Path(path).parent / text)
        if name == "with_suffix" and text is not None and Path(path).name and (not text or text.startswith(".")):
            return str(Path(path).with_suffix(text))
        return None


def _is_relative(name: str) -> bool:
    return bool(name) and len(name) <= 255 and "\n" not in name and not PurePosixPath(name).is_absolute()


def _is_data(path: Path) -> bool:
    try:
        return path.is_file() and path.suffix not in (".py", ".pyc")
    except (OSError, ValueError):  # a text that no file can be called
        return False


def _is_model_folder(path: Path) -> bool:
    try:
        return path.is_dir() and any((path / name).is_file() for name in _IN_MODEL_FOLDERS)
    except (OSError, ValueError):
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return True


def _operands(node: ast.expr) -> list[ast.expr]:
    operands = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        operands.append(node.right)
        node = node.left
    return [node, *reversed(operands)]


def _trailing_constants(nodes: list[ast.expr]) -> list[str]:
    constants: list[str] = []
    for node in reversed(nodes):
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            break
        constants.insert(0, node.value)
    return constants
