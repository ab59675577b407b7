"""From Brain-Score to the registry: the models that ``brainscore_vision`` brings along as plugins."""

from __future__ import annotations

import fnmatch
import importlib
import inspect
import os
import re
from pathlib import Path
from typing import Any

from adapters.callables import PathsPreprocessing
from adapters.errors import AdapterError, ModelNotFoundError, did_you_mean
from adapters.model_tools import PytorchWrapper

from .installed import import_brainscore, models_folder

__all__ = ["PluginError", "find_plugins", "list_plugins", "load_plugin", "plugin_bibtex", "plugin_layers"]

_REGISTRATION = re.compile(r"""^[^#\n]*?\bmodel_registry\[(['"])(.+?)\1\]\s*=""", re.MULTILINE)
# What a subclass of Brain-Score's PytorchWrapper overrides when its values are not simply those of the module's layers.
_READS_LAYERS = ("__call__", "get_layer", "register_hook", "_output_layer")


class PluginError(AdapterError, ImportError):
    """A model plugin of Brain-Score cannot be imported, or does not register what its text says."""


def find_plugins() -> dict[str, Path]:
    """Find the models of Brain-Score by reading its plugins as text, as Brain-Score does; nothing is imported.

    Returns
    -------
    dict of str to Path
        Folder of the plugin that registers each identifier; empty where ``brainscore_vision`` is not installed.
    """
    folder = models_folder()
    found: dict[str, Path] = {}
    for file in sorted(folder.glob("[!._]*/__init__.py")) if folder is not None else ():
        text = file.read_text(encoding="utf-8", errors="replace")
        found.update({match[2]: file.parent for match in _REGISTRATION.finditer(text)})
    return found


def list_plugins(pattern: str = "*") -> list[str]:
    """Return the identifiers of Brain-Score's models that match a pattern, sorted.

    Raises
    ------
    MissingFrameworkError
        If ``brainscore_vision`` cannot be imported.
    """
    import_brainscore("The models of Brain-Score come with")
    return sorted(fnmatch.filter(find_plugins(), pattern) if pattern != "*" else find_plugins())


def load_plugin(identifier: str) -> Any:
    """Load a model of Brain-Score.

    Parameters
    ----------
    identifier : str
        As Brain-Score's plugin registers it.

    Returns
    -------
    ActivationsExtractor or BrainModel
        An extractor of the plugin's PyTorch module, with the plugin's identifier, preprocessing and visual degrees.
        Where the plugin reads its activations in a way of its own, or is no PyTorch model: Brain-Score's
        ``BrainModel``, as ``brainscore_vision.load_model`` returns it.

    Raises
    ------
    ModelNotFoundError
        If no plugin registers the identifier.
    PluginError
        If the plugin cannot be imported.
    MissingFrameworkError
        If ``brainscore_vision`` cannot be imported.

    Notes
    -----
    Brain-Score installs what a plugin requires at each load, and does not say so. Here this is done only if the
    environment variable ``BS_INSTALL_DEPENDENCIES`` is ``yes``.
    """
    model = _brain_model(identifier)
    wrapper = _plain_wrapper(getattr(model, "activations_model", None))
    if wrapper is None:
        return model
    extractor = PytorchWrapper(
        wrapper._model,
        PathsPreprocessing(wrapper._extractor.preprocess),
        identifier=identifier,
        forward_kwargs=wrapper._forward_kwargs,
        batch_size=wrapper._extractor._batch_size,
    )
    extractor.set_visual_degrees(model.visual_degrees())
    return extractor


def plugin_layers(identifier: str) -> list[str]:
    """Return the layers that may stand for brain regions; empty if the plugin, which is loaded, names none."""
    return [str(layer) for layer in getattr(_brain_model(identifier), "layers", None) or ()]


def plugin_bibtex(identifier: str) -> str:
    """Return the reference of a model of Brain-Score, empty if its plugin, which is imported, has none."""
    return import_brainscore("The models of Brain-Score come with").load_model_bibtex(identifier) or ""


def _brain_model(identifier: str) -> Any:
    brainscore_vision = import_brainscore(f"Model {identifier!r} is a plugin of")
    plugins = find_plugins()
    if identifier not in plugins:
        hint = did_you_mean(identifier, plugins)
        raise ModelNotFoundError(
            f"None of the {len(plugins)} models of Brain-Score is called {identifier!r}. {hint} "
            "List them with list_models(source='brainscore')."
        )
    _import_plugin(identifier, plugins[identifier])
    if identifier not in brainscore_vision.model_registry:
        raise PluginError(
            f"The plugin in {plugins[identifier]} names model {identifier!r}, but did not register it when it was "
            "imported. Is its registration inside a condition? Look into its __init__.py."
        )
    try:
        return brainscore_vision.model_registry[identifier]()
    except Exception as error:
        error.add_note(
            f"This happened while Brain-Score's plugin in {plugins[identifier]} built model {identifier!r}; weights "
            "are often downloaded at this point."
        )
        raise


def _import_plugin(identifier: str, folder: Path) -> None:
    if os.environ.get("BS_INSTALL_DEPENDENCIES") == "yes":
        from brainscore_core.plugin_management.import_plugin import ImportPlugin

        ImportPlugin("brainscore_vision", "models", identifier).install_requirements()
    try:
        importlib.import_module(f"brainscore_vision.models.{folder.name}")
    except Exception as error:
        raise PluginError(
            f"Brain-Score's plugin of model {identifier!r} could not be imported: {type(error).__name__}: {error}. "
            f"{_advise(folder)}"
        ) from error


def _advise(folder: Path) -> str:
    requirements = folder / "requirements.txt"
    if requirements.is_file():
        return f"Install what it requires: pip install -r {requirements}, or set BS_INSTALL_DEPENDENCIES=yes."
    if (folder / "setup.py").is_file():
        return f"Install what it requires: pip install {folder}, or set BS_INSTALL_DEPENDENCIES=yes."
    return f"It lists no requirements; look into {folder}."


def _plain_wrapper(activations_model: Any) -> Any:
    """Return Brain-Score's ``PytorchWrapper`` if all that it does is to read a module's layers; None otherwise."""
    from brainscore_vision.model_helpers.activations.core import ActivationsExtractorHelper
    from brainscore_vision.model_helpers.activations.pytorch import PytorchWrapper as TheirWrapper

    if not isinstance(activations_model, TheirWrapper):  # disable_activation_caching puts an object around it
        activations_model = getattr(activations_model, "_wrapper", None)
    if not isinstance(activations_model, TheirWrapper):
        return None
    extractor, kind = activations_model._extractor, type(activations_model)
    reads_plainly = getattr(extractor.get_activations, "__func__", None) is TheirWrapper.get_activations and all(
        inspect.getattr_static(kind, name) is inspect.getattr_static(TheirWrapper, name) for name in _READS_LAYERS
    )
    has_hooks = extractor._batch_activations_hooks or extractor._stimulus_set_hooks
    is_plain = reads_plainly and type(extractor) is ActivationsExtractorHelper and not has_hooks
    return activations_model if is_plain else None
