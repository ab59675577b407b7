"""The extractor: what users call, and at the same time a complete Brain-Score ``activations_model``."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Literal

import numpy as np
import pandas as pd

from .assembly import LayerValues, assemble, neuroid_index, presentation_index
from .brainscore import as_neuroid_assembly
from .callables import Preprocess, as_preprocessing
from .collecting import Collected
from .contract import Adapter
from .decoding import Decoder, OnError
from .errors import listing, warn
from .guessing import guess_preprocessing, image_shape_of
from .layers import LOGITS, LayerRequest, Layers, resolve
from .microsaccades import spiral
from .planning import LayerCost, Plan, RunReport, WeightsFile, available_memory
from .presenting import Presented, present
from .progress import progress_bar
from .running import Run, Stopwatch
from .shapes import request_shapes
from .stimuli import as_stimuli
from .surface import BrainScoreSurface

__all__ = ["ActivationsExtractor"]


class ActivationsExtractor(BrainScoreSurface):
    """Reads labelled activations of any layers of one model for any stimuli.

    Made by `adapters.wrap`. No call leaves anything behind that another call could see, but for the batch size, which
    stays halved once the device ran out of memory.

    Parameters
    ----------
    adapter : Adapter
        Knows the model's framework.
    identifier : str, optional
        Name of the model; becomes the coordinate ``model``. Default: the class's name.
    preprocessing : Preprocessing or callable, optional
        Default: what travels with the model, else ImageNet's at the model's size, with a warning.
    batch_size : int
        Images per forward pass.

    Examples
    --------
    >>> import torch, adapters
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    >>> extractor = adapters.wrap(model, identifier="toy", preprocessing=adapters.raw(8))
    >>> list(extractor.layers)
    ['0', '1']
    >>> extractor(np.zeros((2, 8, 8, 3)), layers=["1"]).sizes["neuroid"]
    144
    """

    def __init__(
        self,
        adapter: Adapter,
        *,
        identifier: str | None = None,
        preprocessing: Any = None,
        batch_size: int = 64,
    ) -> None:
        super().__init__()
        self.adapter = adapter
        self.identifier = identifier or adapter.identifier
        self.batch_size = batch_size
        self._preprocessing: Preprocess | None = None if preprocessing is None else as_preprocessing(preprocessing)
        self.weights_files: tuple[WeightsFile, ...] = ()  # for plans; the registry knows them
        self._last_report: RunReport | None = None
        self._warned_of: set[str] = set()

    def __call__(
        self,
        stimuli: Any,
        layers: str | Sequence[str] | None = None,
        stimuli_identifier: str | bool | None = None,
        number_of_trials: int = 1,
        require_variance: bool = False,
        *,
        calls: Literal["last", "all"] | None = None,
        on_error: OnError = "raise",
        progress: bool | None = None,
    ) -> Any:
        """Run stimuli through the model and return the labelled values of layers.

        Parameters
        ----------
        stimuli : paths, folder, images, arrays, DataFrame or StimulusSet
            See `adapters.stimuli.as_stimuli`.
        layers : str or sequence of str, optional
            Names, globs (``features.*``), ``layer@2`` (third call), ``layer:0`` (part of a structured output) or
            ``'logits'``, the model's final output, which is the default.
        stimuli_identifier : str, optional
            Accepted for Brain-Score's callers; nothing is cached by name here.
        number_of_trials : int
            With ``require_variance``, how often each stimulus is shown, shifted by a microsaccade each time.
        require_variance : bool
            Whether repeated trials shall differ.
        calls : {'last', 'all'}, optional
            What the name of a layer that runs several times per pass stands for; ``'all'`` gives each call and a
            coordinate ``time_step``. The default is the last call, with one warning that there are more.
        on_error : {'raise', 'skip'}
            What to do about a stimulus that cannot be read; skipped ones are listed in `report`.
        progress : bool, optional
            Show a progress bar on stderr; by default only on a terminal.

        Returns
        -------
        xarray.DataArray
            Dims ``('presentation', 'neuroid')``, float32; presentations in the given order (trials of one stimulus
            next to each other), layers in the requested order. Brain-Score's ``NeuroidAssembly`` where
            ``brainscore_core`` is installed.

        Raises
        ------
        LayerNotFoundError, LayerNeverRanError, ActivationShapeError
            If a layer cannot be read.
        StimulusError
            If there are no stimuli or one cannot be read.
        ModelForwardError
            If the model raises; it is restored to how it was found.
        BudgetError
            If the result does not fit into memory.
        """
        _require_choice("calls", calls or "last", ("last", "all"))
        _require_choice("on_error", on_error, ("raise", "skip"))
        presented = self._present(stimuli, number_of_trials if require_variance else 1)
        watch, preprocess = Stopwatch(), self.preprocessing
        with watch.stage("prepare"):
            image_shape = image_shape_of(preprocess, self.adapter, presented.items)
            offered = self.adapter.layers(image_shape)
            requests = resolve(LOGITS if layers is None else layers, offered, calls=calls or "last")
            if calls is None:
                self._warn_of_repeats(requests, offered)
            shapes = request_shapes(self.adapter, requests, offered, image_shape)
            hooks = tuple(self._batch_activations_hooks.values())
            if not hooks:
                self._plan(presented, shapes, image_shape).require_fit()
        names = [request.requested for request in requests]
        collected = Collected(names, presented.n_rows, None if hooks else shapes)
        decoder = Decoder(
            presented.items,
            preprocess,
            self.batch_size,
            channel_axis=self.adapter.input.channel_axis,
            on_error=on_error,
        )
        pixels, degrees = self._shifts(presented.n_trials, image_shape) if require_variance else (None, None)
        run = Run(
            self.adapter,
            requests,
            collected,
            presented.rows,
            batch_limit=self.batch_size,
            channel_axis=self.adapter.input.channel_axis,
            shifts=pixels,
            hooks=hooks,
            stopwatch=watch,
        )
        with progress_bar(len(presented.items), self.identifier, progress) as advance:
            run.execute(decoder, image_shape, advance)
        self.batch_size = run.batch_limit
        with watch.stage("labels"):
            values, labels = presented.kept(collected, decoder.skipped)
            neuroid = neuroid_index(
                [LayerValues(r.requested, collected.shapes[r.requested], r.call) for r in requests],
                str(self.identifier),
            )
            presentation = presentation_index(labels, presented.shift_labels(pixels, degrees, len(labels)))
            assembly = as_neuroid_assembly(assemble(values, presentation, neuroid))
        self._last_report = RunReport(
            str(self.identifier),
            n_presentations=len(labels),
            n_images=(len(presented.items) - len(decoder.skipped)) * presented.n_trials,
            n_layers=len(requests),
            batch_size=self.batch_size,
            seconds=dict(watch.seconds),
            skipped=presented.describe(decoder.skipped),
        )
        return assembly

    @property
    def layers(self) -> Layers:
        """The layers that can be read, in execution order, with kind and output shape; prints as a table."""
        return self.adapter.layers(image_shape_of(self.preprocessing, self.adapter, ()))

    def resolve_layers(self, layers: str | Sequence[str]) -> list[str]:
        """Return the layer names that names and globs stand for.

        Raises
        ------
        LayerNotFoundError
            If one matches nothing.
        """
        return [request.requested for request in resolve(layers, self.layers)]

    @property
    def batch_size(self) -> int:
        """Images per forward pass."""
        return self._images_per_pass

    @batch_size.setter
    def batch_size(self, batch_size: int) -> None:
        if not isinstance(batch_size, Integral) or int(batch_size) < 1:
            raise ValueError(
                f"batch_size={batch_size!r} is no number of images. Use a whole number, 1 or more; 64 is the default."
            )
        self._images_per_pass: int = int(batch_size)

    @property
    def preprocessing(self) -> Preprocess:
        """What happens to an image before the model sees it; guessed with a warning when nobody said."""
        if self._preprocessing is None:
            self._preprocessing = self.adapter.preprocessing() or guess_preprocessing(self.adapter)
        return self._preprocessing

    def plan(self, stimuli: Any, layers: str | Sequence[str] | None = None, *, number_of_trials: int = 1) -> Plan:
        """Say what a call would read and cost, without running it.

        Parameters
        ----------
        stimuli, layers
            As in a call.
        number_of_trials : int
            Trials per stimulus, as with ``require_variance=True``.
        """
        presented = self._present(stimuli, number_of_trials)
        image_shape = image_shape_of(self.preprocessing, self.adapter, presented.items)
        offered = self.adapter.layers(image_shape)
        requests = resolve(LOGITS if layers is None else layers, offered)
        shapes = request_shapes(self.adapter, requests, offered, image_shape)
        return self._plan(presented, shapes, image_shape)

    def report(self) -> RunReport:
        """Say where the time of the last call went.

        Raises
        ------
        RuntimeError
            If there was no call yet.
        """
        if self._last_report is None:
            raise RuntimeError("There is no report yet: call the extractor on stimuli first.")
        return self._last_report

    def _present(self, stimuli: Any, n_trials: int) -> Presented:
        if isinstance(stimuli, pd.DataFrame):
            for hook in tuple(self._stimulus_set_hooks.values()):
                stimuli = hook(stimuli)
        return present(as_stimuli(stimuli), n_trials)

    def _plan(self, presented: Presented, shapes: dict[str, tuple[int, ...]], image_shape: tuple[int, ...]) -> Plan:
        sizes = {layer: int(np.prod(shape, dtype=np.int64)) for layer, shape in shapes.items()}
        return Plan(
            model=str(self.identifier),
            layers=tuple(
                LayerCost(layer, shapes[layer], size, 4 * size * presented.n_rows) for layer, size in sizes.items()
            ),
            n_presentations=presented.n_rows,
            n_images=len(presented.items) * presented.n_trials,
            batch_size=self.batch_size,
            image_bytes=4 * int(np.prod(image_shape, dtype=np.int64)),
            available_bytes=available_memory(),
            weights=self.weights_files,
        )

    def _warn_of_repeats(self, requests: Sequence[LayerRequest], layers: Layers) -> None:
        named = {request.name for request in requests if request.call is None and request.name in layers}
        repeated = sorted(name for name in named - self._warned_of if layers[name].n_calls > 1)
        if repeated:
            self._warned_of.update(repeated)
            n_calls = layers[repeated[0]].n_calls
            warn(
                f"{listing(repeated)} of {layers.model} run several times per forward pass; you get the last call. "
                f"Request '{repeated[0]}@0' ... '{repeated[0]}@{n_calls - 1}', or pass calls='all' for each, or "
                f"calls='last' if this is what you want."
            )

    def _shifts(self, n_trials: int, image_shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        n_rows = image_shape[1] if self.adapter.input.channel_axis == 1 else image_shape[0]
        return spiral(n_trials, n_rows, self.visual_degrees)

    def __repr__(self) -> str:
        return (
            f"ActivationsExtractor({self.identifier!r}, {self.adapter.framework}, "
            f"preprocessing={self._preprocessing or 'found at first use'}, batch_size={self.batch_size})"
        )


def _require_choice(option: str, given: object, choices: tuple[str, ...]) -> None:
    if given not in choices:
        raise ValueError(f"{option}={given!r} is unknown. Use one of: {', '.join(map(repr, choices))}.")
