"""Turn the distributions that a model imports into lines of ``requirements.txt``."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from .errors import SubmissionError

__all__ = ["distributions_of", "requirement_lines"]

# What the environment that scores the model brings along (brainscore-vision 2.4.2, brainscore-core 2.5.0). Requirements
# are installed into it afterwards, so a pin of one of these would exchange what the others were built for: torchvision,
# for example, works with one version of torch only.
_PROVIDED = frozenset(
    ("numpy", "pandas", "pillow", "scikit-learn", "scipy", "torch", "torchvision", "tqdm", "xarray"),
)
# Its upper limits, and the newest version below each.
_HOST_LIMITS = {"numpy": ("<2", "1.26.4"), "pandas": ("<3", "2.3.3"), "xarray": ("<2022.6", "2022.3.0")}


def distributions_of(module: str) -> list[str]:
    """Return the names of the installed distributions that provide a module.

    Parameters
    ----------
    module : str
        Dotted name; its first part decides unless several distributions share that.

    Returns
    -------
    list of str
        Usually one; empty for a module that belongs to none.
    """
    top = module.split(".")[0]
    if top not in _distributions_by_module():  # perhaps it was installed since
        _distributions_by_module.cache_clear()
    names = sorted(set(_distributions_by_module().get(top, ())))
    if len(names) < 2:
        return names
    stem = module.replace(".", "/")
    owners = [name for name in names if any(_begins(str(file), stem) for file in _files(name))]
    return owners or names


def requirement_lines(distributions: Iterable[str], given: Sequence[str] = ()) -> list[str]:
    """Return the lines of ``requirements.txt``, sorted.

    Parameters
    ----------
    distributions : iterable of str
        Names of installed distributions; each is pinned to its installed version, unless Brain-Score provides it, or
        that version needs another numpy, pandas or xarray than Brain-Score has.
    given : sequence of str
        Lines of the user's, which replace derived ones of the same distribution.

    Returns
    -------
    list of str
        One requirement each.

    Raises
    ------
    SubmissionError
        If a line given is no requirement, or a distribution was installed from a folder of this machine.
    """
    lines = {}
    for line in given:
        try:
            lines[canonicalize_name(Requirement(line).name)] = line.strip()
        except InvalidRequirement as error:
            raise SubmissionError(
                f"requirements={list(given)!r} has the line {line!r}, which pip cannot read ({error}). "
                "Write it as 'name==version'."
            ) from None
    for name in distributions:
        key = canonicalize_name(name)
        if key not in lines:
            lines[key] = _pinned(name)
    return [lines[name] for name in sorted(lines)]


def _pinned(name: str) -> str:
    if canonicalize_name(name) in _PROVIDED:
        return name
    distribution = importlib.metadata.distribution(name)
    address = _address(distribution)
    if address:
        return f"{name} @ {address}"
    try:
        version = Version(distribution.version)
    except InvalidVersion:
        return name
    return f"{name}=={version.public}" if _fits_host(name) else name


def _fits_host(name: str) -> bool:
    """Tell whether an installed distribution, and what it requires, accepts the versions that the host has."""
    return all(_accepts_host(each) for each in _with_requirements(name))


def _with_requirements(name: str) -> Iterator[importlib.metadata.Distribution]:
    waiting, seen = [name], set[str]()
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in seen or name in _HOST_LIMITS:
            continue
        seen.add(name)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:  # of an extra, or of another platform
            continue
        yield distribution
        waiting += [requirement.name for requirement in _requirements_of(distribution)]


def _requirements_of(distribution: importlib.metadata.Distribution) -> Iterator[Requirement]:
    for line in distribution.requires or ():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def _accepts_host(distribution: importlib.metadata.Distribution) -> bool:
    limits = {
        requirement: limit
        for requirement in _requirements_of(distribution)
        if (limit := _HOST_LIMITS.get(canonicalize_name(requirement.name))) is not None
    }
    return all(_overlap(requirement.specifier, *limit) for requirement, limit in limits.items())


def _overlap(specifier: SpecifierSet, limit: str, newest: str) -> bool:
    """Whether some version meets both: tried are the newest below the limit, and those around each bound."""
    bounds = [bound.version.removesuffix(".*") for bound in specifier]
    candidates = [newest, "0.1", *bounds, *(f"{bound}.1" for bound in bounds)]
    return any(specifier.contains(version) and SpecifierSet(limit).contains(version) for version in candidates)


def _address(distribution: importlib.metadata.Distribution) -> str:
    text = distribution.read_text("direct_url.json")
    if not text:
        return ""
    origin = json.loads(text)
    url = str(origin.get("url", ""))
    if url.startswith("file:"):
        if "archive_info" in origin:  # a wheel that lay beside pip: the index has the same version
            return ""
        raise SubmissionError(
            f"The model imports {distribution.name!r}, which is installed from {url} and cannot be installed on "
            f"Brain-Score's server. Publish it, or install it editable (pip install -e) so that it is copied along."
        )
    if "vcs_info" in origin:
        return f"{origin['vcs_info'].get('vcs', 'git')}+{url}@{origin['vcs_info'].get('commit_id', '')}".rstrip("@")
    return url


@cache
def _distributions_by_module() -> dict[str, list[str]]:
    return {module: list(names) for module, names in importlib.metadata.packages_distributions().items()}


@cache
def _files(name: str) -> tuple[Path, ...]:
    return tuple(Path(str(file)) for file in importlib.metadata.files(name) or ())


def _begins(file: str, stem: str) -> bool:
    return file.startswith(f"{stem}/") or file.startswith(f"{stem}.")
