"""Measure which versions of the frameworks can be installed beside Brain-Score, and run there together.

``python tests/environment/server_pins.py FOLDER`` installs each set into an environment in FOLDER (10 GB, minutes),
runs every framework in one process with Brain-Score, and compares what was found with
registry/submission/server_pins.py. With ``--write`` that file is written anew. ``--constraints FILE`` goes to pip:
which build of torch to take, say. Run it with this repository's own environment.
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
DATA = ROOT / "registry" / "submission" / "server_pins.py"
BRAINSCORE = "2.4.2"
OWN = ("brainscore-vision", "brainscore-core", "result-caching")
FRAMEWORKS = (
    *("jax", "flax", "dm-haiku", "optax", "orbax-checkpoint", "tensorflow-cpu", "keras"),
    *("onnx", "onnxruntime", "timm", "transformers"),
)
# The newest JAX that takes numpy 1, and, for Equinox, which says that JAX 0.7.0 and 0.7.1 break it, an older one. The
# versions of Equinox before 0.13.1 do not know that yet, and would be chosen if they were allowed.
SETS = (FRAMEWORKS, (*FRAMEWORKS, "equinox>=0.13.1"))
# Nothing has reached this limit yet, so it chooses no versions.
IDLE_LIMITS = {"pyyaml"}
# One name for all builds; it asks for the name `tensorflow`, so it is installed without what it asks for.
ALIASES = {"tensorflow-cpu": "tensorflow"}
LEGACY = "tf_keras"
DISTRIBUTIONS = """
import importlib.metadata, json
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
found = {}
for each in importlib.metadata.distributions():
    lines = [Requirement(line) for line in each.requires or ()]
    lines = [line for line in lines if line.marker is None or line.marker.evaluate({"extra": ""})]
    found[canonicalize_name(each.name)] = each.version, [f"{line.name}{line.specifier}" for line in lines]
print(json.dumps(found))
"""


def main() -> None:
    """Measure, and compare or write."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--constraints", type=Path)
    options = parser.parse_args()
    pip = [] if options.constraints is None else ["-c", str(options.constraints.absolute())]
    own, host = measure(options.folder / "host", (), {}, pip)
    limits = upper_limits(own)
    tables = []
    for number, lines in enumerate(SETS):
        found, _ = measure(options.folder / f"set{number}", lines, limits, pip)
        changed = [name for name in limits if found[name][0] != own[name][0]]
        if changed:
            sys.exit(f"{lines} changes {changed} of Brain-Score")
        tables.append(table_of(found, host, limits))
    text = as_module({name: Version(own[name][0]).public for name in sorted(host)}, limits, tables)
    if options.write:
        DATA.write_text(text, encoding="utf-8")
    measured = text.partition("\nMEASURED_ON")[2].partition("\n")[2]
    if measured != DATA.read_text(encoding="utf-8").partition("\nMEASURED_ON")[2].partition("\n")[2]:
        print(text)
        sys.exit(f"{DATA} holds other versions; call this with --write to replace them.")


def measure(
    folder: Path, lines: tuple[str, ...], limits: dict[str, str], pip: list[str]
) -> tuple[dict[str, Any], set[str]]:
    """Install Brain-Score, then frameworks; check and run them. Return what is there, and Brain-Score's own part."""
    python = folder / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-compile"]
    if not python.exists():
        venv.create(folder, with_pip=True)
    folder.joinpath("limits.txt").write_text("".join(f"{name}{limit}\n" for name, limit in limits.items()))
    subprocess.run([*install, f"brainscore-vision=={BRAINSCORE}", *pip], check=True)
    subprocess.run([python, ROOT / "tests" / "environment" / "torchvision_on_cpu_torch.py", "--install"], check=True)
    if lines:
        subprocess.run([*install, "-c", folder / "limits.txt", *lines, *pip], check=True)
        subprocess.run([python, "-m", "pip", "check"], check=True)
        subprocess.run([*install, "--no-deps", LEGACY], check=True)
        subprocess.run([python, ROOT / "tests" / "environment" / "server_forward.py"], check=True)
    said = subprocess.run([python, "-c", DISTRIBUTIONS], check=True, capture_output=True, text=True).stdout
    found = json.loads(said)
    asked = {canonicalize_name(Requirement(line).name) for name in OWN for line in found[name][1]}
    return found, {*OWN, *asked}


def upper_limits(own: dict[str, Any]) -> dict[str, str]:
    """Return Brain-Score's upper limits, the lowest of each distribution."""
    bounds: dict[str, set[Version]] = {}
    for line in (Requirement(line) for name in OWN for line in own[name][1]):
        versions = {Version(bound.version) for bound in line.specifier if bound.operator == "<"}
        if versions and line.name.lower() not in IDLE_LIMITS:
            bounds.setdefault(canonicalize_name(line.name), set()).update(versions)
    return {name: f"<{min(versions)}" for name, versions in sorted(bounds.items())}


def table_of(found: dict[str, Any], host: set[str], limits: dict[str, str]) -> dict[str, Any]:
    """Keep the frameworks, and what else needs something that Brain-Score limits, or one of those kept."""
    kept = {canonicalize_name(Requirement(line).name) for lines in SETS for line in lines} & set(found)
    kept.add(canonicalize_name(LEGACY))
    waiting = sorted(kept)
    while waiting:
        for line in found[waiting.pop()][1]:
            name = canonicalize_name(Requirement(line).name)
            if name in kept or name in host or name not in found:
                continue
            waiting.append(name)
            if {canonicalize_name(Requirement(each).name) for each in found[name][1]} & {*kept, *limits}:
                kept.add(name)
    table = {}
    for name in kept:
        version, lines = found[name]
        named = {line: canonicalize_name(Requirement(line).name) for line in lines}
        kept_lines = sorted({line for line, other in named.items() if other in {*kept, *limits, *ALIASES.values()}})
        table[ALIASES.get(name, name)] = (Version(version).public, kept_lines)
    return dict(sorted(table.items()))


def as_module(host: dict[str, str], limits: dict[str, str], tables: list[dict[str, Any]]) -> str:
    """Return the text of the module that holds the measured versions."""
    python = ".".join(map(str, sys.version_info[:2]))
    parts = [
        '"""Versions that were installed and run together beside Brain-Score.',
        "",
        "Written by tests/environment/server_pins.py, which measures them anew.",
        '"""',
        "",
        '__all__ = ["BRAINSCORE", "HOST", "HOST_LIMITS", "MEASURED", "MEASURED_ON", "PYTHON"]',
        "",
        f"MEASURED_ON = {quoted(datetime.datetime.now(datetime.UTC).date().isoformat())}",
        f"BRAINSCORE = {quoted(BRAINSCORE)}",
        f"PYTHON = {quoted(python)}",
        "# What Brain-Score itself asks for, with the versions that it got, and its upper limits.",
        *block("HOST: dict[str, str]", [f"{quoted(name)}: {quoted(version)}" for name, version in host.items()]),
        *block("HOST_LIMITS: dict[str, str]", [f"{quoted(name)}: {quoted(limit)}" for name, limit in limits.items()]),
        "# Sets of versions that go together, the newest first; each with what it asks of the others.",
        "MEASURED: tuple[dict[str, tuple[str, tuple[str, ...]]], ...] = (",
    ]
    for table in tables:
        parts.append("    {")
        for name, (version, lines) in table.items():
            needs = ", ".join(map(quoted, lines)) + ("," if len(lines) == 1 else "")
            parts.append(f"        {quoted(name)}: ({quoted(version)}, ({needs})),")
        parts.append("    },")
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", DATA, "-"]
    text = "\n".join([*parts, ")", ""])
    return subprocess.run(command, input=text, check=True, capture_output=True, text=True).stdout


def block(name: str, items: list[str]) -> list[str]:
    """Return the lines of a dict literal."""
    return [f"{name} = {{", *(f"    {item}," for item in items), "}"]


def quoted(text: str) -> str:
    """Return a string literal in the style of the repository."""
    return json.dumps(text)


if __name__ == "__main__":
    main()
