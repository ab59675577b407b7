"""Find passwords, tokens and keys in a text."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache

__all__ = ["find_named_secrets", "find_secrets"]

# Forms that their makers document, each with texts of which one stands in it: looking for those first saves much time.
_SHAPES = [
    (kind, marks, re.compile(shape))
    for kind, marks, shape in (
        ("an AWS access key", ("AKIA", "ASIA"), r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
        ("a private key", ("PRIVATE KEY-----",), r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
        (
            "a GitHub token",
            ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
            r"\bgh[pousr]_[A-Za-z0-9]{30,}\b|\bgithub_pat_[A-Za-z0-9_]{22,}\b",
        ),
        ("a GitLab token", ("glpat-",), r"\bglpat-[A-Za-z0-9_-]{20,}"),
        ("a Hugging Face token", ("hf_",), r"\bhf_[A-Za-z0-9]{30,}\b"),
        ("a Slack token", ("xox",), r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
        ("a Google key", ("AIza",), r"\bAIza[0-9A-Za-z_-]{35}"),
        ("an API key", ("sk-",), r"\bsk-(?:[a-z]+-)?[A-Za-z0-9_-]{32,}"),
        (
            "a password in an address",
            ("://",),
            r"\b[a-z][a-z0-9+.-]{0,30}://[^/\s:@'\"{}<>]{1,256}:[^/\s@'\"{}<>]{1,256}@",
        ),
    )
]
_NAMED = re.compile(
    r"""(?ix) (?: password | passwd | secret | api_?key | (?:access|auth|api|hf|github|bearer) _? token ) \w{0,64}
    ["']? [^\S\n]* (?: : (?:[^\S\n]*str[^\S\n]*=)? | = ) [^\S\n]* r?["'] (?P<value> [^"'\s{}<>$]{8,} ) ["']"""
)
_NAME_MARKS = ("passw", "secret", "apikey", "api_key", "token")
_CACHED_CHARACTERS = 2**17


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
    yield from _found(text)[0]


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
    yield from _found(text)[1]


def _found(text: str) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    return _look_cached(text) if len(text) <= _CACHED_CHARACTERS else _look(text)


def _look(text: str) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """Return what each line holds, the first of each kind: by its form, and by its name."""
    folded = text.casefold()
    shaped = [
        (match.start(), f"It looks like {kind} ({match.group()[:4]}...).")
        for kind, marks, shape in _SHAPES
        if any(mark in text for mark in marks)
        for match in shape.finditer(text)
    ]
    named = [
        (match.start(), f"It looks like a password or key ({match['value'][:4]}...).")
        for match in (_NAMED.finditer(text) if any(mark in folded for mark in _NAME_MARKS) else ())
    ]
    if not shaped and not named:
        return [], []
    ends = [match.start() for match in re.finditer("\n", text)]
    by_shape: dict[int, str] = {}
    by_name: dict[int, str] = {}
    for place, message in shaped:
        by_shape.setdefault(bisect_left(ends, place) + 1, message)
    for place, message in named:
        by_name.setdefault(bisect_left(ends, place) + 1, message)
    return sorted(by_shape.items()), sorted((line, text) for line, text in by_name.items() if line not in by_shape)


_look_cached = lru_cache(maxsize=512)(_look)
