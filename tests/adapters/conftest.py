"""Images, files and an oracle that the tests of `adapters` share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import adapters


@pytest.fixture(autouse=True)
def clean_torch() -> Iterator[None]:
    """Give every test the same random weights, and take back what a failing test may have left in torch."""
    torch.manual_seed(7)
    yield
    torch.backends.mha.set_fastpath_enabled(True)


@pytest.fixture
def noise() -> Callable[..., np.ndarray]:
    """Make arrays of pixels: ``noise(height, width, 3, seed=0)``."""

    def make(*shape: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)

    return make


@pytest.fixture
def batch() -> Callable[..., np.ndarray]:
    """Make preprocessed images: ``batch(5, 3, 8, 8)``."""

    def make(*shape: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)

    return make


@pytest.fixture
def image_files(tmp_path: Path, noise: Callable[..., np.ndarray]) -> Callable[[int], list[str]]:
    """Write n different PNG files of 12 x 10 pixels and return their paths."""

    def write(n_images: int) -> list[str]:
        paths = [tmp_path / f"image_{index:02d}.png" for index in range(n_images)]
        for index, path in enumerate(paths):
            Image.fromarray(noise(10, 12, 3, seed=index)).save(path)
        return [str(path) for path in paths]

    return write


class Counting(nn.Module):
    """Flattens its input; remembers how many images came in each forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.n_images: list[int] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.n_images.append(len(images))
        return self.flatten(images)


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def convnet() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 5, 3), nn.Flatten(), nn.Linear(5 * 4 * 4, 6)
    )


@pytest.fixture
def read() -> Callable[..., Any]:
    """Wrap a model and read layers of arrays that are handed over unchanged."""

    def read(model: Any, images: Any, layers: Any = None, *, calls: str = "last", **options: Any) -> Any:
        extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed(), **options)
        return extractor(images, layers, calls=calls)

    return read


@pytest.fixture
def hand_hooked() -> Callable[..., dict[str, np.ndarray]]:
    """Return what the model's own forward gives: hooks by hand, values copied at once, one batch after the other."""

    def run(model: nn.Module, images: np.ndarray, names: list[str], batch_size: int = 64) -> dict[str, np.ndarray]:
        found: dict[str, list[np.ndarray]] = {name: [] for name in names}

        def keep(name: str) -> Any:
            def hook(_module: Any, _inputs: Any, output: Any) -> None:
                found[name].append(output.detach().clone().flatten(1).numpy())

            return hook

        modules = dict(model.named_modules())
        handles = [modules[name].register_forward_hook(keep(name)) for name in names]
        model.eval()
        with torch.no_grad():
            for start in range(0, len(images), batch_size):
                model(torch.from_numpy(images[start : start + batch_size]))
        for handle in handles:
            handle.remove()
        return {name: np.concatenate(values) for name, values in found.items()}

    return run
