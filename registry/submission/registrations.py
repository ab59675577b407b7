"""Read the registrations in a plugin's ``__init__.py`` as each of the four programs does that look for them.

None of them runs the file. What each of them sees is described in Brain-Score's sources: the website's view of an
upload (``extract_identifiers`` in ``benchmarks/views/user.py`` of brain-score.web), ``ImportPlugin.locate_plugin`` and
``get_plugin_ids`` of brainscore_core, and ``find_registered_models`` of brainscore_vision's metadata generator. They
use patterns that take time with the square of a text's length; here each text is read once, whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["PARSERS", "ci_identifiers", "lines_of", "loader_identifiers", "metadata_identifiers", "website_identifiers"]

_OPENING = "model_registry['"
_CLOSING = "']"
_METADATA_OPENING = re.compile(r"""model_registry\[\s*+["']""")
_METADATA_CLOSING = re.compile(r"""["']\s*+\]\s*+=\s*+(?:\\\s*+)?lambda\s*+:""")


def lines_of(text: str) -> list[str]:
    r"""Split a text into lines as Python does when it reads a file: at ``\n``, ``\r\n`` and ``\r`` only."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def website_identifiers(text: str) -> list[str]:
    """Return what the website sees: single quotes only, comments left out."""
    found = []
    for line in lines_of(text):
        code = line.split("#", 1)[0]
        start = code.find(_OPENING)
        while start >= 0:
            end = code.find(_CLOSING, start + len(_OPENING) + 1)  # an identifier has one character at least
            if end < 0:
                break
            found.append(code[start + len(_OPENING) : end])
            start = code.find(_OPENING, end)
    return found


def loader_identifiers(text: str) -> list[str]:
    """Return for which identifiers the plugin is loaded: either quote, comments count."""
    found = []
    for line in lines_of(text):
        for part in line.replace('"', "'").split(_OPENING)[1:]:
            identifier, closing, _ = part.partition(_CLOSING)
            if closing:
                found.append(identifier)
    return found


def ci_identifiers(text: str) -> list[str]:
    """Return what is scored: everything up to the last bracket of a line, without the quotes; comments count."""
    found = []
    for line in lines_of(text):
        start = line.find("model_registry[")
        end = line.rfind("]")
        if 0 <= start < end:
            found.append(line[start + len("model_registry[") : end][1:-1])
    return found


def metadata_identifiers(text: str) -> list[str]:
    """Return for which models metadata are made: only those registered by a lambda; comments count."""
    text = "\n".join(lines_of(text))
    found = []
    opening = _METADATA_OPENING.search(text)
    while opening:
        closing = _METADATA_CLOSING.search(text, opening.end())
        if closing is None:
            break
        found.append(text[opening.end() : closing.start()])
        opening = _METADATA_OPENING.search(text, closing.end())
    return found


PARSERS: dict[str, Callable[[str], list[str]]] = {
    "the website": website_identifiers,
    "the plugin loader": loader_identifiers,
    "the test and scoring jobs": ci_identifiers,
    "the metadata generator": metadata_identifiers,
}
