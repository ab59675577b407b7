"""Checks that the model is left as found, also after an error, and that runs in several threads stay apart."""

from __future__ import annotations

import contextlib
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ..errors import ModelForwardError
from .case import AdapterCase, ModelState
from .expecting import require, require_close, require_raises
from .oracle import oracle
from .reading import extract, extractor_of, values_by_layer
from .toys import Toy, toy_images, toy_weights

__all__ = [
    "check_failing_forward",
    "check_hooks_removed",
    "check_modes_restored",
    "check_random_state_restored",
    "check_two_threads",
    "check_weights_untouched",
    "check_worker_thread",
]

_READ = ["token_norm", "head"]


def _fail_on_bright_images(place: str, value: Any) -> None:
    """Raise half way through a forward pass; by the images and not by a count, as adapters also run models to list."""
    if place == "middle" and bool((value > 1e4).any()):
        raise ValueError("broken on purpose")


def _bright_at(images: np.ndarray, position: int) -> np.ndarray:
    """Return the images, one of which makes the model raise."""
    return images * np.where(np.arange(len(images)) == position, np.float32(1e6), np.float32(1))[:, None, None, None]


def _states(case: AdapterCase) -> dict[str, tuple[ModelState, ModelState]]:
    """Return the states of a model before and after a run that works, and one that raises in its second batch."""
    model, images = case.build_model(Toy(probe=_fail_on_bright_images)), toy_images(3)
    layers, states = ["conv2", *_READ, "logits"], {}
    before = case.snapshot(model)
    extract(case, extractor_of(case, model=model, batch_size=2), images, layers)
    states["a run"] = before, case.snapshot(model)
    before = case.snapshot(model)
    with contextlib.suppress(Exception):
        extract(case, extractor_of(case, model=model, batch_size=2), _bright_at(images, 2), layers)
    states["a forward pass that raised"] = before, case.snapshot(model)
    return states


def check_modes_restored(case: AdapterCase) -> None:
    """Leave training modes, gradient flags, devices and switches as found, also after an error."""
    for what, (before, after) in _states(case).items():
        changed = {name: value for name, value in after.modes.items() if before.modes.get(name) != value}
        require(
            before.modes == after.modes,
            f"After {what}: {changed}; before: { ({name: before.modes.get(name) for name in changed}) }.",
        )


def check_hooks_removed(case: AdapterCase) -> None:
    """Leave no hook in the model, also after an error."""
    for what, (before, after) in _states(case).items():
        left = after.n_hooks - before.n_hooks
        require(left == 0, f"After {what}, {left} hooks are left in the model; expected 0.")


def check_random_state_restored(case: AdapterCase) -> None:
    """Leave the random state of the framework and of Python as found, also after an error."""
    python = random.getstate()
    for what, (before, after) in _states(case).items():
        require(before.random_state == after.random_state, f"After {what}, the framework's random state has changed.")
    require(random.getstate() == python, "The random state of Python's module random has changed.")


def check_weights_untouched(case: AdapterCase) -> None:
    """Leave every parameter and buffer the same bit by bit, also after an error."""
    for what, (before, after) in _states(case).items():
        changed = sorted(name for name, value in after.weights.items() if before.weights.get(name) != value)
        require(before.weights == after.weights, f"After {what}, the model's weights {changed} have changed.")


def check_failing_forward(case: AdapterCase) -> None:
    """Report a model that raises with the number of the batch and its own message, and go on afterwards."""
    extractor, images = extractor_of(case, Toy(probe=_fail_on_bright_images), batch_size=2), toy_images(6)
    require_raises(
        ModelForwardError,
        lambda: extract(case, extractor, _bright_at(images, 3), _READ),
        "A model that raises in its second batch",
        "batch 2",
        "broken on purpose",
    )
    _require_values(case, extract(case, extractor, images, _READ), images, "after a run that raised")


def check_worker_thread(case: AdapterCase) -> None:
    """Give the same values in another thread than the one that made the extractor."""
    extractor, images = extractor_of(case), toy_images(3)
    here = values_by_layer(case, extract(case, extractor, images, _READ), _READ)
    with ThreadPoolExecutor(1) as pool:
        there = values_by_layer(case, pool.submit(extract, case, extractor, images, _READ).result(), _READ)
    for layer in _READ:
        require_close(there[layer], here[layer], f"Layer {layer!r} in a worker thread", rtol=0, atol=0)


def check_two_threads(case: AdapterCase) -> None:
    """Keep two extractors apart that read one model at the same time in two threads."""
    meeting = _Meeting()
    model = case.build_model(Toy(probe=meeting))
    extract(case, extractor_of(case, model=model), toy_images(2), _READ)
    meeting.is_on = True
    before = case.snapshot(model).modes

    def read_often(seed: int) -> None:
        extractor, images = extractor_of(case, model=model), toy_images(3, seed=seed)
        for _ in range(3):
            _require_values(case, extract(case, extractor, images, _READ), images, "while another thread reads, too")

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(read_often, seed) for seed in (1, 2)]:
            future.result()
    after = case.snapshot(model).modes
    changed = [name for name, value in after.items() if before.get(name) != value]
    require(before == after, f"After runs in two threads, {changed} are not as they are after one run.")


class _Meeting:
    """Holds a forward pass until the other thread's is there as well, or for a moment where they take turns."""

    def __init__(self) -> None:
        self.is_on = False
        self._barrier = threading.Barrier(2)
        self._n_missed = 0

    def __call__(self, place: str, value: Any) -> None:
        if not self.is_on or place != "middle" or self._n_missed > 4:
            return
        try:
            self._barrier.wait(timeout=0.02)
            self._n_missed = 0
        except threading.BrokenBarrierError:
            self._n_missed += 1
            self._barrier.reset()


def _require_values(case: AdapterCase, assembly: Any, images: np.ndarray, when: str) -> None:
    expected = oracle(toy_weights(), images)
    for layer, values in values_by_layer(case, assembly, _READ).items():
        require_close(values, expected[layer], f"Layer {layer!r} {when}")
