"""Notice AdapterHub's top-level package ``adapters`` before it confuses anybody.

Two distributions install a package of that name: ours (``brain-adapters``) and AdapterHub's (``adapters``). This module
imports nothing of ours, because the package it would import may be the wrong one; for the same reason its error
cannot inherit from ``AdapterError``.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path
from types import ModuleType

__all__ = ["AdaptersClashError", "check_adapters_package", "find_adapters_file", "find_adapters_owners"]

_DISTRIBUTION = "brain-adapters"


class AdaptersClashError(ImportError):
    """``import adapters`` finds another package than ours."""


def check_adapters_package() -> ModuleType:
    """Import ``adapters`` and make sure that it is ours.

    Returns
    -------
    module
        Our package ``adapters``.

    Raises
    ------
    AdaptersClashError
        If the package found carries no mark of ours, or fails while it is imported and is not ours.

    Examples
    --------
    >>> check_adapters_package().__distribution__
    'brain-adapters'
    """
    try:
        import adapters
    except Exception as error:
        found = find_adapters_file()
        if found is None or _is_ours(found):
            raise
        raise AdaptersClashError(_message(found, f"and fails with {type(error).__name__}: {error}")) from error
    if getattr(adapters, "__distribution__", None) != _DISTRIBUTION:
        raise AdaptersClashError(_message(_file_of(adapters), "and carries no mark of ours"))
    return adapters


def find_adapters_file() -> Path | None:
    """Return the file or folder that ``import adapters`` would read, without importing it; None if there is none."""
    try:
        spec = importlib.util.find_spec("adapters")
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.origin is not None:
        return Path(spec.origin)
    return Path(next(iter(spec.submodule_search_locations or ["adapters"])))


def find_adapters_owners(found: Path | None) -> list[str]:
    """Return the installed distributions, other than ours, which say that a file belongs to them.

    Parameters
    ----------
    found : Path or None
        The file of a package called ``adapters``.

    Returns
    -------
    list of str
        Names of distributions, for example ``["adapters"]``; empty for a folder that nobody installed.
    """
    if found is None:
        return []
    owners = []
    for name in sorted(set(importlib.metadata.packages_distributions().get("adapters", []))):
        files = importlib.metadata.distribution(name).files or []
        if name != _DISTRIBUTION and any(Path(str(file.locate())).resolve() == found.resolve() for file in files):
            owners.append(name)
    return owners


def _is_ours(found: Path) -> bool:
    if not found.is_file():
        return False
    text = found.read_text(encoding="utf-8", errors="replace")
    return "__distribution__" in text and _DISTRIBUTION in text


def _file_of(module: ModuleType) -> Path | None:
    if getattr(module, "__file__", None):
        return Path(str(module.__file__))
    locations = list(getattr(module, "__path__", []))
    return Path(locations[0]) if locations else None


def _message(found: Path | None, how: str) -> str:
    owners = find_adapters_owners(found)
    if owners:
        owner = f"of the distribution {' and '.join(map(repr, owners))}"
        advice = "Both install a package called 'adapters', so they cannot share an environment."
    else:
        owner = "which no installed distribution owns"
        advice = "If it is a file or folder of yours, rename it."
    return (
        f"'import adapters' finds {found}, {owner}, {how}; brain-adapters needs its own package 'adapters'. {advice} "
        "Use a separate environment for brain-adapters: python -m venv .venv && .venv/bin/pip install brain-adapters"
    )
