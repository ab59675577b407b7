"""Models that are graphs: SavedModels, frozen graphs, concrete functions, functions; read by their operations."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import adapters
from adapters.errors import ActivationShapeError, LayerNotFoundError, ModelForwardError, UnsupportedModelError
from adapters.frameworks.tensorflow import TensorFlowAdapter

# In a process of its own: what Keras runs on is decided once per process.
EXPORT = """
import sys
import keras
import numpy as np

folder, values_path, layers = sys.argv[1], sys.argv[2], sys.argv[3:]
keras.utils.set_random_seed(1)
model = keras.applications.MobileNetV2(weights=None, input_shape=(96, 96, 3))
model.export(folder, verbose=False)
images = np.random.default_rng(0).standard_normal((3, 96, 96, 3)).astype(np.float32)
parts = keras.Model(model.inputs, [model.get_layer(name).output for name in layers])
np.savez(values_path, images=images, **dict(zip(layers, map(np.asarray, parts(images, training=False)))))
"""
# what Keras calls a layer, and the operation that computes what it returns
MOBILENET = {
    "Conv1": "Conv1_1/convolution",
    "bn_Conv1": "bn_Conv1_1/batchnorm/add_1",
    "Conv1_relu": "Conv1_relu_1/Relu6",
    "block_1_depthwise": "block_1_depthwise_1/depthwise",
    "block_6_project_BN": "block_6_project_BN_1/batchnorm/add_1",
    "block_8_add": "block_8_add_1/Add",
    "out_relu": "out_relu_1/Relu6",
    "predictions": "predictions_1/Softmax",
}


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """Export MobileNetV2 as a SavedModel, with what Keras itself reads from some layers."""
    folder = tmp_path_factory.mktemp("mobilenet") / "mobilenet_v2"
    values_path = folder.parent / "values.npz"
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", EXPORT, str(folder), str(values_path), *MOBILENET]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(values_path) as values:
        return folder, dict(values)


def test_saved_model_of_keras_gives_what_keras_reads(
    mobilenet: Any, read: Callable[..., Any], record_property: Callable[[str, object], None]
):
    folder, expected = mobilenet
    assembly = read(str(folder), expected["images"], list(MOBILENET.values()), batch_size=2)
    assert set(assembly["model"].values) == {"mobilenet_v2"}
    names, worst = np.asarray(assembly["layer"].values), 0.0
    for layer, operation in MOBILENET.items():
        values = expected[layer]
        values = np.moveaxis(values, -1, 1) if values.ndim == 4 else values
        found = assembly.values[:, names == operation]
        np.testing.assert_allclose(found, values.reshape(3, -1), rtol=1e-4, atol=1e-5 * np.abs(values).max())
        worst = max(worst, float(np.abs(found - values.reshape(3, -1)).max() / np.abs(values).max()))
    record_property(
        "measured", f"SavedModel of MobileNetV2 and Keras: at most {worst:.1e} apart, relative to the largest"
    )


def test_saved_model_lists_what_computes(mobilenet: Any):
    extractor = adapters.wrap(mobilenet[0], preprocessing=adapters.already_preprocessed())
    kinds = {extractor.layers[name].kind for name in extractor.layers}
    assert {"Conv2D", "DepthwiseConv2dNative", "Relu6", "AddV2", "Mean", "MatMul", "Softmax"} <= kinds
    assert not kinds & {"Const", "Identity", "Placeholder", "ReadVariableOp", "Reshape", "NoOp"}
    first = extractor.layers[0]
    assert extractor.layers[first].aliases[0] == "Conv1_1/convolution"
    assert extractor.layers[first].shape == (32, 48, 48)
    assert extractor.adapter.input == adapters.contract.InputSpec((96, 96), 3, -1)
    spatial = [extractor.layers[name].shape for name in extractor.layers if len(extractor.layers[name].shape) == 3]
    assert all(rows == columns for _, rows, columns in spatial)


class Saveable(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(np.ones((1, 1, 3, 2), np.float32))

    @tf.function(input_signature=[tf.TensorSpec((None, 4, 6, 3), tf.float32, name="images")])
    def half(self, images: Any) -> Any:
        return {"features": tf.nn.conv2d(images, self.kernel, 1, "SAME", name="features") / 2}

    @tf.function(input_signature=[tf.TensorSpec((2, 4, 6, 3), tf.float32, name="images")])
    def whole(self, images: Any) -> Any:
        return {"features": tf.nn.conv2d(images, self.kernel, 1, "SAME", name="features")}


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    def save(**signatures: Any) -> Path:
        module = Saveable()
        functions = {name: getattr(module, function) for name, function in signatures.items()}
        tf.saved_model.save(module, str(tmp_path), functions)
        return tmp_path

    return save


def test_several_signatures_are_named(folder: Callable[..., Path]):
    path = folder(first="half", second="whole")
    with pytest.raises(UnsupportedModelError) as caught:
        adapters.wrap(path)
    for fragment in ("2 signatures (first, second)", "'serving_default'", "loaded.signatures['first']"):
        assert fragment in str(caught.value)


def test_the_only_signature_and_a_chosen_one(folder: Callable[..., Path], read: Callable[..., Any], batch: Any):
    path, images = folder(first="half", second="whole"), batch(5, 4, 6, 3)
    loaded = tf.saved_model.load(str(path))
    expected = np.repeat(images.sum(-1)[:, None], 2, axis=1).reshape(5, -1)
    found = read(loaded.signatures["second"], images)
    np.testing.assert_allclose(found.values, expected, rtol=1e-5, atol=1e-6)  # it takes 2 images at a time
    only = read(folder(other="half"), images)
    np.testing.assert_allclose(only.values, expected / 2, rtol=1e-5, atol=1e-6)


def test_saved_model_without_signature(tmp_path: Path, read: Callable[..., Any], batch: Any):
    module: Any = tf.Module()
    module.__call__ = tf.function(lambda images: 2 * images, [tf.TensorSpec((None, 4, 4, 3))])
    tf.saved_model.save(module, str(tmp_path), signatures={})
    with pytest.raises(UnsupportedModelError, match=r"no signature.*wrap\(loaded.__call__.concrete_functions\[0\]\)"):
        adapters.wrap(tmp_path)
    loaded, images = tf.saved_model.load(str(tmp_path)), batch(2, 4, 4, 3)
    found = read(loaded.__call__.concrete_functions[0], images).values
    np.testing.assert_allclose(found, np.moveaxis(2 * images, -1, 1).reshape(2, -1), rtol=1e-6)


def test_broken_saved_model(tmp_path: Path):
    (tmp_path / "saved_model.pb").write_bytes(b"nonsense")
    with pytest.raises(UnsupportedModelError, match=r"could not be loaded as a SavedModel.*folder 'variables'"):
        adapters.wrap(tmp_path)


def test_weights_of_a_loaded_model_are_never_stale(folder: Callable[..., Path], batch: Any):
    loaded, images = tf.saved_model.load(str(folder(serving_default="half"))), batch(2, 4, 6, 3)
    extractor = adapters.wrap(loaded, preprocessing=adapters.already_preprocessed())
    before, fingerprint = extractor(images).values, dict(extractor.adapter.weights())
    loaded.kernel.assign(3 * loaded.kernel)
    np.testing.assert_allclose(extractor(images).values, 3 * before, rtol=1e-5)
    assert any((value != fingerprint[name]).any() for name, value in extractor.adapter.weights())


def test_wrong_image_size(folder: Callable[..., Path], read: Callable[..., Any], batch: Any):
    with pytest.raises(ModelForwardError, match=r"takes images of shape \(4, 6, 3\).*\(5, 5, 3\).*preprocessing"):
        read(folder(serving_default="half"), batch(2, 5, 5, 3))


def test_several_inputs_and_other_inputs_are_refused():
    spec = tf.TensorSpec((None, 4, 4, 3))
    both = tf.function(lambda left, right: left + right).get_concrete_function(spec, spec)
    with pytest.raises(UnsupportedModelError, match=r"takes 2 inputs \(left, right\).*TF1Model"):
        adapters.wrap(both)
    text = tf.function(tf.strings.length).get_concrete_function(tf.TensorSpec((None,), tf.string))
    with pytest.raises(UnsupportedModelError, match=r"takes string as input; expected images.*TF1Model"):
        adapters.wrap(text)


@pytest.fixture
def frozen() -> tf.Graph:
    """Build a network as TensorFlow 1 froze it, channels first half way."""
    graph, rng = tf.Graph(), np.random.default_rng(3)
    with graph.as_default():
        images = tf.compat.v1.placeholder(tf.float32, (None, 8, 10, 3), name="input")
        values = tf.nn.conv2d(images, rng.standard_normal((3, 3, 3, 4)).astype(np.float32), 1, "SAME", name="conv")
        turned = tf.transpose(values, [0, 3, 1, 2], name="turned")
        halved = tf.multiply(turned, 0.5, name="halved")
        flat = tf.reshape(halved, (-1, 4 * 8 * 10), name="flat")
        tf.matmul(flat, rng.standard_normal((320, 5)).astype(np.float32), name="scores")
        tf.random.normal((2,), name="bystander")
    return graph


def run_graph(graph: tf.Graph, names: list[str], images: np.ndarray) -> list[np.ndarray]:
    with tf.compat.v1.Session(graph=graph) as session:
        return session.run([f"{name}:0" for name in names], {"input:0": images})


@pytest.mark.parametrize("form", ["graph", "graph_def", "file"])
def test_frozen_graph(form: str, frozen: tf.Graph, tmp_path: Path, read: Callable[..., Any], batch: Any):
    path = tmp_path / "network.pb"
    path.write_bytes(frozen.as_graph_def().SerializeToString())
    model = {"graph": frozen, "graph_def": frozen.as_graph_def(), "file": str(path)}[form]
    images = batch(5, 8, 10, 3)
    conv, halved, scores = run_graph(frozen, ["conv", "halved", "scores"], images)
    assembly = read(model, images, ["conv", "halved", "scores:0", "logits"], batch_size=2)
    expected = [np.moveaxis(conv, -1, 1), halved, scores, scores]
    expected = np.concatenate([values.reshape(5, -1) for values in expected], axis=1)
    np.testing.assert_allclose(assembly.values, expected, rtol=1e-4, atol=1e-5)
    for label in ("channel", "channel_x", "channel_y"):
        values = np.asarray(assembly[label].values)
        np.testing.assert_array_equal(values[:320], values[320:640])


def test_what_rearranges_is_refused_by_name(frozen: tf.Graph, read: Callable[..., Any], batch: Any):
    with pytest.raises(ActivationShapeError, match=r"'flat'.*only rearranges the values of 'halved'. Request 'halved'"):
        read(frozen, batch(1, 8, 10, 3), ["flat"])
    with pytest.raises(LayerNotFoundError, match=r"'halfed'. Did you mean 'halved'"):
        read(frozen, batch(1, 8, 10, 3), ["halfed"])


def test_graphs_that_are_none(tmp_path: Path):
    path = tmp_path / "broken.pb"
    path.write_bytes(b"\xff\xff nonsense")
    with pytest.raises(UnsupportedModelError, match=r"could not be read as a frozen graph.*for a SavedModel pass its"):
        adapters.wrap(path)
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, (None, 4, 4, 3), name="input")
        tf.nn.conv2d(images, tf.compat.v1.get_variable("kernel", (1, 1, 3, 2)), 1, "SAME")
    with pytest.raises(UnsupportedModelError, match=r"has 1 variables \(kernel\).*TF1Model\(session"):
        adapters.wrap(graph)
    with tf.Graph().as_default() as empty:
        tf.compat.v1.placeholder(tf.float32, (None, 4, 4, 3), name="input")
    extractor = adapters.wrap(empty, preprocessing=adapters.raw(4))
    with pytest.raises(UnsupportedModelError, match="computes nothing from its placeholder"):
        list(extractor.layers)


def test_function_by_the_names_it_gives(read: Callable[..., Any], batch: Any):
    kernel = tf.Variable(np.ones((1, 1, 3, 2), np.float32))

    def network(images: Any, training: bool = True) -> Any:
        values = tf.nn.relu(tf.nn.conv2d(images, kernel, 1, "SAME"), name="first")
        return tf.reduce_mean(values, (1, 2), name="second") * (100.0 if training else 1.0)

    images = batch(3, 4, 6, 3)
    summed = np.repeat(np.maximum(images.sum(-1), 0)[:, None], 2, axis=1)
    for model in (tf.function(network), TensorFlowAdapter(network)):
        found = read(model, images, ["first", "logits"]).values
        expected = np.concatenate([summed.reshape(3, -1), summed.mean((2, 3))], axis=1)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert TensorFlowAdapter(network).identifier == "network"
    assert not TensorFlowAdapter.accepts(network), "a plain function could be of any framework"


def test_function_that_changed_is_traced_anew(batch: Any):
    weights = {"kernel": np.ones((1, 1, 3, 2), np.float32)}  # becomes part of the graph
    network = tf.function(lambda images: tf.nn.conv2d(images, weights["kernel"], 1, "SAME"))
    extractor = adapters.wrap(network, preprocessing=adapters.already_preprocessed())
    images = batch(2, 4, 4, 3)
    before, fingerprint = extractor(images).values, dict(extractor.adapter.weights())
    weights["kernel"] *= 2
    np.testing.assert_allclose(extractor(images).values, 2 * before, rtol=1e-6)
    assert any((value != fingerprint[name]).any() for name, value in extractor.adapter.weights())


def test_functions_that_cannot_be_read(batch: Any):
    images = batch(2, 4, 4, 3)
    with pytest.raises(ModelForwardError, match=r"returned NoneType, which holds no floating-point"):
        adapters.wrap(TensorFlowAdapter(lambda images: None), preprocessing=adapters.already_preprocessed())(images)
    wrong = tf.function(lambda images: tf.matmul(images, tf.ones((7, 2))))
    with pytest.raises(ModelForwardError, match=r"raised ValueError on a batch of shape .*preprocessing="):
        adapters.wrap(wrong, preprocessing=adapters.already_preprocessed())(images)
