"""Read a file of the user's that registers models."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from adapters.errors import AdapterError

from .source import package_of
from .store import default_registry

__all__ = ["ModelsFileError", "load_models_file"]


class ModelsFileError(AdapterError, ImportError):
    """A file, or module, that should register models could not be imported."""


def load_models_file(path: str | Path) -> list[str]:
    """Import a Python file, or a module by its dotted name, and say which models it registered.

    As when Python runs a script, the file's folder goes to the front of ``sys.path``, so that modules beside it can be
    imported; a file inside a package is imported as a part of the package.

    Parameters
    ----------
    path : str or Path
        A ``.py`` file, or a dotted name such as ``"mylab.models"``.

    Returns
    -------
    list of str
        Identifiers in the default registry which come from there, in order of registration.

    Raises
    ------
    ModelsFileError
        If there is no such file or module, or it fails while it is imported.
    """
    before = dict(default_registry.items())
    module = _import(path)
    return [
        identifier
        for identifier, entry in default_registry.items()
        if before.get(identifier) is not entry
        or f"{entry.source.registering_module}.".startswith(f"{module.__name__}.")
    ]


def _import(path: str | Path) -> ModuleType:
    try:
        if Path(path).suffix == ".py" or "/" in str(path) or isinstance(path, Path):
            return _import_file(Path(path).absolute())
        return importlib.import_module(str(path))
    except ModelsFileError:
        raise
    except Exception as error:
        raise ModelsFileError(f"{path} could not be imported: {type(error).__name__}: {error}") from error


def _import_file(file: Path) -> ModuleType:
    if not file.is_file():
        raise ModelsFileError(
            f"There is no file {file}; expected a Python file that registers models with @register_model, "
            "or a dotted module name."
        )
    if file.suffix != ".py":
        raise ModelsFileError(f"{file} is no Python file; expected one whose name ends in '.py'.")
    root, name = package_of(file)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    if "." in name:
        loaded = sys.modules.get(name)
        return importlib.reload(loaded) if loaded is not None else importlib.import_module(name)
    return _execute(file, _free_name(name, file))


def _free_name(stem: str, file: Path) -> str:
    """Return the file's own name, or another one if that name means something else to Python already."""
    known = sys.modules.get(stem)
    if known is not None:
        is_free = getattr(known, "__file__", None) == str(file)
    else:
        spec = importlib.util.find_spec(stem)
        is_free = spec is None or spec.origin == str(file)
    return stem if is_free else f"{stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"


def _execute(file: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ModelsFileError(f"{file} cannot be imported as a Python module.")
    module = importlib.util.module_from_spec(spec)
    previous = sys.modules.get(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        if previous is None:
            del sys.modules[name]
        else:
            sys.modules[name] = previous
        raise
    return module
