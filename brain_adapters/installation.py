"""Doctor's checks of what is installed: versions, requirements between packages, two owners of `adapters`."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from .findings import OK, PROBLEM, WARN, Finding

__all__ = ["check_clash", "check_python", "check_requirements", "check_versions", "installed_versions"]

OURS = ("brain-adapters",)
FOUNDATION = ("numpy", "pandas", "xarray", "Pillow", "tqdm", "typer")
FRAMEWORKS = (
    *("torch", "torchvision", "timm", "transformers"),
    *("keras", "tensorflow", "tensorflow-cpu", "tf-keras"),
    *("jax", "jaxlib", "flax", "equinox", "dm-haiku", "onnx", "onnxruntime"),
)
BRAINSCORE = ("brainscore-vision", "brainscore-core", "result-caching")
EXTRAS = ("scikit-learn", "scipy", "matplotlib", "zarr", "h5netcdf", "netCDF4", "ray")


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Return name and version of those distributions that are installed, importing none of them."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def check_python() -> Finding:
    """Say which Python this is."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    return Finding("python", OK, f"{version} at {sys.executable}")


def check_versions() -> list[Finding]:
    """List the versions of our distribution, the libraries it stands on, the frameworks, and Brain-Score."""
    groups = {
        "brain-adapters": OURS,
        "foundation": FOUNDATION,
        "frameworks": FRAMEWORKS,
        "brain-score": BRAINSCORE,
        "extras": EXTRAS,
    }
    fixes = {
        "brain-adapters": "Install it: pip install brain-adapters (or `pip install -e .` in a checkout).",
        "frameworks": "Install the one of your models, for example: pip install 'brain-adapters[pytorch]'.",
    }
    findings = []
    for topic, names in groups.items():
        versions = installed_versions(names)
        if versions:
            findings.append(Finding(topic, OK, ", ".join(f"{name} {version}" for name, version in versions.items())))
        else:
            status = WARN if topic in fixes else OK
            findings.append(Finding(topic, status, "none installed", fixes.get(topic, "")))
    return findings


def check_clash() -> Finding:
    """Report AdapterHub's distribution `adapters`, which installs its files over our package of the same name."""
    owners = set(importlib.metadata.packages_distributions().get("adapters", ()))
    # The metadata say who installed a package of that name; the file says whose is there now.
    others = sorted(owners - set(OURS))
    if others:
        return Finding(
            "adapters",
            PROBLEM,
            f"The top-level package 'adapters' is also installed by {', '.join(others)} (AdapterHub's distribution is "
            "called 'adapters'); one overwrites the other.",
            "Use a separate environment: python -m venv .venv && .venv/bin/pip install brain-adapters",
        )
    found = _file_of_adapters()
    if found is None or "brain-adapters" not in found.read_text(encoding="utf-8", errors="replace"):
        return Finding(
            "adapters",
            PROBLEM,
            f"'import adapters' finds {found or 'nothing'}, which is not the package of brain-adapters.",
            "Rename that file or folder if it is yours, or install again: pip install --force-reinstall brain-adapters",
        )
    return Finding("adapters", OK, f"ours, at {found.parent}")


def _file_of_adapters() -> Path | None:
    from importlib.util import find_spec

    spec = find_spec("adapters")
    return Path(spec.origin) if spec is not None and spec.origin else None


def check_requirements() -> list[Finding]:
    """Compare what the installed frameworks and Brain-Score ask of each other, as `pip check` does.

    Finds a torchvision that was built for another torch (`operator torchvision::nms does not exist`) and numpy 2
    beside a Brain-Score that needs numpy 1.
    """
    findings = []
    for name, version in installed_versions([*OURS, *FRAMEWORKS, *BRAINSCORE]).items():
        for requirement in _requirements_of(name):
            there = installed_versions([requirement.name]).get(requirement.name)
            if there is not None and not requirement.specifier.contains(there, prereleases=True):
                what = f"{name} {version} needs {requirement.name}{requirement.specifier}, and {there} is installed."
                fix = f"Install a matching pair: pip install '{name}=={_public(version)}' '{requirement}'"
                findings.append(Finding("requirements", PROBLEM, what, fix))
    return findings or [Finding("requirements", OK, "the installed frameworks accept each other's versions")]


def _requirements_of(name: str) -> list[Requirement]:
    requirements = []
    for line in importlib.metadata.requires(name) or ():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:  # old packages wrote what no tool reads today
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            requirement.marker, requirement.extras = None, set()
            requirements.append(requirement)
    return requirements


def _public(version: str) -> str:
    return re.sub(r"\+.*", "", version)
