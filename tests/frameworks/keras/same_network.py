"""The same network in PyTorch and in Keras gives the same assembly: values and labels."""

from collections.abc import Callable

import keras
import numpy as np

from adapters.testing import LAYERS, AdapterCase, Toy, keras_case, oracle, pytorch_case, toy_images, toy_weights
from adapters.testing.reading import extract, extractor_of

PLACES = ("channel", "channel_x", "channel_y", "embedding", "neuroid_num", "model")
SMALL = 1e-6


def test_pytorch_and_keras_agree(record_property: Callable[[str, object], None]):
    images, layers = toy_images(5), [layer for layer in (*LAYERS, "logits") if layer != "shared"]
    layers += ["shared@0", "shared@1", "branch:2.mean"]

    def assembly_of(case: AdapterCase) -> object:
        return extract(case, extractor_of(case, Toy(), batch_size=2), images, layers)

    torch_case, other_case = pytorch_case(), keras_case()
    first, second = assembly_of(torch_case), assembly_of(other_case)
    worst = 0.0
    for layer in layers:
        is_first = np.asarray(first["layer"].values) == torch_case.name_of(layer)
        is_second = np.asarray(second["layer"].values) == other_case.name_of(layer)
        expected, found = first.values[:, is_first], second.values[:, is_second]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=SMALL, err_msg=layer)
        worst = max(worst, float(np.abs(found - expected).max() / np.abs(expected).max()))
        for name in PLACES:
            np.testing.assert_array_equal(
                np.asarray(second[name].values)[is_second], np.asarray(first[name].values)[is_first], err_msg=name
            )
        if torch_case.name_of(layer) == other_case.name_of(layer):
            ids = [np.asarray(each["neuroid_id"].values) for each in (first, second)]
            np.testing.assert_array_equal(ids[1][is_second], ids[0][is_first])
    expected = oracle(toy_weights(), images)["logits"]
    np.testing.assert_allclose(second.values[:, np.asarray(second["layer"].values) == "logits"], expected, rtol=1e-4)
    backend = keras.config.backend()
    record_property(
        "measured", f"Keras on {backend}: same network as in PyTorch, largest relative difference {worst:.1e}"
    )
