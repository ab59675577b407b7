"""Many models over the same stimuli, each file read and decoded once."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

import pandas as pd
from PIL import Image

from .calls import Call, IntoMemory
from .decoding import Batch, Decoder
from .errors import listing
from .extractor import ActivationsExtractor
from .images import load_image
from .running import Stopwatch
from .stimuli import as_stimuli

__all__ = ["extract_many"]

_BLOCK = 256 * 2**20  # bytes of preprocessed images that every model sees before the next are taken
Key = TypeVar("Key")
Value = TypeVar("Value")


def extract_many(
    extractors: Sequence[ActivationsExtractor], stimuli: Any, layers: Any = None, **options: Any
) -> dict[str, Any]:
    """Run stimuli through several models; each file is decoded once, and preprocessed once per preprocessing.

    The results stay in memory. A model that draws random numbers begins its draws anew every few hundred images here.

    Parameters
    ----------
    extractors : sequence of ActivationsExtractor
        Of any frameworks, with identifiers that differ.
    stimuli : paths, folder, images, arrays, DataFrame or StimulusSet
        As in a call of one of them.
    layers : str, sequence of str, or mapping of identifier to one of these, optional
        What to read; the models' final outputs by default.
    **options
        ``calls``, ``on_error``, ``progress`` and ``reduce``, as in a call.

    Returns
    -------
    dict of str to xarray.DataArray
        By identifier, in the given order, what each extractor would return.

    Raises
    ------
    ValueError
        If identifiers repeat, or layers are given for a model that is not there.

    Examples
    --------
    >>> import adapters, numpy as np, torch
    >>> nets = [
    ...     adapters.wrap(torch.nn.Conv2d(3, n, 3), identifier=f"net_{n}", preprocessing=adapters.raw(8))
    ...     for n in (2, 5)
    ... ]
    >>> results = adapters.extract_many(nets, np.zeros((4, 8, 8, 3)))
    >>> {name: assembly.sizes["neuroid"] for name, assembly in results.items()}
    {'net_2': 72, 'net_5': 180}
    """
    extractors = list(extractors)
    names = [str(extractor.identifier) for extractor in extractors]
    _require_distinct(names, layers)
    if not isinstance(stimuli, pd.DataFrame):  # hooks on stimulus sets take tables
        stimuli = as_stimuli(stimuli)
    works = []
    for name, extractor in zip(names, extractors, strict=True):
        wanted = layers.get(name) if isinstance(layers, Mapping) else layers
        works.append(IntoMemory(extractor._resolve(stimuli, wanted, 1, **{"calls": None, **options}), Stopwatch()))
    groups = _run(works)
    results = {}
    for name, extractor, work in zip(names, extractors, works, strict=True):
        group = next(group for group in groups if work in group.works)
        results[name], extractor._last_report = work.finish(group.decoder.skipped)
    return results


def _require_distinct(names: Sequence[str], layers: Any) -> None:
    if not names:
        raise ValueError("No extractors were given. Pass at least one, from adapters.wrap or registry.get_model.")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"{listing(repeated)} is the identifier of several models. Give each its own: wrap(model, identifier=...)."
        )
    unknown = sorted(set(layers) - set(names)) if isinstance(layers, Mapping) else []
    if unknown:
        raise ValueError(f"Layers were given for {listing(unknown)}; the models are {listing(list(names))}.")


def _run(works: Sequence[IntoMemory]) -> list[_Group]:
    """Run all models, one block of images after the other."""
    groups: list[_Group] = []
    for work in works:
        group = next((group for group in groups if group.takes(work.call)), None)
        if group is None:
            groups.append(group := _Group(work.call))
        group.works.append(work)
    files = _Once[str, Image.Image](load_image, len(groups))
    for group in groups:
        group.start(files)
    n_images, n_done = len(works[0].call.presented.items), 0
    with works[0].call.advancing(n_images) as advance:
        while n_done < n_images:
            n_next = min(n_done + min(group.block for group in groups), n_images)
            while any([group.take(n_next) for group in groups]):  # one batch of each: no file is kept for long
                pass
            for group in groups:
                group.run()
            advance(n_next - n_done)
            n_done = n_next
    return groups


class _Group:
    """Models that see the very same batches.

    Parameters
    ----------
    call : Call
        Of the first of them.
    """

    decoder: Decoder

    def __init__(self, call: Call) -> None:
        self._call = call
        self._taken: list[Batch] = []
        self._next: Batch | None = None
        self.works: list[IntoMemory] = []
        self.block = max(call.batch_size, _BLOCK // (4 * math.prod(call.image_shape)))

    def takes(self, call: Call) -> bool:
        """Tell whether the batches of a call are those of this group."""
        first = self._call
        return (
            call.preprocess == first.preprocess
            and call.batch_size == first.batch_size
            and call.adapter.input.channel_axis == first.adapter.input.channel_axis
        )

    def start(self, files: _Once[str, Image.Image]) -> None:
        """Begin to decode."""
        self.decoder = self._call.decoder(self._call.presented.items, files)
        self._batches = iter(self.decoder)

    def take(self, limit: int) -> bool:
        """Take one more batch that begins before ``limit``; tell whether there was one."""
        self._next = self._next or next(self._batches, None)
        if self._next is None or self._next.positions[0] >= limit:
            return False
        self._taken.append(self._next)
        self._next = None
        return True

    def run(self) -> None:
        """Show the batches that were taken to every model."""
        taken, self._taken = self._taken, []
        for work in self.works if taken else ():
            with work.run.opened(work.call.image_shape) as feed:
                for batch in taken:
                    feed(batch)


class _Once(Generic[Key, Value]):
    """Calls a function once for each argument, and forgets the answer when it was asked for so many times.

    Parameters
    ----------
    function : callable
        Of one argument.
    n_times : int
        How often each argument comes.
    """

    def __init__(self, function: Callable[[Key], Value], n_times: int) -> None:
        self._function, self._n_times = function, n_times
        self._lock = threading.Lock()
        self._futures: dict[Key, tuple[Future[Value], list[int]]] = {}

    def __call__(self, argument: Key) -> Value:
        """Return the function's answer, or raise its error."""
        with self._lock:
            is_first = argument not in self._futures
            future, left = self._futures.setdefault(argument, (Future(), [self._n_times]))
            left[0] -= 1
            if not left[0]:
                del self._futures[argument]
        if is_first:
            try:
                future.set_result(self._function(argument))
            except Exception as error:  # the others that ask for it shall get it, too
                future.set_exception(error)
        return future.result()
