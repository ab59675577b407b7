"""The extractor: what users call, and at the same time a complete Brain-Score ``activations_model``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any, Literal

import pandas as pd

from .budgeting import plan_of
from .callables import Preprocess, as_preprocessing
from .calls import Call, Shifts, read_into_memory
from .contract import Adapter
from .decoding import OnError
from .guessing import guess_preprocessing, image_shape_of
from .keying import model_key
from .layers import Layers, resolve
from .microsaccades import spiral
from .planning import Plan, RunReport, WeightsFile
from .presenting import present
from .rates import with_forecast
from .reductions import fitted_for
from .resolving import resolve_call
from .running import Stopwatch
from .stimuli import as_stimuli
from .storing import distribution_of, find_store, read_through_store
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
    >>> import numpy as np, torch, adapters
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
        self.origin: Any = None  # how another process makes it again; the registry knows that, too
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
        reduce: Any = None,
        store: Any = None,
        memory: str | int | None = None,
        engine: Any = None,
        workers: int | None = None,
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
        reduce : reduction, or mapping of layer to one, optional
            What is done to values before they leave the device: ``'mean'``, ``'max'``, ``'cls'``, ``'tokens'``, a
            `Reduction`, or a function of the framework's array. See `adapters.reductions`.
        store : path or ActivationStore, optional
            Keep the values there, and read them from there if they are the very same; the result is then read when it
            is used. Default: the environment variable ``BRAIN_ADAPTERS_STORE``, else nothing is kept; False, too.
        memory : str or int, optional
            The most that this process, or each worker, may take, as ``"4GB"`` or in bytes.
        engine : str or Engine, optional
            Who computes what the store lacks: ``"local"`` (processes), ``"ray"``, ``"dask"``, ``"torchrun"``,
            ``"slurm"``, or an object of `adapters.engines`. Default: this process.
        workers : int, optional
            How many, with ``engine``. Default: one per GPU that is seen, else a few.

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
        EngineError
            If workers cannot finish; what they finished stays in the store.
        """
        place, watch = find_store(store), Stopwatch()
        fits = None if place is None else place.root / "v1" / "fits"
        reduce = fitted_for(reduce, self, layers, calls=calls, folder=fits)
        who = distribution_of(engine, workers, place, origin=self.origin, reduce=reduce)
        n_trials = number_of_trials if require_variance else 1
        with watch.stage("prepare"):
            call = self._resolve(
                stimuli, layers, n_trials, calls=calls, reduce=reduce, on_error=on_error, progress=progress
            )
            if require_variance:
                call = replace(call, shifts=self._shifts(n_trials, call.image_shape))
        if place is not None:
            assembly, self._last_report = read_through_store(call, place, watch, memory=memory, distribution=who)
        else:
            if not call.hooks:
                plan_of(call, memory=memory).require_fit()
            assembly, self._last_report = read_into_memory(call, watch)
        if memory is None and (place is None or place.policy == "exact"):  # else it was chosen for this call alone
            self.batch_size = self._last_report.batch_size
        return assembly

    def to_store(self, stimuli: Any, layers: str | Sequence[str] | None, path: Any, **options: Any) -> Any:
        """Stream the values of layers to a store while the model runs, and return them read lazily.

        Killing it at any moment loses at most the rows in work; the same call again does the rest.

        Parameters
        ----------
        stimuli, layers
            As in a call.
        path : path or ActivationStore
            Folder of the store; made when it is not there.
        **options
            As in a call.
        """
        return self(stimuli, layers, store=path, **options)

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

    def fingerprint(self) -> str:
        """Name the model by its content: the same weights, structure and preprocessing give the same 64 digits.

        Raises
        ------
        NotFingerprintable
            If a part of it cannot be told by its content; names the part.
        """
        return model_key(self.adapter, self.preprocessing, image_shape_of(self.preprocessing, self.adapter, ()))

    def plan(
        self,
        stimuli: Any,
        layers: str | Sequence[str] | None = None,
        *,
        number_of_trials: int = 1,
        reduce: Any = None,
        store: Any = None,
        memory: str | int | None = None,
        workers: int | None = None,
    ) -> Plan:
        """Say what a call would read and cost, without running it.

        Parameters
        ----------
        stimuli, layers, reduce, memory
            As in a call.
        number_of_trials : int
            Trials per stimulus, as with ``require_variance=True``.
        store : path or ActivationStore, optional
            Where the values would go.
        workers : int, optional
            Time a few batches and the disk, some seconds, and forecast what it takes on so many workers like this one.
        """
        call, place = self._resolve(stimuli, layers, number_of_trials, reduce=reduce), find_store(store)
        plan = plan_of(call, weights=self.weights_files, memory=memory, store=place)
        if workers is not None and number_of_trials > 1:
            call = replace(call, shifts=self._shifts(number_of_trials, call.image_shape))
        return with_forecast(plan, call, place, workers)

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

    def _resolve(self, stimuli: Any, layers: str | Sequence[str] | None, n_trials: int, **options: Any) -> Call:
        if isinstance(stimuli, pd.DataFrame):
            for hook in tuple(self._stimulus_set_hooks.values()):
                stimuli = hook(stimuli)
        call = Call(
            self.adapter,
            str(self.identifier),
            self.preprocessing,
            present(as_stimuli(stimuli), n_trials),
            self.batch_size,
            hooks=tuple(self._batch_activations_hooks.values()),
        )
        return resolve_call(call, layers, warned_of=self._warned_of, **options)

    def _shifts(self, n_trials: int, image_shape: tuple[int, ...]) -> Shifts:
        n_rows = image_shape[1] if self.adapter.input.channel_axis == 1 else image_shape[0]
        return Shifts(*spiral(n_trials, n_rows, self.visual_degrees))

    def __repr__(self) -> str:
        return (
            f"ActivationsExtractor({self.identifier!r}, {self.adapter.framework}, "
            f"preprocessing={self._preprocessing or 'found at first use'}, batch_size={self.batch_size})"
        )
