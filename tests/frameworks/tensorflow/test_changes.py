"""What changes between two calls is seen, and what a run changes is set back: no value is of a model that was."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import adapters
from adapters.errors import UnsupportedModelError
from adapters.frameworks.tensorflow import TensorFlowAdapter
from adapters.layers import resolve


def channels_first(values: Any) -> np.ndarray:
    return np.moveaxis(np.asarray(values), -1, 1).reshape(len(values), -1)


class Scaled(tf.Module):
    strength = 1.0
    offsets = np.zeros(3, np.float32)

    def __init__(self) -> None:
        super().__init__()
        self.factor = np.float32(1)
        self.tensor = tf.constant([1.0, 1.0, 1.0])

    def __call__(self, images: Any) -> Any:
        return images * self.factor * self.tensor * self.strength + self.offsets


@pytest.fixture
def scaled(monkeypatch: pytest.MonkeyPatch) -> Scaled:
    """Build a model whose class is as it was afterwards."""
    for name in ("strength", "offsets"):
        monkeypatch.setattr(Scaled, name, vars(Scaled)[name])
    return Scaled()


def test_objects_that_take_the_place_of_others_are_noticed(scaled: Scaled, batch: Any):
    extractor, images = adapters.wrap(scaled, preprocessing=adapters.already_preprocessed()), batch(2, 4, 4, 3)
    extractor(images)
    for factor in range(2, 12):
        scaled.factor = np.float32(-1)
        scaled.factor = np.float32(factor)  # often where the first one was in memory
        np.testing.assert_allclose(extractor(images).values, channels_first(scaled(images)), rtol=1e-5)


def test_tensors_that_take_the_place_of_others_are_noticed(scaled: Scaled, batch: Any):
    extractor, images = adapters.wrap(scaled, preprocessing=adapters.already_preprocessed()), batch(2, 4, 4, 3)
    extractor(images)
    for factor in range(2, 6):
        scaled.tensor = tf.zeros(3)
        scaled.tensor = tf.constant([1.0, 2.0, float(factor)])
        np.testing.assert_allclose(extractor(images).values, channels_first(scaled(images)), rtol=1e-5)


STRENGTH = 1.0


def test_settings_beside_the_model_are_noticed(batch: Any, monkeypatch: pytest.MonkeyPatch):
    class Configured(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.settings = SimpleNamespace(factor=2.0)

        def __call__(self, images: Any) -> Any:
            return images * self.settings.factor * STRENGTH

    model, images = Configured(), batch(2, 4, 4, 3)
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed())
    np.testing.assert_allclose(extractor(images).values, channels_first(2 * images), rtol=1e-5)
    model.settings.factor = 3.0
    np.testing.assert_allclose(extractor(images).values, channels_first(3 * images), rtol=1e-5)
    monkeypatch.setattr(sys.modules[__name__], "STRENGTH", 5.0)
    np.testing.assert_allclose(extractor(images).values, channels_first(15 * images), rtol=1e-5)


def test_attributes_of_the_class_are_noticed(scaled: Scaled, batch: Any):
    extractor, images = adapters.wrap(scaled, preprocessing=adapters.already_preprocessed()), batch(2, 4, 4, 3)
    before, fingerprint = extractor(images).values, dict(extractor.adapter.weights())
    Scaled.strength = 5.0
    np.testing.assert_allclose(extractor(images).values, 5 * before, rtol=1e-5)
    Scaled.offsets = np.ones(3, np.float32)
    np.testing.assert_allclose(extractor(images).values, 5 * before + 1, rtol=1e-5, atol=1e-6)
    changed = [name for name, value in extractor.adapter.weights() if (value != fingerprint[name]).any()]
    assert changed == ["offsets"]


class Offset(tf_keras.layers.Layer):
    strength = 1.0

    def __init__(self) -> None:
        super().__init__(name="offset")
        self._offset = np.zeros(3, np.float32)
        self.settings = {"powers": [1.0, 1.0]}

    def call(self, images: Any) -> Any:
        return self.strength * images * self.settings["powers"][-1] + self._offset


def test_settings_of_keras_2_layers_are_noticed(batch: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Offset, "strength", 1.0)
    layer, convolution = Offset(), tf_keras.layers.Conv2D(2, 3, name="conv")
    model, images = tf_keras.Sequential([tf_keras.Input((9, 9, 3)), layer, convolution]), batch(2, 9, 9, 3)
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed())
    assert extractor(images, ["conv"]).shape == (2, 2 * 7 * 7)
    program = extractor.adapter._listed((9, 9, 3))[0]
    assert extractor.adapter._listed((9, 9, 3))[0] is program, "a run changes nothing"
    for change in (
        lambda: setattr(layer, "_offset", np.full(3, 7, np.float32)),
        lambda: layer.settings["powers"].append(3.0),
        lambda: setattr(Offset, "strength", 5.0),
    ):
        change()
        np.testing.assert_allclose(extractor(images, ["offset"]).values, channels_first(layer(images)), rtol=1e-5)
    convolution.dilation_rate = (2, 2)
    assert extractor(images, ["conv"]).shape == (2, 2 * 5 * 5)


def test_graph_def_that_is_changed_after_it_was_passed(batch: Any):
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, (None, 4, 4, 3), name="input")
        tf.multiply(images, tf.constant([1.0, 2.0, 3.0], name="factors"), name="scaled")
    graph_def, stimuli = graph.as_graph_def(), batch(2, 4, 4, 3)
    extractor = adapters.wrap(graph_def, preprocessing=adapters.already_preprocessed())
    before, fingerprint = extractor(stimuli, ["scaled"]).values, dict(extractor.adapter.weights())
    node = next(node for node in graph_def.node if node.name == "factors")
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.float32([5, 5, 5])))
    np.testing.assert_array_equal(extractor(stimuli, ["scaled"]).values, before)
    for name, value in extractor.adapter.weights():
        np.testing.assert_array_equal(value, fingerprint[name], err_msg="the graph is that of when it was passed")
    changed = adapters.wrap(graph_def, preprocessing=adapters.already_preprocessed())(stimuli, ["scaled"])
    np.testing.assert_allclose(changed.values, channels_first(5 * stimuli), rtol=1e-6)


class LooksAtValues(tf.Module):
    """Cannot be traced, and writes state."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = tf.random.Generator.from_seed(3)
        self.seen = tf.Variable(0.0)

    def __call__(self, images: Any) -> Any:
        float(np.max(np.asarray(images)))
        self.seen.assign_add(1.0)
        return images + self.generator.normal((6, 6, 3)) + self.seen


def test_state_is_set_back_where_nothing_can_be_traced(batch: Any):
    model, images = LooksAtValues(), batch(4, 6, 6, 3)
    state = np.asarray(model.generator.state)
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed(), batch_size=2)
    first, second = (extractor(images).values for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert float(model.seen) == 0
    np.testing.assert_array_equal(np.asarray(model.generator.state), state)
    expected = np.concatenate([np.asarray(model(images[:2])), np.asarray(model(images[2:]))])
    np.testing.assert_allclose(first, channels_first(expected), rtol=1e-5, atol=1e-5)


def test_weights_are_not_made_up_where_nothing_can_be_traced(batch: Any):
    class Lazy(tf.Module):
        def __call__(self, images: Any) -> Any:
            float(np.max(np.asarray(images)))
            if not hasattr(self, "kernel"):
                self.kernel = tf.Variable(tf.random.normal((1, 1, 3, 2)))
            return tf.nn.conv2d(images, self.kernel, 1, "SAME")

    model, images = Lazy(), batch(2, 6, 6, 3)
    with pytest.raises(UnsupportedModelError, match=r"no weights yet.*Call it on one batch first"):
        adapters.wrap(model, preprocessing=adapters.already_preprocessed())(images)
    assert not hasattr(model, "kernel")
    expected = model(images)
    found = adapters.wrap(model, preprocessing=adapters.already_preprocessed())(images).values
    np.testing.assert_allclose(found, channels_first(expected), rtol=1e-4, atol=1e-5)


class Meeting(tf.Module):
    """Cannot be traced; says when it runs, and waits for another one."""

    def __init__(self, here: threading.Event, there: threading.Event) -> None:
        super().__init__()
        self._events = (here, there)

    def __call__(self, images: Any) -> Any:
        float(np.max(np.asarray(images)))
        self._events[0].set()
        self._events[1].wait(1)
        return images + 0


def test_two_listings_at_once_leave_the_random_state():
    one, other = threading.Event(), threading.Event()
    models = [TensorFlowAdapter(Meeting(one, other)), TensorFlowAdapter(Meeting(other, other))]
    tf.random.set_seed(77)
    expected = np.asarray(tf.random.normal((3,)))
    tf.random.set_seed(77)
    threads = [threading.Thread(target=model.layers, args=((6, 6, 3),)) for model in models]
    threads[0].start()
    assert one.wait(20)
    threads[1].start()
    for thread in threads:
        thread.join(20)
    np.testing.assert_array_equal(np.asarray(tf.random.normal((3,))), expected)


def test_many_threads_with_many_requests(batch: Callable[..., Any]):
    """More requests than programs are kept for, so that threads throw out each other's."""

    class Many(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = [Scaled() for _ in range(24)]

        def __call__(self, images: Any) -> Any:
            for block in self.blocks:
                images = block(images)
            return images

    adapter, shape, failed = TensorFlowAdapter(Many()), (2, 2, 3), list[BaseException]()
    layers, images = adapter.layers(shape), batch(1, *shape)

    def run(start: int) -> None:
        try:
            for number in range(24):
                with adapter.open(resolve(f"blocks.{(start + number) % 24}", layers), shape) as forward:
                    forward(images)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(start,)) for start in range(0, 24, 6)]
    often = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(often)
    assert not failed
