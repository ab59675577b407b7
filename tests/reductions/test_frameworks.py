"""Reductions give the same numbers in every framework: those of NumPy and scikit-learn on values as they are.

The conformance suite holds every kind of model of a framework against NumPy; here is one of each way to run them.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.testing import (
    AdapterCase,
    linen_case,
    onnx_case,
    pytorch_case,
    tensorflow_case,
    tensorflow_session_case,
)

from .comparing import Compared

CASES = (pytorch_case(), onnx_case(), linen_case(), tensorflow_case(), tensorflow_session_case())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_reductions_are_those_of_numpy_and_scikit_learn(case: AdapterCase):
    Compared(case).all()


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_reductions_in_keras(backend: str):
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("comparing.py")), "keras_case"],
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout == "keras_case agrees\n", done.stderr[-3000:]
