"""Choose the versions that the distributions of a model shall have beside Brain-Score."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from .server_pins import HOST, HOST_LIMITS, MEASURED, PYTHON

__all__ = ["ServerVersions", "installed_version", "server_name", "server_versions"]

# Builds for some machines of what the server can have under one name. Two of them overwrite each other's files.
_BUILDS = {
    "tensorflow": ("tensorflow-cpu", "tensorflow-intel", "tensorflow-macos"),
    "onnxruntime": ("onnxruntime-gpu", "onnxruntime-directml"),
    "opencv-python": ("opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"),
}
_NAMES = {build: name for name, builds in _BUILDS.items() for build in builds}
# The server's view of markers, whatever this machine is.
_SERVER = {
    **{"extra": "", "python_version": PYTHON, "python_full_version": f"{PYTHON}.9", "os_name": "posix"},
    **{"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"},
    **{"implementation_name": "cpython", "platform_python_implementation": "CPython"},
}


@dataclass(frozen=True)
class ServerVersions:
    """What shall be installed beside Brain-Score for a model.

    Attributes
    ----------
    versions : dict of str to str
        By canonical name; empty where no version is known that goes with Brain-Score. Of what only other distributions
        need, just those that were measured are here: pip finds the rest.
    asked_for : set of str
        Canonical names under which one of these distributions requires another.
    is_complete : bool
        Whether a version is known for everything that the model needs; if not, pip has to search.
    """

    versions: dict[str, str]
    asked_for: frozenset[str]
    is_complete: bool


@dataclass(frozen=True)
class _Candidate:
    version: str
    requirements: tuple[Requirement, ...] = ()
    python: str = ""
    is_final: bool = field(default=False, kw_only=True)

    def accepts(self, name: str, version: str) -> bool:
        """Tell whether a version of another distribution is one that this one can be installed with."""
        return all(
            each.specifier.contains(version, prereleases=True)
            for each in self.requirements
            if version and server_name(each.name) == name
        )

    def accepts_host(self) -> bool:
        """Tell whether it goes with Brain-Score's Python, and with the versions that Brain-Score is limited to."""
        limits = [(each, HOST_LIMITS.get(server_name(each.name))) for each in self.requirements]
        return _accepts_python(self.python) and all(
            _overlap(each.specifier, limit, HOST[server_name(each.name)]) for each, limit in limits if limit
        )


def server_name(name: str) -> str:
    """Return the canonical name of a distribution, one for all builds of the same: of TensorFlow for a CPU, say."""
    canonical = canonicalize_name(name)
    return _NAMES.get(canonical, canonical)


def installed_version(name: str) -> str:
    """Return the version that is installed here, without the label of a build; empty if it is no version."""
    distribution = _installed(server_name(name))
    try:
        return Version(distribution.version).public if distribution else ""
    except InvalidVersion:
        return ""


def server_versions(names: Iterable[str], without: Collection[str] = ()) -> ServerVersions:
    """Choose versions that can be installed beside Brain-Score: those that are installed here, or else measured ones.

    Parameters
    ----------
    names : iterable of str
        Distributions that a model uses.
    without : collection of str
        Canonical names of distributions that somebody else has chosen; what only these require is not looked at.

    Returns
    -------
    ServerVersions
        Versions whose metadata accept each other, and what Brain-Score has.
    """
    wanted = {server_name(name) for name in names} - set(without)
    stop = {*HOST, *without}
    chosen = {name: _as_installed(distribution) for name, distribution in _with_requirements(wanted, stop)}
    known = set(chosen).intersection(name for each in MEASURED for name in each)
    table = next((each for each in MEASURED if known <= set(each)), MEASURED[-1])
    measured = {name: _as_measured(*pin) for name, pin in table.items() if name not in stop}
    while (name := _first_quarrel(chosen)) is not None:
        chosen[name] = measured.get(name, _Candidate("", is_final=True))
        for each in chosen[name].requirements:
            other = server_name(each.name)
            if other in measured:
                chosen.setdefault(other, measured[other])
    return ServerVersions(
        {name: each.version for name, each in chosen.items() if name in wanted or name in measured},
        frozenset(canonicalize_name(needed.name) for each in chosen.values() for needed in each.requirements),
        all(each.version or not each.is_final for each in chosen.values()),
    )


def _first_quarrel(chosen: dict[str, _Candidate]) -> str | None:
    """Return a distribution whose version here does not go with Brain-Score, or with what is chosen for another."""
    for name, candidate in chosen.items():
        if candidate.is_final:
            continue
        others = [(other, each) for other, each in chosen.items() if other != name]
        if not candidate.accepts_host() or not all(
            candidate.accepts(other, each.version) and each.accepts(name, candidate.version) for other, each in others
        ):
            return name
    return None


def _as_installed(distribution: importlib.metadata.Distribution) -> _Candidate:
    requirements = tuple(_requirements_of(distribution))
    python = str(distribution.metadata.json.get("requires_python", ""))
    try:
        return _Candidate(Version(distribution.version).public, requirements, python)
    except InvalidVersion:
        return _Candidate("", requirements, python)


def _as_measured(version: str, requirements: Iterable[str]) -> _Candidate:
    return _Candidate(version, tuple(Requirement(line) for line in requirements), is_final=True)


def _with_requirements(
    names: Iterable[str], stop: Collection[str]
) -> Iterator[tuple[str, importlib.metadata.Distribution]]:
    waiting, seen = sorted(names), set(stop)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        distribution = _installed(name)
        if distribution is not None:  # or it is of an extra, or of another platform
            yield name, distribution
            waiting += [server_name(requirement.name) for requirement in _requirements_of(distribution)]


def _installed(name: str) -> importlib.metadata.Distribution | None:
    for build in (name, *_BUILDS.get(name, ())):
        try:
            return importlib.metadata.distribution(build)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _requirements_of(distribution: importlib.metadata.Distribution) -> Iterator[Requirement]:
    for line in distribution.requires or ():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate(_SERVER):
            yield requirement


def _accepts_python(specifier: str) -> bool:
    try:
        return SpecifierSet(specifier).contains(_SERVER["python_full_version"])
    except InvalidSpecifier:  # of an old package; pip ignores it, too
        return True


def _overlap(specifier: SpecifierSet, limit: str, newest: str) -> bool:
    """Whether some version meets both: tried are the newest below the limit, and those around each bound."""
    bounds = [bound.version.removesuffix(".*") for bound in specifier]
    candidates = [newest, "0.1", *bounds, *(f"{bound}.1" for bound in bounds)]
    return any(specifier.contains(version) and SpecifierSet(limit).contains(version) for version in candidates)
