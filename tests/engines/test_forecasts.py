"""Measuring for a forecast leaves models of each framework as they are, and leaves no file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.mark.parametrize("name", ["engine_torch", "engine_keras", "engine_flax"])
def test_measuring_changes_nothing(
    built: Callable[[str], Any], images: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("adapters.rates._SECONDS", 0.4)
    extractor = built(name)
    before, key = extractor(images[:8], "logits").values, extractor.fingerprint()
    plan = extractor.plan(images, ["logits"], store=tmp_path / "store", workers=2)
    np.testing.assert_array_equal(extractor(images[:8], "logits").values, before)
    assert extractor.fingerprint() == key
    found = plan.forecast
    assert (found.n_images, found.n_bytes) == (64, plan.disk_bytes)
    assert found.images_per_second > 10
    assert found.startup_seconds > 0.05
    assert list(tmp_path.iterdir()) == []
