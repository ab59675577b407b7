"""Check a submission before it costs one of five uploads a day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from .content_rules import CONTENT_RULES
from .legacy_rules import LEGACY_RULES
from .plugin_rules import PLUGIN_RULES
from .problem import Problem
from .registration_rules import REGISTRATION_RULES
from .rules import ARCHIVE_RULES, UNREADABLE_RULES, Finding, Rule
from .zipfiles import SubmissionZip, UnreadableZipError

__all__ = ["RULES", "find_problems", "validate_submission"]

RULES = (
    *UNREADABLE_RULES,
    *ARCHIVE_RULES,
    *PLUGIN_RULES,
    *REGISTRATION_RULES,
    *LEGACY_RULES,
    *CONTENT_RULES,
)

_BY_CODE = {rule.code: rule for rule in RULES}
_N_SHOWN = 50
_N_CHARACTERS = 1000


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
    except (OSError, ValueError) as error:
        return [
            _problem(
                _BY_CODE["file"], (str(path), f"It cannot be opened: {getattr(error, 'strerror', None) or error}.")
            )
        ]


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
        return [_problem(_BY_CODE[code], (name, message))]
    return [
        _problem(rule, finding)
        for rule in RULES
        if submission.layout in rule.layouts
        for finding in _first(rule.check(submission), name)
    ]


def _first(findings: Iterable[Finding], name: str) -> Iterator[Finding]:
    """Yield so many of a rule's findings that a reader still sees those of other rules."""
    remaining = iter(findings)
    yield from islice(remaining, _N_SHOWN)
    if next(remaining, None) is not None:
        yield name, f"There are more than these {_N_SHOWN}; correct them, then look again."


def _problem(rule: Rule, finding: Finding) -> Problem:
    where, message = map(_shown, finding)
    return Problem(rule.code, where, message, rule.fix, rule.severity)


def _shown(text: str) -> str:
    """Return a text of the zip as one line that a terminal can show."""
    if len(text) > _N_CHARACTERS:
        text = f"{text[: _N_CHARACTERS // 2]} ... {text[-_N_CHARACTERS // 2 :]}"
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
