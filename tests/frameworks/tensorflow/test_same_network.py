"""The same network with the same weights gives the same assembly in PyTorch and in every kind of TensorFlow model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from adapters.testing import (
    AdapterCase,
    Toy,
    pytorch_case,
    saved_model_case,
    tensorflow_case,
    tensorflow_function_case,
    tensorflow_session_case,
    tf_keras_case,
    toy_images,
)
from adapters.testing.reading import extract, extractor_of

MODULES = ("relu1", "pool", "conv2", "norm", "token_norm", "shared@0", "shared@1", "branch", "noise", "head", "logits")
OPERATIONS = tuple(layer for layer in MODULES if not layer.startswith("shared"))
LABELS = ("channel", "channel_x", "channel_y", "embedding", "neuroid_num")
CASES = [
    (tensorflow_case(), MODULES),
    (tf_keras_case(), MODULES),
    (tensorflow_function_case(), OPERATIONS),
    (saved_model_case(), OPERATIONS),
    (tensorflow_session_case(), OPERATIONS),
]


@pytest.mark.parametrize(("case", "layers"), CASES, ids=[case.name for case, _ in CASES])
def test_same_assembly_as_pytorch(
    case: AdapterCase, layers: tuple[str, ...], record_property: Callable[[str, object], None]
):
    first, second = (
        extract(each, extractor_of(each, Toy(), batch_size=2), toy_images(5), layers) for each in (pytorch_case(), case)
    )
    worst = 0.0
    for layer in layers:
        is_first = np.asarray(first["layer"].values) == pytorch_case().name_of(layer)
        is_second = np.asarray(second["layer"].values) == case.name_of(layer)
        expected, found = first.values[:, is_first], second.values[:, is_second]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6, err_msg=layer)
        worst = max(worst, float(np.abs(found - expected).max() / np.abs(expected).max()))
        for label in LABELS:
            np.testing.assert_array_equal(
                np.asarray(second[label].values)[is_second],
                np.asarray(first[label].values)[is_first],
                err_msg=f"{layer} {label}",
            )
    record_property(
        "measured", f"{case.name} and pytorch: at most {worst:.1e} apart, relative to a layer's largest value"
    )
