"""Measure what a worker does on this machine, with a few batches of the stimuli, and what the store's disk takes."""

from __future__ import annotations

import functools
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from .calls import Call
from .decoding import Batch
from .errors import StimulusError
from .forecasting import Rates, forecast
from .planning import Plan, queue_bytes, shards_for
from .running import Stopwatch
from .store.layout import rows_per_shard
from .store.scratch import Scratch, disk_rate

if TYPE_CHECKING:
    from .store import ActivationStore

__all__ = ["model_rate", "with_forecast"]

_SECONDS = 4.0  # for all passes, beside what warms up
_FEW, _MOST = 4, 200  # images that tell how large a batch there is time for; batches at most
_FILLING = 3  # batches until decoding is no further ahead of the model than it will stay
_SHARD_BYTES = 512 * 2**20


def with_forecast(plan: Plan, call: Call, store: ActivationStore | None, n_workers: int | None) -> Plan:
    """Measure, and add to a plan what it will take on some workers.

    Parameters
    ----------
    plan : Plan
        In which passes and batches.
    call : Call
        What is asked for.
    store : ActivationStore, optional
        Where the values go. Without one there is nothing that workers could share, and the forecast is for one.
    n_workers : int, optional
        How many, each as fast as this process; None leaves the plan as it is.

    Raises
    ------
    ValueError
        If it is no number of workers.
    StimulusError
        If the stimuli that were tried cannot be read.
    StoreWriteError
        If the store's disk refuses.
    """
    if n_workers is None:
        return plan
    widest = max(layer.n_neuroids for layer in plan.layers)
    n_shards = shards_for(n_workers) if n_workers > 1 else 1
    shard_rows = rows_per_shard(plan.n_images, plan.batch_size * plan.n_trials, widest, _SHARD_BYTES, n_shards)
    size = 4 if store is None else np.dtype(store.dtype).itemsize
    n_images, image_bytes = plan.n_images, float(size * plan.n_neuroids)
    of = functools.partial(
        forecast,
        n_images=n_images,
        shard_images=shard_rows,
        image_bytes=image_bytes,
        batch_images=plan.batch_size * plan.n_trials,
    )
    of(n_workers, Rates(1.0))  # refuses before anything is measured
    rate, warm_up = model_rate(replace(call, batch_size=plan.batch_size), plan.passes, store)
    startup = warm_up + _import_seconds(tuple(call.adapter.imports))
    if store is None:
        return replace(plan, forecast=of(1, Rates(rate, None, startup)))
    return replace(plan, forecast=of(n_workers, Rates(rate, disk_rate(store.root), startup)))


def model_rate(
    call: Call, passes: Sequence[Sequence[str]], store: ActivationStore | None = None
) -> tuple[float, float]:
    """Time some batches on their way from files to the store's threads, each stage ahead of the next as in a run.

    Nothing stays of it: model and random states are as found, and the values go nowhere.

    Parameters
    ----------
    call : Call
        What is asked for.
    passes : sequence of sequence of str
        Which layers are read together. Passes for which no time is left count like the others.
    store : ActivationStore, optional
        Where the values would go.

    Returns
    -------
    images_per_second : float
        Each image as often as there are passes.
    warm_up_seconds : float
        What the first batches took longer, as they do where programs are compiled.

    Raises
    ------
    StimulusError
        If none of the stimuli that were tried can be read.
    """
    call = replace(call, hooks=(), on_error="skip")  # what a hook does may be meant to be done once
    found: list[tuple[float, float]] = []
    stop = time.perf_counter() + _SECONDS
    with _random_state_kept():
        for names in reversed(passes):  # late layers take longest
            found.append(_PassTimer(call, names, store).seconds(_SECONDS / len(passes)))
            if time.perf_counter() > stop:
                break
    seconds, warm_up = (sum(each) * len(passes) / len(found) for each in zip(*found, strict=True))
    return 1 / max(seconds, 1e-9), warm_up


class _PassTimer:
    """Times one pass; takes its values, which a store's threads then write to nowhere."""

    def __init__(self, call: Call, names: Sequence[str], store: ActivationStore | None) -> None:
        self._call, self._names, self._store = call, names, store
        self._scratch: Scratch | None = None

    def seconds(self, budget: float) -> tuple[float, float]:
        """Return seconds per image, and what the first batches took longer."""
        call, few = self._call, min(_FEW, self._call.batch_size)
        rows = np.zeros((call.batch_size, call.presented.n_trials), int)
        run = call.run(self, rows, Stopwatch(), names=self._names)
        with ExitStack() as stack:
            if self._store is not None:
                n_bytes = 4 * rows.size * sum(int(np.prod(call.shapes[name])) for name in self._names)
                scratch = Scratch(self._store.root, dtype=self._store.dtype, queue_bytes=queue_bytes(n_bytes))
                self._scratch = stack.enter_context(scratch)
            feed = stack.enter_context(run.opened(call.image_shape))
            with closing(_sample(call, few)) as batches:
                cold, warm = (_seconds_of(feed, batch) for batch in islice(batches, 2))
            fitting = int(few * budget / (2 * _FILLING * max(warm, 1e-9)))
            with closing(_sample(call, min(max(few, fitting), call.batch_size))) as batches:
                first, *_ = [_seconds_of(feed, batch) for batch in islice(batches, _FILLING)]
                per_image, per_batch = self._steady(feed, batches, budget / 2)
        return per_image / call.presented.n_trials, max(first - per_batch, cold - warm, 0.0)

    def _steady(self, feed: Callable[[Batch], None], batches: Iterator[Batch], budget: float) -> tuple[float, float]:
        """Return seconds per image and per batch when every stage is busy."""
        n_images = n_batches = 0
        self._flush()
        start = time.perf_counter()
        for batch in batches:
            feed(batch)
            n_images, n_batches = n_images + len(batch.positions), n_batches + 1
            if time.perf_counter() > start + budget:
                break
        self._flush()
        seconds = time.perf_counter() - start
        return seconds / n_images, seconds / n_batches

    def _flush(self) -> None:
        if self._scratch is not None:
            self._scratch.flush()

    def offer(self, rows: np.ndarray) -> None:
        """Offer nothing."""

    def write(
        self, rows: np.ndarray, batch: Mapping[str, np.ndarray], offered: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Take the values of a batch."""
        if self._scratch is not None:
            self._scratch.append(batch)


def _seconds_of(feed: Callable[[Batch], None], batch: Batch) -> float:
    start = time.perf_counter()
    feed(batch)
    return time.perf_counter() - start


def _sample(call: Call, batch_size: int) -> Generator[Batch, None, None]:
    """Yield batches from all over the stimuli, again and again; which rows they fill does not matter."""
    items = call.presented.items
    order = np.resize(np.random.default_rng(0).permutation(len(items)), _MOST * batch_size)
    decoder = replace(call, batch_size=batch_size).decoder([items[position] for position in order])
    n_batches = 0
    for batch in decoder:
        yield Batch(np.arange(len(batch.images)), batch.images)
        n_batches += 1
    if n_batches <= _FILLING and decoder.skipped:
        raise StimulusError(
            f"{len(decoder.skipped)} of {len(order)} stimuli that were tried cannot be read, so nothing can be "
            f"measured with them. The first: {next(iter(decoder.skipped.values()))}"
        )


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """Have Python's and NumPy's generators, which a user's preprocessing may draw from, as found afterwards."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - it is what others use
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002


@functools.cache
def _import_seconds(modules: tuple[str, ...]) -> float:
    """Return how long a new process takes until this library and a framework are imported."""
    command = f"import {', '.join((__package__.partition('.')[0], *modules))}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    start = time.perf_counter()
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, timeout=120, check=False)
    return time.perf_counter() - start
