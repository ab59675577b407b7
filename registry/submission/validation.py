"""Check a submission before it costs one of five uploads a day."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from .content_rules import CONTENT_RULES
from .legacy_rules import LEGACY_RULES
from .plugin_rules import PLUGIN_RULES
from .problem import Problem
from .rules import ARCHIVE_RULES
from .zipfiles import SubmissionZip, UnreadableZipError

__all__ = ["RULES", "find_problems", "validate_submission"]

RULES = (*ARCHIVE_RULES, *PLUGIN_RULES, *LEGACY_RULES, *CONTENT_RULES)

_UNREADABLE_FIXES = {
    "zip": "Write it with write_submission, or zip the folder again.",
    "encrypted": "Zip the folder again without a password.",
    "unpacked-size": "Host large files on the web and fetch them.",
    "file": "Check the path.",
}


def validate_submission(zip_path: str | Path) -> list[Problem]:
    """Apply the rules of Brain-Score's website and tests, and some of ours, to a zip.

    Nothing is unpacked or run. What only the server knows, such as whether an identifier is taken, is checked as far
    as an installed brainscore_vision tells.

    Parameters
    ----------
    zip_path : str or Path
        A submission of either layout.

    Returns
    -------
    list of Problem
        Empty if the zip can be submitted. A file that is missing or is no zip is a problem, not an exception.
    """
    path = Path(zip_path)
    try:
        with path.open("rb") as stream:
            return find_problems(stream, path.name)
    except OSError as error:
        return [_unreadable("file", str(path), f"It cannot be opened: {error.strerror or error}.")]


def find_problems(stream: BinaryIO, name: str) -> list[Problem]:
    """Apply the rules to an open zip.

    Parameters
    ----------
    stream : binary file
        The zip.
    name : str
        Its name, for messages.

    Returns
    -------
    list of Problem
        In the order of the rules.
    """
    try:
        submission = SubmissionZip(stream, name)
    except UnreadableZipError as error:
        code, message = error.args
        return [_unreadable(code, name, message)]
    return [
        Problem(rule.code, where, message, rule.fix, rule.severity)
        for rule in RULES
        if submission.layout in rule.layouts
        for where, message in rule.check(submission)
    ]


def _unreadable(code: str, where: str, message: str) -> Problem:
    return Problem(code, where, message, _UNREADABLE_FIXES[code])
