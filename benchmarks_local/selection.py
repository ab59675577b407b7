"""Find the layer of a model that predicts a region best."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.pca import PrincipalComponents

from .benchmark import NeuralBenchmark
from .errors import ScoringError
from .estimators import single_threaded
from .protocols import Extractor
from .verification import coordinate, verify_finite

__all__ = ["MAX_COMPONENTS", "LayerPCA", "LayerSelection", "layer_values", "reduced", "select_layer"]

MAX_COMPONENTS = 1000
_LAYERS_AT_ONCE = 8  # bounds the memory for activations that are not reduced yet


@dataclass(frozen=True)
class LayerSelection:
    """How well each layer predicts a region.

    Attributes
    ----------
    correlations : mapping of str to float
        Cross-validated Pearson r of each layer; NaN for a layer that does not vary with the stimuli.
    """

    correlations: Mapping[str, float]

    @property
    def best(self) -> str:
        """The layer with the highest r, the earlier one of equals."""
        return max(self.correlations, key=lambda layer: np.nan_to_num(self.correlations[layer], nan=-np.inf))


class LayerPCA:
    """A batch hook that reduces every layer to at most 1000 principal components.

    Brain-Score fits the components on 1000 photographs from ImageNet; here they come from generated stimuli, and there
    are at most as many components as stimuli, less one. Layers of up to 1000 features are left as they are.

    Parameters
    ----------
    extractor : Extractor
        Gives the activations.
    layers : sequence of str
        What to reduce.
    stimuli : StimulusTable
        What to fit the components on.
    """

    def __init__(self, extractor: Extractor, layers: Sequence[str], stimuli: Any) -> None:
        self._components: dict[str, Any] = {}
        for start in range(0, len(layers), _LAYERS_AT_ONCE):
            group = list(layers[start : start + _LAYERS_AT_ONCE])
            activations = extractor(stimuli, layers=group)
            for layer in group:
                values = layer_values(activations, layer)
                verify_finite(values, f"activations of layer {layer!r}")
                if values.shape[1] > MAX_COMPONENTS:
                    with single_threaded():
                        n_components = min(MAX_COMPONENTS, len(values) - 1)
                        self._components[layer] = PrincipalComponents(values.astype(np.float32), n_components)

    def __call__(self, batch: Mapping[str, Any]) -> Mapping[str, Any]:
        """Reduce the activations of one batch.

        Parameters
        ----------
        batch : mapping of str to array of shape (n_batch, ...)
            Activations of each layer.

        Returns
        -------
        OrderedDict of str to array of shape (n_batch, n_components)
            Flattened and reduced, the layers in the same order.
        """
        with single_threaded():
            return OrderedDict((layer, self._reduce(layer, np.asarray(values))) for layer, values in batch.items())

    def _reduce(self, layer: str, values: NDArray[Any]) -> NDArray[Any]:
        flat = values.reshape(len(values), -1)
        return self._components[layer].transform(flat) if layer in self._components else flat


def select_layer(
    extractor: Extractor, layers: Sequence[str], benchmark: NeuralBenchmark, stimuli: Any, pca_stimuli: Any
) -> LayerSelection:
    """Score every layer on a benchmark.

    Parameters
    ----------
    extractor : Extractor
        Gives the activations; its identifier and its hooks are left as they were found.
    layers : sequence of str
        The layers to choose from.
    benchmark : NeuralBenchmark
        The recordings to predict.
    stimuli : StimulusTable
        The benchmark's stimuli, placed on the model's screen.
    pca_stimuli : StimulusTable
        Other stimuli, to fit the principal components on.

    Returns
    -------
    LayerSelection
        Pearson r of each layer, in the order of ``layers``.

    Raises
    ------
    ScoringError
        When no layer varies with the stimuli, or a layer cannot be fitted.
    """
    with reduced(extractor, LayerPCA(extractor, layers, pca_stimuli)):
        activations = extractor(stimuli, layers=list(layers))
    correlations = {layer: _correlate(benchmark, layer, layer_values(activations, layer)) for layer in layers}
    if np.isnan(list(correlations.values())).all():
        raise ScoringError(
            f"None of the layers {', '.join(layers)} varies with the stimuli, so none predicts {benchmark.region}. "
            "Check the weights and the preprocessing: does the model see the images?"
        )
    return LayerSelection(correlations)


def layer_values(activations: Any, layer: str) -> NDArray[Any]:
    """Take one layer out of an assembly.

    Parameters
    ----------
    activations : xarray.DataArray
        Dims (presentation, neuroid), with a coordinate ``layer``.
    layer : str
        Which one.

    Returns
    -------
    array of shape (n_presentations, n_features)
        The layer's activations.

    Raises
    ------
    ScoringError
        When the assembly does not hold the layer.
    """
    names = coordinate(activations, "layer")
    if names is None or not (names == layer).any():
        raise ScoringError(
            f"Layer {layer!r} was asked for, but the activations do not contain it. "
            "Check that the forward pass runs this layer."
        )
    values: NDArray[Any] = activations.transpose("presentation", "neuroid").values
    return values[:, names == layer]


@contextmanager
def reduced(extractor: Extractor, hook: LayerPCA) -> Iterator[None]:
    """Let an extractor reduce its layers for a while, under an identifier of its own."""
    identifier = extractor.identifier
    handle = extractor.register_batch_activations_hook(hook)
    try:
        # Caches are keyed on the identifier: reduced activations must not be taken for the full ones.
        extractor.identifier = f"{identifier}-pca_{MAX_COMPONENTS}"
        yield
    finally:
        handle.remove()
        extractor.identifier = identifier


def _correlate(benchmark: NeuralBenchmark, layer: str, values: NDArray[Any]) -> float:
    try:
        return benchmark.correlate(values, strict=True).value
    except ScoringError as error:
        raise ScoringError(f"Layer {layer!r}: {error}") from error
