"""Turn an extractor into an experimental subject: one layer stands for each region, one is read out for behaviour."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from adapters.errors import listing

from .behavioral import ProbabilitiesReadout, label_answers, odd_one_out_answers
from .errors import ScoringError
from .protocols import Extractor, TimeBins

__all__ = ["LocalBrainModel"]

Layers = str | Sequence[str]
_TASKS = ("probabilities", "label", "odd_one_out")
_LOGITS = ["logits"]  # the model's final output, whatever its layer is called


class LocalBrainModel:
    """A brain model made of an extractor and a commitment of layers to regions.

    Parameters
    ----------
    identifier : str
        Name of the model.
    extractor : Extractor
        Gives the activations.
    region_layer_map : mapping of str to str or sequence of str
        The layer, or layers, that stand for each region.
    behavioral_readout_layer : str or sequence of str
        The layer, or layers, that behaviour is read out from.
    visual_degrees : float
        Extent of the visual field, degrees.

    References
    ----------
    ``ModelCommitment`` of brainscore_vision 2.4.2.
    """

    def __init__(
        self,
        identifier: str,
        extractor: Extractor,
        *,
        region_layer_map: Mapping[str, Layers],
        behavioral_readout_layer: Layers,
        visual_degrees: float = 8.0,
    ) -> None:
        self.identifier = identifier
        self.region_layer_map = {region: _as_list(layers) for region, layers in region_layer_map.items()}
        self._extractor = extractor
        self._readout_layers = _as_list(behavioral_readout_layer)
        self._visual_degrees = visual_degrees
        self._answer: Callable[[Any], xr.DataArray] | None = None
        self._region: str | None = None
        self._time_bins: TimeBins = ()

    def visual_degrees(self) -> float:
        """Return the extent of the visual field, degrees."""
        return self._visual_degrees

    def start_recording(self, recording_target: str, time_bins: TimeBins) -> None:
        """Record from the layer that stands for a region from now on.

        Parameters
        ----------
        recording_target : str
            A region, e.g. ``"IT"``.
        time_bins : sequence of (int, int)
            Start and end of each time bin, ms. The model has no dynamics: each bin gets the same values.

        Raises
        ------
        ScoringError
            When no layer stands for the region, or there is no time bin.
        """
        if recording_target not in self.region_layer_map:
            raise ScoringError(
                f"No layer of {self.identifier} stands for region {recording_target!r}; there are layers for "
                f"{', '.join(self.region_layer_map) or 'no region'}. Add it to region_layer_map."
            )
        if len(time_bins) == 0:
            raise ScoringError("time_bins is empty; expected at least one (start, end) in ms, e.g. [(70, 170)].")
        self._region, self._time_bins, self._answer = recording_target, time_bins, None

    def start_task(
        self, task: str, fitting_stimuli: Any = None, *, aggregation: str = "mean", similarity: str = "dot"
    ) -> None:
        """Perform a task from now on, after learning it where it has to be learned.

        Parameters
        ----------
        task : str
            ``"probabilities"`` of labels that are learned now; ``"label"``, which names what the model's classification
            head says; or ``"odd_one_out"`` of every three stimuli.
        fitting_stimuli : StimulusTable, or labels
            For ``"probabilities"`` stimuli with a column ``image_label``. For ``"label"`` the labels to choose from:
            ``"imagenet"`` for its 1000 synsets, a list of labels that are made up of these, or a mapping of labels to
            columns of the logits. For ``"odd_one_out"`` nothing.
        aggregation : str
            For ``"label"``: ``"mean"`` or ``"max"`` of the probabilities of a label's classes.
        similarity : str
            For ``"odd_one_out"``: ``"dot"`` or ``"cosine"``.

        Raises
        ------
        NotImplementedError
            For every other task.
        ScoringError
            When the labels are missing.
        """
        if task not in _TASKS:
            raise NotImplementedError(
                f"Task {task!r} cannot be run locally; there are {listing([repr(each) for each in _TASKS])}. "
                "Use Brain-Score for the others."
            )
        if task == "odd_one_out":
            self._answer = lambda stimuli: self._find_odd(stimuli, similarity)
        elif fitting_stimuli is None:
            raise ScoringError(
                f"Task {task!r} was started without a second argument, expected "
                f"{'labelled stimuli' if task == 'probabilities' else 'the labels to choose from'}. Pass them."
            )
        elif task == "label":
            self._answer = lambda stimuli: label_answers(
                self._extractor(stimuli, layers=_LOGITS), fitting_stimuli, aggregation
            )
        else:
            features = self._extractor(fitting_stimuli, layers=self._readout_layers)
            readout = ProbabilitiesReadout().fit(features, fitting_stimuli["image_label"].values)
            self._answer = lambda stimuli: readout.predict(self._extractor(stimuli, layers=self._readout_layers))
        self._region = None

    def look_at(self, stimuli: Any, number_of_trials: int = 1) -> xr.DataArray:
        """Look at stimuli, and return what was last started: recordings or answers.

        Parameters
        ----------
        stimuli : StimulusTable
            Stimuli, placed on a screen of ``visual_degrees()``; to find the odd one out, every three in a row are a
            triplet.
        number_of_trials : int
            Ignored: the model answers the same every time.

        Returns
        -------
        xarray.DataArray
            Recordings, dims (presentation, neuroid) and, for several time bins, time_bin; probabilities, dims
            (presentation, choice); or choices, dims (choice, presentation): labels, or the stimulus id of the odd one
            of each triplet.

        Raises
        ------
        ScoringError
            When nothing was started.
        """
        if self._answer is not None:
            return self._answer(stimuli)
        if self._region is None:
            raise ScoringError(
                "Nothing was started, so there is nothing to return. Call start_recording or start_task."
            )
        activations = self._extractor(stimuli, layers=self.region_layer_map[self._region])
        regions = np.full(activations.sizes["neuroid"], self._region, dtype=object)
        return _in_time(activations.assign_coords(region=("neuroid", regions)), self._time_bins)

    def _find_odd(self, stimuli: Any, similarity: str) -> xr.DataArray:
        shown = list(stimuli["stimulus_id"])
        each_once = stimuli.drop_duplicates(subset=["stimulus_id"]).sort_values(by="stimulus_id")
        return odd_one_out_answers(self._extractor(each_once, layers=self._readout_layers), shown, similarity)


def _as_list(layers: Layers) -> list[str]:
    return [layers] if isinstance(layers, str) else list(layers)


def _in_time(activations: xr.DataArray, time_bins: TimeBins) -> xr.DataArray:
    starts, ends = (np.array(edges) for edges in zip(*time_bins, strict=True))
    if len(time_bins) == 1:
        return activations.assign_coords(time_bin_start=starts[0], time_bin_end=ends[0])
    repeated = activations.expand_dims(time_bin=len(time_bins), axis=-1)
    return repeated.assign_coords(time_bin_start=("time_bin", starts), time_bin_end=("time_bin", ends))
