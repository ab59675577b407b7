"""The bridge to brainscore_vision: from a registered model to the brain model that Brain-Score scores."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from adapters.errors import MissingFrameworkError, ModelNotFoundError

from .entry import ModelEntry
from .store import Registry, default_registry

__all__ = ["commit", "entry_of"]


def commit(entry: ModelEntry) -> Any:
    """Build a model as the ``BrainModel`` that Brain-Score's benchmarks take.

    Parameters
    ----------
    entry : ModelEntry
        A base model is put into Brain-Score's ``ModelCommitment`` with the options of its registration; a brain model
        is built and returned as it is.

    Returns
    -------
    BrainModel
        Regions that ``region_layer_map`` leaves out get their layer by Brain-Score's own layer selection.

    Raises
    ------
    MissingFrameworkError
        If brainscore_vision, which a base model needs for this, cannot be imported.
    """
    if entry.kind == "brain":
        return entry.build()
    brain_transformation = _import_brain_transformation(entry.identifier)
    extractor = entry.build()
    layers = entry.resolved_layers(extractor)
    return brain_transformation.ModelCommitment(
        identifier=entry.identifier,
        activations_model=extractor,
        layers=layers,
        behavioral_readout_layer=entry.behavioral_readout_layer,
        region_layer_map=_region_layer_map(entry, extractor, layers, brain_transformation),
        visual_degrees=entry.visual_degrees,
    )


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
    except ImportError as error:
        raise MissingFrameworkError(
            f"Model {identifier!r} can be committed to brain regions only by brainscore_vision, which could not be "
            f"imported: {error}. Install it with: pip install 'brain-adapters[brainscore]'"
        ) from error
    return brain_transformation


def _region_layer_map(entry: ModelEntry, extractor: Any, layers: list[str], brain_transformation: Any) -> Any:
    if entry.region_layer_map is None:
        return None
    known = dict(entry.region_layer_map)
    benchmarks = brain_transformation.STANDARD_REGION_BENCHMARKS
    if all(region in known for region in benchmarks):
        return known
    selection = brain_transformation.LayerSelection(
        model_identifier=entry.identifier,
        activations_model=extractor,
        layers=layers,
        visual_degrees=entry.visual_degrees,
    )
    regions = brain_transformation.RegionLayerMap(layer_selection=selection, region_benchmarks=benchmarks)
    regions.update(known)
    return regions
