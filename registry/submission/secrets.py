"""Find passwords, tokens and keys in a text."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["find_named_secrets", "find_secrets"]

# Forms that their makers document.
_SHAPES = {
    "an AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "a GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{30,}\b|\bgithub_pat_[A-Za-z0-9_]{22,}\b",
    "a GitLab token": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{30,}\b",
    "a Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    "a Google key": r"\bAIza[0-9A-Za-z_-]{35}",
    "an API key": r"\bsk-(?:[a-z]+-)?[A-Za-z0-9_-]{32,}",
    "a password in an address": r"\b[a-z][a-z0-9+.-]{0,30}://[^/\s:@'\"{}<>]{1,256}:[^/\s@'\"{}<>]{1,256}@",
}
_NAMED = re.compile(
    r"""(?ix) \b \w* (?: password | passwd | secret | api_?key | (?:access|auth|api|hf|github|bearer) _? token ) \w*
    ["']? \s* (?: : (?:\s*str\s*=)? | = ) \s* r?["'] (?P<value> [^"'\s{}<>$]{8,} ) ["']"""
)


def find_secrets(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and a description of everything in a text that has the form of a secret.

    Parameters
    ----------
    text : str
        Of any kind of file.

    Yields
    ------
    line : int
        Counted from 1.
    message : str
        What it looks like; it shows the first four characters only.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        found = _shape(line)
        if found:
            yield number, f"It looks like {found[0]} ({found[1][:4]}...)."


def find_named_secrets(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and a description of every value that is called a password, a key or a token.

    Parameters
    ----------
    text : str
        Of any kind of file.

    Yields
    ------
    line : int
        Counted from 1; lines that :func:`find_secrets` names are left out.
    message : str
        It shows the first four characters only.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        named = _NAMED.search(line)
        if named and not _shape(line):
            yield number, f"It looks like a password or key ({named['value'][:4]}...)."


def _shape(line: str) -> tuple[str, str] | None:
    return next(((kind, match.group()) for kind, shape in _SHAPES.items() if (match := re.search(shape, line))), None)
