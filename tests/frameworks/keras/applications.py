"""Models of `keras.applications`: every layer as their sub-models give it, preprocessing as their functions do it."""

import functools
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

import adapters
from adapters.errors import LayerNotFoundError

BACKEND = keras.config.backend()
MODULES = {
    "MobileNetV2": "mobilenet_v2",
    "ConvNeXtTiny": "convnext",
    "VGG16": "vgg16",
    "ResNet50": "resnet",
    "EfficientNetB0": "efficientnet",
}
# JAX compiles every random draw of every shape that a model is made of; the architectures are the same everywhere.
NAMES = list(MODULES)[:2] if BACKEND == "jax" else list(MODULES)
SHAPE = (40, 56, 3)  # more columns than rows, so that swapping them is noticed


@functools.cache
def built(name: str) -> Any:
    """Build a model with random weights; what normalises it gets statistics and scales that do something."""
    model = getattr(keras.applications, name)(weights=None, input_shape=SHAPE, classes=10)
    random = np.random.default_rng(0)
    ranges = {"gamma": (0.5, 1.5), "moving_variance": (0.5, 1.5), "moving_mean": (-0.5, 0.5)}
    for variable in model.weights:
        if variable.name in ranges:
            variable.assign(random.uniform(*ranges[variable.name], variable.shape))
    return model


def flat(output: Any) -> np.ndarray:
    array = keras.ops.convert_to_numpy(output.detach() if hasattr(output, "detach") else output)
    return (np.moveaxis(array, -1, 1) if array.ndim == 4 else array).reshape(len(array), -1)


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_as_the_submodel_gives_it(name: str):
    model = built(name)
    names = [layer.name for layer in model.layers[1:]]
    images = np.random.default_rng(1).standard_normal((3, *SHAPE)).astype(np.float32)
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed(), batch_size=2)
    assembly = extractor(list(images), names, progress=False)
    submodel = keras.Model(model.input, [model.get_layer(each).output for each in names])
    outputs = submodel.predict_on_batch(images) if BACKEND == "jax" else submodel(images, training=False)
    ends = np.cumsum([np.prod(output.shape[1:]) for output in outputs])
    assert assembly.shape == (3, ends[-1])
    for each, output, found in zip(names, outputs, np.split(assembly.values, ends[:-1], axis=1), strict=True):
        expected = flat(output)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max(), err_msg=each)


@pytest.mark.parametrize("name", NAMES)
def test_preprocessing_as_the_function_does_it(name: str):
    pixels = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    expected = getattr(keras.applications, MODULES[name]).preprocess_input(pixels.astype(np.float32).copy())
    preprocessing = adapters.wrap(built(name)).preprocessing
    assert isinstance(preprocessing, adapters.Preprocessing)
    found = preprocessing(Image.fromarray(pixels))
    np.testing.assert_allclose(np.moveaxis(found, 0, -1), expected, rtol=1e-5, atol=1e-4)


if BACKEND == "tensorflow":  # the slowest to build; nothing here depends on the backend

    def test_densenet_is_preprocessed_as_in_torch():
        model = keras.applications.DenseNet121(weights=None, input_shape=(32, 32, 3), include_top=False)
        found = adapters.wrap(model).preprocessing
        assert (found.mean, found.std) == (adapters.imagenet(224).mean, adapters.imagenet(224).std)


def test_a_name_alone_proves_nothing():
    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten()], name="vgg16")
    assert adapters.wrap(model).adapter.preprocessing() is None


def test_layer_in_the_style_of_another_framework():
    extractor = adapters.wrap(built(NAMES[0]), preprocessing=adapters.already_preprocessed())
    for name in ("features.12", "layer1/conv"):
        with pytest.raises(
            LayerNotFoundError, match=rf"^{extractor.identifier} has no layer '{name}'.*It has \d+ layers"
        ):
            extractor([np.zeros(SHAPE, np.float32)], [name])
