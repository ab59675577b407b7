"""The same network with the same weights gives the same assembly in PyTorch and in every kind of JAX model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from adapters import already_preprocessed
from adapters.extractor import ActivationsExtractor
from adapters.testing import AdapterCase, Toy, pytorch_case, toy_images
from adapters.testing.toys_equinox import equinox_case
from adapters.testing.toys_functions import function_case
from adapters.testing.toys_haiku import haiku_case
from adapters.testing.toys_linen import linen_case
from adapters.testing.toys_nnx import nnx_case

LAYERS = ("relu1", "pool", "conv2", "norm", "token_norm", "shared@0", "shared@1", "branch", "noise", "head", "logits")
LABELS = ("channel", "channel_x", "channel_y", "embedding", "neuroid_num", "time_step")


@pytest.mark.parametrize(
    "case", [linen_case(), nnx_case(), equinox_case(), haiku_case(), function_case()], ids=lambda case: case.name
)
def test_same_assembly_as_pytorch(case: AdapterCase, record_property: Callable[[str, object], None]):
    worst = 0.0
    for layer in LAYERS:
        expected, found = (assembly_of(each, layer) for each in (pytorch_case(), case))
        assert found.sizes == expected.sizes
        np.testing.assert_allclose(found.values, expected.values, rtol=1e-4, atol=1e-6, err_msg=layer)
        worst = max(worst, float(np.abs(found.values - expected.values).max() / np.abs(expected.values).max()))
        for label in LABELS:
            assert (label in found.coords) == (label in expected.coords), label
            if label in found.coords:
                np.testing.assert_array_equal(found[label].values, expected[label].values, err_msg=f"{layer} {label}")
    record_property(
        "measured", f"{case.name} and pytorch: at most {worst:.1e} apart, relative to a layer's largest value"
    )


def assembly_of(case: AdapterCase, layer: str):
    adapter = case.adapter(case.build_model(Toy()), device="cpu")
    extractor = ActivationsExtractor(adapter, identifier="toy", preprocessing=already_preprocessed(), batch_size=2)
    return extractor(list(case.in_layout(toy_images(5))), [case.name_of(layer)])
