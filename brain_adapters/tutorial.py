"""Doctor's checks for the errors that Brain-Score's tutorials list, as far as they can be seen before they happen."""

from __future__ import annotations

import re
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

from .findings import OK, PROBLEM, WARN, Finding

__all__ = ["check_folder", "check_old_pins", "check_plugins", "installed_plugins"]

# The same substring that Brain-Score searches for, quotes made equal; it counts commented-out lines as well.
_REGISTRATION = re.compile(r"model_registry\[['\"](?P<identifier>[^'\"]+)['\"]\]")
_OLD_PIN = re.compile(r"tensorflow(?:-gpu|-cpu)?\s*==\s*1\.[\d.]+")
_REQUIREMENT_FILES = ("requirements*.txt", "setup.py", "setup.cfg", "pyproject.toml", "environment*.y*ml")


def installed_plugins(brainscore_folder: Path) -> dict[str, list[str]]:
    """Return, for every model identifier registered in an installed Brain-Score, the plugin folders that register it.

    Parameters
    ----------
    brainscore_folder : Path
        The folder of the package `brainscore_vision`; its sub-folder ``models`` holds one folder per plugin.
    """
    plugins = defaultdict(set)
    for path in sorted((brainscore_folder / "models").glob("[!_.]*/__init__.py")):
        for match in _REGISTRATION.finditer(path.read_text(encoding="utf-8", errors="replace")):
            plugins[match["identifier"]].add(path.parent.name)
    return {identifier: sorted(folders) for identifier, folders in plugins.items()}


def check_plugins(brainscore_folder: Path | None = None) -> list[Finding]:
    """Find identifiers that make Brain-Score say `More than one registration found`."""
    if brainscore_folder is None:
        spec = find_spec("brainscore_vision")
        if spec is None or not spec.submodule_search_locations:
            return [Finding("plugins", OK, "brainscore_vision is not installed, so there are no plugins to compare")]
        brainscore_folder = Path(next(iter(spec.submodule_search_locations)))
    plugins = installed_plugins(brainscore_folder)
    findings = [
        Finding(
            "plugins",
            PROBLEM,
            f"{identifier!r} is registered by {' and '.join(folders)}: 'More than one registration found'.",
            f"Rename or delete one below {brainscore_folder / 'models'}; a line that is commented out counts as well.",
        )
        for identifier, folders in plugins.items()
        if len(folders) > 1
    ]
    return findings or [Finding("plugins", OK, f"{len(plugins)} identifiers, each registered once")]


def check_folder(folder: Path | None = None) -> Finding:
    """Say whether `pip install .` would work here (`Directory '.' is not installable`)."""
    folder = folder or Path.cwd()
    if any((folder / name).exists() for name in ("setup.py", "pyproject.toml")):
        return Finding("folder", OK, f"{folder} can be installed with `pip install .`")
    return Finding(
        "folder",
        OK,
        f"{folder} is no Python project: `pip install .` would say \"Directory '.' is not installable\" here. "
        "brain-adapters itself works in any folder.",
    )


def check_old_pins(folder: Path | None = None) -> Finding:
    """Find requirements on TensorFlow 1 here (`could not find a version that satisfies tensorflow==1.15`)."""
    folder = folder or Path.cwd()
    for pattern in _REQUIREMENT_FILES:
        for path in sorted(folder.glob(pattern)):
            if match := _OLD_PIN.search(path.read_text(encoding="utf-8", errors="replace")):
                what = f"{path.name} asks for {match.group()}, which no Python since 3.8 can install."
                fix = "Ask for tensorflow>=2.18; graphs and checkpoints of TensorFlow 1 load through tf.compat.v1."
                return Finding("old pins", WARN, what, fix)
    return Finding("old pins", OK, f"no requirement on TensorFlow 1 in {folder}")
