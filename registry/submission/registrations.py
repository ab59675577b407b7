"""Read the registrations in a plugin's ``__init__.py`` as each of the four programs does that look for them.

None of them runs the file. What each of them sees is described in Brain-Score's sources: the website's view of an
upload, ``ImportPlugin.locate_plugin`` and ``get_plugin_ids`` of brainscore_core, and the metadata generator of
brainscore_vision.
"""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["PARSERS", "ci_identifiers", "loader_identifiers", "metadata_identifiers", "website_identifiers"]


def website_identifiers(text: str) -> list[str]:
    """Return what the website sees: single quotes only, comments left out."""
    return [
        identifier
        for line in text.splitlines()
        for identifier in re.findall(r"model_registry\['(.+?)'\]", line.split("#", 1)[0])
    ]


def loader_identifiers(text: str) -> list[str]:
    """Return for which identifiers the plugin is loaded: either quote, comments count."""
    return [
        identifier
        for line in text.splitlines()
        for identifier in re.findall(r"model_registry\['([^']*)'\]", line.replace('"', "'"))
    ]


def ci_identifiers(text: str) -> list[str]:
    """Return what is scored: everything up to the last bracket of a line, without the quotes; comments count."""
    found = []
    for line in text.splitlines():
        match = re.search(r"model_registry\[(.*)\]", line)
        if match:
            found.append(match.group(1)[1:-1])
    return found


def metadata_identifiers(text: str) -> list[str]:
    """Return for which models metadata are made: only those registered by a lambda; comments count."""
    return re.findall(r"""model_registry\[\s*["'](.*?)["']\s*\]\s*=\s*\\?\s*lambda\s*:""", text, re.DOTALL)


PARSERS: dict[str, Callable[[str], list[str]]] = {
    "the website": website_identifiers,
    "the plugin loader": loader_identifiers,
    "the test and scoring jobs": ci_identifiers,
    "the metadata generator": metadata_identifiers,
}
