"""Find the import statements of a module that really run when the module is used."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["DynamicImport", "ImportSite", "exported_names", "find_imports", "never_runs"]


@dataclass(frozen=True)
class ImportSite:
    """One import statement.

    Parameters
    ----------
    node : ast.Import or ast.ImportFrom
        The statement.
    is_deferred : bool
        Whether it stands in a function, so that it runs later than the module's import.
    is_optional : bool
        Whether it stands in a ``try`` or ``with suppress(...)``, so that its failure may be intended.
    is_conditional : bool
        Whether it stands below an ``if``, so that it may never have run.
    """

    node: ast.Import | ast.ImportFrom
    is_deferred: bool = False
    is_optional: bool = False
    is_conditional: bool = False

    @property
    def is_star(self) -> bool:
        """Whether it takes everything from its module."""
        return any(alias.name == "*" for alias in self.node.names)

    @property
    def level(self) -> int:
        """Number of leading dots."""
        return 0 if isinstance(self.node, ast.Import) else self.node.level

    def modules(self, package: Sequence[str]) -> list[str]:
        """Return the absolute names of the modules that the statement names.

        Parameters
        ----------
        package : sequence of str
            Parts of the name of the package in which the statement stands; relative imports start there.
        """
        if isinstance(self.node, ast.Import):
            return [alias.name for alias in self.node.names]
        return [".".join(part for part in (_base(self.node, package), self.node.module) if part)]

    def members(self, package: Sequence[str]) -> list[str]:
        """Return the absolute names of what a ``from`` import takes from its module: each may be a module too."""
        if isinstance(self.node, ast.Import):
            return []
        (module,) = self.modules(package)
        return [f"{module}.{alias.name}" if module else alias.name for alias in self.node.names if alias.name != "*"]


@dataclass(frozen=True)
class DynamicImport:
    """A call that imports a module by a string: ``importlib.import_module("nets")``.

    Parameters
    ----------
    name : str
        The string, or its constant beginning; a path for ``runpy.run_path``.
    line : int
        Where the call stands.
    call : str
        What is called.
    """

    name: str
    line: int
    call: str


def find_imports(tree: ast.Module) -> tuple[list[ImportSite], list[DynamicImport]]:
    """Return what a module imports, without what stands below ``if __name__ == "__main__"`` or ``TYPE_CHECKING``.

    Parameters
    ----------
    tree : ast.Module
        A parsed module.

    Returns
    -------
    sites : list of ImportSite
        Import statements, in the order of the text.
    calls : list of DynamicImport
        Calls that import by a string which is known without running the module.
    """
    finder = _Finder()
    finder.visit(tree)
    return finder.sites, finder.calls


def exported_names(tree: ast.Module) -> list[str]:
    """Return the strings that a module puts into its ``__all__``, in the order of the text."""
    found: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
            targets = [node.target]
        else:
            continue
        if node.value and any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            parts = ast.walk(node.value)
            found += [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return found


class _Finder(ast.NodeVisitor):
    def __init__(self) -> None:
        self.sites: list[ImportSite] = []
        self.calls: list[DynamicImport] = []
        self._n_functions = 0
        self._n_tries = 0
        self._n_conditions = 0

    def visit_Import(self, node: ast.Import) -> None:
        self._add(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self._add(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._n_functions += 1
        self.generic_visit(node)
        self._n_functions -= 1

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        self._n_tries += 1
        self.generic_visit(node)
        self._n_tries -= 1

    visit_TryStar = visit_Try

    def visit_With(self, node: ast.With) -> None:
        is_suppressing = any(_is_suppress(item.context_expr) for item in node.items)
        self._n_tries += is_suppressing
        self.generic_visit(node)
        self._n_tries -= is_suppressing

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        self._n_conditions += 1
        for statement in ([] if never_runs(node.test) else node.body) + node.orelse:
            self.visit(statement)
        self._n_conditions -= 1

    def visit_Call(self, node: ast.Call) -> None:
        call = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if call in ("import_module", "__import__", "run_module", "run_path") and node.args:
            name = _constant_beginning(node.args[0])
            if name:
                self.calls.append(DynamicImport(name, node.lineno, call))
        self.generic_visit(node)

    def _add(self, node: ast.Import | ast.ImportFrom) -> None:
        self.sites.append(
            ImportSite(
                node,
                is_deferred=self._n_functions > 0,
                is_optional=self._n_tries > 0,
                is_conditional=self._n_conditions > 0,
            )
        )


def never_runs(test: ast.expr) -> bool:
    """Tell whether a condition is false wherever a submission is imported: main program, type checking."""
    text = ast.unparse(test)
    return text in (
        "__name__ == '__main__'",
        "'__main__' == __name__",
        "TYPE_CHECKING",
        "typing.TYPE_CHECKING",
    )


def _is_suppress(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ("suppress", "contextlib.suppress")


def _base(node: ast.ImportFrom, package: Sequence[str]) -> str:
    return ".".join(package[: len(package) - node.level + 1]) if node.level else ""


def _constant_beginning(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr) and node.values:
        return _constant_beginning(node.values[0])
    return ""
