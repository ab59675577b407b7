"""Whose code something is: of an installed package, which its name and version tell, or the user's own.

What is installed counts by version, and everything else by its content, as a version says nothing about a file that is
being worked on. Our own package counts by neither: `SEMANTICS` stands for it, so that a release which leaves values
alone leaves stores alone.
"""

from __future__ import annotations

import functools
import json
import re
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

__all__ = ["full_version_of", "is_library_code", "library_of", "version_of"]

_INSTALLED = frozenset({"site-packages", "dist-packages"})
_OURS = __name__.rpartition(".")[0].rpartition(".")[0]
_OUR_FOLDER = str(Path(__file__).parents[1])
_BUILDS = re.compile(r"\+(cpu|cu\d+|rocm[\d.]*|xpu)(?= |$)")
_PYTHON = "python"


def library_of(module: str | None) -> str | None:
    """Return name and version of the installed package that a module is of; None for the user's own code.

    Parameters
    ----------
    module : str, optional
        Dotted name, as in ``__module__``.

    Examples
    --------
    >>> library_of("json.decoder"), library_of("__main__")
    ('python', None)
    """
    if not module or module == "__main__":
        return None
    if module == _OURS or module.startswith(f"{_OURS}."):
        return "brain-adapters"
    root = module.partition(".")[0]
    if root in sys.stdlib_module_names:
        return _PYTHON
    found = sys.modules.get(module) or sys.modules.get(root)
    if found is None or not _is_installed(found):
        return None
    version = version_of(root)
    return f"{root} {version}" if version else None


def is_library_code(function: FunctionType) -> bool:
    """Tell whether the code of a function came with an installed package, Python or this package."""
    code: CodeType = function.__code__
    if code.co_filename.startswith("<") and not code.co_filename.startswith("<frozen"):
        # made by exec, as the methods of dataclasses are: whoever's names it sees had it made
        return library_of(str(function.__globals__.get("__name__", "")).removeprefix("namedtuple_")) is not None
    return _is_library_file(code.co_filename)


def version_of(root: str) -> str:
    """Return the version of an installed package; builds of one release for other devices are that release.

    Examples
    --------
    >>> import numpy
    >>> version_of("numpy") == numpy.__version__
    True
    """
    return _BUILDS.sub("", full_version_of(root))


@functools.lru_cache(maxsize=256)
def full_version_of(root: str) -> str:
    """Return the version of an installed package as it says it (``2.13.0+cpu``); empty where nobody knows.

    Of what came from a repository, the commit follows.
    """
    found = _distribution(root)
    version = found.version if found is not None else getattr(sys.modules.get(root), "__version__", None)
    return f"{version}{_commit_of(found)}" if isinstance(version, str) else ""


def _distribution(root: str) -> metadata.Distribution | None:
    """Return the distribution of the module's name, else one that says it installed the module."""
    try:
        return metadata.distribution(root)
    except metadata.PackageNotFoundError:
        pass
    if isinstance(getattr(sys.modules.get(root), "__version__", None), str):
        return None  # the module says it itself, and the search below reads the lists of all packages
    names = metadata.packages_distributions().get(root, ())
    return metadata.distribution(sorted(names)[0]) if names else None


def _commit_of(distribution: metadata.Distribution | None) -> str:
    try:
        text = distribution.read_text("direct_url.json") if distribution is not None else None
        commit = json.loads(text).get("vcs_info", {}).get("commit_id") if text else None
    except (OSError, ValueError, AttributeError):
        return ""
    return f" {commit}" if isinstance(commit, str) else ""


def _is_installed(module: ModuleType) -> bool:
    places: list[Any] = [getattr(module, "__file__", None), *(getattr(module, "__path__", None) or ())]
    return any(isinstance(place, str) and _is_library_file(place) for place in places)


@functools.lru_cache(maxsize=8192)
def _is_library_file(path: str) -> bool:
    if path.startswith("<frozen"):
        return True
    parts = Path(path).parts
    if not _INSTALLED.isdisjoint(parts):
        return True
    roots = {_OUR_FOLDER, *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib"))}
    return any(tuple(Path(root).parts) == parts[: len(Path(root).parts)] for root in roots if root)
