"""Models as files: ``.keras`` archives, and HDF5 files that hold a whole model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import keras

from ...errors import UnsupportedModelError

__all__ = ["ENDINGS", "is_model_file", "load"]

ENDINGS = (".keras", ".h5")


def is_model_file(model: object) -> bool:
    """Tell whether this is the path of an existing file with the ending of a Keras model."""
    return isinstance(model, (str, os.PathLike)) and str(model).endswith(ENDINGS) and Path(model).is_file()


def load(path: str | os.PathLike[str]) -> Any:
    """Load a model without running any code that the file brings along.

    Parameters
    ----------
    path : path
        A file that `is_model_file` accepts.

    Raises
    ------
    UnsupportedModelError
        If Keras cannot load it.
    """
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever goes wrong while it builds the layers
        raise UnsupportedModelError(
            f"{Path(path).name} could not be loaded as a Keras model: {str(error).strip().rstrip('.')}. It must hold a "
            f"whole model and not its weights alone, without Python lambdas. With layers of your own, load it with "
            f"keras.saving.load_model(path, custom_objects=...) and pass the model."
        ) from error
