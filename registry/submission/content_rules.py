"""The rules for what stands in the files of a submission, of either layout."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement

from .registrations import lines_of
from .rules import Finding, Rule
from .secrets import find_named_secrets, find_secrets
from .zipfiles import SubmissionZip

__all__ = ["CONTENT_RULES"]

_PIP_OPTION = re.compile(r"-{1,2}\w|\w+\+|https?://")


def _syntax(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.read_modules:
        file = submission.python(name)
        if file.error:
            yield f"{name}, line {file.line}" if file.line else name, f"Python cannot read it: {file.error}."


def _secrets(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.files:
        for line, message in find_secrets(submission.text(name) or ""):
            yield f"{name}, line {line}", message


def _named_secrets(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.files:
        for line, message in find_named_secrets(submission.text(name) or ""):
            yield f"{name}, line {line}", message


def _absolute_paths(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.read_modules:
        for line, path in submission.python(name).absolute_paths:
            yield f"{name}, line {line}", f"The path {path!r} may exist on your machine only."


def _cuda(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.read_modules:
        for line, code in submission.python(name).cuda_calls:
            yield (
                f"{name}, line {line}",
                f"{code} fails on a machine without a GPU, as Brain-Score's are, if it runs there.",
            )


def _unverified(submission: SubmissionZip) -> Iterator[Finding]:
    for name in submission.read_modules:
        for line, code in submission.python(name).unverified_connections:
            yield f"{name}, line {line}", f"{code} looks as if it switched off the check of who sends a file."


def _relative_paths(submission: SubmissionZip) -> Iterator[Finding]:
    data = {name for name in submission.files if not name.endswith(".py")}
    ends = {name.rsplit("/", 1)[-1] for name in data}
    for name in submission.read_modules:
        named = sorted(text for text in submission.python(name).path_constants if text.rsplit("/", 1)[-1] in ends)
        text = (submission.text(name) or "") if named else ""
        if any(word in text for word in ("__file__", "importlib.resources", "importlib_resources", "pkgutil")):
            continue
        folder = PurePosixPath(name).parent
        for constant in named:
            if str(folder / constant) in data:
                message = f"It names the file {constant!r} beside it, but never __file__; that fails if Python"
                yield name, f"{message} is started in another folder."


def _unread(submission: SubmissionZip) -> Iterator[Finding]:
    for name in sorted(set(submission.modules) - set(submission.read_modules)):
        yield name, f"It has {submission.n_bytes_of(name) / 2**20:.1f} MB of Python; the rules have not looked into it."


def _requirements(submission: SubmissionZip) -> Iterator[Finding]:
    for name, text in _requirement_files(submission):
        for number, line in _joined_lines(text):
            requirement = re.sub(r"(^|\s)#.*", "", line).strip()
            if requirement and not _PIP_OPTION.match(requirement) and not _is_requirement(requirement):
                yield f"{name}, line {number}", f"pip cannot read {line.strip()!r}."


def _unfinished_requirements(submission: SubmissionZip) -> Iterator[Finding]:
    for name, text in _requirement_files(submission):
        if not text.endswith(("\n", "\r")):
            yield name, "Its last line has no end, so a line that a program adds would become a part of it."


def _requirement_files(submission: SubmissionZip) -> Iterator[tuple[str, str]]:
    for name in submission.files:
        text = submission.text(name) if name.endswith("/requirements.txt") else None
        if text:
            yield name, text


def _joined_lines(text: str) -> Iterator[tuple[int, str]]:
    r"""Yield lines with their numbers; one that ends with ``\`` goes on in the next, as pip reads it."""
    start = 1
    parts: list[str] = []
    for number, line in enumerate(lines_of(text), start=1):
        start = start if parts else number
        parts.append(line.removesuffix("\\"))
        if not line.endswith("\\"):
            yield start, "".join(parts)
            parts = []
    if parts:
        yield start, "".join(parts)


def _is_requirement(text: str) -> bool:
    try:
        Requirement(re.split(r"\s--", text)[0])
    except (InvalidRequirement, RecursionError):
        return False
    return True


CONTENT_RULES = (
    Rule("syntax", "Every Python file can be parsed.", "Correct it.", _syntax, source="server"),
    Rule(
        "unread-python",
        "Python files have at most 0.5 MB, and 10 MB together.",
        "Keep data in files of their own, and leave out what the model does not need.",
        _unread,
        "warning",
        source="ours",
    ),
    Rule(
        "secret",
        "No file holds a key, token or password: submissions are public.",
        "Remove it, and make it invalid.",
        _secrets,
        source="ours",
    ),
    Rule(
        "named-secret",
        "No value that is called a password or key is one.",
        "If it is one, remove it, and make it invalid: submissions are public.",
        _named_secrets,
        "warning",
        source="ours",
    ),
    Rule(
        "absolute-path",
        "No path begins at the root of your disk.",
        "Put the file beside the model's file and write Path(__file__).parent / 'name'.",
        _absolute_paths,
        "warning",
        source="ours",
    ),
    Rule(
        "cuda",
        "Nothing demands a GPU.",
        "Remove it: the extractor moves the model to a GPU where there is one; load weights with map_location='cpu'.",
        _cuda,
        "warning",
        source="ours",
    ),
    Rule(
        "unverified-connection",
        "Downloads check who sends a file.",
        "Remove it; if certificates are missing, install certifi and set SSL_CERT_FILE.",
        _unverified,
        "warning",
        source="ours",
    ),
    Rule(
        "relative-path",
        "Files are found wherever Python was started.",
        "Write Path(__file__).parent / 'name'.",
        _relative_paths,
        "warning",
        source="ours",
    ),
    Rule(
        "requirements",
        "pip can read every line of requirements.txt.",
        "Write one 'name==version' per line.",
        _requirements,
        source="server",
    ),
    Rule(
        "requirements-end",
        "The last line of requirements.txt has an end.",
        "Add a line break.",
        _unfinished_requirements,
        "warning",
        source="ours",
    ),
)
