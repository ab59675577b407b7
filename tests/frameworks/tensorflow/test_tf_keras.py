"""Keras 2, the package tf_keras: functional, Sequential, subclassed and nested models, and shared layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras import layers

import adapters
from adapters.dispatch import find_adapter
from adapters.errors import ModelForwardError, UnsupportedModelError
from adapters.frameworks.keras import KerasAdapter
from adapters.frameworks.tensorflow import TensorFlowAdapter


def inner_model() -> Any:
    return tf_keras.Sequential(
        [layers.Conv2D(5, 3, name="conv"), layers.ReLU(name="relu"), layers.Dropout(0.5, name="drop")], name="inner"
    )


def functional() -> Any:
    """Build a model with a nested one, a layer that runs twice, and an operation without a layer of its own."""
    images = tf_keras.Input((12, 16, 3))
    values = layers.Conv2D(5, 3, padding="same", name="block1_conv1")(images)
    shared = layers.Conv2D(5, 1, name="shared")
    values = layers.BatchNormalization(name="norm")(shared(shared(values)))
    values = inner_model()(values) * 2.0
    return tf_keras.Model(images, layers.Dense(7, name="scores")(layers.GlobalAveragePooling2D(name="pool")(values)))


def part(model: Any, output: Any, images: np.ndarray) -> np.ndarray:
    values = np.asarray(tf_keras.Model(model.inputs, output)(images, training=False))
    return (np.moveaxis(values, -1, 1) if values.ndim == 4 else values).reshape(len(images), -1)


def test_functional_nested_and_shared(read: Callable[..., Any], batch: Any):
    tf_keras.utils.set_random_seed(2)
    model, images = functional(), batch(5, 12, 16, 3)
    model.get_layer("norm").moving_mean.assign(np.arange(5) / 10)
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed())
    names = list(extractor.layers)
    assert [name for name in names if name in {"block1_conv1", "shared", "norm", "inner/conv", "inner/relu"}] == [
        *("block1_conv1", "shared", "norm", "inner/conv", "inner/relu"),
    ]
    assert extractor.layers["shared"].n_calls == 2
    assert "inner" in extractor.layers, "an alias of its last layer"
    assert extractor.adapter.input == adapters.contract.InputSpec((12, 16), 3, -1)
    shared, inner = model.get_layer("shared"), model.get_layer("inner")
    between = model.get_layer("norm").output
    expected = {
        "block1_conv1": part(model, model.get_layer("block1_conv1").output, images),
        "shared@0": part(model, shared.get_output_at(0), images),
        "shared@1": part(model, shared.get_output_at(1), images),
        "norm": part(model, between, images),
        "inner/relu": part(model, inner.get_layer("relu")(inner.get_layer("conv")(between)), images),
        "scores": part(model, model.output, images),
    }
    expected["logits"] = expected["scores"]
    found = read(model, images, list(expected), batch_size=2).values
    np.testing.assert_allclose(found, np.concatenate(list(expected.values()), axis=1), rtol=1e-4, atol=1e-5)


def test_subclassed_with_attributes_for_names(read: Callable[..., Any], batch: Any):
    class Classifier(tf_keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = [layers.Conv2D(4, 3), layers.Conv2D(5, 3)]
            self.pool = layers.GlobalAveragePooling2D()
            self.head = layers.Dense(3)

        def call(self, images: Any, training: Any = None) -> Any:
            for block in self.blocks:
                images = block(images)
            if tf.reduce_mean(images) > 1e6:  # translated by autograph, as in Keras itself
                images = images * 0.0
            return self.head(self.pool(images))

    model, images = Classifier(), batch(3, 10, 12, 3)
    with pytest.raises(UnsupportedModelError, match=r"Classifier has no weights yet.*model.build"):
        adapters.wrap(model)
    model(images)
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed())
    assert extractor.identifier == "Classifier"
    extractor(images)
    assert list(extractor.adapter.layers((10, 12, 3))) == ["blocks/0", "blocks/1", "pool", "head"]
    first = np.moveaxis(np.asarray(model.blocks[0](images)), -1, 1).reshape(3, -1)
    np.testing.assert_allclose(read(model, images, ["blocks/0"]).values, first, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(read(model, images).values, np.asarray(model(images)), rtol=1e-4, atol=1e-5)


def test_keras_3_leaves_these_models_alone():
    model = functional()
    assert not KerasAdapter.accepts(model)
    assert find_adapter(model) is TensorFlowAdapter


def test_several_inputs_are_refused():
    left, right = tf_keras.Input((4, 4, 3), name="left"), tf_keras.Input((4, 4, 3), name="right")
    model = tf_keras.Model([left, right], layers.Add()([left, right]))
    with pytest.raises(UnsupportedModelError, match=r"takes 2 inputs \(left, right\).*tf_keras.Model\(image_input"):
        adapters.wrap(model)


def test_wrong_image_size(read: Callable[..., Any], batch: Any):
    with pytest.raises(ModelForwardError, match=r"raised ValueError on a batch of shape \(2, 12, 12, 3\)"):
        read(functional(), batch(1, 12, 12, 3))


def test_changed_weights_are_seen(batch: Any):
    model, images = inner_model(), batch(2, 8, 8, 3)
    model.build((None, 8, 8, 3))
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed())
    before = extractor(images, ["conv"]).values
    model.get_layer("conv").kernel.assign(2 * model.get_layer("conv").kernel)
    np.testing.assert_allclose(extractor(images, ["conv"]).values, 2 * before, rtol=1e-5, atol=1e-6)
