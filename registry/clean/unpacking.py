"""Unpack a submission that has been validated, and say what is in it."""

from __future__ import annotations

import ast
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..brainscore.installed import models_folder
from ..submission.python_files import read_python
from ..submission.registrations import loader_identifiers
from ..submission.zipfiles import SubmissionZip
from .report import LeftOut, StepError

__all__ = ["Unpacked", "unpack"]


@dataclass(frozen=True)
class Unpacked:
    """A submission in a folder.

    Attributes
    ----------
    root : pathlib.Path
        The one folder at its top.
    layout : {"plugin", "legacy"}
        Its layout.
    identifier : str
        Of the model.
    plugin : str
        Name of the plugin's folder below ``models``; empty in the layout of 2021.
    module : str
        Dotted name, seen from the root, of the module with ``get_model``.
    """

    root: Path
    layout: Literal["plugin", "legacy"]
    identifier: str
    plugin: str
    module: str

    @property
    def folder(self) -> Path:
        """What Brain-Score installs from: the plugin's folder, or the root in the layout of 2021."""
        return self.root / "models" / self.plugin if self.plugin else self.root

    @property
    def brings_runtime(self) -> bool:
        """Whether it was written by us, and runs without Brain-Score."""
        return (self.root / Path(*self.module.split(".")[:-1]) / "runtime").is_dir()

    def leave_out_if_unrunnable(self) -> None:
        """End a step that runs the model in this environment, if nobody could expect that it runs here.

        Raises
        ------
        LeftOut
            If the submission does not bring what runs it, and Brain-Score is not installed here; or if it was not
            written by us, and has no function that returns its model.
        """
        if self.brings_runtime:
            return
        if models_folder() is None:
            raise LeftOut("the submission does not bring what runs it, and Brain-Score is not installed here")
        file = self.root / f"{self.module.replace('.', '/')}.py"
        names = read_python(file.read_bytes()).names if file.is_file() else ()
        if "get_model" not in names and "*" not in names:
            raise LeftOut(f"{file.name} has no function get_model(identifier), with which to build the model here")


def unpack(zip_path: Path, folder: Path) -> Unpacked:
    """Unpack a submission without problems.

    Parameters
    ----------
    zip_path : Path
        The zip; :func:`registry.submission.validate_submission` found no error in it.
    folder : Path
        Where to; made if it is not there.

    Returns
    -------
    Unpacked
        What is where.

    Raises
    ------
    StepError
        If it registers no model.
    """
    with zip_path.open("rb") as stream:
        submission = SubmissionZip(stream, zip_path.name)
        zipfile.ZipFile(stream).extractall(folder)
        root = folder / submission.roots[0]
        if submission.layout == "legacy":
            kind = "base" if f"{submission.roots[0]}/models/base_models.py" in submission.known else "brain"
            text = (root / "models" / f"{kind}_models.py").read_text("utf-8")
            return Unpacked(root, "legacy", _listed_first(text), "", f"models.{kind}_models")
        registering = [
            (init.split("/")[2], identifier)
            for init in submission.inits
            for identifier in loader_identifiers(submission.text(init) or "")
        ]
    if not registering:
        raise StepError(
            f"{zip_path.name} registers no model; expected a line model_registry['identifier'] = lambda: ... in its "
            "__init__.py.",
            "Write the submission again with `brain-adapters package`.",
        )
    plugin, identifier = registering[0]
    return Unpacked(root, "plugin", identifier, plugin, f"models.{plugin}.model")


def _listed_first(text: str) -> str:
    """Return the first string in ``get_model_list``; empty if its list is computed."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name == "get_model_list":
            for part in ast.walk(node):
                if isinstance(part, ast.List) and part.elts and isinstance(part.elts[0], ast.Constant):
                    return str(part.elts[0].value)
    return ""
