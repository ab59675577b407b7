"""One call of an extractor, resolved: what is shown, what is read of it, and how the values are labelled."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from .assembly import LayerValues, assemble, neuroid_index, presentation_index
from .brainscore import as_neuroid_assembly
from .callables import Preprocess
from .collecting import Collected
from .contract import Adapter
from .decoding import Decoder, OnError
from .errors import StimulusError
from .images import load_image
from .layers import LayerRequest
from .planning import RunReport
from .presenting import Presented
from .progress import progress_bar
from .running import BatchHook, Run, Sink, Stopwatch

__all__ = ["Call", "IntoMemory", "Shifts", "read_into_memory"]


@dataclass(frozen=True)
class Shifts:
    """How far each trial of a stimulus is moved.

    Parameters
    ----------
    pixels, degrees : array of shape (n_trials, 2)
        (x, y) per trial.
    """

    pixels: np.ndarray
    degrees: np.ndarray


@dataclass(frozen=True)
class Call:
    """Everything that a call asks for; `adapters.resolving.resolve_call` finds out what the user left open.

    Parameters
    ----------
    adapter : Adapter
        Knows the model.
    identifier : str
        The model's name, for labels.
    preprocess : Preprocess
        From a stimulus to the model's input.
    presented : Presented
        What runs, and which rows it fills.
    batch_size : int
        Images per forward pass.
    image_shape : tuple of int
        Of one preprocessed image.
    requests : tuple of LayerRequest
        What to read, in order.
    shapes : mapping of str to tuple of int
        Of each request per image, after its reduction.
    widest : int
        Values per image of the widest layer before its reduction: a batch of them exists for a moment.
    reductions : mapping of str to Reduction
        What is done to a layer on the device; layers that stay as they are have none.
    hooks : tuple of callable
        What users do to each batch on the host.
    shifts : Shifts, optional
        Of the trials; None shows every stimulus once, unmoved.
    on_error : {'raise', 'skip'}
        What a stimulus that cannot be read leads to.
    progress : bool, optional
        Whether to show a bar; None asks the terminal.
    """

    adapter: Adapter
    identifier: str
    preprocess: Preprocess
    presented: Presented
    batch_size: int
    image_shape: tuple[int, ...] = ()
    requests: tuple[LayerRequest, ...] = ()
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    widest: int = 0
    reductions: Mapping[str, Any] = field(default_factory=dict)
    hooks: tuple[BatchHook, ...] = ()
    shifts: Shifts | None = None
    on_error: OnError = "raise"
    progress: bool | None = None

    def decoder(self, items: Sequence[Any], load: Callable[[str], Image.Image] = load_image) -> Decoder:
        """Return what reads files with ``load`` and preprocesses items in batches."""
        axis = self.adapter.input.channel_axis
        return Decoder(items, self.preprocess, self.batch_size, channel_axis=axis, on_error=self.on_error, load=load)

    def neuroid_index(self, shapes: Mapping[str, tuple[int, ...]]) -> pd.MultiIndex:
        """Label the columns of the result."""
        layers = [LayerValues(r.requested, tuple(shapes[r.requested]), r.call) for r in self.requests]
        return neuroid_index(layers, self.identifier)

    def presentation_index(self, labels: pd.DataFrame) -> pd.MultiIndex:
        """Label the rows of the result, whose stimuli ``labels`` describes."""
        pixels, degrees = (None, None) if self.shifts is None else (self.shifts.pixels, self.shifts.degrees)
        return presentation_index(labels, self.presented.shift_labels(pixels, degrees, len(labels)))

    def report(self, watch: Stopwatch, n_presentations: int, batch_size: int, skipped: Mapping[int, Any]) -> RunReport:
        """Say where the time went."""
        return RunReport(
            self.identifier,
            n_presentations=n_presentations,
            n_images=(len(self.presented.items) - len(skipped)) * self.presented.n_trials,
            n_layers=len(self.requests),
            batch_size=batch_size,
            seconds=dict(watch.seconds),
            skipped=self.presented.describe(skipped),
        )

    def run(
        self,
        sink: Sink,
        rows: np.ndarray,
        watch: Stopwatch,
        *,
        names: Collection[str] | None = None,
        is_bound: bool = False,
    ) -> Run:
        """Return a pass of images through the model.

        Parameters
        ----------
        sink : Sink
            Where the values go.
        rows : array of shape (n_items, n_trials), int
            Rows that each decoded item fills.
        watch : Stopwatch
            Counts the time.
        names : collection of str, optional
            Requests to read; all by default.
        is_bound : bool
            Whether all batches have the same size; see `Run`.
        """
        wanted = {request.requested for request in self.requests} if names is None else set(names)
        return Run(
            self.adapter,
            [request for request in self.requests if request.requested in wanted],
            sink,
            rows,
            batch_limit=self.batch_size,
            channel_axis=self.adapter.input.channel_axis,
            shifts=None if self.shifts is None else self.shifts.pixels,
            hooks=self.hooks,
            reductions={name: each for name, each in self.reductions.items() if name in wanted},
            is_bound=is_bound,
            stopwatch=watch,
        )

    def advancing(self, n_images: int) -> Any:
        """Give, as a context, the function that is told how many more images are done."""
        n_values = sum(math.prod(shape) for shape in self.shapes.values()) * self.presented.n_trials
        return progress_bar(n_images, self.identifier, self.progress, image_bytes=4 * n_values)


class IntoMemory:
    """A call whose values stay in memory.

    Parameters
    ----------
    call : Call
        What is asked for.
    watch : Stopwatch
        Counts the time.
    """

    def __init__(self, call: Call, watch: Stopwatch) -> None:
        names = [request.requested for request in call.requests]
        self.call, self._watch = call, watch
        self._collected = Collected(names, call.presented.n_rows, None if call.hooks else call.shapes)
        self.run = call.run(self._collected, call.presented.rows, watch)

    def finish(self, skipped: Mapping[int, StimulusError]) -> tuple[Any, RunReport]:
        """Return the labelled values and where the time went, when all batches ran but those of skipped items."""
        call = self.call
        with self._watch.stage("labels"):
            values, labels = call.presented.kept(self._collected, skipped)
            index = call.neuroid_index(self._collected.shapes)
            assembly = as_neuroid_assembly(assemble(values, call.presentation_index(labels), index))
        return assembly, call.report(self._watch, len(labels), self.run.batch_limit, skipped)


def read_into_memory(call: Call, watch: Stopwatch) -> tuple[Any, RunReport]:
    """Run a call, and return the labelled values, in memory, and where the time went."""
    work, decoder = IntoMemory(call, watch), call.decoder(call.presented.items)
    with call.advancing(len(call.presented.items)) as advance:
        work.run.execute(decoder, call.image_shape, advance)
    return work.finish(decoder.skipped)
