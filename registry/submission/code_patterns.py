"""Find code that runs on the author's machine only, or should run nowhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

__all__ = ["absolute_paths", "cuda_calls", "unverified_connections"]

_ROOTS = (
    "Users|Volumes|cluster|data|gpfs|home|lustre|media|mnt|nfs|om|om2|opt|private|project|projects|root|scratch|srv|"
    "storage|tmp|usr|var|work|workspace"
)
_ABSOLUTE = re.compile(rf"(?:file://)?(?:/(?:{_ROOTS})/|[A-Za-z]:[\\/]+\w|\\\\\w)")
_UNVERIFIED_NAMES = ("_create_unverified_context", "_create_default_https_context", "CERT_NONE")
_UNVERIFIED_KEYWORDS = ("verify", "verify_ssl", "ssl_verify", "check_hostname")
_UNVERIFIED_TEXTS = re.compile(r"PYTHONHTTPSVERIFY|--no-check-certificate|--insecure\b")


def absolute_paths(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each string that is a path from a root; documentation is left out.

    So is what is put behind something else: ``folder + "/data/labels.txt"``.
    """
    left_out = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left_out.add(id(node.right))
        elif isinstance(node, ast.JoinedStr):
            left_out.update(map(id, node.values[1:]))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in left_out:
            continue
        if _ABSOLUTE.match(node.value) and len(node.value) < 1000:
            yield node.lineno, node.value


def cuda_calls(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the code of each call that demands a GPU without asking whether there is one."""
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, is_guarded = waiting.pop()
        if isinstance(node, (ast.If, ast.IfExp)):
            is_guarded = is_guarded or _mentions_cuda(node.test)
        elif isinstance(node, ast.BoolOp):
            is_guarded = is_guarded or _mentions_cuda(node.values[0])
        elif isinstance(node, ast.Call) and not is_guarded and _demands_cuda(node):
            yield node.lineno, ast.unparse(node)[:60]
        waiting.extend((child, is_guarded) for child in reversed(list(ast.iter_child_nodes(node))))


def unverified_connections(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the code of everything that downloads without verifying the sender."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in _UNVERIFIED_KEYWORDS and _is_false(node.value):
            yield node.value.lineno, f"{node.arg}=False"
        elif isinstance(node, ast.Assign) and _is_false(node.value):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and target.attr in _UNVERIFIED_KEYWORDS:
                    yield node.lineno, f"{target.attr} = False"
        elif isinstance(node, ast.Attribute) and node.attr in _UNVERIFIED_NAMES:
            yield node.lineno, node.attr
        elif isinstance(node, ast.ImportFrom) and node.module == "ssl":
            for alias in node.names:
                if alias.name in _UNVERIFIED_NAMES:
                    yield node.lineno, alias.name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = _UNVERIFIED_TEXTS.search(node.value)
            if found:
                yield node.lineno, found.group()


def _demands_cuda(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name == "cuda" and isinstance(call.func, ast.Attribute):
        return True
    if name in ("to", "device") and call.args and _is_cuda(call.args[0]):
        return True
    return any(keyword.arg in ("device", "map_location") and _is_cuda(keyword.value) for keyword in call.keywords)


def _is_cuda(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("cuda")


def _mentions_cuda(node: ast.expr) -> bool:
    return any(
        "cuda" in str(getattr(part, "attr", "")) + str(getattr(part, "id", "")) + str(getattr(part, "value", ""))
        for part in ast.walk(node)
    )


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False
