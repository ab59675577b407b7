"""A registered model, as data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import adapters
from adapters.errors import AdapterError, UnsupportedModelError

from .identifiers import check_identifier
from .source import Source, source_of
from .weights import Weights

__all__ = ["LayerChoice", "ModelEntry", "ModelOptionError"]

LayerChoice = Sequence[str] | Callable[[Any], Iterable[str]] | None


class ModelOptionError(AdapterError, ValueError):
    """An option of a registration has a value that cannot work."""


@dataclass(frozen=True)
class ModelEntry:
    """What the registry knows about one model. Nothing is built before :meth:`build` is called.

    Parameters
    ----------
    identifier : str
        Unique name; see :func:`registry.check_identifier`.
    function : callable
        Takes no arguments; returns a model, an extractor (``kind="base"``) or a brain model (``kind="brain"``).
    kind : {"base", "brain"}
        A base model gives activations; a brain model implements Brain-Score's ``BrainModel`` itself.
    layers : sequence of str, callable or None
        Names or globs of the layers to score, or a function from the extractor to such names; None for all.
    preprocessing : Preprocessing, callable or None
        As for :func:`adapters.wrap`.
    bibtex : str
        Reference of the model.
    visual_degrees : float
        Extent of the model's field of view, in degrees.
    behavioral_readout_layer : str or None
        Layer that behavior is read from; None for the last of ``layers``.
    region_layer_map : mapping or None
        From region (``"V1"``, ``"V2"``, ``"V4"``, ``"IT"``) to the layer, or layers, committed to it.
    weights : sequence of Weights
        Files on the web that the model needs; the function gets them with :meth:`Weights.fetch`.
    requirements : sequence of str
        Requirement lines which replace or complete the derived ones in a submission.
    batch_size : int
        Images per forward pass; an extractor that the function returns keeps its own.
    source : Source
        Where the function is written and registered; found out if not given.

    Raises
    ------
    IdentifierError, ModelOptionError
        If a value cannot work.
    """

    identifier: str
    function: Callable[[], Any]
    kind: Literal["base", "brain"] = "base"
    layers: LayerChoice = None
    preprocessing: Any = None
    bibtex: str = ""
    visual_degrees: float = 8
    behavioral_readout_layer: str | None = None
    region_layer_map: Mapping[str, str | Sequence[str]] | None = None
    weights: Sequence[Weights] = ()
    requirements: Sequence[str] = ()
    batch_size: int = 64
    source: Source = field(default_factory=Source, compare=False)

    def __post_init__(self) -> None:
        """Check the options and freeze the sequences among them."""
        check_identifier(self.identifier)
        if self.kind not in ("base", "brain"):
            self._refuse("kind", "'base' or 'brain'")
        if not isinstance(self.bibtex, str):
            self._refuse("bibtex", "a string, the model's reference in BibTeX")
        if self.behavioral_readout_layer is not None and not isinstance(self.behavioral_readout_layer, str):
            self._refuse("behavioral_readout_layer", "the name of one layer")
        if not _is_number(self.visual_degrees) or not 0 < self.visual_degrees < 9000:
            self._refuse("visual_degrees", "a number of degrees above 0, such as 8")
        if isinstance(self.batch_size, bool) or not isinstance(self.batch_size, int) or self.batch_size < 1:
            self._refuse("batch_size", "a whole number of images, 1 or more")
        if self.layers is not None and not callable(self.layers):
            self._freeze_strings("layers", "a list of layer names, such as ['features.5'], or a function")
        self._freeze_strings("requirements", "a list of requirement lines, such as ['timm==1.0.9']")
        if isinstance(self.weights, Weights) or not all(isinstance(item, Weights) for item in self.weights):
            self._refuse("weights", "a list of registry.Weights(url, sha256)")
        object.__setattr__(self, "weights", tuple(self.weights))
        self._check_region_layer_map()
        if self.source == Source():
            object.__setattr__(self, "source", source_of(self.function))

    def build(self) -> Any:
        """Call the function and return what it describes.

        Returns
        -------
        ActivationsExtractor or brain model
            For a base model an extractor that carries the identifier and the visual degrees; for a brain model the
            object that the function returned.

        Raises
        ------
        UnsupportedModelError, ModelOptionError
            If the function returns None; if it returns an extractor although ``preprocessing`` was given.
        """
        try:
            built = self.function()
            if built is None:
                raise UnsupportedModelError(
                    f"The function of model {self.identifier!r} ({self.source}) returned None; expected a model. "
                    "Is its 'return' missing?"
                )
            return built if self.kind == "brain" else self._extractor(built)
        except Exception as error:
            error.add_note(f"This happened while building model {self.identifier!r}, registered in {self.source}.")
            raise

    def resolved_layers(self, extractor: Any = None) -> list[str]:
        """Return the names that ``layers`` stands for, in the order in which they were given.

        Parameters
        ----------
        extractor : ActivationsExtractor, optional
            The built model. Built here when it is needed and not given: plain names need none.

        Returns
        -------
        list of str
            Names of layers; of all layers of a base model if none were chosen.

        Raises
        ------
        LayerNotFoundError
            If the model has no such layer.
        """
        if self.kind == "brain" or (extractor is None and self._has_plain_layers()):
            return [str(layer) for layer in self._listed_layers()]
        if extractor is None:
            extractor = self.build()
        if self.layers is None:
            return [str(layer) for layer in extractor.layers]
        chosen = self.layers(extractor) if callable(self.layers) else self.layers
        return list(extractor.resolve_layers(list(chosen)))

    def _listed_layers(self) -> Sequence[str]:
        return () if self.layers is None or callable(self.layers) else self.layers

    def _has_plain_layers(self) -> bool:
        layers = self._listed_layers()
        return bool(layers) and not any(character in layer for layer in layers for character in "*?[")

    def _extractor(self, built: Any) -> Any:
        if isinstance(built, adapters.ActivationsExtractor):
            if self.preprocessing is not None:
                raise ModelOptionError(
                    f"Model {self.identifier!r} was registered with preprocessing=, but its function returns an "
                    "extractor, which has a preprocessing of its own. Give it in one of the two places."
                )
            extractor = built
            extractor.identifier = self.identifier
        else:
            extractor = adapters.wrap(
                built, identifier=self.identifier, preprocessing=self.preprocessing, batch_size=self.batch_size
            )
        extractor.set_visual_degrees(self.visual_degrees)
        extractor.weights_files = tuple(each.describe() for each in self.weights)
        extractor.origin = self.source.origin(self.identifier)
        return extractor

    def _freeze_strings(self, option: str, expected: str) -> None:
        value = getattr(self, option)
        if isinstance(value, str) or not isinstance(value, Iterable):
            self._refuse(option, expected)
        items = tuple(value)
        if not all(isinstance(item, str) and item for item in items):
            self._refuse(option, expected)
        object.__setattr__(self, option, items)

    def _check_region_layer_map(self) -> None:
        if self.region_layer_map is None:
            return
        expected = "a mapping from region to layer, such as {'V4': 'features.5', 'IT': 'features.12'}"
        if not isinstance(self.region_layer_map, Mapping) or not self.region_layer_map:
            self._refuse("region_layer_map", expected)
        for region, layers in self.region_layer_map.items():
            names = [layers] if isinstance(layers, str) else list(layers or ())
            if not isinstance(region, str) or not names or not all(isinstance(name, str) for name in names):
                self._refuse("region_layer_map", expected)
        object.__setattr__(self, "region_layer_map", dict(self.region_layer_map))

    def _refuse(self, option: str, expected: str) -> None:
        raise ModelOptionError(
            f"Model {self.identifier!r} was registered with {option}={getattr(self, option)!r}; expected {expected}."
        )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
