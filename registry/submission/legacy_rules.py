"""The rules for the layout of 2021."""

from __future__ import annotations

from collections.abc import Iterator

from .python_files import PythonFile
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
            if f"{root}/{name}" not in submission.known:
                yield f"{root}/{name}", "The file is missing."


def _functions(submission: SubmissionZip) -> Iterator[Finding]:
    for name, file in _model_files(submission):
        for function in _FUNCTIONS[name.rsplit("/", 1)[1]]:
            if function not in file.names and "*" not in file.names:
                yield name, f"It defines no function {function}."


def _listed(submission: SubmissionZip) -> Iterator[Finding]:
    for name, file in _model_files(submission):
        for text in file.listed:
            if "-" in text and " " not in text:
                yield name, f"get_model_list names {text!r}; Brain-Score refuses '-' in identifiers."


def _model_files(submission: SubmissionZip) -> Iterator[tuple[str, PythonFile]]:
    for root in submission.roots:
        for name in _FUNCTIONS:
            if f"{root}/models/{name}" in submission.known:
                yield f"{root}/models/{name}", submission.python(f"{root}/models/{name}")


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
