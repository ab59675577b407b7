"""The steps of the check, in Brain-Score's order. Each returns what it found, or raises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from adapters.errors import listing

from .candidate import Candidate, layers_to_fit
from .errors import ScoringError, counted
from .metrics import N_COMPONENTS
from .mock import draw_stimuli, mock_benchmark
from .protocols import BrainModel
from .scores import Score
from .selection import layer_values
from .stability import Stability, differing_layers, is_same, read_again
from .subject import make_subject
from .verification import verify_finite, verify_probabilities

__all__ = ["CheckSteps"]

_N_PROBES = 4
_N_HELD_OUT = 32
_REGIONS = ("V1", "V2", "V4", "IT")  # the recording targets of brainscore_vision 2.4.2


class CheckSteps:
    """The steps, and what one leaves for the next.

    Parameters
    ----------
    candidate : Candidate
        The model to check.
    folder : pathlib.Path
        Existing folder for stimulus files.
    warnings : list of str
        Where to put what could be better.
    """

    def __init__(self, candidate: Candidate, folder: Path, warnings: list[str]) -> None:
        self.layer: str | None = None
        self.score: Score
        self._candidate = candidate
        self._folder = folder
        self._warnings = warnings
        self._models: list[Any] = []
        self._layers: list[str] = []
        self._fitted: list[str] = []
        self._is_noisy = False

    def check_registration(self) -> str:
        """Look at what was declared."""
        candidate = self._candidate
        if not candidate.is_registered:
            kind = "a brain model" if candidate.is_brain_model else "an extractor"
            return f"{kind}, not registered: there is no registration to look at"
        if not candidate.bibtex.strip():
            self._warnings.append("there is no bibtex, so nobody will be cited. Pass bibtex=... to register_model.")
        elif "url" not in candidate.bibtex.lower() and "doi" not in candidate.bibtex.lower():
            self._warnings.append("the bibtex has neither url nor doi, and Brain-Score needs one. Add it.")
        unknown = [region for region in candidate.region_layer_map if region not in _REGIONS]
        if unknown:
            self._warnings.append(
                f"region_layer_map names {listing(unknown)}, which no benchmark records from. The regions are "
                f"{', '.join(_REGIONS)}."
            )
        return f"{candidate.identifier}, {candidate.visual_degrees:g} visual degrees"

    def build_twice(self) -> str:
        """Build the model twice, as Brain-Score does."""
        self._models = [self._candidate.build(), self._candidate.build()]
        return f"{type(self._models[0]).__name__}, built two times"

    def build_once(self) -> str:
        """Take the object as it is."""
        self._models = [self._candidate.build()]
        return f"{type(self._models[0]).__name__}, as it was given"

    def read_layers(self) -> str:
        """Read every layer for a few stimuli, also in reversed order and one by one."""
        self._layers = self._candidate.layers(self._models[-1])
        self._fitted = layers_to_fit(self._candidate, self._models[-1], self._layers, "IT")
        probes, _ = draw_stimuli(self._folder, range(_N_PROBES))
        names = list(dict.fromkeys([*self._layers, *self._committed_layers()]))
        activations = [model(probes, layers=names) for model in self._models]
        sizes = {name: self._read(activations[-1], name) for name in names}
        stability = read_again(self._models[-1], probes, names, activations[-1])
        self._judge(stability)
        steady = [name for name in names if name not in stability.noisy]
        if len(activations) == 2 and differing_layers(activations[0], activations[1], steady):
            self._warnings.append(
                "building the model twice gave different activations, so that every run scores another model. "
                "Load trained weights, or set the seed inside the function."
            )
        del self._models[:-1]
        found = listing([f"{name!r} with {counted(n_features, 'feature')}" for name, n_features in sizes.items()])
        n_left_out = len(self._layers) - len(self._fitted) if self._fitted else 0
        if not n_left_out:
            return found
        return f"{found}; {n_left_out} with fewer than {N_COMPONENTS} features left out of the selection"

    def draw_and_place(self) -> str:
        """Generate the stimuli and place them on the model's screen."""
        degrees = self._visual_degrees()
        self._selection = mock_benchmark(self._folder, part="selection")
        self._scoring = mock_benchmark(self._folder, part="scoring")
        on_screen = self._folder / "on_screen"
        on_screen.mkdir()
        self._placed = self._scoring.place_on_screen(degrees, on_screen)
        n_stimuli, shown = len(self._placed), f"of {self._scoring.visual_degrees:g} degrees"
        if degrees == self._scoring.visual_degrees:
            return f"{n_stimuli} stimuli {shown} fill the screen"
        how = "padded with grey" if degrees > self._scoring.visual_degrees else "cropped around the centre"
        return f"{n_stimuli} stimuli {shown}, {how} for a screen of {degrees:g} degrees"

    def commit(self) -> str:
        """Choose the layer that stands for IT."""
        subject = make_subject(self._candidate, self._models[-1], self._layers, self._selection, self._folder)
        self._models, self.layer = [subject.model], subject.layer
        if subject.selection is None:
            return f"{self.layer}, as region_layer_map says"
        best = subject.selection.best
        return f"{best} (r = {subject.selection.correlations[best]:.2f})"

    def record(self) -> str:
        """Record from IT, and look through the recordings."""
        self._recordings = self._scoring.record(self._brain_model(), self._placed)
        n_stimuli, n_neuroids = (self._recordings.sizes[dim] for dim in ("presentation", "neuroid"))
        if not self._is_noisy:
            self._look_again()
        return f"{n_stimuli} presentations x {n_neuroids:,} neuroids, all finite"

    def perform_task(self) -> str:
        """Learn the objects from labelled stimuli, and tell them in others."""
        model, stimuli = self._brain_model(), self._scoring.stimuli
        fitting, held_out = stimuli.iloc[:-_N_HELD_OUT], self._placed.iloc[-_N_HELD_OUT:]
        try:
            model.start_task("probabilities", fitting)
        except NotImplementedError:
            self._warnings.append(
                "the model cannot do the probabilities task: behavioral benchmarks will have no score."
            )
            return "the model has no behavior"
        probabilities = model.look_at(held_out)
        verify_probabilities(probabilities, held_out, list(fitting["image_label"]))
        values = probabilities.transpose("presentation", "choice").values
        chosen = probabilities["choice"].values[values.argmax(axis=1)]
        n_right = int((chosen == held_out["image_label"].values).sum())
        return (
            f"{values.shape[1]} objects learned; {n_right} of {len(held_out)} new stimuli recognised "
            f"(chance {len(held_out) / values.shape[1]:g})"
        )

    def compare(self) -> str:
        """Score the recordings."""
        attrs = {"model": self._candidate.identifier, "layer": self.layer}
        self.score = self._scoring.compare(self._recordings, strict=True, **attrs)
        if not np.isfinite(self.score.value):
            raise ScoringError(
                f"The score is {self.score.value}, because the activations do not vary with the stimuli. "
                "Check the weights and the preprocessing: does the model see the images?"
            )
        return str(self.score)

    def _brain_model(self) -> BrainModel:
        model: BrainModel = self._models[-1]
        return model

    def _visual_degrees(self) -> float:
        if not self._candidate.is_brain_model:
            return self._candidate.visual_degrees
        degrees = float(self._brain_model().visual_degrees())
        if not 0 < degrees < 9000:
            raise ScoringError(
                f"visual_degrees() returned {degrees:g}, expected a number between 0 and 9000. A usual value is 8."
            )
        return degrees

    def _readout_layer(self) -> str:
        return self._candidate.behavioral_readout_layer or self._layers[-1]

    def _committed_layers(self) -> list[str]:
        committed = [self._readout_layer()]
        for layers in self._candidate.region_layer_map.values():
            committed += [layers] if isinstance(layers, str) else layers
        return committed

    def _read(self, activations: xr.DataArray, layer: str) -> int:
        values = layer_values(activations, layer)
        verify_finite(values, f"activations of layer {layer!r}")
        if layer in self._fitted and values.shape[1] < N_COMPONENTS:
            raise ScoringError(
                f"Layer {layer!r} has {counted(values.shape[1], 'feature')}, but PLS regression with {N_COMPONENTS} "
                f"components, with which Brain-Score maps layers to regions, needs at least {N_COMPONENTS}. Take it "
                "out of layers."
            )
        return values.shape[1]

    def _judge(self, stability: Stability) -> None:
        """Refuse layers that depend on the batch, and warn of the others that are not as they should be."""
        if stability.dependent:
            raise ScoringError(
                f"{_layers(stability.dependent)}: the same stimulus gave other values in another batch or order. "
                "Put the model into evaluation mode, and use no statistics over the batch: Brain-Score fills batches "
                "up with copies of the last stimulus, which would change the values."
            )
        if stability.noisy:
            self._is_noisy = True
            self._warnings.append(
                f"{_layers(stability.noisy)}: two identical calls gave different values, so that scores will vary. "
                "Put the model into evaluation mode, unless it is meant to be noisy."
            )
        if stability.constant:
            self._warnings.append(
                f"{_layers(stability.constant)}: the values are the same for all {_N_PROBES} stimuli, so that nothing "
                "can be predicted from them. Check the weights and the preprocessing, or list other layers."
            )

    def _look_again(self) -> None:
        """Show a few stimuli in reverse: a stimulus should not depend on its neighbours, nor on when it is shown."""
        again = self._brain_model().look_at(self._placed.iloc[:_N_PROBES].iloc[::-1])
        before = self._recordings.isel(presentation=slice(_N_PROBES - 1, None, -1))
        if not is_same(before.values, again.values):
            self._warnings.append(
                "the same stimuli in another order gave different activations. Put the model into evaluation mode, "
                "unless it is meant to be noisy."
            )


def _layers(names: list[str]) -> str:
    return f"{'layer' if len(names) == 1 else 'layers'} {listing(names)}"
