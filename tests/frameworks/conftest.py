"""What the tests of the frameworks share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import adapters


@pytest.fixture
def batch() -> Callable[..., np.ndarray]:
    """Make preprocessed images: ``batch(5, 8, 8, 3)``."""

    def make(*shape: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)

    return make


@pytest.fixture
def read() -> Callable[..., Any]:
    """Wrap a model and read layers of arrays that are handed over unchanged."""

    def read(model: Any, images: Any, layers: Any = None, *, calls: str = "last", **options: Any) -> Any:
        extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed(), **options)
        return extractor(images, layers, calls=calls)

    return read
