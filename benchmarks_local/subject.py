"""Make an experimental subject of an extractor: choose the layer that stands for a region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .benchmark import NeuralBenchmark
from .candidate import Candidate, layers_to_fit
from .commitment import LocalBrainModel
from .mock import draw_stimuli
from .protocols import BrainModel, Extractor
from .selection import LayerSelection, select_layer

__all__ = ["Subject", "make_subject", "readout_subject"]

_PCA_STIMULI = range(1000, 1096)  # of the endless series; the benchmark shows the first few hundred


@dataclass(frozen=True)
class Subject:
    """A brain model with the grounds for its commitment.

    Attributes
    ----------
    model : LocalBrainModel
        The experimental subject.
    layer : str
        The layer, or layers joined by commas, that stands for the region.
    selection : LayerSelection or None
        How well each layer predicts the region; None when the model declares its layer.
    """

    model: LocalBrainModel
    layer: str
    selection: LayerSelection | None


def make_subject(
    candidate: Candidate, extractor: Extractor, layers: Sequence[str], benchmark: NeuralBenchmark, folder: Path
) -> Subject:
    """Choose the layer that predicts the benchmark's region best, unless the model declares one.

    Parameters
    ----------
    candidate : Candidate
        The model and what it declares.
    extractor : Extractor
        The model, built.
    layers : sequence of str
        The layers to choose from; the last is read out for behaviour, unless the model declares another.
    benchmark : NeuralBenchmark
        Recordings to choose by. Score on others: the best of many layers looks better than it is.
    folder : pathlib.Path
        Existing folder for stimulus files.

    Returns
    -------
    Subject
        The brain model.
    """
    selection = None
    if benchmark.region in candidate.region_layer_map:
        committed = candidate.region_layer_map[benchmark.region]
    else:
        fitted = layers_to_fit(candidate, extractor, layers, benchmark.region)
        placed = benchmark.place_on_screen(candidate.visual_degrees, _new(folder / "selection_on_screen"))
        pca_stimuli, _ = draw_stimuli(_new(folder / "pca"), _PCA_STIMULI)
        selection = select_layer(extractor, fitted, benchmark, placed, pca_stimuli)
        committed = selection.best
    model = LocalBrainModel(
        candidate.identifier,
        extractor,
        region_layer_map={benchmark.region: committed},
        behavioral_readout_layer=candidate.behavioral_readout_layer or layers[-1],
        visual_degrees=candidate.visual_degrees,
    )
    return Subject(model, committed if isinstance(committed, str) else ", ".join(committed), selection)


def readout_subject(candidate: Candidate, layer: str | None = None) -> tuple[BrainModel, str | None]:
    """Build what performs behavioral tasks: a brain model itself, or an extractor with the layer that is read out.

    Parameters
    ----------
    candidate : Candidate
        The model and what it declares.
    layer : str, optional
        The layer of an extractor; the one that the model declares, or else its last one, when None.

    Returns
    -------
    model : BrainModel
        The experimental subject.
    layer : str or None
        What is read out; None for a brain model, which chooses itself.
    """
    model = candidate.build()
    if candidate.is_brain_model:
        return model, None
    layer = layer or candidate.behavioral_readout_layer or candidate.layers(model)[-1]
    subject = LocalBrainModel(
        candidate.identifier,
        model,
        region_layer_map={},
        behavioral_readout_layer=layer,
        visual_degrees=candidate.visual_degrees,
    )
    return subject, layer


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder
