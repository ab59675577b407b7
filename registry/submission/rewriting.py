"""Point import statements at the place where a module lies inside a submission; leave the rest of the text alone."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .imports import ImportSite

__all__ = ["ModuleText", "read_module", "relocate_imports"]

_FROM = re.compile(r"from(?:\s|\\\n)+[\w.\s\\]+?(?:\s|\\\n)+import\b")


@dataclass(frozen=True)
class ModuleText:
    r"""A Python file as text.

    Parameters
    ----------
    text : str
        The text, with ``\n`` as line end.
    encoding : str
        The encoding it was read in and is written in.
    """

    text: str
    encoding: str = "utf-8"

    def to_bytes(self) -> bytes:
        """Encode the text again."""
        return self.text.encode(self.encoding)


def read_module(path: Path) -> ModuleText:
    """Read a Python file in the encoding that it declares.

    Raises
    ------
    SyntaxError, UnicodeDecodeError
        If it declares an unknown one, or is not written in it.
    """
    content = path.read_bytes()
    encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    text = content.decode(encoding)
    return ModuleText(text.replace("\r\n", "\n").replace("\r", "\n"), encoding.removesuffix("-sig"))


def relocate_imports(
    text: str,
    sites: Iterable[ImportSite],
    file: PurePosixPath,
    locate: Callable[[str], str | None],
) -> str:
    """Make absolute imports of modules that lie inside the submission relative.

    Parameters
    ----------
    text : str
        Source of one module.
    sites : iterable of ImportSite
        Its import statements.
    file : PurePosixPath
        Where the module lies below the submission's package, for example ``source/nets.py``.
    locate : callable
        From a dotted module name to where it lies, for example ``"source.nets"``; None if it is not inside.

    Returns
    -------
    str
        The text with those statements changed, on the same lines.
    """
    package = file.parent.parts
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    edits = []
    for site in sites:
        start, end = _span(site.node, lines, starts)
        statement = text[start:end]
        changed = _relocated(site.node, statement, package, locate)
        if changed is not None:
            edits.append((start, end, changed))
    for start, end, changed in sorted(edits, reverse=True):
        text = text[:start] + changed + text[end:]
    return text


def _span(node: ast.Import | ast.ImportFrom, lines: list[str], starts: list[int]) -> tuple[int, int]:
    last, last_column = node.end_lineno or node.lineno, node.end_col_offset or 0
    return (
        starts[node.lineno - 1] + _characters(lines[node.lineno - 1], node.col_offset),
        starts[last - 1] + _characters(lines[last - 1], last_column),
    )


def _characters(line: str, n_bytes: int) -> int:
    """Convert a column that ``ast`` counts in UTF-8 bytes."""
    return len(line.encode()[:n_bytes].decode())


def _relocated(
    node: ast.Import | ast.ImportFrom, statement: str, package: Sequence[str], locate: Callable[[str], str | None]
) -> str | None:
    if isinstance(node, ast.ImportFrom):
        target = locate(node.module) if node.level == 0 and node.module else None
        if target is None:
            return None
        return _FROM.sub(lambda _: f"from {_relative(target.split('.'), package)} import", statement, count=1)
    targets = [locate(alias.name) for alias in node.names]
    if not any(targets):
        return None
    return "; ".join(
        _import_as(alias.name, alias.asname) if target is None else _from_import(alias, target, package, locate)
        for alias, target in zip(node.names, targets, strict=True)
    )


def _from_import(alias: ast.alias, target: str, package: Sequence[str], locate: Callable[[str], str | None]) -> str:
    *parent, name = target.split(".")
    place = _relative(parent, package)
    if alias.asname or "." not in alias.name:
        return f"from {place} " + _import_as(name, alias.asname or alias.name)
    top = alias.name.split(".")[0]
    *top_parent, top_name = (locate(top) or top).split(".")
    binding = f"from {_relative(top_parent, package)} {_import_as(top_name, top)}"
    return f"from {place} import {name} as _{alias.name.replace('.', '_')}; {binding}"


def _import_as(name: str, asname: str | None) -> str:
    return f"import {name}" if asname in (None, name) else f"import {name} as {asname}"


def _relative(target: Sequence[str], package: Sequence[str]) -> str:
    n_common = 0
    while n_common < min(len(target), len(package)) and target[n_common] == package[n_common]:
        n_common += 1
    return "." * (len(package) - n_common + 1) + ".".join(target[n_common:])
