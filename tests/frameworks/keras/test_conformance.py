"""The Keras adapter keeps every rule of the contract, on each backend; Keras takes one backend per process."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.testing import CHECKS

ROOT = Path(__file__).parents[3]
STATUSES = "passed|expected failure|failed|unexpected pass"


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_conformance(backend: str, record_property: Callable[[str, object], None]):
    command = [sys.executable, "-m", "adapters.testing", "adapters.testing:keras_case"]
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=600, check=False)
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
    found = dict(re.findall(rf"^(?:{STATUSES})\s+(check_\w+)\s+(.*)$", done.stdout, re.MULTILINE))
    assert list(found) == [check.__name__ for check in CHECKS]
    for status, check in re.findall(rf"^({STATUSES})\s+(check_\w+)", done.stdout, re.MULTILINE):
        record_property("conformance", f"keras-{backend}-{check}={status}")
