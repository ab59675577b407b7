"""Count what a person wrote to get a model to Brain-Score, with the plugin's own words and with ours."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from .cases import Case

__all__ = ["PLUGINS", "REGISTERED", "Count", "code_lines", "count", "network_nodes", "options_of"]

REGISTERED = Path(__file__).parent / "registered"
_NO_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
Count = tuple[int, int, int]  # non-blank lines before, lines of code before, lines of code after


def _plugins() -> Path:
    spec = find_spec("brainscore_vision")  # found, not imported
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "models"


PLUGINS = _plugins()


def count(case: Case) -> Count:
    """Return the lines of a plugin's three files without its network, of code among them, and of the new file."""
    files = [PLUGINS / case.plugin / name for name in ("model.py", "__init__.py", "test.py")]
    texts = [file.read_text(encoding="utf-8") for file in files]
    network = network_nodes(texts[0], case.network) if case.network and not case.network_of else []
    left_out = {line for node in network for line in _lines(node)}
    n_lines = sum(bool(line.strip()) for text in texts for line in text.splitlines())
    n_lines -= sum(bool(line.strip()) for i, line in enumerate(texts[0].splitlines(), 1) if i in left_out)
    n_code = len(code_lines(texts[0]) - left_out) + sum(len(code_lines(text)) for text in texts[1:])
    after = (REGISTERED / f"{case.plugin}.py").read_text(encoding="utf-8")
    return n_lines, n_code, len(code_lines(after))


def code_lines(text: str) -> set[int]:
    """Return the numbers of the lines that hold code: no comment, docstring or text of a reference."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines -= set(_lines(node))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.end_lineno != node.lineno:
            lines -= set(_lines(node)[1:])  # a string of several lines: the first holds what it is for
    return lines


def network_nodes(text: str, names: Iterable[str]) -> list[ast.stmt]:
    """Return the top-level statements of a file that these names need, in their order; no import of Brain-Score."""
    body = [node for node in ast.parse(text).body if not _is_of_brainscore(node)]
    wanted, found = set(names), []
    while new := [node for node in body if node not in found and _defined(node) & wanted]:
        found += new
        wanted |= {part.id for node in new for part in ast.walk(node) if isinstance(part, ast.Name)}
    return [node for node in body if node in found]


def options_of(case: Case) -> list[str]:
    """Return the options of the registration in a new file, besides layers, preprocessing and bibtex."""
    tree = ast.parse((REGISTERED / f"{case.plugin}.py").read_text(encoding="utf-8"))
    given = [keyword.arg for node in ast.walk(tree) if _registers(node) for keyword in node.keywords]
    usual = ("layers", "preprocessing", "bibtex", None)
    return list(dict.fromkeys(name for name in given if name not in usual))


def _registers(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "register_model"


def _defined(node: ast.stmt) -> set[str]:
    if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    targets = node.targets if isinstance(node, ast.Assign) else []
    return {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}


def _is_of_brainscore(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and (node.module or "").startswith("brainscore_")


def _lines(node: ast.stmt | ast.expr) -> range:
    first = min((part.lineno for part in getattr(node, "decorator_list", ())), default=node.lineno)
    return range(first, (node.end_lineno or node.lineno) + 1)
