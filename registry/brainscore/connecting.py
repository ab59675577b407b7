"""From the registry to Brain-Score: ``brainscore_vision.load_model`` finds registered models."""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from adapters.errors import AdapterWarning, DuplicateModelError, did_you_mean

from ..commitment import commit
from ..store import Registry, default_registry
from .installed import import_brainscore, models_folder
from .plugins import find_plugins

__all__ = ["connect_brainscore", "disconnect_brainscore"]

_FOLDER = "brain_adapters"  # of the plugin that Brain-Score is told of; there is no such folder
_MODULES = (f"brainscore_vision.models.{_FOLDER}", f"brainscore_vision.models.{_FOLDER}.model")


@dataclass(frozen=True)
class _Committed:
    """What Brain-Score's ``model_registry`` holds for a model: a callable that builds it when it is asked for."""

    models: Registry
    identifier: str

    def __call__(self) -> Any:
        return commit(self.models[self.identifier])


def connect_brainscore(registry: Registry | None = None) -> None:
    """Make registered models visible to Brain-Score, in this process: ``brainscore_vision.load_model("my_model")``.

    Scoring by ``brainscore_vision.score(model_identifier=..., benchmark_identifier=...)`` and
    ``brainscore_vision.load_model_bibtex`` find them, too. Models that are registered later are seen as well, and so
    are those of installed packages (entry point group ``brain_adapters.models``). No file is written. Called again,
    it connects the registry that is given then.

    Parameters
    ----------
    registry : Registry, optional
        Where the models are; the default registry if not given.

    Raises
    ------
    MissingFrameworkError
        If ``brainscore_vision`` cannot be imported.

    Warns
    -----
    AdapterWarning
        If ``BS_INSTALL_DEPENDENCIES=newenv`` makes Brain-Score score in other processes, which know none of the models.

    Notes
    -----
    Three things are touched, and put back by :func:`disconnect_brainscore`. ``ImportPlugin.locate_plugin`` of
    ``brainscore_core``, the search for a plugin's folder, answers with the name of a module that exists in memory only
    (two entries of ``sys.modules``) if a model is registered here; and at that moment the model is entered into
    ``brainscore_vision.model_registry``. A model whose identifier a plugin of Brain-Score has already is refused when
    it is loaded: scores and caches go by the identifier.

    From a shell, with the file that registers the models:
    ``python -m registry.brainscore my_models.py score --model_identifier=... --benchmark_identifier=...``
    """
    import_brainscore("Registered models are shown to")
    from brainscore_core.plugin_management.import_plugin import ImportPlugin

    disconnect_brainscore()
    models = default_registry if registry is None else registry
    ImportPlugin.locate_plugin = _locating(models, ImportPlugin.locate_plugin)
    package, module = (ModuleType(name, "Models registered by brain-adapters.") for name in _MODULES)
    package.model = module  # type: ignore[attr-defined]
    module.get_bibtex = lambda identifier: models[identifier].bibtex  # type: ignore[attr-defined]
    sys.modules.update(zip(_MODULES, (package, module), strict=True))
    if os.environ.get("BS_INSTALL_DEPENDENCIES") == "newenv":
        warnings.warn(
            "BS_INSTALL_DEPENDENCIES=newenv lets Brain-Score score in a new conda environment, which knows no models "
            "of this process. Set it to 'no' to score them here.",
            AdapterWarning,
            stacklevel=2,
        )


def disconnect_brainscore() -> None:
    """Undo :func:`connect_brainscore`; without a connection nothing happens."""
    importing = sys.modules.get("brainscore_core.plugin_management.import_plugin")
    original = getattr(getattr(importing, "ImportPlugin", None), "locate_plugin", None)
    original = getattr(original, "before_connecting", None)
    if importing is None or original is None:
        return
    importing.ImportPlugin.locate_plugin = original
    for name in _MODULES:
        sys.modules.pop(name, None)
    known = sys.modules["brainscore_vision"].model_registry
    for identifier in [key for key, value in known.items() if isinstance(value, _Committed)]:
        del known[identifier]


def _locating(models: Registry, original: Callable[[Any], str]) -> Callable[[Any], str]:
    @functools.wraps(original)
    def locate_plugin(importer: Any) -> str:
        if importer.plugins_dir != models_folder():
            return original(importer)
        if importer.identifier not in models:
            try:
                return original(importer)
            except AssertionError as error:  # no plugin either
                error.add_note(
                    f"It is no registered model, either. {did_you_mean(importer.identifier, models)}".strip()
                )
                raise
        _refuse_second(importer.identifier, models)
        known = sys.modules["brainscore_vision"].model_registry
        known[importer.identifier] = _Committed(models, importer.identifier)
        return _FOLDER

    locate_plugin.before_connecting = original  # type: ignore[attr-defined]
    return locate_plugin


def _refuse_second(identifier: str, models: Registry) -> None:
    folder = find_plugins().get(identifier)
    if folder is not None:
        raise DuplicateModelError(
            f"Model {identifier!r} is registered by {models[identifier].source} and by Brain-Score's plugin in "
            f"{folder}; its scores and caches go by the identifier. Give yours another one, for example "
            f"{identifier + '_v2'!r}, or call unregister({identifier!r}) to load Brain-Score's."
        )
