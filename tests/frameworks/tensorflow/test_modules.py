"""`tf.Module`: names, calls, functions within, what cannot be traced, and what is left as found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import adapters
from adapters.errors import (
    ActivationShapeError,
    AdapterWarning,
    DeviceError,
    LayerNeverRanError,
    ModelForwardError,
    UnsupportedModelError,
)
from adapters.frameworks.tensorflow import TensorFlowAdapter


class Convolution(tf.Module):
    def __init__(self, n_inputs: int, n_outputs: int, seed: int) -> None:
        super().__init__()
        kernel = np.random.default_rng(seed).standard_normal((3, 3, n_inputs, n_outputs))
        self.kernel = tf.Variable(kernel.astype(np.float32))

    def __call__(self, images: Any) -> Any:
        return tf.nn.conv2d(images, self.kernel, 1, "SAME")


class Rectified(Convolution):
    def __call__(self, images: Any) -> Any:
        return tf.nn.relu(super().__call__(images))


class Brightened(tf.Module):
    """Its path depends on a value: in a graph this is a branch, when run as it comes a plain `if`."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Convolution(4, 4, 9)

    def __call__(self, values: Any) -> Any:
        if tf.reduce_mean(values) > 0:
            values = self.inner(values)
        return values


class Network(tf.Module):
    def __init__(self, second: Any) -> None:
        super().__init__()
        self.blocks = [{"conv": Convolution(3, 4, 1)}, {"conv": second}]
        self.same = self.blocks[0]["conv"]

    @tf.function
    def features(self, images: Any) -> Any:
        return self.blocks[1]["conv"](self.blocks[0]["conv"](images))

    def __call__(self, images: Any) -> Any:
        return tf.reduce_mean(self.features(images), (1, 2))


def test_names_aliases_and_values(read: Callable[..., Any], batch: Any):
    model, images = Network(Rectified(4, 5, 2)), batch(5, 6, 8, 3)
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed())
    layers = extractor.adapter.layers((6, 8, 3))
    assert list(layers) == ["blocks.0.conv", "blocks.1.conv"]
    assert layers["blocks.0.conv"].aliases == ("same",)
    assert layers["blocks.1.conv"].n_calls == 1, "a call of the parent's __call__ is part of it"
    assert (layers["blocks.1.conv"].kind, layers["blocks.1.conv"].shape) == ("Rectified", (5, 6, 8))
    first = model.blocks[0]["conv"](images)
    second = model.blocks[1]["conv"](first)
    expected = [np.moveaxis(np.asarray(values), -1, 1).reshape(5, -1) for values in (second, first)]
    found = read(model, images, ["blocks.1.conv", "same", "logits"], batch_size=2).values
    np.testing.assert_allclose(found[:, :-5], np.concatenate(expected, axis=1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[:, -5:], model(images), rtol=1e-4, atol=1e-5)


def test_weights_are_live_and_other_attributes_noticed(batch: Any):
    class Scaled(Convolution):
        factor = 1.0

        def __call__(self, images: Any) -> Any:
            return self.factor * super().__call__(images) + self.offset

    model, images = Scaled(3, 4, 1), batch(2, 6, 6, 3)
    model.offset = np.zeros(4, np.float32)
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed())
    before = extractor(images).values
    model.kernel.assign(2 * model.kernel)
    np.testing.assert_allclose(extractor(images).values, 2 * before, rtol=1e-5)
    model.factor = 3.0
    np.testing.assert_allclose(extractor(images).values, 6 * before, rtol=1e-5)
    model.offset += 1
    np.testing.assert_allclose(extractor(images).values, 6 * before + 1, rtol=1e-4, atol=1e-4)


def test_branch_on_a_value(read: Callable[..., Any], batch: Any):
    model, images = Network(Brightened()), batch(3, 6, 8, 3)
    for stimuli in (images, -images):
        expected = np.moveaxis(np.asarray(model.blocks[1]["conv"](model.blocks[0]["conv"](stimuli))), -1, 1)
        np.testing.assert_allclose(
            read(model, stimuli, ["blocks.1.conv"]).values, expected.reshape(3, -1), rtol=1e-4, atol=1e-5
        )
    with pytest.raises(ActivationShapeError, match=r"'blocks.1.conv.inner'.*inside a loop or a branch of the graph"):
        read(model, images, ["blocks.1.conv.inner"])


PASSED: list[Any] = []
"""One entry for each time that the model went on to its last layer; an attribute would be a change of the model."""


class Plain(Convolution):
    """Has its `__call__` from the class before it."""


class Untraceable(tf.Module):
    """Looks at values with NumPy, which no graph has."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.rare = Plain(3, 4, 1), Convolution(4, 4, 2), Convolution(4, 4, 3)

    def __call__(self, images: Any) -> Any:
        values = self.first(images)
        if float(np.max(np.asarray(images))) < 50:
            values = self.rare(values)
        PASSED.append(self)
        return self.second(values) + tf.random.normal(values.shape)


def test_model_that_cannot_be_traced_runs_as_it_comes(read: Callable[..., Any], batch: Any):
    model, images = Untraceable(), batch(5, 6, 6, 3)
    tf.random.set_seed(4)
    expected_draw = np.asarray(tf.random.normal((3,)))
    tf.random.set_seed(4)
    first = np.moveaxis(np.asarray(model.first(images)), -1, 1).reshape(5, -1)
    np.testing.assert_allclose(read(model, images, ["first"], batch_size=2).values, first, rtol=1e-4, atol=1e-5)
    runs = [read(model, images, ["logits"]).values for _ in range(2)]
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(np.asarray(tf.random.normal((3,))), expected_draw)
    with pytest.raises(LayerNeverRanError, match=r"'rare' of Untraceable was not reached.*depends on the images"):
        read(model, 100 + images, ["rare"])


def test_early_stop_of_what_cannot_be_traced(read: Callable[..., Any], batch: Any):
    model = Untraceable()
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed())
    call = vars(Convolution)["__call__"]
    extractor(batch(2, 6, 6, 3), ["first"])
    assert PASSED, "a listing goes through the whole model"
    PASSED.clear()
    extractor(batch(2, 6, 6, 3), ["first"])
    assert not PASSED
    extractor(batch(2, 6, 6, 3), ["logits"])
    assert PASSED
    assert vars(Convolution)["__call__"] is call
    assert "__call__" not in vars(Plain)


def test_state_that_the_model_writes_is_set_back(read: Callable[..., Any], batch: Any):
    class Drawing(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.generator = tf.random.Generator.from_seed(3)
            self.seen = tf.Variable(0.0)
            self.conv = Convolution(3, 4, 1)

        def __call__(self, images: Any) -> Any:
            self.seen.assign_add(1.0)
            return self.conv(images) + self.generator.normal((6, 6, 4))

    model, images = Drawing(), batch(4, 6, 6, 3)
    state = np.asarray(model.generator.state)
    first, second = (read(model, images, ["logits"], batch_size=2).values for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first[0] - np.asarray(model.conv(images))[0].transpose(2, 0, 1).ravel(), 0)
    np.testing.assert_array_equal(np.asarray(model.generator.state), state)
    assert float(model.seen) == 0


def test_modules_that_cannot_be_run(batch: Any):
    class Silent(tf.Module):
        pass

    class Lazy(tf.Module):
        def __call__(self, images: Any) -> Any:
            if not hasattr(self, "kernel"):
                self.kernel = tf.Variable(tf.ones((1, 1, 3, 2)))
            return tf.nn.conv2d(images, self.kernel, 1, "SAME")

    with pytest.raises(UnsupportedModelError, match=r"Silent is a tf.Module without __call__.*model.forward"):
        adapters.wrap(Silent())
    lazy = Lazy()
    with pytest.raises(UnsupportedModelError, match=r"no weights yet.*Call it on one batch first"):
        adapters.wrap(lazy, preprocessing=adapters.already_preprocessed())(batch(1, 4, 4, 3))
    assert not hasattr(lazy, "kernel")
    with pytest.raises(ModelForwardError, match=r"Network raised .* shape \(2, 6, 6, 7\).*preprocessing="):
        adapters.wrap(Network(Rectified(4, 5, 2)), preprocessing=adapters.already_preprocessed())(batch(1, 6, 6, 7))


def test_layer_whose_first_axis_is_not_the_batch(read: Callable[..., Any], batch: Any):
    class Merging(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.merge = Merge()

        def __call__(self, images: Any) -> Any:
            return tf.reshape(self.merge(images), (tf.shape(images)[0], -1))

    class Merge(tf.Module):
        def __call__(self, images: Any) -> Any:
            return tf.reshape(images, (-1, 3))

    with pytest.raises(ActivationShapeError, match=r"'merge'.*\(32, 3\) for 2 images; the first axis must be"):
        read(Merging(), batch(2, 4, 4, 3), ["merge"])


def test_device(batch: Any, read: Callable[..., Any]):
    model, images = Convolution(3, 4, 1), batch(2, 6, 6, 3)
    np.testing.assert_array_equal(read(model, images, device="cpu:0").values, read(model, images).values)
    for device in ("tpu", "cpu:7", "cpu:x"):
        with pytest.raises(DeviceError, match=rf"device='{device}' was asked for, but TensorFlow .* finds CPU:0"):
            adapters.wrap(model, device=device)


def test_signature_says_dtype_and_number_of_images(batch: Any, read: Callable[..., Any]):
    class Signed(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.steps = tf.Variable(np.float64(2))

        @tf.function(input_signature=[tf.TensorSpec((2, 4, 4, 3), tf.float32)])
        def __call__(self, images: Any) -> Any:
            return images * tf.cast(self.steps, tf.float32) * tf.range(1.0, 3.0)[:, None, None, None]

    images = batch(4, 4, 4, 3)
    found = read(Signed(), images, ["logits"]).values
    expected = images * np.float32([2, 4, 2, 4])[:, None, None, None]
    np.testing.assert_allclose(found, np.moveaxis(expected, -1, 1).reshape(4, -1), rtol=1e-6)


def test_images_are_of_the_dtype_of_the_kernels(batch: Any, read: Callable[..., Any]):
    class Counting(Convolution):
        def __init__(self) -> None:
            self.steps = tf.Variable(np.float64(2))  # found first
            super().__init__(3, 4, 1)

    model, images = Counting(), batch(2, 4, 4, 3)
    expected = np.moveaxis(np.asarray(model(images)), -1, 1).reshape(2, -1)
    np.testing.assert_allclose(read(model, images, ["logits"]).values, expected, rtol=1e-4, atol=1e-5)


def test_training_is_noticed(batch: Any):
    class Normalised(tf.Module):
        def __call__(self, images: Any, learning: bool = True) -> Any:
            ones, zeros = np.ones(3, np.float32), np.zeros(3, np.float32)
            moments = {} if learning else {"mean": zeros, "variance": ones}
            return tf.compat.v1.nn.fused_batch_norm(images, ones, zeros, is_training=learning, **moments)[0]

    model, images = Normalised(), batch(2, 4, 4, 3)
    with pytest.warns(AdapterWarning, match=r"Normalised normalises batches by their own moments.*training=False"):
        adapters.wrap(model, preprocessing=adapters.already_preprocessed())(images)
    function = TensorFlowAdapter(lambda images: model(images, learning=False))
    expected = np.moveaxis(images / np.sqrt(np.float32(1.001)), -1, 1).reshape(2, -1)
    found = adapters.wrap(function, preprocessing=adapters.already_preprocessed())(images).values
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_what_is_no_model():
    with pytest.raises(UnsupportedModelError, match=r"<class 'int'> is no model .*SavedModel.*a function of images"):
        TensorFlowAdapter(3)
