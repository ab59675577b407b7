"""Run a submission by itself before it is written: in a fresh process that sees nothing of the user's folder."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ..fetching import with_absolute_folders
from .errors import SubmissionError

__all__ = ["run_alone"]

_MARK = "brain-adapters-imports:"  # a model's own code may print, too
_PROGRAM = """
import importlib, sys
root, module, identifier, MARK = sys.argv[1:]
sys.path.insert(0, root)
try:
    model_module = importlib.import_module(module)
    model = model_module.get_model(identifier)
    if hasattr(model, "resolve_layers"):
        model.resolve_layers(model_module.get_layers(identifier))
        print()
        print(MARK, *model.adapter.imports)
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}".replace(chr(10), " "))
"""


def run_alone(
    content: bytes,
    identifier: str,
    kind: Literal["base", "brain"],
    layout: Literal["plugin", "legacy"],
    *,
    without: Sequence[str] = (),
) -> tuple[str, ...]:
    """Import a submission in a fresh process, build its model, and find its layers.

    What was left behind (a file with a computed name, a module that is imported when the model is built) is noticed
    here, because the process has neither the user's folder nor the working folder on its path.

    Parameters
    ----------
    content : bytes
        The zip.
    identifier : str
        Of the model in it.
    kind : {"base", "brain"}
        Of the model.
    layout : {"plugin", "legacy"}
        Of the zip.
    without : sequence of str
        Environment variables that the process shall not have.

    Returns
    -------
    tuple of str
        Modules without which the model cannot be run, though its source need not name them: a function that returns
        the path of a model file imports no framework.

    Raises
    ------
    SubmissionError
        With the last line of the process's error.
    """
    module = f"models.{identifier}.model" if layout == "plugin" else f"models.{kind}_models"
    with tempfile.TemporaryDirectory(prefix="brain-adapters-") as folder:
        zipfile.ZipFile(io.BytesIO(content)).extractall(folder)
        command = [sys.executable, "-I", "-c", _PROGRAM, str(Path(folder) / identifier), module, identifier, _MARK]
        kept = {name: value for name, value in os.environ.items() if name not in without}
        environment = with_absolute_folders(kept)
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        said = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith(f"{_MARK} ")]
        return tuple(said[-1]) if said else ()
    reason = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it ended without a word")
    raise SubmissionError(
        f"The submission of {identifier!r} does not work by itself, so it was not written. In a fresh process, without "
        f"your folder, building the model failed: {reason.strip()} If a file or module was left behind, name it with "
        f"include=[...]; a file whose name is computed is not found by itself. If the model cannot be built here at "
        f"all, pass trial=False."
    )
