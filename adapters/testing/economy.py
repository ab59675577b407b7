"""Checks that a run costs no more than it must: no pass too many, nothing computed in vain, nothing kept."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..layers import resolve
from .case import AdapterCase
from .expecting import require
from .reading import Watch, adapter_of, extractor_of, forward_once
from .toys import Toy, toy_images

__all__ = ["check_duplicates", "check_early_stop", "check_no_gradients", "check_no_leak", "check_one_pass"]


def check_early_stop(case: AdapterCase) -> None:
    """Compute nothing after the last requested layer."""
    counted = _count(case, ["conv2"])
    require(counted["start"] > 0, "A run came by 'start' 0 times; the toy of this case must call toy.probe.")
    require(counted["head"] == 0, f"A run for layer 'conv2' went on to 'head' {counted['head']} times; expected 0.")


def check_one_pass(case: AdapterCase) -> None:
    """Read several layers in one forward pass per batch."""
    one, several = _count(case, ["head"]), _count(case, ["conv1", "token_norm", "head"])
    require(
        one["start"] == several["start"],
        f"Two batches took {several['start']} forward passes for three layers, {one['start']} for one; expected the "
        f"same.",
    )


def _count(case: AdapterCase, layers: list[str]) -> Counter[str]:
    """Count the passes of two batches, without what an adapter runs to list its layers or to prepare."""
    watch = Watch()
    adapter, shape = adapter_of(case, Toy(probe=watch)), tuple(case.image_shape)
    requests = resolve([case.name_of(layer) for layer in layers], adapter.layers(shape))
    with adapter.open(requests, shape) as forward:
        watch.n_passes.clear()
        for seed in (1, 2):
            adapter.to_host(forward(case.in_layout(toy_images(2, seed=seed))))
        return watch.n_passes.copy()


def check_duplicates(case: AdapterCase) -> None:
    """Run an image that is shown several times once, and give all its presentations the same values."""
    watch = Watch()
    extractor, names = extractor_of(case, Toy(probe=watch), batch_size=1), [case.name_of("token_norm")]
    one, other = case.in_layout(toy_images(2))
    extractor([one], names, progress=False)  # lists the layers; from here on calls differ by their images only
    counts = []
    for stimuli in ([one], [one, other, one, one, other]):
        watch.n_images.clear()
        values = extractor(stimuli, names, progress=False).values
        counts.append(watch.n_images["start"])
    n_run = counts[1] - counts[0]
    require(n_run == 1, f"5 presentations of 2 images run {n_run} images more than 1 presentation; expected 1 more.")
    is_same = all((values[row] == values[first]).all() for row, first in ((2, 0), (3, 0), (4, 1)))
    require(is_same, "Presentations of the same image have different values; expected identical ones.")


def check_no_gradients(case: AdapterCase) -> None:
    """Record no gradient during a run, and return values without one."""
    recorded: list[bool] = []
    toy = Toy(probe=lambda place, value: recorded.append(_has_gradient(value)))
    adapter, shape = adapter_of(case, toy), tuple(case.image_shape)
    requests = resolve([case.name_of("conv2"), "logits"], adapter.layers(shape))
    with adapter.open(requests, shape) as forward:
        returned = forward(case.in_layout(toy_images(2)))
        kept = [name for name, value in returned.items() if _has_gradient(value)]
    require(not kept, f"Layers {kept} come with their gradient graph; expected values only.")
    require(not any(recorded), "The forward pass records gradients; expected it to run without.")


def _has_gradient(value: Any) -> bool:
    return bool(getattr(value, "requires_grad", False)) or getattr(value, "grad_fn", None) is not None


def check_no_leak(case: AdapterCase) -> None:
    """Leave no objects, memory, hooks or threads behind: not after fifty runs more than after ten."""
    adapter, images = adapter_of(case), toy_images(8)
    result_bytes = forward_once(case, adapter, images, ["conv1"])[case.name_of("conv1")].nbytes

    def run(times: int) -> tuple[int, int, int, int]:
        for _ in range(times):
            forward_once(case, adapter, images, ["conv1", "head"])
        gc.collect()
        n_bytes = tracemalloc.get_traced_memory()[0]
        return len(gc.get_objects()), n_bytes, case.snapshot(adapter.model).n_hooks, threading.active_count()

    limit = 40 * result_bytes // 2  # caches of the libraries still settle
    with _counting():
        before = run(10)
        for _ in range(2):  # what a cache took once more is not taken again; a leak is
            after = run(40)
            objects, n_bytes, hooks, threads = (now - then for now, then in zip(after, before, strict=True))
            if objects < 40 and n_bytes < limit:
                break
            before = after
    require(hooks == 0, f"40 runs added {hooks} hooks; expected 0.")
    require(threads <= 0, f"40 runs left {threads} threads running; expected 0.")
    require(objects < 40, f"40 runs left {objects} objects behind; expected none per run.")
    require(n_bytes < limit, f"40 runs left {n_bytes:,} bytes behind; expected less than {limit:,}, half the results.")


@contextmanager
def _counting() -> Iterator[None]:
    """Count memory and objects of this block only, and leave tracing and garbage collection as they were."""
    starts, freezes = not tracemalloc.is_tracing(), gc.get_freeze_count() == 0
    if starts:
        tracemalloc.start()
    if freezes:  # the hundred thousands of objects of a framework need not be looked through each time
        gc.freeze()
    try:
        yield
    finally:
        if freezes:
            gc.unfreeze()
        if starts:
            tracemalloc.stop()
