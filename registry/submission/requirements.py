"""Turn the distributions that a model imports into lines of ``requirements.txt``."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from .errors import SubmissionError
from .server_pins import HOST, HOST_LIMITS, MEASURED
from .server_versions import ServerVersions, installed_version, server_name, server_versions

__all__ = ["changed_versions", "distributions_of", "requirement_lines"]

# What the environment that scores the model has anyway. Requirements are installed into it afterwards, so a pin of one
# of these would exchange what the others were built for: torchvision, say, works with one version of torch only.
_PROVIDED = {*HOST, "certifi", "filelock"}
# TensorFlow without CUDA is smaller, leaves the GPU to torch, and exists for these machines only.
_FOR_CPU = 'sys_platform == "linux" and platform_machine == "x86_64"'
_FOR_OTHERS = 'sys_platform != "linux" or platform_machine != "x86_64"'


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
        Names of installed distributions. Each is pinned to its installed version, or, if that does not go with what
        Brain-Score has, to one that was measured to (docs/server_frameworks.md). So is what they need, where pip would
        take a version that needs a newer numpy.
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
    own = _read_given(given)
    lines = {name: [line] for name, line in own.items()}
    derived = {key: name for name in sorted(distributions) if (key := server_name(name)) not in lines}
    there = server_versions(set(derived) - _PROVIDED, lines)
    for key, name in derived.items():
        if key in _PROVIDED:
            lines[key] = [key]
        elif address := _address(importlib.metadata.distribution(name)):
            lines[key] = [f"{name} @ {address}"]
        else:
            lines[key] = _pinned(key, there)
    if not any(key in table for table in MEASURED for key in own):
        for key in there.versions:
            lines.setdefault(key, _pinned(key, there))
    if not there.is_complete:  # pip has to find a version, among those that go with Brain-Score
        for key, limit in HOST_LIMITS.items():
            if lines.get(key, [key]) == [key]:
                lines[key] = [f"{key}{limit}"]
    return [line for key in sorted(lines) for line in lines[key]]


def changed_versions(distributions: Iterable[str], given: Sequence[str] = ()) -> dict[str, tuple[str, str]]:
    """Return which distributions have another version on the server than here.

    Parameters
    ----------
    distributions, given
        See :func:`requirement_lines`.

    Returns
    -------
    dict of str to (str, str)
        The version here, and that on the server: empty if pip has to find one.
    """
    lines = _read_given(given)
    names = {server_name(name) for name in distributions} - _PROVIDED - set(lines)
    there = server_versions(names, lines).versions
    both = {name: (installed_version(name), there.get(name, "")) for name in sorted(names)}
    return {name: versions for name, versions in both.items() if versions[0] and versions[0] != versions[1]}


def _read_given(given: Sequence[str]) -> dict[str, str]:
    lines = {}
    for line in given:
        try:
            lines[server_name(Requirement(line).name)] = line.strip()
        except InvalidRequirement as error:
            raise SubmissionError(
                f"requirements={list(given)!r} has the line {line!r}, which pip cannot read ({error}). "
                "Write it as 'name==version'."
            ) from None
    return lines


def _pinned(key: str, there: ServerVersions) -> list[str]:
    version = there.versions.get(key)
    if not version:
        return [key]
    if key != "tensorflow" or key in there.asked_for:  # who asks for it by this name would install it over the other
        return [f"{key}=={version}"]
    return [f"tensorflow-cpu=={version}; {_FOR_CPU}", f"tensorflow=={version}; {_FOR_OTHERS}"]


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
