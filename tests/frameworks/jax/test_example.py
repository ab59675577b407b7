"""The JAX examples register what they say, and pass the check."""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import registry
from benchmarks_local import check_model

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture(
    params=[("jax_flax_vit", "small_vit"), ("jax_equinox_cnn", "small_equinox_cnn")], ids=lambda pair: pair[0]
)
def example(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """Run an example, which registers its model."""
    file, identifier = request.param
    path = EXAMPLES / f"{file}.py"
    spec = importlib.util.spec_from_file_location(f"example_{file}", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # where flax looks for the annotations of a module's fields
    spec.loader.exec_module(module)
    yield path, identifier
    registry.unregister(identifier)


def test_model_passes_the_check_and_the_example_is_short(example: tuple[Path, str]):
    path, identifier = example
    stream = io.StringIO()
    check_model(identifier, stream=stream)
    assert stream.getvalue().endswith("Test successful, you are ready to submit!\n")
    assert len(path.read_text().splitlines()) < 60
