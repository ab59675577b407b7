"""The bridge to brainscore_vision: from a registered model to the brain model that Brain-Score scores."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from adapters.errors import MissingFrameworkError, ModelNotFoundError, UnsupportedModelError, listing

from .entry import ModelEntry
from .store import Registry, default_registry

__all__ = ["commit", "entry_of"]

_METHODS = ("visual_degrees", "start_recording", "start_task", "look_at")


def commit(entry: ModelEntry) -> Any:
    """Build a model as the ``BrainModel`` that Brain-Score's benchmarks take.

    Parameters
    ----------
    entry : ModelEntry
        A base model is put into Brain-Score's ``ModelCommitment`` with the options of its registration. A brain model
        is built and returned as it is, or, if it does not inherit from ``BrainModel``, behind an object that does.

    Returns
    -------
    BrainModel
        Regions that ``region_layer_map`` leaves out get the layer that is written beside Brain-Score's plugin of this
        identifier, if there is one, or else by Brain-Score's own layer selection.

    Raises
    ------
    MissingFrameworkError
        If brainscore_vision, which a base model needs for this, cannot be imported.
    LayerNotFoundError
        If the model lacks a layer of ``layers``, ``region_layer_map`` or ``behavioral_readout_layer``.
    UnsupportedModelError
        If a brain model lacks a method of ``BrainModel``.
    """
    if entry.kind == "brain":
        return _as_brain_model(entry, entry.build())
    brain_transformation = _import_brain_transformation(entry.identifier)
    extractor = entry.build()
    layers = entry.resolved_layers(extractor)
    readout = entry.behavioral_readout_layer
    known = {
        region: extractor.resolve_layers([chosen] if isinstance(chosen, str) else list(chosen))
        for region, chosen in (entry.region_layer_map or {}).items()
    }
    is_complete = all(region in known for region in brain_transformation.STANDARD_REGION_BENCHMARKS)
    model = brain_transformation.ModelCommitment(
        identifier=entry.identifier,
        activations_model=extractor,
        layers=layers,
        behavioral_readout_layer=None if readout is None else extractor.resolve_layers(readout)[-1],
        region_layer_map=known if is_complete else None,
        visual_degrees=entry.visual_degrees,
    )
    # Regions that are not known here come from the map that Brain-Score's server keeps beside a plugin, or else from
    # its layer selection: so it made its map itself, and the known regions are entered into that.
    model.layer_model.region_layer_map.update(known)
    return model


def entry_of(module: ModuleType, identifier: str) -> ModelEntry:
    """Return the entry that importing a module registered; what the files of a submission call.

    Parameters
    ----------
    module : module
        Registered the model, in the default registry or in a :class:`Registry` that is one of its variables.
    identifier : str
        Of the model.

    Returns
    -------
    ModelEntry
        Its entry.

    Raises
    ------
    ModelNotFoundError
        If the module registered no such model.
    """
    own = [value for value in vars(module).values() if isinstance(value, Registry)]
    for registry in (*own, default_registry):
        if identifier in registry:
            return registry[identifier]
    raise ModelNotFoundError(f"Module {module.__name__!r} registers no model {identifier!r}.")


def _import_brain_transformation(identifier: str) -> Any:
    try:
        from brainscore_vision.model_helpers import brain_transformation
    except Exception as error:  # an installation that is broken may raise anything
        raise MissingFrameworkError(
            f"Model {identifier!r} can be committed to brain regions only by brainscore_vision, which could not be "
            f"imported: {type(error).__name__}: {error}. Install it with: pip install 'brain-adapters[brainscore]'"
        ) from error
    return brain_transformation


def _as_brain_model(entry: ModelEntry, model: Any) -> Any:
    """Return an object of Brain-Score's class ``BrainModel`` that does what the model does; itself if it is one."""
    try:
        from brainscore_vision.model_interface import BrainModel
    except ImportError:  # there is no class to be of
        return model
    if isinstance(model, BrainModel):
        return model
    missing = [name for name in _METHODS if not callable(getattr(model, name, None))]
    if missing:
        raise UnsupportedModelError(
            f"Brain model {entry.identifier!r} ({entry.source}) returned {type(model)}, which has no method "
            f"{listing(missing)}; expected Brain-Score's BrainModel, or an object with {', '.join(_METHODS)}. "
            "Add what is missing; or register the model with @register_model, if it only gives activations."
        )

    class Delegating(BrainModel):
        """A brain model that leaves everything to an object that does not inherit from ``BrainModel``."""

        def __init__(self) -> None:
            self.visual_degrees, self.start_task, self.look_at = model.visual_degrees, model.start_task, model.look_at

        def start_recording(self, recording_target: str, time_bins: Any) -> None:
            # Benchmarks of one time bin give it as an array without dimensions that holds a tuple (brainscore_vision
            # 2.4.2); the interface promises a list of tuples.
            model.start_recording(recording_target, time_bins=[tuple(np.asarray(each).tolist()) for each in time_bins])

        @property
        def identifier(self) -> str:
            return str(getattr(model, "identifier", entry.identifier))

        def __getattr__(self, name: str) -> Any:
            return getattr(model, name)

    return Delegating()
