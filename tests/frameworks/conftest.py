"""What the tests of `make test-frameworks` share; a framework that is missing fails their run."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import adapters

# Only looked up here, as in tests/conftest.py; test_environment.py really imports each.
REQUIRED = ("tensorflow", "keras", "jax", "flax", "equinox", "haiku")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Stop the run with one clear message when a framework is not installed."""
    missing = [name for name in REQUIRED if find_spec(name) is None]
    if missing:
        pytest.exit(
            f"The tests of the frameworks need {', '.join(missing)}, not installed for this Python.\n"
            "Install what is missing with: pip install -r requirements/frameworks.txt -e .",
            returncode=4,
        )


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
