"""The JAX example registers what it says, and passes the check."""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import registry
from benchmarks_local import check_model

EXAMPLE = Path(__file__).parents[3] / "examples" / "jax_flax_vit.py"


@pytest.fixture
def small_vit(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    spec = importlib.util.spec_from_file_location("example_jax_flax_vit", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # where flax looks for the annotations of a module's fields
    spec.loader.exec_module(module)
    yield "small_vit"
    registry.unregister("small_vit")


def test_vision_transformer_passes_the_check(small_vit: str) -> None:
    stream = io.StringIO()
    check_model(small_vit, stream=stream)
    assert stream.getvalue().endswith("Test successful, you are ready to submit!\n")


def test_example_is_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 60
