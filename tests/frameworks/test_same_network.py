"""The same network with the same weights gives the same assembly in every framework: values and labels.

The reference is PyTorch, which the conformance suite holds against NumPy. Keras takes one backend per process.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from adapters.testing import (
    AdapterCase,
    agreement,
    equinox_case,
    function_case,
    haiku_case,
    linen_case,
    nnx_case,
    onnx_case,
    pytorch_case,
    saved_model_case,
    tensorflow_case,
    tensorflow_function_case,
    tensorflow_session_case,
    tf_keras_case,
)
from adapters.testing.__main__ import main

ROOT = Path(__file__).parents[2]
CASES = [
    *(tensorflow_case(), tensorflow_function_case(), saved_model_case(), tensorflow_session_case(), tf_keras_case()),
    *(linen_case(), nnx_case(), equinox_case(), haiku_case(), function_case(), onnx_case()),
]
ROW = re.compile(r"^(\S+)\s+([\d.e+-]+)\s+([\d.e+-]+)\s+(identical)$", re.MULTILINE)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_same_network_as_in_pytorch(case: AdapterCase, record_property: Callable[[str, object], None]):
    found = agreement(case, pytorch_case())
    assert found.is_good, str(found)
    assert {"conv1", "pool", "norm", "token_norm", "head", "logits"} <= {layer.layer for layer in found.layers}
    record_property("agreement", json.dumps(asdict(found)))


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_same_network_in_keras(backend: str, record_property: Callable[[str, object], None]):
    targets = ["adapters.testing:keras_case", "--against", "adapters.testing:pytorch_case"]
    command = [sys.executable, "-m", "adapters.testing", *targets]
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
    rows = ROW.findall(done.stdout)
    assert len(rows) == 13
    layers = [dict(layer=name, largest=float(a), relative=float(b), same_labels=True) for name, a, b, _ in rows]
    record_property("agreement", json.dumps({"case": f"keras-{backend}", "layers": layers}))


def test_another_network_is_told_apart(capsys: pytest.CaptureFixture[str]):
    """One weight that differs by 1 %, and one layer that is another, are both seen."""
    reference = pytorch_case()

    def build(toy):
        weights = {name: value.copy() for name, value in toy.weights.items()}
        weights["head.kernel"] *= 1.01
        return reference.build_model(replace(toy, weights=weights))

    found = agreement(replace(reference, name="other", build_model=build), reference)
    assert [layer.layer for layer in found.layers if not layer.is_good] == ["head", "logits"]
    swapped = {**reference.layer_names, "conv2": reference.layer_names["pool"]}
    found = agreement(replace(reference, name="other", layer_names=swapped), reference)
    assert [(layer.layer, layer.same_labels) for layer in found.layers if not layer.is_good] == [("conv2", False)]
    assert "DIFFERENT" in str(found)
    assert main(["adapters.testing:pytorch_case", "--against", "adapters.testing:pytorch_case"]) == 0
    assert "pytorch against pytorch" in capsys.readouterr().out
