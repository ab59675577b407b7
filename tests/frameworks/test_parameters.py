"""What each framework counts as a model's parameters: of the conformance suite's network, whose weights are known."""

from __future__ import annotations

import math

import pytest

from adapters.testing import (
    AdapterCase,
    Toy,
    equinox_case,
    function_case,
    haiku_case,
    linen_case,
    nnx_case,
    onnx_case,
    saved_model_case,
    tensorflow_case,
    tensorflow_function_case,
    tensorflow_session_case,
    tf_keras_case,
    toy_weights,
)

SIZES = {name: value.size for name, value in toy_weights().items()}
ALL = sum(SIZES.values())
STATISTICS = SIZES["norm.mean"] + SIZES["norm.variance"]
UNUSED = SIZES["unused.kernel"] + SIZES["unused.bias"]
# (all, trained) where it is not every array, and of these every one but the statistics of the normalisation
COUNTS = {
    "tensorflow": (ALL, ALL),  # its normalisation keeps plain variables, and so does the session's
    "tensorflow function": (ALL, ALL),
    "tensorflow SavedModel": (ALL - UNUSED, ALL - UNUSED),  # what the signature does not use is not of the model
    "tensorflow session": (ALL, ALL),
    "haiku": (ALL + STATISTICS, ALL - STATISTICS),  # which keeps each average twice
    "function": (ALL, ALL),  # a function's arrays have no roles
    "onnx": (ALL + 1, 0),  # a constant; and a file does not say what is trained
}


@pytest.mark.parametrize(
    "case",
    [
        *(
            tensorflow_case(),
            tensorflow_function_case(),
            saved_model_case(),
            tensorflow_session_case(),
            tf_keras_case(),
        ),
        *(linen_case(), nnx_case(), equinox_case(), haiku_case(), function_case(), onnx_case()),
    ],
    ids=lambda case: case.name,
)
def test_parameters(case: AdapterCase):
    found = list(case.adapter(case.build_model(Toy()), device=case.device).parameters())
    n_all = sum(each.n_bytes // 4 for each in found)
    n_trained = sum(each.n_bytes // 4 for each in found if each.is_trained)
    assert (n_all, n_trained) == COUNTS.get(case.name, (ALL, ALL - STATISTICS))
    assert all(each.n_bytes == 4 * math.prod(each.shape) for each in found)
