"""The suite knows no framework: an adapter for a channels-last network in NumPy keeps every rule, too."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import signal

from adapters.testing import AdapterCase, oracle, parametrize_with_checks, toy_images, toy_weights

from .numpy_network import NumpyToy, numpy_case


@parametrize_with_checks([numpy_case()])
def test_conformance(case: AdapterCase, check: Callable[[AdapterCase], None]):
    check(case)


@pytest.mark.parametrize("layer", ["conv1", "pool", "conv2", "norm", "token_norm", "branch:2.mean", "shared", "logits"])
def test_channels_are_where_the_oracle_has_them(layer: str):
    """The network beside the oracle is written otherwise, so that both do not share a mistake."""
    from adapters.testing import Toy

    images = toy_images(2)
    steps = dict(NumpyToy(Toy()).steps(np.moveaxis(images, 1, -1)))
    value = steps["branch"][2]["mean"] if layer == "branch:2.mean" else steps[layer]
    value = np.moveaxis(value, -1, 1) if value.ndim == 4 else value
    np.testing.assert_allclose(value, oracle(toy_weights(), images)[layer], rtol=1e-4, atol=1e-6)


def test_oracle_convolves_as_scipy():
    weights, images = toy_weights(), toy_images(1)
    found = oracle(weights, images)
    for layer, inputs, stride in (("conv1", images, 1), ("conv2", found["pool"], 2)):
        kernel, bias = weights[f"{layer}.kernel"], weights[f"{layer}.bias"]
        for channel in range(len(kernel)):
            planes = zip(inputs[0], kernel[channel], strict=True)
            expected = sum(signal.correlate2d(plane, weight, mode="same") for plane, weight in planes) + bias[channel]
            np.testing.assert_allclose(found[layer][0, channel], expected[::stride, ::stride], rtol=1e-4, atol=1e-6)


def test_oracle_normalises():
    """The statistics of what comes out follow from the weights."""
    weights, images = toy_weights(), toy_images(8)
    weights["norm.mean"], weights["norm.variance"] = np.full(6, 3.0), np.full(6, 4.0 - 1e-3)
    weights["norm.scale"], weights["norm.offset"] = np.full(6, 10.0), np.full(6, 1.0)
    weights["token_norm.scale"], weights["token_norm.offset"] = np.full(6, 2.0), np.full(6, 5.0)
    found = oracle(weights, images)
    np.testing.assert_allclose(found["norm"], 5 * (found["conv2"] - 3) + 1)
    np.testing.assert_allclose(found["token_norm"].mean(-1), 5)
    np.testing.assert_allclose(found["token_norm"].std(-1), 2, rtol=1e-3)


def test_oracle_counts_tokens_row_by_row():
    found = oracle(toy_weights(), toy_images(1))
    weights = {**toy_weights(), "token_norm.scale": np.ones(6), "token_norm.offset": np.zeros(6)}
    token = oracle(weights, toy_images(1))["token_norm"][0, 1 * 4 + 2]  # row 1, column 2 of 3 x 4
    channels = found["norm"][0, :, 1, 2]
    np.testing.assert_allclose(token, (channels - channels.mean()) / np.sqrt(channels.var() + 1e-5))
