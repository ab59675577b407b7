"""Runs the other files of this folder once per backend, as Keras takes one backend per process.

To run one of them alone: ``KERAS_BACKEND=jax python -m pytest tests/frameworks/keras/reading.py``.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = [str(HERE / name) for name in ("reading.py", "layouts.py", "changing.py", "refusing.py", "applications.py")]
ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}  # other tests run beside it
# Making a model compiles every random draw of every shape; that it is fast is of no use here. JAX alone reads this.
QUICK_TO_COMPILE = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=HERE.parents[2],
        env={**ENVIRONMENT, **environment},
        timeout=900,
        check=False,
    )


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_keras(backend: str, record_property: Callable[[str, object], None]):
    options = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist")
    done = run(*options, *FILES, KERAS_BACKEND=backend, **QUICK_TO_COMPILE)
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    for line in done.stdout.splitlines():
        if line.startswith("Keras on "):
            record_property("measured", line)


@pytest.mark.parametrize("backend", ["nonsense", "openvino"])
def test_backend_that_does_not_import(backend: str, tmp_path: Path):
    path = tmp_path / "model.keras"
    path.touch()
    done = run("-c", "import sys, adapters; adapters.wrap(sys.argv[1])", str(path), KERAS_BACKEND=backend)
    said = {
        "nonsense": "Unable to import backend : nonsense",
        "openvino": "No module named 'openvino'",
    }
    message = done.stderr[done.stderr.rindex("adapters.errors.MissingFrameworkError: ") :]
    assert said[backend] in message
    assert "pip install 'brain-adapters[keras]'" in message


def test_backend_that_is_not_read():
    make = "import keras; model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])"
    done = run("-c", f"{make}; import adapters; adapters.wrap(model)", KERAS_BACKEND="numpy")
    message = done.stderr[done.stderr.rindex("adapters.errors.UnsupportedModelError: ") :]
    assert "the backend 'numpy' here. Supported: tensorflow, jax, torch. Set KERAS_BACKEND before" in message


def test_layers_that_are_nnx_modules():
    """With this switch Keras makes its layers of flax's; they are read as Keras's all the same."""
    script = """
import keras, numpy as np, adapters
model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3), keras.layers.Dropout(0.5, name="drop")])
images = np.random.default_rng(0).standard_normal((3, 8, 8, 3)).astype(np.float32)
extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed(), batch_size=2)
expected = np.moveaxis(np.asarray(model(images, training=False)), -1, 1).reshape(3, -1)
np.testing.assert_allclose(extractor(list(images), ["drop"]).values, expected, rtol=1e-4, atol=1e-6)
assert any(cls.__module__ == "flax.nnx.module" for cls in type(model).__mro__)
assert extractor.adapter.framework == "keras"
"""
    done = run("-c", script, KERAS_BACKEND="jax", KERAS_NNX_ENABLED="true", **QUICK_TO_COMPILE)
    assert done.returncode == 0, done.stderr[-3000:]
