"""Images, an extractor and an oracle that the tests of gathering share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import adapters
from adapters import budgeting
from adapters.memory import available_memory
from benchmarks_local.gathering import GatheringPlan, plan_gathering, preparing
from benchmarks_local.gathering.plans import unit_bytes

from .networks import network


@pytest.fixture
def images() -> np.ndarray:
    """Nine images of 12 x 12 pixels, the third and the last alike."""
    images = np.random.default_rng(5).integers(0, 256, (9, 12, 12, 3), dtype=np.uint8)
    images[8] = images[2]
    return images


@pytest.fixture
def extractor() -> Any:
    return adapters.wrap(network(), identifier="toy", preprocessing=adapters.raw(12), batch_size=4)


@pytest.fixture(scope="session")
def expected() -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Return the values of every layer by running the modules one after the other."""

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        values, found = torch.from_numpy(images.transpose(0, 3, 1, 2) / np.float32(255)), {}
        with torch.no_grad():
            for name, module in network().named_children():
                values = module(values.clone())
                found[name] = values.flatten(1).numpy().astype(np.float64)
        return found

    return run


@pytest.fixture
def budget_for(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Return a budget that leaves room for so many units; what the process really holds does not count."""
    monkeypatch.setattr(preparing, "used_memory", lambda: 0)
    monkeypatch.setattr(budgeting, "used_memory", lambda: 0)

    def budget(n_units: int, extractor: Any, *arguments: Any, **options: Any) -> int:
        before, extractor.batch_size = extractor.batch_size, 1  # where memory is short, batches are small
        rich: GatheringPlan = plan_gathering(extractor, *arguments, memory=available_memory(), **options)
        extractor.batch_size = before
        needed = rich.fixed_bytes + rich.gram_bytes + rich.kept_bytes
        return needed + n_units * unit_bytes(rich.n_presentations)

    return budget
