"""The rules for what stands in the files of a submission, of either layout."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement

from .code_patterns import absolute_paths, cuda_calls, unverified_connections
from .datafiles import path_constants
from .rules import Finding, Rule
from .secrets import find_named_secrets, find_secrets
from .zipfiles import SubmissionZip

__all__ = ["CONTENT_RULES"]

_PIP_OPTION = re.compile(r"-{1,2}\w|\w+\+|https?://")


def _syntax(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.modules:
        text = submission.text(name)
        if text is not None and submission.tree(name) is None:
            try:
                ast.parse(text)
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
                yield f"{name}{line}", f"Python cannot read it: {getattr(error, 'msg', error)}."


def _secrets(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.files:
        for line, message in find_secrets(submission.text(name) or ""):
            yield f"{name}, line {line}", message


def _named_secrets(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.files:
        for line, message in find_named_secrets(submission.text(name) or ""):
            yield f"{name}, line {line}", message


def _absolute_paths(submission: SubmissionZip) -> Iterator[Finding]:
    for name, tree in _trees(submission):
        for line, path in absolute_paths(tree):
            yield f"{name}, line {line}", f"The path {path!r} may exist on your machine only."


def _cuda(submission: SubmissionZip) -> Iterator[Finding]:
    for name, tree in _trees(submission):
        for line, code in cuda_calls(tree):
            yield (
                f"{name}, line {line}",
                f"{code} fails on a machine without a GPU, as Brain-Score's are, if it runs there.",
            )


def _unverified(submission: SubmissionZip) -> Iterator[Finding]:
    for name, tree in _trees(submission):
        for line, code in unverified_connections(tree):
            yield f"{name}, line {line}", f"{code} looks as if it switched off the check of who sends a file."


def _relative_paths(submission: SubmissionZip) -> Iterator[Finding]:
    files = set(submission.files)
    for name, tree in _trees(submission):
        text = submission.text(name) or ""
        if any(word in text for word in ("__file__", "importlib.resources", "importlib_resources", "pkgutil")):
            continue
        folder = PurePosixPath(name).parent
        for constant in sorted(set(path_constants(tree))):
            if constant and not constant.endswith(".py") and str(folder / constant) in files:
                message = f"It names the file {constant!r} beside it, but never __file__; that fails if Python"
                yield name, f"{message} is started in another folder."


def _requirements(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.files:
        text = submission.text(name) if name.endswith("/requirements.txt") else None
        if not text:
            continue
        if not text.endswith("\n"):
            yield name, "Its last line does not end with a newline."
        for number, line in enumerate(text.splitlines(), start=1):
            requirement = re.sub(r"(^|\s)#.*", "", line).strip()
            if requirement and not _PIP_OPTION.match(requirement) and not _is_requirement(requirement):
                yield f"{name}, line {number}", f"pip cannot read {line.strip()!r}."


def _is_requirement(text: str) -> bool:
    try:
        Requirement(re.split(r"\s--", text)[0])
    except InvalidRequirement:
        return False
    return True


def _trees(submission: SubmissionZip) -> Iterator[tuple[str, ast.Module]]:
    for name in submission.modules:
        tree = submission.tree(name)
        if tree is not None:
            yield name, tree


CONTENT_RULES = (
    Rule("syntax", "Every Python file can be parsed.", "Correct it.", _syntax),
    Rule("secret", "No file holds a secret: submissions are public.", "Remove it, and make it invalid.", _secrets),
    Rule(
        "named-secret",
        "No value that is called a password or key is one.",
        "If it is one, remove it, and make it invalid: submissions are public.",
        _named_secrets,
        "warning",
    ),
    Rule(
        "absolute-path",
        "No path begins at a root.",
        "Put the file beside the model's file and write Path(__file__).parent / 'name'.",
        _absolute_paths,
        "warning",
    ),
    Rule(
        "cuda",
        "Nothing demands a GPU.",
        "Remove it: the extractor moves the model to a GPU where there is one; load weights with map_location='cpu'.",
        _cuda,
        "warning",
    ),
    Rule(
        "unverified-connection",
        "Connections are verified.",
        "Remove it; if certificates are missing, install certifi and set SSL_CERT_FILE.",
        _unverified,
        "warning",
    ),
    Rule(
        "relative-path",
        "Files are found from anywhere.",
        "Write Path(__file__).parent / 'name'.",
        _relative_paths,
        "warning",
    ),
    Rule("requirements", "requirements.txt can be read by pip.", "Write one 'name==version' per line.", _requirements),
)
