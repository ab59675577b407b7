"""Models of `keras.applications`: layers as their sub-models give them, preprocessing as their functions do it."""

from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

import adapters

BACKEND = keras.config.backend()
MODULES = keras.applications


@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50"])
def test_layers_as_the_submodel_gives_them(name: str):
    model = getattr(MODULES, name)(weights=None, input_shape=(64, 64, 3), classes=10)
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed())
    offered = extractor.adapter.layers((64, 64, 3))
    assert sorted(offered) == sorted(layer.name for layer in model.layers[1:])
    names = [*list(offered)[::25], list(offered)[-1]]
    images = np.random.default_rng(0).standard_normal((3, 64, 64, 3)).astype(np.float32)
    assembly = extractor(list(images), names, progress=False)
    outputs = keras.Model(model.inputs, [model.get_layer(each).output for each in names])(images, training=False)
    for each, output in zip(names, outputs, strict=True):
        expected = keras.ops.convert_to_numpy(output.detach() if BACKEND == "torch" else output)
        expected = (np.moveaxis(expected, -1, 1) if expected.ndim == 4 else expected).reshape(3, -1)
        found = assembly.values[:, np.asarray(assembly["layer"].values) == each]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("VGG16", "vgg16"),
        ("ResNet50", "resnet"),
        ("MobileNetV2", "mobilenet_v2"),
        ("DenseNet121", "densenet"),
        ("EfficientNetB0", "efficientnet"),
    ],
)
def test_preprocessing_as_the_function_does_it(name: str, module: str):
    model: Any = getattr(MODULES, name)(weights=None, input_shape=(32, 32, 3), include_top=False)
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    expected = getattr(MODULES, module).preprocess_input(pixels.astype(np.float32).copy())
    preprocessing = adapters.wrap(model).preprocessing
    assert isinstance(preprocessing, adapters.Preprocessing)
    found = preprocessing(Image.fromarray(pixels))
    np.testing.assert_allclose(np.moveaxis(found, 0, -1), expected, rtol=1e-5, atol=1e-4)


def test_a_name_alone_proves_nothing():
    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten()], name="vgg16")
    assert adapters.wrap(model).adapter.preprocessing() is None
