"""Make a registered model again in another process: what workers of a distributed run call."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import Any

from .legacy import get_entry
from .loading import load_models_file
from .store import default_registry

__all__ = ["remake"]


def remake(identifier: str, module: str, file: str) -> Any:
    """Build a registered model, after importing what registers it.

    Parameters
    ----------
    identifier : str
        As registered.
    module, file : str
        Name and path of what registers it.

    Raises
    ------
    ModelsFileError
        If it cannot be imported.
    ModelNotFoundError
        If it does not register the model.
    """
    if identifier not in default_registry:  # looks among installed packages, too
        if module != "__main__" and _is_importable(module, file):
            importlib.import_module(module)
        else:
            load_models_file(file)
    return get_entry(identifier).build()


def _is_importable(module: str, file: str) -> bool:
    try:
        spec = find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return False
    # a file that was loaded by its path has a name that may mean something else here
    return spec is not None and ("." in module or spec.origin == file)
