"""Measure what a worker and the disk do on this machine: a few batches of the stimuli, and a few durable writes."""

from __future__ import annotations

import functools
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .calls import Call
from .decoding import Batch
from .errors import StimulusError
from .forecasting import Forecast, Rates, forecast
from .planning import Plan
from .running import Stopwatch
from .store.errors import writing_to
from .store.layout import rows_per_shard

if TYPE_CHECKING:
    from .store import ActivationStore

__all__ = ["disk_rate", "forecast_of", "model_rate"]

_SECONDS = 2.0  # for all passes, beside what warms up
_FEW, _MOST = 4, 200  # images that tell how large a batch there is time for; batches at most
_FILLING = 3  # batches until decoding is no further ahead of the model than it will stay
_WRITERS, _PROBE_BYTES, _FILE_BYTES = 4, 2**20, 16 * 2**20
_MOST_SECONDS_OF_DISK = 3.0
_SHARD_BYTES = 512 * 2**20


def forecast_of(call: Call, plan: Plan, store: ActivationStore | None, n_workers: int) -> Forecast:
    """Measure, and say what a planned call will cost on some workers.

    Parameters
    ----------
    call : Call
        What is asked for.
    plan : Plan
        In which passes and batches.
    store : ActivationStore, optional
        Where the values go. Without one there is nothing that workers could share, and the forecast is for one.
    n_workers : int
        How many, each as fast as this process.

    Raises
    ------
    ValueError
        If it is no number of workers.
    StimulusError
        If none of the stimuli that were tried can be read.
    StoreWriteError
        If the store's disk refuses.
    """
    widest = max(layer.n_neuroids for layer in plan.layers)
    shard_rows = rows_per_shard(plan.n_images, plan.batch_size * plan.n_trials, widest, _SHARD_BYTES)
    size = 4 if store is None else np.dtype(store.dtype).itemsize
    n_images, image_bytes = plan.n_images, float(size * plan.n_neuroids)
    of = functools.partial(forecast, n_images=n_images, shard_images=shard_rows, image_bytes=image_bytes)
    of(n_workers, Rates(1.0))  # refuses before anything is measured
    rate, warm_up = model_rate(replace(call, batch_size=plan.batch_size), plan.passes)
    startup = warm_up + _import_seconds(call.adapter.imports)
    if store is None:
        return of(1, Rates(rate, None, startup))
    return of(n_workers, Rates(rate, disk_rate(store.root), startup))


def model_rate(call: Call, passes: Sequence[Sequence[str]]) -> tuple[float, float]:
    """Time some batches on their way from files to the host, each stage ahead of the next as in a run.

    Nothing stays of it: model and random states are as found, and the values go nowhere.

    Parameters
    ----------
    call : Call
        What is asked for.
    passes : sequence of sequence of str
        Which layers are read together. Passes for which no time is left count like the others.

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
    call = replace(call, hooks=(), on_error="skip")  # what a hook does to the values may be meant to be done once
    found: list[tuple[float, float]] = []
    stop = time.perf_counter() + _SECONDS
    with _random_state_kept():
        for names in reversed(passes):  # late layers take longest
            found.append(_timed_pass(call, names, _SECONDS / len(passes)))
            if time.perf_counter() > stop:
                break
    seconds, warm_up = (sum(each) * len(passes) / len(found) for each in zip(*found, strict=True))
    return 1 / max(seconds, 1e-9), warm_up


def disk_rate(folder: Path) -> float:
    """Return the bytes per second that a folder's disk takes, in four files at a time, each waited for.

    The files have no name, so that nothing stays of them, whatever happens; a folder that is not there is not made.

    Raises
    ------
    StoreWriteError
        If the disk refuses.
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    data = np.random.default_rng(0).bytes(_FILE_BYTES)  # which no file system can make smaller
    with writing_to(folder), ThreadPoolExecutor(_WRITERS) as pool:
        rate = 0.0
        for size in (_PROBE_BYTES, _FILE_BYTES):
            if rate and _WRITERS * size / rate > _MOST_SECONDS_OF_DISK:
                break
            start = time.perf_counter()
            list(pool.map(functools.partial(_write_nameless, there), [memoryview(data)[:size]] * _WRITERS))
            rate = _WRITERS * size / (time.perf_counter() - start)
    return rate


def _write_nameless(folder: Path, data: memoryview) -> None:
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        view = data
        while view.nbytes:
            view = view[file.write(view) :]
        os.fsync(file.fileno())


class _Nowhere:
    """Takes values, and keeps nothing."""

    def offer(self, rows: np.ndarray) -> None:
        """Offer nothing."""

    def write(
        self, rows: np.ndarray, batch: Mapping[str, np.ndarray], offered: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Let them go."""


def _timed_pass(call: Call, names: Sequence[str], budget: float) -> tuple[float, float]:
    """Return seconds per image of one pass, and what its first batches took longer."""
    n_trials = call.presented.n_trials
    rows = np.zeros((call.batch_size, n_trials), int)
    run = call.run(_Nowhere(), rows, Stopwatch(), names=names)
    few = min(_FEW, call.batch_size)
    with run.opened(call.image_shape) as feed:
        with closing(_sample(call, few)) as batches:
            cold, warm = (_seconds_of(feed, batch) for batch in islice(batches, 2))
        fitting = int(budget / (2 * _FILLING) * few / max(warm, 1e-9))
        with closing(_sample(call, min(max(few, fitting), call.batch_size))) as batches:
            first, *_ = [_seconds_of(feed, batch) for batch in islice(batches, _FILLING)]
            n_images, n_batches, start = 0, 0, time.perf_counter()
            while not n_batches or time.perf_counter() < start + budget / 2:
                batch = next(batches, None)
                if batch is None:
                    break
                feed(batch)
                n_images, n_batches = n_images + len(batch.positions), n_batches + 1
            seconds = time.perf_counter() - start
    return seconds / (n_images * n_trials), max(first - seconds / n_batches, cold - warm, 0.0)


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
    subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, check=False)
    return time.perf_counter() - start
