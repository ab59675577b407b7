"""Read the images in the environment in which the user has the model: as it is registered, or from the zip."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..entry import ModelEntry
from ..fetching import with_absolute_folders
from ..store import Registry
from .programs import read
from .reading import write_layers
from .report import StepError
from .unpacking import Unpacked

__all__ = ["read_here"]


def read_here(
    unpacked: Unpacked, registry: Registry, there: Mapping[str, Any], images: Sequence[Path], folder: Path, log: Path
) -> dict[str, Any]:
    """Show the images to the model in this environment.

    Parameters
    ----------
    unpacked : Unpacked
        The submission.
    registry : Registry
        A base model of this identifier in it is read in place of the submission's.
    there : mapping
        What was found in the clean environment; the same layers, or the same region, are read.
    images : sequence of Path
        The images.
    folder : Path
        Where arrays go.
    log : Path
        Where the program's words go.

    Returns
    -------
    dict
        ``read``: for each layer its name and file.

    Raises
    ------
    StepError
        If the model cannot be run here.
    LeftOut
        If nobody could expect that it can be.
    """
    layers = [each["layer"] for each in there["read"]]
    entry = registry.get(unpacked.identifier)
    if entry is not None and entry.kind == "base":
        return _read_registered(entry, layers, images, folder)
    unpacked.leave_out_if_unrunnable()
    job = {
        "module": unpacked.module,
        "identifier": unpacked.identifier,
        "images": [str(image) for image in images],
        "layers": layers,
        "region": there.get("region"),
        "paths": [str(unpacked.root)],
    }
    variables = {**with_absolute_folders(os.environ), "RESULTCACHING_DISABLE": "1"}
    try:
        return read(Path(sys.executable), job, ["activations"], folder, log, variables).of("activations")
    except StepError as error:
        raise StepError(
            f"The clean environment runs the model, but this one ({sys.executable}) does not: {error}",
            "Run the check in the environment in which the model was made, so that the two can be compared.",
            error.log,
        ) from error


def _read_registered(entry: ModelEntry, layers: Sequence[str], images: Sequence[Path], folder: Path) -> dict[str, Any]:
    assembly = entry.build()([str(image) for image in images], layers=list(layers))
    return {"read": write_layers(folder, assembly, layers)}
