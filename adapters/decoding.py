"""Turn stimuli into preprocessed batches, in threads that work ahead of the model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

import numpy as np
from PIL import Image

from .callables import AlreadyPreprocessed, PathsPreprocessing, Preprocess
from .errors import AdapterError, PreprocessingError, StimulusError
from .images import array_to_image, load_image, to_rgb
from .preprocessing import Preprocessing

__all__ = ["Batch", "Decoder", "OnError"]

OnError = Literal["raise", "skip"]
_BATCHES_AHEAD = 2


@dataclass(frozen=True)
class Batch:
    """Preprocessed stimuli.

    Parameters
    ----------
    positions : array of shape (n_images,), int
        Which of the decoder's items these are.
    images : array of shape (n_images, ...), float32
        In the layout of the model.
    """

    positions: np.ndarray
    images: np.ndarray


@dataclass
class Decoder:
    """Reads, decodes and preprocesses items, and gives them as batches in order.

    Parameters
    ----------
    items : sequence
        Paths, PIL images or arrays.
    preprocess : Preprocess
        What brings an image to the model's input.
    batch_size : int
        Images per batch; the last batch is as short as it comes.
    channel_axis : {1, -1}
        Layout of the model's batches; data preprocessings are transposed to it, users' callables are left alone.
    on_error : {'raise', 'skip'}
        Whether a file that cannot be read ends the run, or is left out and listed in ``skipped``.
    load : callable
        Reads a file as an upright RGB image.
    """

    items: Sequence[Any]
    preprocess: Preprocess
    batch_size: int
    channel_axis: int = 1
    on_error: OnError = "raise"
    load: Callable[[str], Image.Image] = load_image
    skipped: dict[int, StimulusError] = field(default_factory=dict)

    def one(self, position: int) -> np.ndarray:
        """Preprocess the item at a position.

        Raises
        ------
        StimulusError
            If it cannot be read or preprocessed.
        """
        item = self.items[position]
        try:
            image = self._run(item)
        except AdapterError:
            raise
        except Exception as error:  # a user's callable may raise anything
            raise StimulusError(
                f"{_describe(item, position)} could not be preprocessed by {self.preprocess}: "
                f"{type(error).__name__}: {error}"
            ) from error
        if isinstance(self.preprocess, Preprocessing) and self.channel_axis == -1:
            image = np.moveaxis(image, 0, -1)
        return image

    def _run(self, item: Any) -> np.ndarray:
        if isinstance(self.preprocess, AlreadyPreprocessed):
            return self.preprocess(item)
        if isinstance(self.preprocess, PathsPreprocessing) and isinstance(item, str):
            return self.preprocess(item)
        if isinstance(item, str):
            return self.preprocess(self.load(item))
        return self.preprocess(to_rgb(item) if isinstance(item, Image.Image) else array_to_image(item))

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches; threads are at most two batches ahead."""
        groups = [
            range(start, min(start + self.batch_size, len(self.items)))
            for start in range(0, len(self.items), self.batch_size)
        ]
        with ThreadPoolExecutor(n_threads(), thread_name_prefix="decode") as pool:
            waiting = iter(groups)
            ahead = [self._submit(pool, group) for group in islice(waiting, _BATCHES_AHEAD)]
            try:
                while ahead:
                    batch = self._collect(ahead.pop(0))
                    ahead.extend(self._submit(pool, group) for group in islice(waiting, 1))
                    if batch is not None:
                        yield batch
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, pool: ThreadPoolExecutor, group: range) -> dict[int, Future[np.ndarray]]:
        return {position: pool.submit(self.one, position) for position in group}

    def _collect(self, futures: dict[int, Future[np.ndarray]]) -> Batch | None:
        images: dict[int, np.ndarray] = {}
        for position, future in futures.items():
            try:
                images[position] = future.result()
            except StimulusError as error:
                if self.on_error == "raise":
                    raise
                self.skipped[position] = error
        if not images:
            return None
        shapes = {image.shape for image in images.values()}
        if len(shapes) > 1:
            raise PreprocessingError(
                f"{self.preprocess} gave images of different shapes ({', '.join(map(str, sorted(shapes)))}), which "
                f"cannot be one batch. Resize or crop to one size."
            )
        return Batch(np.array(list(images)), np.stack(list(images.values())))


def n_threads() -> int:
    """Return how many threads decode: the cores this process may use, at most 16."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 16)


def _describe(item: Any, position: int) -> str:
    return item if isinstance(item, str) else f"Stimulus {position}"
