"""Find the file that registers a model, and the name under which a submission imports it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..source import Source, package_of
from .errors import SubmissionError
from .locating import is_installed

__all__ = ["MainFile", "find_main_file"]


@dataclass(frozen=True)
class MainFile:
    """The file that registers a model.

    Parameters
    ----------
    file : Path
        Where it is.
    root : Path
        The folder from which it is imported.
    name : str
        The dotted name under which it is imported from there.
    place : PurePosixPath
        Where it lies in a submission, relative to the folder that stands for ``root``.
    """

    file: Path
    root: Path
    name: str
    place: PurePosixPath


def find_main_file(identifier: str, source: Source) -> MainFile:
    """Find the file that registers a model.

    Raises
    ------
    SubmissionError
        If there is none that could be imported elsewhere: a notebook, a prompt, the main program, a function inside
        of another, an installed package.
    """
    file = _file_of(identifier, source)
    root, name = _root_of(file, source)
    return MainFile(file, root, name, PurePosixPath(file.relative_to(root).parent.as_posix()) / _importable(file.stem))


def _file_of(identifier: str, source: Source) -> Path:
    advice = (
        "Move it into a file of its own, for example my_models.py, then: from registry import load_models_file; "
        f"load_models_file('my_models.py'); write_submission({identifier!r}, 'out'). "
        "From a shell: brain-adapters package my_models.py"
    )
    if source.is_interactive:
        raise SubmissionError(
            f"Model {identifier!r} was typed into a notebook or prompt ({source}), so there is no file to bring along. "
            f"{advice}"
        )
    file = Path(source.registering_file)
    if source.registering_module == "__main__" and source.file == source.registering_file:
        raise SubmissionError(
            f"Model {identifier!r} was registered by {file} while that ran as the main program (__main__); a "
            f"submission needs a file that can be imported. Package it from outside: brain-adapters package "
            f"{file.name}. Or, in Python: load_models_file({file.name!r}), then "
            f"write_submission({identifier!r}, 'out')."
        )
    if source.registering_module == "__main__":
        raise SubmissionError(
            f"Model {identifier!r} ({source}) was not registered by importing a file, but by the program that ran "
            f"later; a submission only imports. Register it at the top level of a file. {advice}"
        )
    if is_installed(file):
        raise SubmissionError(
            f"Model {identifier!r} is registered by an installed package ({file}). "
            "Register it in a file of your own: a function that calls that of the package."
        )
    return file


def _root_of(file: Path, source: Source) -> tuple[Path, str]:
    parts = tuple(source.registering_module.split("."))
    path = file.parent if file.stem == "__init__" else file.with_suffix("")
    if path.parts[-len(parts) :] == parts:
        return path.parents[len(parts) - 1], source.registering_module
    return package_of(file)


def _importable(stem: str) -> str:
    name = re.sub(r"\W", "_", stem)
    if name[0].isdigit() or name.startswith("test"):
        name = f"model_{name}"
    return f"{name}.py"
