"""The rules for the layout of 2021."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .python_files import names_in
from .rules import Finding, Rule
from .zipfiles import SubmissionZip

__all__ = ["LEGACY_RULES"]

_FUNCTIONS = {
    "base_models.py": ("get_model_list", "get_model", "get_layers", "get_bibtex"),
    "brain_models.py": ("get_model_list", "get_model", "get_bibtex"),
}


def _files(submission: SubmissionZip) -> Iterator[Finding]:
    for root in submission.roots:
        for name in ("setup.py", "__init__.py", "models/__init__.py"):
            if f"{root}/{name}" not in submission.files:
                yield f"{root}/{name}", "The file is missing."


def _functions(submission: SubmissionZip) -> Iterator[Finding]:
    for name, tree in _model_files(submission):
        defined = names_in(tree)
        for function in _FUNCTIONS[name.rsplit("/", 1)[1]]:
            if function not in defined and "*" not in defined:
                yield name, f"It defines no function {function}."


def _listed(submission: SubmissionZip) -> Iterator[Finding]:
    for name, tree in _model_files(submission):
        for node in tree.body if tree else []:
            if isinstance(node, ast.FunctionDef) and node.name == "get_model_list":
                texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
                for text in texts:
                    if isinstance(text, str) and "-" in text and " " not in text:
                        yield name, f"get_model_list names {text!r}; Brain-Score refuses '-' in identifiers."


def _model_files(submission: SubmissionZip) -> Iterator[tuple[str, ast.Module | None]]:
    for root in submission.roots:
        for name in _FUNCTIONS:
            if f"{root}/models/{name}" in submission.files:
                yield f"{root}/models/{name}", submission.tree(f"{root}/models/{name}")


LEGACY_RULES = (
    Rule(
        "legacy-files",
        "setup.py, __init__.py and models/__init__.py are there.",
        "Add the file.",
        _files,
        layouts=("legacy",),
        source="server",
    ),
    Rule(
        "legacy-functions",
        "models/base_models.py or brain_models.py defines the functions that are called.",
        "Define the function.",
        _functions,
        layouts=("legacy",),
        source="server",
    ),
    Rule(
        "legacy-hyphen",
        "Identifiers in get_model_list have no '-'.",
        "Write '_' in its place.",
        _listed,
        layouts=("legacy",),
        source="website",
    ),
)
