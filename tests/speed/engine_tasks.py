"""What workers do while engines.py times them: a network over shards of noise, and a model for a real extraction."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

import adapters
from adapters.engines import Receipt, Work
from adapters.engines.working import worker_name

IMAGE = 96


def network() -> nn.Sequential:
    """Return eight convolutions; the second ReLU has one megabyte per image at 128 pixels."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for n_in, n_out, stride in ((3, 16, 1), (16, 16, 1), (16, 32, 2), (32, 64, 2), (64, 64, 1), (64, 128, 2)):
        layers += [nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10)).eval()


def extractor() -> adapters.ActivationsExtractor:
    """Return what workers of an extraction make again."""
    return adapters.wrap(network(), identifier="eight_layers", preprocessing=adapters.imagenet(128), batch_size=32)


@contextmanager
def convolving(folder: str, n_passes: int) -> Iterator[Work]:
    """Give work that takes the processor some time for each shard, in one thread, and writes 64 kB."""
    torch.set_num_threads(1)
    model, place = network(), Path(folder)

    def work(shards: Sequence[int]) -> Iterator[Receipt]:
        for shard in shards:
            start = time.perf_counter()
            compute(model, n_passes)
            with (place / f"{shard}.bin").open("wb") as file:
                file.write(bytes(65_536))
                file.flush()
                os.fsync(file.fileno())
            yield Receipt(shard, worker_name(), time.perf_counter() - start, n_images=4 * n_passes, n_bytes=65_536)

    yield work


def compute(model: nn.Module, n_passes: int) -> None:
    """Run the network over four images, so many times."""
    images = torch.randn(4, 3, IMAGE, IMAGE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        for _ in range(n_passes):
            model(images)


def passes_for(seconds: float) -> int:
    """Return how many passes take so long here, in one thread."""
    before, model = torch.get_num_threads(), network()
    torch.set_num_threads(1)
    try:
        compute(model, 2)
        start = time.perf_counter()
        compute(model, 8)
        return max(1, round(8 * seconds / (time.perf_counter() - start)))
    finally:
        torch.set_num_threads(before)
