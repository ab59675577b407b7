"""Which values are maps, whose channels come first; expected are Keras's own, moved by hand where they are maps."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

import adapters

BACKEND = keras.config.backend()
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.standard_normal((3, 12, 14, 3)).astype(np.float32)
FIRST = np.ascontiguousarray(np.moveaxis(IMAGES, -1, 1))
RUNS_CHANNELS_FIRST = BACKEND != "tensorflow"  # TensorFlow has no convolution for it on CPUs


def extractor(model: Any) -> Any:
    return adapters.wrap(model, preprocessing=adapters.already_preprocessed())


def read(model: Any, name: str, images: np.ndarray = IMAGES) -> np.ndarray:
    return extractor(model)(list(images), [name], calls="last", progress=False).values


def values(tensor: Any) -> np.ndarray:
    """Return a tensor as it is."""
    return ops.convert_to_numpy(tensor.detach() if hasattr(tensor, "detach") else tensor)


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected.reshape(len(expected), -1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "first", [layers.RandomFlip, lambda: layers.RandomContrast(0.2), lambda: layers.Rescaling(2.0)]
)
def test_layers_that_prepare_images_do_not_say_the_layout(first: Any):
    pool = layers.AveragePooling2D(2, data_format="channels_first", name="pool")
    model = keras.Sequential([keras.Input((3, 12, 14)), first(), pool, layers.ReLU(name="relu")])
    adapter = extractor(model).adapter
    assert (adapter.input.channel_axis, adapter.input.size, adapter.input.n_channels) == (1, (12, 14), 3)
    if RUNS_CHANNELS_FIRST:
        expected = values(model(FIRST, training=False))
        for name in ("relu", "logits"):
            assert_same(read(model, name, FIRST), expected)
    else:
        assert adapter.layers((3, 12, 14))["relu"].shape == (3, 6, 7)


def test_layout_changes_within_the_model():
    image = keras.Input((12, 14, 3))
    conv = layers.Conv2D(4, 3, name="conv")(image)
    turned = layers.Permute((3, 1, 2), name="turned")(conv)
    back = layers.Reshape((4, 10, 12), name="back")(layers.Reshape((4, 120), name="tokens")(turned))
    model = keras.Model(image, layers.ReLU(name="relu")(back))
    expected = np.moveaxis(values(model.get_layer("conv")(IMAGES)), -1, 1)
    for name in ("conv", "turned", "tokens", "back"):
        assert_same(read(model, name), expected)
    assert_same(read(model, "relu"), np.maximum(expected, 0))
    assert_same(read(model, "logits"), np.maximum(expected, 0))


def test_layout_of_the_images_is_not_that_of_the_first_convolution():
    image = keras.Input((12, 14, 3))
    pool = layers.AveragePooling2D(2, data_format="channels_first", name="pool")
    model = keras.Model(image, pool(layers.Permute((3, 1, 2), name="turned")(image)))
    assert extractor(model).adapter.input == adapters.contract.InputSpec((12, 14), 3, -1)
    assert_same(read(model, "turned"), FIRST)
    expected = FIRST.reshape(3, 3, 6, 2, 7, 2).mean((3, 5))
    if RUNS_CHANNELS_FIRST:
        assert_same(read(model, "pool"), expected)
    else:
        assert extractor(model).adapter.layers((12, 14, 3))["pool"].shape == (3, 6, 7)


class Attention(layers.Layer):
    """Heads made by reshaping, scores by a product: four axes, and no maps."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.qkv, self.softmax, self.drop, self.out = (
            layers.Dense(24),
            layers.Softmax(),
            layers.Dropout(0.1),
            layers.Dense(8),
        )

    def build(self, shape: Any) -> None:
        self.qkv.build(shape)
        self.out.build((None, None, 8))
        self.built = True

    def call(self, tokens: Any) -> Any:
        n_tokens = tokens.shape[1]
        query, key, value = ops.split(ops.reshape(self.qkv(tokens), (-1, n_tokens, 2, 12)), 3, axis=-1)
        scores = self.drop(self.softmax(ops.einsum("bthd,bshd->bhts", query, key)))
        return self.out(ops.reshape(ops.einsum("bhts,bshd->bthd", scores, value), (-1, n_tokens, 8))), scores


def test_heads_and_positions_are_no_maps():
    image = keras.Input((12, 14, 3))
    maps = layers.Conv2D(8, 2, strides=2, name="patches")(image)
    heads = layers.Reshape((42, 2, 4), name="heads")(maps)
    tokens, scores = Attention(name="attention")(layers.Reshape((42, 8), name="tokens")(maps))
    restored = layers.Reshape((6, 7, 8), name="restored")(tokens)
    model = keras.Model(image, [tokens, scores, heads, restored])
    expected = [values(each) for each in model(IMAGES, training=False)]
    for name in ("attention/softmax", "attention/drop", "attention:1", "logits:1"):
        assert_same(read(model, name), expected[1])
    for name in ("heads", "logits:2"):
        assert_same(read(model, name), expected[2])
    for name in ("restored", "logits:3"):  # tokens put back where they came from are maps again
        assert_same(read(model, name), np.moveaxis(expected[3], -1, 1))


def test_operations_between_layers_are_followed():
    class Residual(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.gate, self.relu = layers.Conv2D(3, 3, padding="same"), layers.Dense(3), layers.ReLU()

        def call(self, images: Any) -> Any:
            maps = self.conv(images)
            gates = self.gate(ops.mean(maps, axis=(1, 2)))
            return 2 * self.relu(images + maps * gates[:, None, None, :])

    model = Residual()
    expected = np.moveaxis(values(model(IMAGES)), -1, 1)
    assert_same(read(model, "relu"), expected / 2)
    assert_same(read(model, "logits"), expected)


def test_time_comes_after_the_channels():
    """As PyTorch has it: (channel, time, row, column)."""
    videos = RANDOM.standard_normal((3, 4, 6, 7, 3)).astype(np.float32)
    conv, norm = layers.Conv3D(5, 3, name="conv"), layers.BatchNormalization(name="norm")
    model = keras.Sequential([keras.Input((4, 6, 7, 3)), conv, norm, layers.Reshape((2, 4, 5, 5, 1), name="more")])
    assert_same(read(model, "norm", videos), np.moveaxis(values(norm(conv(videos), training=False)), -1, 1))
    assert extractor(model).adapter.layers((4, 6, 7, 3))["conv"].shape == (5, 2, 4, 5)
    assert_same(read(model, "logits", videos), values(model(videos, training=False)))
