"""The parts of a parsed Python file by kind, collected once for all who look for some of them."""

from __future__ import annotations

import ast
from collections import defaultdict
from typing import TypeVar, cast

__all__ = ["Nodes"]

Kind = TypeVar("Kind", bound=ast.AST)


class Nodes:
    """All nodes of a tree, by class.

    Parameters
    ----------
    tree : ast.Module
        A parsed module, however deep: nothing here calls itself.

    Examples
    --------
    >>> [node.id for node in Nodes(ast.parse("a = b + c")).of(ast.Name)]
    ['a', 'b', 'c']
    """

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self._by_kind: defaultdict[type[ast.AST], list[ast.AST]] = defaultdict(list)
        waiting: list[ast.AST] = [tree]
        for node in waiting:  # it grows while it is read
            self._by_kind[type(node)].append(node)
            for field in node._fields:
                value = getattr(node, field, None)
                if isinstance(value, list):
                    waiting.extend(item for item in value if isinstance(item, ast.AST))
                elif isinstance(value, ast.AST) and field != "ctx":
                    waiting.append(value)

    def of(self, kind: type[Kind]) -> list[Kind]:
        """Return the nodes of one class, outer ones first."""
        return cast(list[Kind], self._by_kind[kind])
