"""Read the images in the environment in which the user has the model: as it is registered, or from the zip."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..entry import ModelEntry
from ..store import Registry
from .programs import read
from .report import LeftOut, StepError
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
    if not unpacked.brings_runtime and find_spec("brainscore_vision") is None:
        raise LeftOut("the submission does not bring what runs it, and Brain-Score is not installed here")
    job = {
        "module": unpacked.module,
        "identifier": unpacked.identifier,
        "images": [str(image) for image in images],
        "layers": layers,
        "region": there.get("region"),
        "paths": [str(unpacked.root)],
    }
    variables = {**os.environ, "RESULTCACHING_DISABLE": "1"}
    try:
        return read(Path(sys.executable), job, ["activations"], folder, log, variables).of("activations")
    except StepError as error:
        raise StepError(
            f"The clean environment runs the model, but this one ({sys.executable}) does not: {error}",
            "Run the check in the environment in which the model was made, so that the two can be compared.",
            error.log,
        ) from error


def _read_registered(entry: ModelEntry, layers: Sequence[str], images: Sequence[Path], folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    assembly = entry.build()([str(image) for image in images], layers=list(layers))
    names, values = assembly["layer"].values, assembly.transpose("presentation", "neuroid").values
    read_from = []
    for number, layer in enumerate(layers):
        file = folder / f"{number:03d}.npy"
        np.save(file, values[:, names == layer], allow_pickle=False)
        read_from.append({"layer": layer, "file": str(file)})
    return {"read": read_from}
