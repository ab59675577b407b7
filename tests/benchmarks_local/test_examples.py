"""The examples register what they say, and run without network."""

from __future__ import annotations

import importlib.util
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import registry
from benchmarks_local import check_model

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def default_registry_as_found() -> Iterator[None]:
    before = set(registry.default_registry)
    yield
    for identifier in set(registry.default_registry) - before:
        registry.unregister(identifier)


@pytest.fixture
def digits(tmp_path: Path, default_registry_as_found: None) -> ModuleType:
    return load(Path(shutil.copy(EXAMPLES / "pytorch_digits.py", tmp_path)))


@pytest.fixture
def alexnet(tmp_path: Path, default_registry_as_found: None) -> ModuleType:
    return load(Path(shutil.copy(EXAMPLES / "pytorch_alexnet.py", tmp_path)))


def test_digits_are_learned_and_the_model_passes_the_check(digits: ModuleType) -> None:
    assert digits.train() > 0.95
    assert digits.WEIGHTS.exists()
    stream = io.StringIO()
    report = check_model("digits_cnn", stream=stream)
    assert stream.getvalue().endswith("Test successful, you are ready to submit!\n")
    assert report.warnings == ()


def test_digits_training_repeats_itself(digits: ModuleType, tmp_path: Path) -> None:
    def weights(name: str) -> dict[str, Any]:
        digits.train(tmp_path / name, n_epochs=1)
        with np.load(tmp_path / name) as file:
            return dict(file)

    first, second = weights("a.npz"), weights("b.npz")
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])
    assert sorted(path.name for path in tmp_path.glob("*.npz")) == ["a.npz", "b.npz"]


def test_digits_are_trained_when_the_weights_are_missing(digits: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits.train, "__defaults__", (digits.WEIGHTS, 1))
    assert not digits.WEIGHTS.exists()
    extractor = registry.get_model("digits_cnn")
    assert digits.WEIGHTS.exists()
    images, labels = digits.load_images()
    image = np.moveaxis((images[:1].numpy() * 255).round().astype(np.uint8), 1, -1)
    assert extractor(list(image), layers=["logits"]).sizes["neuroid"] == len(set(labels.tolist()))


def test_alexnet_with_random_weights_says_so_and_is_always_the_same(
    alexnet: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALEXNET_WEIGHTS", "random")
    first, second = alexnet.alexnet_v1(), alexnet.alexnet_v1()
    assert capsys.readouterr().err.count("RANDOM WEIGHTS, because ALEXNET_WEIGHTS=random") == 2
    for name, weights in first.state_dict().items():
        assert (weights == second.state_dict()[name]).all()


def test_alexnet_without_network_says_so(
    alexnet: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ALEXNET_WEIGHTS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # no cached weights
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    extractor = registry.get_model("alexnet_v1")
    assert "RANDOM WEIGHTS, because the trained weights could not be downloaded" in capsys.readouterr().err
    assert registry.get_layers("alexnet_v1") == extractor.resolve_layers(registry.get_layers("alexnet_v1"))
    assert "krizhevsky2012imagenet" in registry.get_bibtex("alexnet_v1")


@pytest.mark.parametrize("name", ["pytorch_digits.py", "pytorch_alexnet.py", "keras_vgg16.py"])
def test_examples_are_short_and_never_weaken_tls(name: str) -> None:
    text = (EXAMPLES / name).read_text()
    assert len(text.splitlines()) <= {"pytorch_digits.py": 100}.get(name, 60)
    for pattern in ("_create_unverified_context", "verify=False", "CERT_NONE", ".cuda()"):
        assert pattern not in text
