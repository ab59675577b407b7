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
FILES = [str(HERE / name) for name in ("reading.py", "refusing.py", "applications.py", "same_network.py")]


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_keras(backend: str, record_property: Callable[[str, object], None]):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *FILES]
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    root = HERE.parents[2]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment, timeout=900, check=False)
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    for line in done.stdout.splitlines():
        if line.startswith("Keras on "):
            record_property("measured", line)
