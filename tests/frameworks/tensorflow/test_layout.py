"""Values that are images leave the adapter as (channel, row, column), all others as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import adapters
from adapters.callables import already_preprocessed

LAST, FIRST, NONE = "channels last", "channels first", "no image"
Value = Callable[[Any], Any]


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


IMAGES = random(3, 6, 7, 3)
KERNEL, DENSE, WIDER = random(3, 3, 3, 4), random(4, 4), random(4, 5)
TO_FIRST, TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


def first(x: Any) -> Any:
    return tf.transpose(x, TO_FIRST)


def tokens(x: Any) -> Any:
    return tf.reshape(x, (-1, 42, 4))


def heads(x: Any) -> Any:
    return tf.transpose(tf.reshape(x, (-1, 42, 2, 2)), (0, 2, 1, 3))


def scores(x: Any) -> Any:
    return tf.nn.softmax(tf.matmul(heads(x), heads(x), transpose_b=True))


def bottleneck_attention(x: Any) -> Any:
    return tf.reshape(tf.transpose(tf.matmul(scores(x), heads(x)), (0, 2, 1, 3)), (-1, 6, 7, 4))


def gate(x: Any) -> Any:
    return tf.sigmoid(tf.matmul(tf.reduce_mean(x, (1, 2), keepdims=True), DENSE))


def dense_gate(x: Any) -> Any:
    return tf.reshape(tf.sigmoid(tf.matmul(tf.reduce_mean(x, (1, 2)), DENSE)), (-1, 1, 1, 4)) * x


def normalised_by_group(x: Any) -> Any:
    grouped = tf.reshape(x, (-1, 6, 7, 2, 2))
    return tf.reshape(grouped - tf.reduce_mean(grouped, (1, 2, 4), keepdims=True), tf.shape(x))


def normalised_by_group_first(x: Any) -> Any:
    grouped = tf.reshape(first(x), (-1, 2, 2, 6, 7))
    return tf.reshape(grouped - tf.reduce_mean(grouped, (2, 3, 4), keepdims=True), (-1, 4, 6, 7))


def along_rows(x: Any) -> Any:
    return tf.matmul(tf.nn.softmax(tf.matmul(x, x, transpose_b=True)), x)


def with_zeros(x: Any) -> Any:
    return tf.concat([tf.zeros((tf.shape(x)[0], 1, 6, 7)), first(x)], 1)


def zeros_like_an_image(x: Any) -> Any:
    turned = first(tf.transpose(tf.matmul(x, random(4, 6)), (0, 2, 1, 3)))
    return tf.zeros((tf.shape(x)[0], 6, 7, 6)) + turned


def heads_like_an_image(x: Any) -> Any:
    stretched = tf.image.resize(x, (42, 2))
    return tf.reshape(tokens(tf.image.resize(stretched, (6, 7))), (-1, 42, 2, 2))


def shuffled(x: Any) -> Any:
    return tf.reshape(tf.transpose(tf.reshape(x, (-1, 6, 7, 2, 2, 1)), (0, 1, 3, 2, 4, 5)), (-1, 12, 14, 1))


def patches(x: Any) -> Any:
    blocks = tf.reshape(tf.image.resize(x, (8, 12)), (-1, 2, 4, 3, 4, 4))
    embedded = tf.matmul(tf.reshape(tf.transpose(blocks, (0, 1, 3, 2, 4, 5)), (-1, 6, 64)), random(64, 5))
    return tf.reshape(embedded, (-1, 2, 3, 5))


def dense_bias(x: Any) -> Any:
    return tf.nn.bias_add(tf.expand_dims(tokens(x), 1), np.ones(4, np.float32))


def repeated(x: Any) -> Any:
    for _ in tf.range(2):
        x = tf.nn.relu(x) + 0.1
    return x


CASES: list[tuple[str, Value, str]] = [
    ("convolution", lambda x: x, LAST),
    # products with weights
    ("matmul", lambda x: tf.matmul(x, WIDER), LAST),
    ("matmul_and_add", lambda x: tf.matmul(x, DENSE) + x, LAST),
    ("matmul_of_weights", lambda x: tf.matmul(random(5, 7), x), LAST),
    ("tensordot", lambda x: tf.tensordot(x, WIDER, 1), LAST),
    ("einsum", lambda x: tf.nn.relu(tf.einsum("bhwc,cd->bhwd", x, WIDER)), LAST),
    ("einsum_weights_before", lambda x: tf.einsum("dc,...c->...d", WIDER.T, x), LAST),
    ("einsum_to_first", lambda x: tf.einsum("bhwc,cd->bdhw", x, WIDER), FIRST),
    ("einsum_to_heads", lambda x: tf.einsum("bnc,chd->bhnd", tokens(x), random(4, 2, 3)), NONE),
    ("gate", lambda x: gate(x) * x, LAST),
    ("dense_gate", dense_gate, LAST),
    # products of what comes from the images
    ("scores", scores, NONE),
    ("einsum_scores", lambda x: tf.einsum("bhqd,bhkd->bhqk", heads(x), heads(x)), NONE),
    ("scores_along_rows", lambda x: tf.matmul(x, x, transpose_b=True), NONE),
    ("along_rows", along_rows, LAST),
    ("einsum_gate", lambda x: tf.einsum("bhwc,bc->bhwc", x, tf.reduce_mean(x, (1, 2))), LAST),
    # operands that are weights
    ("weights_before_first", lambda x: random(1, 4, 1, 1) * first(x), FIRST),
    ("bias_before_scores", lambda x: random(1, 2, 42, 42) + scores(x), NONE),
    ("zeros_before_first", with_zeros, FIRST),
    ("zeros_like_an_image", zeros_like_an_image, FIRST),
    ("bias_of_tokens", dense_bias, NONE),
    # other shapes
    ("tokens_to_image", lambda x: tf.reshape(tokens(x), (-1, 6, 7, 4)), LAST),
    ("tokens_to_first", lambda x: tf.reshape(tf.transpose(tokens(x), (0, 2, 1)), (-1, 4, 6, 7)), FIRST),
    ("bottleneck_attention", bottleneck_attention, LAST),
    ("bottleneck_attention_and_add", lambda x: bottleneck_attention(x) + x, LAST),
    ("normalised_by_group", normalised_by_group, LAST),
    ("normalised_by_group_first", normalised_by_group_first, FIRST),
    ("dealt_to_heads", lambda x: tf.reshape(x, (-1, 42, 2, 2)), NONE),
    ("heads", heads, NONE),
    ("heads_like_an_image", heads_like_an_image, NONE),
    ("keys", lambda x: tf.transpose(tf.reshape(x, (-1, 42, 2, 2)), (0, 2, 3, 1)), NONE),
    ("expanded_tokens", lambda x: tf.expand_dims(tokens(x), 1), NONE),
    ("depth", lambda x: tf.expand_dims(tf.reduce_mean(x, -1), -1), LAST),
    ("shuffled", shuffled, LAST),
    ("patches", patches, LAST),
    # transposes
    ("first", first, FIRST),
    ("last_again", lambda x: tf.transpose(tf.nn.relu(first(x)), TO_LAST), LAST),
    ("columns_before_rows", lambda x: tf.transpose(x, (0, 2, 1, 3)), LAST),
    # what else an operation may be
    ("no_image_before_image", lambda x: tf.expand_dims(tf.reduce_mean(x, 1), 1) * x, LAST),
    ("volume", lambda x: tf.nn.conv3d(x[..., None], random(1, 1, 1, 1, 2), [1] * 5, "SAME"), LAST),
    ("loop", repeated, LAST),
    ("python", lambda x: tf.numpy_function(lambda values: values * 2, [x], tf.float32), LAST),
]


class Part(tf.Module):
    def __init__(self, compute: Value) -> None:
        super().__init__()
        self._compute = compute

    def __call__(self, x: Any) -> Any:
        return self._compute(x)


class Model(tf.Module):
    """A convolution and all that is computed from it, each in a module of its own."""

    def __init__(self, parts: dict[str, Value]) -> None:
        super().__init__()
        self._kernel = tf.Variable(KERNEL)
        self.parts = {name: Part(compute) for name, compute in parts.items()}

    def __call__(self, images: Any) -> Any:
        x = convolved(images, self._kernel)
        return tf.stack(
            [tf.reduce_sum(tf.reshape(part(x), (tf.shape(x)[0], -1)), 1) for part in self.parts.values()], 1
        )


class TakesChannelsFirst(Model):
    @tf.function(input_signature=[tf.TensorSpec((None, 3, 6, 7), name="images")])
    def __call__(self, images: Any) -> Any:
        self.parts["given"](images)
        return super().__call__(tf.transpose(images, TO_LAST))


def convolved(images: Any, kernel: Any) -> Any:
    return tf.nn.conv2d(images, kernel, 1, "SAME")


def in_order(values: Any, layout: str) -> np.ndarray:
    return np.moveaxis(np.asarray(values), -1, 1) if layout == LAST else np.asarray(values)


@pytest.fixture(scope="module")
def extractor() -> Any:
    model = Model({name: compute for name, compute, _ in CASES})
    found = adapters.wrap(model, preprocessing=already_preprocessed(), batch_size=2)
    assert found(list(IMAGES), layers=["parts.gate"]).sizes["presentation"] == len(IMAGES)
    return found


@pytest.mark.parametrize(("name", "compute", "layout"), CASES, ids=[name for name, _, _ in CASES])
def test_images_are_put_in_order(extractor: Any, name: str, compute: Value, layout: str):
    expected = in_order(compute(convolved(IMAGES, KERNEL)), layout)
    found = extractor(list(IMAGES), layers=[f"parts.{name}"])
    np.testing.assert_allclose(found.values, expected.reshape(len(IMAGES), -1), rtol=1e-5, atol=1e-5)


def test_a_model_of_images_with_channels_first():
    parts = {"given": lambda x: x, "dense": lambda x: tf.tensordot(x, WIDER, 1)}
    images = np.ascontiguousarray(np.moveaxis(IMAGES, -1, 1))
    extractor = adapters.wrap(TakesChannelsFirst(parts), preprocessing=already_preprocessed(), batch_size=3)
    x = convolved(IMAGES, KERNEL)
    for layer, call, expected in (("given", 0, images), ("given", 1, first(x)), ("dense", 0, first(x @ WIDER))):
        found = extractor(list(images), layers=[f"parts.{layer}"], calls="all").values.reshape(3, -1)
        columns = np.asarray(expected).reshape(3, -1)
        start = images[0].size * call
        np.testing.assert_allclose(found[:, start : start + columns.shape[1]], columns, rtol=1e-5, atol=1e-5)


def test_layers_of_keras_that_are_products():
    images = tf_keras.Input((6, 7, 3))
    x = tf_keras.layers.Conv2D(4, 3, padding="same", name="conv")(images)
    x = tf_keras.layers.EinsumDense("bhwc,cd->bhwd", output_shape=(None, None, 5), name="einsum")(x)
    attended, weights = tf_keras.layers.MultiHeadAttention(2, 3, name="attention")(x, x, return_attention_scores=True)
    x = tf_keras.layers.GroupNormalization(5, name="norm")(tf_keras.layers.Dense(5, name="dense")(attended))
    model = tf_keras.Model(images, [x, weights])
    extractor = adapters.wrap(model, preprocessing=already_preprocessed(), batch_size=3)
    names = ("conv", "einsum", "dense", "norm")
    expected = [
        first(each) for each in tf_keras.Model(images, [model.get_layer(name).output for name in names])(IMAGES)
    ]
    kept, scored = tf_keras.Model(images, [attended, weights])(IMAGES)
    cases = [*zip(names, expected, strict=True), ("attention:0", first(kept)), ("attention:1", scored)]
    for name, values in cases:
        found = extractor(list(IMAGES), layers=[name])
        np.testing.assert_allclose(found.values, np.reshape(values, (3, -1)), rtol=1e-4, atol=1e-5, err_msg=name)


def test_volumes_of_keras():
    images = tf_keras.Input((2, 6, 7, 3))
    x = tf_keras.layers.Conv3D(4, 1, name="conv")(tf_keras.layers.ReLU(name="relu")(images))
    model = tf_keras.Model(images, tf_keras.layers.Dense(5, name="dense")(x))
    volumes = random(3, 2, 6, 7, 3)
    extractor = adapters.wrap(model, preprocessing=already_preprocessed(), batch_size=3)
    for name in ("relu", "conv", "dense"):
        values = np.moveaxis(tf_keras.Model(images, model.get_layer(name).output)(volumes).numpy(), -1, 1)
        found = extractor(list(volumes), layers=[name])
        np.testing.assert_allclose(found.values, values.reshape(3, -1), rtol=1e-5, atol=1e-5, err_msg=name)
