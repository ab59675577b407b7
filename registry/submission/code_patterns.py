"""Find code that runs on the author's machine only, or should run nowhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .syntax import Nodes

__all__ = ["absolute_paths", "cuda_calls", "unverified_connections"]

_ROOTS = (
    "Users|Volumes|cluster|data|gpfs|home|lustre|media|mnt|nfs|om|om2|opt|private|project|projects|root|scratch|srv|"
    "storage|tmp|usr|var|work|workspace"
)
_ABSOLUTE = re.compile(rf"(?:file://)?(?:/(?:{_ROOTS})/|[A-Za-z]:[\\/]+\w|\\\\\w)")
_UNVERIFIED_NAMES = ("_create_unverified_context", "_create_default_https_context", "CERT_NONE")
_UNVERIFIED_KEYWORDS = ("verify", "verify_ssl", "ssl_verify", "check_hostname")
_UNVERIFIED_TEXTS = re.compile(r"PYTHONHTTPSVERIFY|--no-check-certificate|--insecure\b")


def absolute_paths(nodes: Nodes) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each string that is a path from a root; documentation is left out.

    So is what is put behind something else: ``folder + "/data/labels.txt"``.
    """
    left_out = {id(node.value) for node in nodes.of(ast.Expr)}
    left_out.update(id(node.right) for node in nodes.of(ast.BinOp) if isinstance(node.op, ast.Add))
    for joined in nodes.of(ast.JoinedStr):
        left_out.update(map(id, joined.values[1:]))
    for node in nodes.of(ast.Constant):
        text = node.value if isinstance(node.value, str) and id(node) not in left_out else ""
        if len(text) < 1000 and _ABSOLUTE.match(text):
            yield node.lineno, text


def cuda_calls(nodes: Nodes) -> Iterator[tuple[int, str]]:
    """Yield the line and the code of each call that demands a GPU without asking whether there is one."""
    if not any(map(_demands_cuda, nodes.of(ast.Call))):
        return
    waiting: list[tuple[ast.AST, bool]] = [(nodes.tree, False)]
    while waiting:
        node, is_guarded = waiting.pop()
        if isinstance(node, (ast.If, ast.IfExp)):
            is_guarded = is_guarded or _mentions_cuda(node.test)
        elif isinstance(node, ast.BoolOp):
            is_guarded = is_guarded or _mentions_cuda(node.values[0])
        elif isinstance(node, ast.Call) and not is_guarded and _demands_cuda(node):
            yield node.lineno, _code_of(node)
        waiting.extend((child, is_guarded) for child in ast.iter_child_nodes(node))


def unverified_connections(nodes: Nodes) -> Iterator[tuple[int, str]]:
    """Yield the line and the code of everything that downloads without verifying the sender."""
    for keyword in nodes.of(ast.keyword):
        if keyword.arg in _UNVERIFIED_KEYWORDS and _is_false(keyword.value):
            yield keyword.value.lineno, f"{keyword.arg}=False"
    for assignment in nodes.of(ast.Assign):
        if _is_false(assignment.value):
            for target in assignment.targets:
                if isinstance(target, ast.Attribute) and target.attr in _UNVERIFIED_KEYWORDS:
                    yield assignment.lineno, f"{target.attr} = False"
    for attribute in nodes.of(ast.Attribute):
        if attribute.attr in _UNVERIFIED_NAMES:
            yield attribute.lineno, attribute.attr
    for statement in nodes.of(ast.ImportFrom):
        for alias in statement.names if statement.module == "ssl" else ():
            if alias.name in _UNVERIFIED_NAMES:
                yield statement.lineno, alias.name
    for constant in nodes.of(ast.Constant):
        if isinstance(constant.value, str) and (found := _UNVERIFIED_TEXTS.search(constant.value)):
            yield constant.lineno, found.group()


def _code_of(call: ast.Call) -> str:
    try:
        return ast.unparse(call)[:60]
    except RecursionError:  # a chain of hundreds of calls
        return "A call"


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
