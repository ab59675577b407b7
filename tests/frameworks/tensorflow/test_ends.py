"""What a graph takes and gives: whole numbers, the output that nobody named, and weights that are there once."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import adapters
from adapters.errors import ActivationShapeError, PreprocessingError
from adapters.frameworks.tensorflow import TF1Model

v1 = tf.compat.v1
KERNEL = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)


def classifier(last: Callable[[Any, Any], Any], name: str = "scores", dtype: Any = tf.float32) -> tf.Graph:
    """Build a graph of one convolution and one classification, and something at its end."""
    with tf.Graph().as_default() as graph:
        images = v1.placeholder(dtype, (None, 4, 6, 3), name="input")
        conv = tf.nn.conv2d(tf.cast(images, tf.float32), KERNEL[None, None], 1, "SAME", name="conv")
        last(conv, tf.reduce_mean(conv, (1, 2), name=name))
    return graph


def scores(images: np.ndarray) -> np.ndarray:
    return np.tensordot(images, KERNEL, 1).mean((1, 2))


def softmax(values: np.ndarray) -> np.ndarray:
    raised = np.exp(values)
    return raised / raised.sum(1, keepdims=True)


def test_graph_that_ends_in_a_choice(read: Callable[..., Any], batch: Any):
    graph = classifier(lambda _conv, scores: tf.argmax(tf.nn.softmax(scores, name="probs"), 1, name="choice"))
    images = batch(3, 4, 6, 3)
    np.testing.assert_allclose(read(graph, images, ["logits"]).values, softmax(scores(images)), rtol=1e-4)


def test_graph_that_ends_in_another_order(read: Callable[..., Any], batch: Any):
    graph = classifier(lambda _conv, scores: tf.transpose(tf.stack([scores, -scores], 1), [0, 2, 1], name="turned"))
    images = batch(3, 4, 6, 3)
    expected = np.stack([scores(images), -scores(images)], axis=2).reshape(3, -1)
    np.testing.assert_allclose(read(graph, images, ["logits"]).values, expected, rtol=1e-4, atol=1e-5)


def test_several_ends_are_not_chosen_from(read: Callable[..., Any], batch: Any):
    graph = classifier(lambda conv, _scores: tf.reduce_sum(conv, (1, 2, 3), name="debug_norm"))
    images = batch(3, 4, 6, 3)
    with pytest.raises(ActivationShapeError, match=r"ends in 2 operations \(scores, debug_norm\).*Request one"):
        read(graph, images, ["logits"])
    np.testing.assert_allclose(read(graph, images, ["scores"]).values, scores(images), rtol=1e-4, atol=1e-5)
    graph = classifier(lambda conv, _scores: tf.reduce_sum(conv, name="one_number_for_all"))
    np.testing.assert_allclose(read(graph, images, ["logits"]).values, scores(images), rtol=1e-4, atol=1e-5)


def test_operation_called_logits_is_the_final_output(read: Callable[..., Any], batch: Any):
    images = batch(3, 4, 6, 3)
    graph = classifier(lambda _conv, scores: tf.nn.softmax(scores, name="probs"), name="logits")
    network = tf.function(
        lambda images: tf.nn.softmax(
            tf.reduce_mean(tf.tensordot(images, KERNEL, 1), (1, 2), name="logits"), name="probs"
        )
    )
    for model in (graph, network):
        np.testing.assert_allclose(read(model, images, ["logits"]).values, scores(images), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(read(model, images, ["probs"]).values, softmax(scores(images)), rtol=1e-4)


def of_whole_numbers(form: str) -> Any:
    graph = classifier(lambda _conv, scores: scores, dtype=tf.uint8)
    if form == "graph":
        return graph
    return TF1Model(v1.Session(graph=graph), "input", {"conv": "conv", "scores": "scores"})


@pytest.mark.parametrize("form", ["graph", "session"])
def test_whole_numbers(form: str, read: Callable[..., Any], batch: Any):
    model, images = of_whole_numbers(form), batch(3, 4, 6, 3)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3)).astype(np.float32)
    np.testing.assert_allclose(read(model, pixels, ["logits"]).values, scores(pixels), rtol=1e-4, atol=1e-3)
    message = r"takes images as uint8, and these have values from {}.*0-255.*divisor=1.0"
    for wrong, text in ((images, r"-\S+ to \S+, not all of them whole"), (pixels + 100, r"\d+ to 3\d\d\.")):
        with pytest.raises(PreprocessingError, match=message.format(text)):
            read(model, wrong, ["logits"])
    assert adapters.wrap(model).adapter.preprocessing() == adapters.Preprocessing(size=(4, 6), divisor=1.0)


def n_large_constants() -> int:
    """Count the larger constants that functions hold."""
    gc.collect()
    graphs = [each for each in gc.get_objects() if type(each).__name__ == "FuncGraph"]
    operations = (operation for graph in graphs for operation in graph.get_operations() if operation.type == "Const")
    return sum((operation.outputs[0].shape.num_elements() or 0) > 10_000 for operation in operations)


@pytest.mark.parametrize("form", ["graph", "SavedModel"])
def test_weights_are_there_once(form: str, read: Callable[..., Any], batch: Any, tmp_path: Path):
    rng = np.random.default_rng(0)
    kernels = [rng.standard_normal((1, 1, 110, 110)).astype(np.float32) / 10 for _ in range(3)]

    def network(values: Any, weights: Any) -> Any:
        for number, kernel in enumerate(weights):
            values = tf.nn.conv2d(values, kernel, 1, "SAME", name=f"conv{number}")
        return values

    if form == "graph":
        with tf.Graph().as_default() as model:
            network(v1.placeholder(tf.float32, (None, 1, 1, 110), name="input"), kernels)
    else:
        module: Any = tf.Module()
        module.kernels = [tf.Variable(kernel) for kernel in kernels]
        spec = tf.TensorSpec((None, 1, 1, 110), tf.float32)
        module.run = tf.function(lambda values: {"output": network(values, module.kernels)}, [spec])
        tf.saved_model.save(module, str(tmp_path), signatures=module.run)
        model = tmp_path
    before, values = n_large_constants(), batch(2, 1, 1, 110)
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed())
    layers = list(extractor.adapter.layers((1, 1, 110)))
    assert len(layers) == 3
    expected = values[:, 0, 0]
    for layer, kernel in zip(layers, kernels, strict=True):
        expected = expected @ kernel[0, 0]
        np.testing.assert_allclose(extractor(values, [layer]).values, expected, rtol=1e-3, atol=1e-3)
    assert n_large_constants() == before
    found = [value for _, value in extractor.adapter.weights() if value.size > 10_000]
    for kernel, value in zip(kernels, found, strict=True):
        np.testing.assert_array_equal(value, kernel.reshape(-1).view(np.uint8))
