"""Frameworks in one process: reading a model of one imports no other, and all of them work at the same time."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from adapters.testing import (
    AdapterCase,
    equinox_case,
    haiku_case,
    keras_case,
    linen_case,
    nnx_case,
    onnx_case,
    oracle,
    pytorch_case,
    tensorflow_case,
    toy_images,
    toy_weights,
)
from adapters.testing.reading import extract, extractor_of, values_by_layer

ROOT = Path(__file__).parents[2]
LAYERS = ("conv2", "token_norm", "head", "logits")
# What reading a model of the first may bring along, beyond what importing the framework itself does.
CASES = {
    "pytorch_case": "torch",
    "linen_case": "flax.linen",
    "nnx_case": "flax.nnx",
    "equinox_case": "equinox",
    "haiku_case": "haiku",
    "tensorflow_case": "tensorflow",
    "onnx_case": "onnx, onnxruntime",
    "keras_case": "keras",
}
FRAMEWORKS = ("torch", "tensorflow", "keras", "tf_keras", "jax", "flax", "equinox", "haiku", "onnxruntime")


@pytest.mark.parametrize("name", CASES)
def test_reading_one_framework_imports_no_other(name: str):
    """In a fresh interpreter: what is loaded after an extraction is what importing the framework alone loads."""
    code = (
        f"import json, sys, {CASES[name]}\n"
        f"before = sorted(set({FRAMEWORKS!r}) & set(sys.modules))\n"
        f"from adapters.testing import {name}, toy_images\n"
        "from adapters.testing.reading import extract, extractor_of\n"
        f"case = {name}()\n"
        "assembly = extract(case, extractor_of(case), toy_images(2), ['conv1', 'logits'])\n"
        f"after = sorted(set({FRAMEWORKS!r}) & set(sys.modules))\n"
        "print(json.dumps([before, after, list(assembly.shape)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    before, after, shape = json.loads(done.stdout.splitlines()[-1])
    assert after == before
    assert shape == [2, 4 * 10 * 14 + 5]


def test_all_frameworks_work_at_the_same_time():
    cases = [pytorch_case(), keras_case(), tensorflow_case(), linen_case(), nnx_case(), equinox_case(), haiku_case()]
    cases.append(onnx_case())
    images, n_threads, draw = toy_images(12), torch.get_num_threads(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    expected = oracle(toy_weights(), images)
    extractors = [extractor_of(case, batch_size=4) for case in cases]

    def read(case: AdapterCase, extractor: object) -> dict[str, np.ndarray]:
        return values_by_layer(case, extract(case, extractor, images, LAYERS), LAYERS)

    with ThreadPoolExecutor(len(cases)) as pool:
        results = list(pool.map(read, cases, extractors))
    for case, found in zip(cases, results, strict=True):
        for layer in LAYERS:
            values = expected[layer].reshape(len(images), -1)
            np.testing.assert_allclose(found[layer], values, rtol=1e-4, atol=1e-5, err_msg=f"{case.name} {layer}")
    assert torch.get_num_threads() == n_threads
    assert np.random.get_state()[1].tobytes() == draw  # noqa: NPY002
