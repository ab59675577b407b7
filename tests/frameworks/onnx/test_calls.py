"""The two calls of a module are two nodes in ONNX, with the values of the calls in PyTorch."""

from __future__ import annotations

import numpy as np

from adapters import already_preprocessed
from adapters.extractor import ActivationsExtractor
from adapters.testing import AdapterCase, Toy, onnx_case, pytorch_case, toy_images


def test_calls_of_a_module_are_nodes():
    """A module that ran twice was exported as two nodes."""
    for call, node in {"shared@0": "shared", "shared@1": "shared_1"}.items():
        expected, found = values_of(pytorch_case(), call), values_of(onnx_case(), node)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def values_of(case: AdapterCase, layer: str) -> np.ndarray:
    adapter = case.adapter(case.build_model(Toy()), device="cpu")
    extractor = ActivationsExtractor(adapter, identifier="toy", preprocessing=already_preprocessed(), batch_size=2)
    return extractor(list(case.in_layout(toy_images(5))), [layer]).values
