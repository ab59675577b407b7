"""Environments as Brain-Score's test server makes them: first Brain-Score, then what the submission asks for.

A base environment holds Brain-Score alone and serves all submissions; what one submission installs goes into a second
environment, which sees the packages of the first. A stamp is written last, so one that was finished is found, and one
that was not is given up for a new one in another folder: pip outlives a check that was killed, and goes on writing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from .commands import run_logged
from .variables import clean_variables

__all__ = ["BRAINSCORE", "Environment", "base_environment", "plugin_environment", "reused_environment"]

BRAINSCORE = "2.4.2"
_STAMP = "complete.json"
_CONFLICTS = "conflicts.txt"
_PATIENCE = "30"  # seconds that pip waits for a server which does not answer, six times for each package
# Variables of pip's that would let it install elsewhere, or not at all; and those that decide what it installs.
_MISLEADING = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON", "PIP_DRY_RUN", "PIP_NO_DEPS")
_DECIDING = ("PIP_CONSTRAINT", "PIP_PRE")


@dataclass(frozen=True)
class Environment:
    """A Python environment.

    Attributes
    ----------
    folder : pathlib.Path
        Where it is.
    is_new : bool
        Whether it was made just now.
    """

    folder: Path
    is_new: bool = False

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")

    @property
    def packages(self) -> Path:
        """Where its packages are."""
        base = str(self.folder)
        return Path(sysconfig.get_path("purelib", "venv", vars={"base": base, "platbase": base}))

    @property
    def is_whole(self) -> bool:
        """Whether it was finished, and the Python that it was made with is still there."""
        return (self.folder / _STAMP).is_file() and self.python.exists()

    @property
    def conflicts(self) -> list[str]:
        """What pip says of Brain-Score's own requirements that the submission's have broken; pip itself goes on."""
        file = self.folder / _CONFLICTS
        lines = file.read_text("utf-8").splitlines() if file.is_file() else []
        return [line.rstrip(".") for line in lines if re.match(r"brainscore[-_](vision|core) ", line)]


def reused_environment(folder: Path) -> Environment:
    """Return an environment of the user's, which is left as it is."""
    return Environment(folder.absolute())


def base_environment(
    root: Path, log: Path, *, brainscore: str = BRAINSCORE, constraints: Path | None = None
) -> Environment:
    """Make, or find, an environment with Brain-Score and what its tests need.

    Parameters
    ----------
    root : Path
        Folder of environments.
    log : Path
        Where pip's words go.
    brainscore : str
        Version of brainscore-vision, or a requirement line to install in its place.
    constraints : Path, optional
        A constraints file for pip.

    Returns
    -------
    Environment
        Finished.

    Raises
    ------
    StepError
        If pip fails.
    """
    line = brainscore if not brainscore[:1].isdigit() else f"brainscore-vision[test]=={brainscore}"
    key = {"python": sys.version, "install": line, **_choices(constraints)}

    def build(environment: Environment) -> None:
        folder = environment.folder
        variables = clean_variables()
        run_logged([sys.executable, "-m", "venv", folder], log, folder=root, variables=variables)
        for what in (("--upgrade", "pip", "setuptools"), (line,)):
            _install((environment.python, "-m", "pip"), what, constraints, log)

    return _found_or_made(root, "base", key, build)


def plugin_environment(
    root: Path, base: Environment, plugin: Path, log: Path, *, constraints: Path | None = None
) -> Environment:
    """Make, or find, an environment with what one submission asks for, on top of Brain-Score's.

    Parameters
    ----------
    root : Path
        Folder of environments.
    base : Environment
        Has Brain-Score.
    plugin : Path
        Folder with the submission's ``setup.py`` and ``requirements.txt``, installed in this order, if they are there.
    log : Path
        Where pip's words go.
    constraints : Path, optional
        A constraints file for pip.

    Returns
    -------
    Environment
        Finished.

    Raises
    ------
    StepError
        If pip fails.
    """
    setup, requirements = plugin / "setup.py", plugin / "requirements.txt"
    key = {
        "base": base.folder.name + _content(base.folder / _STAMP),
        "setup": _content_of_all(plugin) if setup.is_file() else "",
        "requirements": _content(requirements),
        **_choices(constraints),
    }

    def build(environment: Environment) -> None:
        folder = str(environment.folder)
        run_logged(
            [sys.executable, "-m", "venv", "--without-pip", folder], log, folder=root, variables=clean_variables()
        )
        # site.addsitedir also follows the .pth files of the base, which a plain path would not.
        line = f"import site; site.addsitedir({str(base.packages)!r})\n"
        (environment.packages / "brainscore_environment.pth").write_text(line, "utf-8")
        pip: tuple[str | Path, ...] = (base.python, "-m", "pip", "--python", environment.python)
        if setup.is_file():  # from a copy, because building leaves files behind
            copy = shutil.copytree(plugin, environment.folder / "submission")
            _install(pip, (str(copy),), constraints, log)
        if requirements.is_file():
            _install(pip, ("-r", str(requirements)), constraints, log)
        check = log.with_name(f"{log.stem}_check.log")
        run_logged([*pip, "check"], check, folder=log.parent, variables=clean_variables(), accepted=(0, 1))
        shutil.copyfile(check, environment.folder / _CONFLICTS)

    return _found_or_made(root, "plugin", key, build)


def _found_or_made(root: Path, kind: str, key: dict[str, str], build: Callable[[Environment], None]) -> Environment:
    name = f"{kind}-{hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]}"
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / f"{name}.lock"):  # another check waits; a process that dies gives its lock back
        made = [Environment(folder) for folder in sorted(root.glob(f"{name}*")) if folder.is_dir()]
        whole = next((each for each in made if each.is_whole), None)
        for each in made:
            if each is not whole:
                shutil.rmtree(each.folder, ignore_errors=True)
        if whole is not None:
            return whole
        environment = Environment(root / (f"{name}-{secrets.token_hex(3)}" if made else name), is_new=True)
        try:
            build(environment)
        except BaseException:
            shutil.rmtree(environment.folder, ignore_errors=True)  # gigabytes of no use
            raise
        stamp = {**key, "made": time.strftime("%Y-%m-%d %H:%M:%S"), "number": secrets.token_hex(8)}
        (environment.folder / _STAMP).write_text(json.dumps(stamp, indent=2), "utf-8")
    return environment


def _install(pip: Sequence[str | Path], what: Sequence[str], constraints: Path | None, log: Path) -> None:
    given = () if constraints is None else ("--constraint", str(constraints.absolute()))
    patience = os.environ.get("PIP_DEFAULT_TIMEOUT", _PATIENCE)
    variables = clean_variables(
        PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", PIP_USER="0", PIP_DEFAULT_TIMEOUT=patience
    )
    kept = {name: value for name, value in variables.items() if name not in _MISLEADING}
    run_logged([*pip, "install", *given, *what], log, folder=log.parent, variables=kept)


def _choices(constraints: Path | None) -> dict[str, str]:
    """Return what else decides which versions pip takes: constraints files, here by what they hold."""
    words = {name: os.environ.get(name, "").split() for name in _DECIDING}
    choices = {name: "\n".join(_content(Path(word)) or word for word in words[name]) for name in words if words[name]}
    return {"constraints": _content(constraints), **choices}


def _content(file: Path | None) -> str:
    return file.read_text("utf-8") if file is not None and file.is_file() else ""


def _content_of_all(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes())
    return digest.hexdigest()
