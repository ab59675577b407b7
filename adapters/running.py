"""The run itself: decoded batches through the model into memory, each stage ahead of the next."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from .contract import Adapter, Forward
from .decoding import Batch
from .errors import AdapterError, BudgetError, ModelForwardError
from .layers import LayerRequest
from .microsaccades import shift_image

__all__ = ["BatchHook", "BatchTooLargeError", "Run", "Sink", "Stopwatch"]

BatchHook = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


class BatchTooLargeError(BudgetError):
    """The device's memory holds no batch of the size that the run is bound to.

    Parameters
    ----------
    message : str
        What was tried.
    smaller : int
        The next size to try.
    """

    def __init__(self, message: str, smaller: int) -> None:
        super().__init__(message)
        self.smaller = smaller


class Sink(Protocol):
    """Where the values of a run go, batch by batch."""

    def offer(self, rows: np.ndarray) -> dict[str, np.ndarray] | None:
        """Return memory of shape (n_images, n_neuroids) per layer that the adapter may fill; None if there is none."""

    def write(
        self, rows: np.ndarray, batch: Mapping[str, np.ndarray], offered: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Take the values of these rows; a layer that came back in the very memory of `offer` is there already."""


class Stopwatch:
    """Adds up seconds per stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of a block."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def waiting(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Pass batches on and count the time that they make the run wait, as stage ``decode``."""
        iterator = iter(batches)
        while True:
            with self.stage("decode"):
                batch = next(iterator, None)
            if batch is None:
                return
            yield batch


@dataclass
class Run:
    """One pass of images through a model.

    Parameters
    ----------
    adapter : Adapter
        Knows the framework.
    requests : sequence of LayerRequest
        What to read.
    collected : Sink
        Where the values go.
    rows : array of shape (n_items, n_trials), int
        Row of the result for each decoded item and trial.
    shifts : array of shape (n_trials, 2), optional
        (x, y) in pixels per trial; None shows every image once, unmoved.
    channel_axis : {1, -1}
        Layout of the batches.
    batch_limit : int
        Images per forward pass; halved when the device runs out of memory.
    hooks : sequence of callable
        Applied to each batch's values before they are stored.
    reductions : mapping of str to callable
        Applied to a layer's values on the device.
    is_bound : bool
        Whether every forward pass takes exactly ``batch_limit`` images, a short batch being filled up with its last
        image: the values of an image can differ in their last bits with the number of images beside it.
    """

    adapter: Adapter
    requests: Sequence[LayerRequest]
    collected: Sink
    rows: np.ndarray
    batch_limit: int
    channel_axis: int = 1
    shifts: np.ndarray | None = None
    hooks: Sequence[BatchHook] = ()
    reductions: Mapping[str, Any] = field(default_factory=dict)
    is_bound: bool = False
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    _pending: list[tuple[np.ndarray, Mapping[str, Any], Mapping[str, np.ndarray] | None]] = field(
        default_factory=list, init=False
    )

    def execute(self, batches: Iterable[Batch], image_shape: tuple[int, ...], on_batch: Callable[[int], Any]) -> None:
        """Run every batch; ``on_batch`` hears how many images are done. Raises what `opened` does."""
        with self.opened(image_shape) as feed:
            for batch in self.stopwatch.waiting(batches):
                feed(batch)
                on_batch(len(batch.positions))

    @contextmanager
    def opened(self, image_shape: tuple[int, ...]) -> Iterator[Callable[[Batch], None]]:
        """Prepare the model, and give what takes one batch after the other; at the end all values are in the sink.

        Raises
        ------
        ModelForwardError
            If the model raises; the model is restored.
        BudgetError
            If the device cannot hold even one image.
        BatchTooLargeError
            If it cannot hold a batch that the run is bound to.
        """
        reductions = (self.reductions,) if self.reductions else ()  # adapters that cannot reduce take two arguments
        numbers = itertools.count(1)
        with self.adapter.open(self.requests, image_shape, *reductions) as forward:

            def feed(batch: Batch) -> None:
                number = next(numbers)
                for rows, images in self._presented(batch):
                    self._forward(forward, rows, images, number)

            yield feed
            self._drain(0)

    def _presented(self, batch: Batch) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the batch once per trial, shifted."""
        rows = self.rows[batch.positions]
        if self.shifts is None:
            yield rows[:, 0], batch.images
            return
        axis = 0 if self.channel_axis == 1 else -1
        for trial, shift in enumerate(self.shifts):
            yield rows[:, trial], np.stack([shift_image(image, shift, axis) for image in batch.images])

    def _forward(self, forward: Forward, rows: np.ndarray, images: np.ndarray, number: int) -> None:
        """Run images in parts as large as the device takes."""
        start = 0
        while start < len(rows):
            part = slice(start, start + self.batch_limit)
            offered = None if self.hooks or self.is_bound else self.collected.offer(rows[part])
            try:
                with self.stopwatch.stage("forward"):
                    values = forward(self._filled_up(images[part]), offered)
            except AdapterError:
                raise
            except Exception as error:
                if not self.adapter.is_out_of_memory(error):
                    raise ModelForwardError(
                        f"{self.adapter.identifier} raised {type(error).__name__} in batch {number} (images of shape "
                        f"{images.shape[1:]}): {error}. The model is restored; nothing of this run was returned."
                    ) from error
                self._drain(0)  # the next attempt takes the buffers that the batch before is still read from
                self._halve(error)
                continue
            self._pending.append((rows[part], values, offered))
            self._drain(int(self.adapter.asynchronous))
            start = part.stop

    def _filled_up(self, images: np.ndarray) -> np.ndarray:
        n_missing = self.batch_limit - len(images)
        if not self.is_bound or n_missing <= 0:
            return images
        return np.concatenate([images, np.repeat(images[-1:], n_missing, axis=0)])

    def _halve(self, error: Exception) -> None:
        if self.batch_limit == 1:
            raise BudgetError(
                f"{self.adapter.identifier} runs out of device memory on a single image: {error}. Use "
                f"device='cpu', or smaller images."
            ) from error
        smaller = max(1, self.batch_limit // 2)
        if self.is_bound:
            raise BatchTooLargeError(
                f"{self.adapter.identifier} runs out of device memory on {self.batch_limit} images: {error}. Use "
                f"batch_size={smaller}.",
                smaller,
            ) from error
        self.batch_limit = smaller

    def _drain(self, n_in_flight: int) -> None:
        """Store finished batches until only so many are still on their way from the device."""
        while len(self._pending) > n_in_flight:
            self._store(*self._pending.pop(0))

    def _store(self, rows: np.ndarray, values: Mapping[str, Any], offered: Mapping[str, np.ndarray] | None) -> None:
        with self.stopwatch.stage("copy"):
            host = self.adapter.to_host(values)
            if self.is_bound:
                host = {layer: value[: len(rows)] for layer, value in host.items()}
            if self.hooks:
                host = {layer: np.array(value) for layer, value in host.items()}  # a hook may keep what it gets
            for hook in self.hooks:
                host = _answer_of(hook, host)
            self.collected.write(rows, host, offered)


def _answer_of(hook: BatchHook, host: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    answer = hook(host)
    if not isinstance(answer, Mapping):
        raise AdapterError(
            f"The hook {getattr(hook, '__qualname__', hook)!r} returned {type(answer).__name__}; a hook registered "
            f"with register_batch_activations_hook must return a dict of layer -> array. Is its 'return' missing?"
        )
    return dict(answer)
