"""Where Brain-Score is installed, and the one error for where it is not."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from adapters.errors import MissingFrameworkError

__all__ = ["import_brainscore", "models_folder"]


def import_brainscore(purpose: str) -> ModuleType:
    """Import ``brainscore_vision``.

    Parameters
    ----------
    purpose : str
        What it is needed for, the subject of the error's first sentence.

    Raises
    ------
    MissingFrameworkError
        If it is not installed, or does not import.
    """
    try:
        import brainscore_vision
    except Exception as error:  # an installation that is broken may raise anything
        raise MissingFrameworkError(
            f"{purpose} brainscore_vision, which could not be imported: {type(error).__name__}: {error}. "
            "Install or repair it with: pip install 'brain-adapters[brainscore]'"
        ) from error
    return brainscore_vision


def models_folder() -> Path | None:
    """Return the folder of Brain-Score's model plugins without importing Brain-Score; None if there is none."""
    loaded = sys.modules.get("brainscore_vision")
    if loaded is not None:  # a module that somebody made may not say where from
        file = getattr(loaded, "__file__", None)
    else:
        spec = importlib.util.find_spec("brainscore_vision")
        file = None if spec is None else spec.origin
    return None if file is None else Path(file).parent / "models"
