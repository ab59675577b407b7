"""What is to be scored: a registered model, an extractor or a brain model, in one form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import registry as model_registry
from adapters.errors import UnsupportedModelError

from .errors import ScoringError, counted
from .metrics import N_COMPONENTS

__all__ = ["Candidate", "as_candidate", "layers_to_fit", "spread_layers"]

_N_SPREAD_LAYERS = 5


@dataclass(frozen=True)
class Candidate:
    """A model that can be built and scored.

    Attributes
    ----------
    identifier : str
        Name of the model.
    build : callable
        Returns the extractor, or the brain model.
    layers : callable
        Takes the extractor and returns the names of the layers to choose from.
    takes_all_layers : bool
        Whether nobody listed the layers, so that those which are too small to be fitted are left out, not refused.
    is_brain_model : bool
        Whether ``build`` returns a brain model, which has no layers to choose from.
    is_registered : bool
        Whether the model comes from a registry; then ``build`` makes a new one at each call.
    bibtex : str
        Reference of the model.
    visual_degrees : float
        Extent of the visual field, degrees.
    behavioral_readout_layer : str or None
        The layer that behaviour is read out from; None for the last of ``layers``.
    region_layer_map : mapping of str to str or sequence of str
        Commitments that were declared.
    """

    identifier: str
    build: Callable[[], Any]
    layers: Callable[[Any], list[str]] = field(default=lambda extractor: [])
    takes_all_layers: bool = False
    is_brain_model: bool = False
    is_registered: bool = False
    bibtex: str = ""
    visual_degrees: float = 8.0
    behavioral_readout_layer: str | None = None
    region_layer_map: Mapping[str, str | Sequence[str]] = field(default_factory=dict)


def as_candidate(model: Any, registry: Any = None) -> Candidate:
    """Recognise what is to be scored.

    Parameters
    ----------
    model : str, ModelEntry, extractor, brain model or Candidate
        An identifier is looked up in the registry; a candidate is returned as it is.
    registry : Registry, optional
        Where identifiers are looked up; the default registry when None.

    Returns
    -------
    Candidate
        The same model in one form.

    Raises
    ------
    ModelNotFoundError
        When no model is registered under the identifier.
    UnsupportedModelError
        When it is none of these.
    """
    if isinstance(model, Candidate):
        return model
    if isinstance(model, str):
        model = model_registry.get_entry(model) if registry is None else registry[model]
    if isinstance(model, model_registry.ModelEntry):
        return _from_entry(model)
    if hasattr(model, "look_at") and hasattr(model, "start_recording"):
        return Candidate(_identifier(model), build=lambda: model, is_brain_model=True)
    if callable(model) and hasattr(model, "register_batch_activations_hook"):
        degrees = getattr(model, "visual_degrees", None) or 8.0
        return Candidate(_identifier(model), build=lambda: model, layers=spread_layers, visual_degrees=float(degrees))
    raise UnsupportedModelError(
        f"{type(model)} cannot be scored; expected the identifier of a registered model, an extractor or a brain "
        "model. Make an extractor of a model with adapters.wrap(model); stored activations are scored by the folder of "
        "their store."
    )


def spread_layers(extractor: Any) -> list[str]:
    """Pick five layers, from early to late, of an extractor that comes without a choice of layers.

    Parameters
    ----------
    extractor : ActivationsExtractor
        Its ``layers`` tell the output shapes.

    Returns
    -------
    list of str
        Names in execution order; only layers with at least 25 features.

    Raises
    ------
    ScoringError
        When there is no such layer, or the extractor does not list its layers.
    """
    table = getattr(extractor, "layers", None)
    if table is None:
        raise ScoringError(
            f"{type(extractor).__name__} does not list its layers, so there are none to choose from. "
            "Register the model with @register_model(layers=[...]) and check its identifier."
        )
    names = _large_enough(extractor, table)
    n_picked = min(_N_SPREAD_LAYERS, len(names))
    last = len(names) - 1
    return [names[round(i * last / max(n_picked - 1, 1))] for i in range(n_picked)]


def layers_to_fit(candidate: Candidate, extractor: Any, layers: Sequence[str], region: str) -> list[str]:
    """Return the layers that are fitted to a region, to choose one of them.

    Parameters
    ----------
    candidate : Candidate
        The model and what it declares.
    extractor : ActivationsExtractor
        The model, built.
    layers : sequence of str
        What ``candidate.layers`` returned.
    region : str
        The region to choose a layer for.

    Returns
    -------
    list of str
        None when ``region_layer_map`` names the layer; else all layers, without the small ones if nobody listed them.

    Raises
    ------
    ScoringError
        When no layer is large enough.
    """
    if region in candidate.region_layer_map:
        return []
    return _large_enough(extractor, layers) if candidate.takes_all_layers else list(layers)


def _large_enough(extractor: Any, layers: Iterable[str]) -> list[str]:
    names = list(layers)
    large = [name for name in names if extractor.layers[name].n_neuroids >= N_COMPONENTS]
    if not large:
        raise ScoringError(
            f"The model has {counted(len(names), 'layer')}, none with {N_COMPONENTS} or more features, which PLS "
            "regression needs. A model has to have at least one such layer to be scored."
        )
    return large


def _from_entry(entry: model_registry.ModelEntry) -> Candidate:
    return Candidate(
        identifier=entry.identifier,
        build=entry.build,
        layers=entry.resolved_layers,
        takes_all_layers=entry.layers is None,
        is_brain_model=entry.kind == "brain",
        is_registered=True,
        bibtex=entry.bibtex,
        visual_degrees=float(entry.visual_degrees),
        behavioral_readout_layer=entry.behavioral_readout_layer,
        region_layer_map=entry.region_layer_map or {},
    )


def _identifier(model: Any) -> str:
    identifier = getattr(model, "identifier", None)
    return str(identifier) if identifier else type(model).__name__
