"""The TensorFlow examples register what they say, and pass the check."""

from __future__ import annotations

import importlib.util
import io
import sys
from pathlib import Path

import pytest

import registry
from benchmarks_local import check_model

EXAMPLES = Path(__file__).parents[3] / "examples"
IDENTIFIERS = {"tensorflow_savedmodel": "small_savedmodel", "tensorflow_slim": "small_slim"}


@pytest.mark.parametrize("name", IDENTIFIERS)
def test_example_passes_the_check(name: str, monkeypatch: pytest.MonkeyPatch):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    stream = io.StringIO()
    try:
        check_model(IDENTIFIERS[name], stream=stream)
        extractor = registry.get_model(IDENTIFIERS[name])
        assert extractor.layers["logits"].shape == (1000,)
    finally:
        registry.unregister(IDENTIFIERS[name])
    assert stream.getvalue().endswith("Test successful, you are ready to submit!\n")


@pytest.mark.parametrize("name", IDENTIFIERS)
def test_example_is_short(name: str):
    assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) < 60
