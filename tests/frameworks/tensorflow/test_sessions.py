"""Sessions of TensorFlow 1 with named endpoints, as TF-slim's networks give them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import adapters
from adapters.errors import (
    DeviceError,
    LayerNotFoundError,
    ModelForwardError,
    PreprocessingError,
    UnsupportedModelError,
)
from adapters.frameworks.tensorflow import TF1Model
from adapters.frameworks.tensorflow.paths import FilePaths, paths_of
from adapters.frameworks.tensorflow.sessions import SessionNetwork
from adapters.model_tools import TensorflowWrapper

v1 = tf.compat.v1
N_CLASSES = 11  # a background and 10 classes


def vgg(images: Any, is_training: Any) -> dict[str, Any]:
    """Build VGG16's ten first convolutions, narrow, with the names of slim's end points."""
    end_points: dict[str, Any] = {}
    values, rng = images, np.random.default_rng(5)
    with v1.variable_scope("vgg_16"):
        for block, (n_convolutions, width) in enumerate([(2, 4), (2, 6), (3, 8), (3, 8)], start=1):
            for number in range(1, n_convolutions + 1):
                name = f"conv{block}/conv{block}_{number}"
                with v1.variable_scope(name):
                    shape = (3, 3, int(values.shape[-1]), width)
                    start = (0.3 * rng.standard_normal(shape)).astype(np.float32)
                    kernel, bias = v1.get_variable("weights", initializer=start), v1.get_variable("biases", (width,))
                    values = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(values, kernel, 1, "SAME"), bias))
                end_points[f"vgg_16/{name}"] = values
            values = tf.nn.max_pool2d(values, 2, 2, "VALID", name=f"pool{block}")
            end_points[f"vgg_16/pool{block}"] = values
        values = tf.cond(is_training, lambda: tf.nn.dropout(values, 0.5), lambda: values)
        kernel = v1.get_variable("fc8/weights", initializer=rng.standard_normal((8, N_CLASSES)).astype(np.float32))
        end_points["vgg_16/fc8"] = tf.matmul(tf.reduce_mean(values, (1, 2)), kernel)
    return end_points


@pytest.fixture(scope="module")
def slim() -> tuple[Any, Any, dict[str, Any]]:
    graph = tf.Graph()
    with graph.as_default():
        v1.set_random_seed(1)
        images = v1.placeholder(tf.float32, (None, 32, 48, 3), name="images")
        end_points = vgg(images, v1.placeholder(tf.bool, (), name="is_training"))
        session = v1.Session(graph=graph)
        session.run(v1.global_variables_initializer())
    return session, images, end_points


def test_endpoints_give_what_the_session_gives(slim: Any, read: Callable[..., Any], batch: Any):
    session, images, end_points = slim
    n_operations = len(session.graph.get_operations())
    model = TF1Model(session, images, end_points, labels_offset=1, feeds={"is_training": False})
    stimuli = batch(5, 32, 48, 3)
    assembly = read(model, stimuli, [*end_points, "logits"], batch_size=2)
    direct = session.run(end_points, {images: stimuli, "is_training:0": False})
    names = np.asarray(assembly["layer"].values)
    for name, values in direct.items():
        values = np.moveaxis(values, -1, 1) if values.ndim == 4 else values
        found = assembly.values[:, names == name]
        np.testing.assert_allclose(found, values.reshape(5, -1), rtol=1e-5, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(assembly.values[:, names == "logits"], direct["vgg_16/fc8"][:, 1:], rtol=1e-5, atol=1e-6)
    assert len(session.graph.get_operations()) == n_operations


def test_former_wrapper_feeds_other_placeholders(slim: Any, batch: Any):
    session, images, end_points = slim
    stimuli, options = batch(2, 32, 48, 3), {"preprocessing": adapters.already_preprocessed()}
    wrapper = TensorflowWrapper("vgg", images, end_points, session, feeds={"is_training": False}, **options)
    expected = session.run(end_points["vgg_16/fc8"], {images: stimuli, "is_training:0": False})
    np.testing.assert_allclose(wrapper(stimuli, ["logits"]).values, expected, rtol=1e-5, atol=1e-6)


def test_listing_follows_the_graph_and_not_the_table(slim: Any):
    session, images, end_points = slim
    turned = dict(reversed(end_points.items()))
    model = TF1Model(session, images, turned, logits="vgg_16/fc8", labels_offset=1, feeds={"is_training": False})
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed())
    assert list(extractor.layers) == list(end_points)
    assert extractor.layers["vgg_16/pool1"].shape == (4, 16, 24)
    assert extractor.layers["logits"].shape == (10,)
    assert extractor.adapter.input == adapters.contract.InputSpec((32, 48), 3, -1)


def test_unknown_endpoint(slim: Any, read: Callable[..., Any], batch: Any):
    model = TF1Model(*slim, feeds={"is_training": False})
    with pytest.raises(LayerNotFoundError, match=r"no layer 'vgg_16/pool_1'. Did you mean 'vgg_16/pool1'"):
        read(model, batch(1, 32, 48, 3), ["vgg_16/pool_1"])


def test_wrong_image_size(slim: Any, read: Callable[..., Any], batch: Any):
    model = TF1Model(*slim, feeds={"is_training": False})
    with pytest.raises(ModelForwardError, match=r"takes images of shape \(32, 48, 3\).*\(32, 32, 3\)"):
        read(model, batch(1, 32, 32, 3))


def test_changed_weights_are_seen(slim: Any, batch: Any):
    session, *_ = slim
    extractor = adapters.wrap(
        TF1Model(*slim, feeds={"is_training": False}), preprocessing=adapters.already_preprocessed()
    )
    images = batch(2, 32, 48, 3)
    before, fingerprint = extractor(images).values, dict(extractor.adapter.weights())
    with session.graph.as_default():
        kernel = next(each for each in v1.global_variables() if each.name == "vgg_16/fc8/weights:0")
        double, halve = kernel.assign(2 * kernel), kernel.assign(kernel / 2)
    session.run(double)
    try:
        np.testing.assert_allclose(extractor(images).values, 2 * before, rtol=1e-5)
        changed = [name for name, found in extractor.adapter.weights() if (found != fingerprint[name]).any()]
        assert changed == ["vgg_16/fc8/weights:0"]
    finally:
        session.run(halve)


def small(**placeholder: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Return a session with one variable, not initialised."""
    graph = tf.Graph()
    with graph.as_default():
        images = v1.placeholder(**{"dtype": tf.float32, "shape": (None, 4, 4, 3), "name": "images", **placeholder})
        kernel = v1.get_variable("kernel", (1, 1, 3, 2))
        end_points = {"conv": tf.nn.conv2d(tf.cast(images, tf.float32), kernel, 1, "SAME")}
    return v1.Session(graph=graph), images, end_points


def test_variables_without_values(read: Callable[..., Any], batch: Any):
    model = TF1Model(*small())
    for action in (lambda: read(model, batch(1, 4, 4, 3)), lambda: list(adapters.wrap(model).adapter.weights())):
        with pytest.raises(ModelForwardError, match=r"variables without values \(kernel:0 exist\).*Saver\(\).restore"):
            action()


def test_closed_session(read: Callable[..., Any], batch: Any):
    session, *rest = small()
    session.close()
    with pytest.raises(ModelForwardError, match=r"session is closed.*no `with` around it"):
        read(TF1Model(session, *rest), batch(1, 4, 4, 3))


def test_what_is_no_model():
    session, images, end_points = small()
    with tf.Graph().as_default():
        foreign = v1.placeholder(tf.float32, (None, 4, 4, 3))
    cases = [
        (("session", images, end_points), {}, r"session='session' is str; expected a tf.compat.v1.Session"),
        ((session, images, {}), {}, r"endpoints is dict '\{\}'; expected a dict of layer name -> tensor"),
        ((session, images, end_points), {"labels_offset": -1}, r"labels_offset=-1 is no number of columns"),
        ((session, images, end_points), {"logits": "convv"}, r"none of the 1 endpoints. Did you mean 'conv'"),
        ((session, foreign, end_points), {}, r"tensor of inputs .*not in the session's graph"),
        ((session, "imags", end_points), {}, r"no tensor 'imags:0' \(of inputs\). Did you mean 'images'"),
        ((session, images, {"conv": "Conv3D:0"}), {}, r"no tensor 'Conv3D:0' \(of endpoint 'conv'\)"),
        (small(dtype=tf.bool), {}, r"placeholder 'images:0' takes bool; expected images, or strings"),
    ]
    for given, options, message in cases:
        with pytest.raises(UnsupportedModelError, match=message):
            adapters.wrap(TF1Model(*given, **options))


def test_offset_that_leaves_nothing(read: Callable[..., Any], batch: Any):
    session, *rest = small()
    with session.graph.as_default():
        session.run(v1.global_variables_initializer())
    with pytest.raises(UnsupportedModelError, match=r"labels_offset=1 leaves nothing of the final output 'conv'"):
        read(TF1Model(session, *rest, labels_offset=1), batch(1, 4, 4, 3))


def test_offset_of_logits_that_kept_their_space(read: Callable[..., Any], batch: Any):
    with tf.Graph().as_default() as graph:
        images = v1.placeholder(tf.float32, (None, 4, 4, 3), name="images")
        kernel = np.random.default_rng(0).standard_normal((4, 4, 3, 6)).astype(np.float32)
        end_points = {"doubled": 2 * images, "scores": tf.nn.conv2d(images, kernel, 1, "VALID")}  # not squeezed
    stimuli = batch(2, 4, 4, 3)
    expected = np.tensordot(stimuli, kernel, 3)
    model = TF1Model(v1.Session(graph=graph), images, end_points, labels_offset=1)
    found = read(model, stimuli, ["scores", "logits"]).values
    np.testing.assert_allclose(found, np.concatenate([expected, expected[:, 1:]], axis=1), rtol=1e-4, atol=1e-4)
    model = TF1Model(v1.Session(graph=graph), images, end_points, labels_offset=6)
    assert read(model, stimuli, ["doubled"]).shape == (2, 48), "only the final output cannot be read"


def test_what_a_pass_writes_is_set_back(read: Callable[..., Any], batch: Any):
    with tf.Graph().as_default() as graph:
        images = v1.placeholder(tf.float32, (None, 4, 4, 3), name="images")
        made = [v1.get_variable(f"n{kind}", initializer=1.0, use_resource=kind) for kind in (True, False)]
        v1.get_variable("slot", (2,))  # of an optimiser; never initialised, and nothing needs it
        with tf.control_dependencies([variable.assign_add(1.0) for variable in made]):
            end_points = {"scaled": images * tf.add_n([variable.read_value() for variable in made])}
    session, stimuli = v1.Session(graph=graph), batch(2, 4, 4, 3)
    with pytest.raises(ModelForwardError, match=r"variables without values.*Saver\(\).restore"):
        read(TF1Model(session, images, end_points), stimuli, ["scaled"])
    session.run([variable.initializer for variable in made])
    n_operations = len(graph.get_operations())
    model = TF1Model(session, images, end_points)
    for _ in range(2):
        found = read(model, stimuli, ["scaled"]).values
        np.testing.assert_allclose(found, np.moveaxis(4 * stimuli, -1, 1).reshape(2, -1), rtol=1e-6)
        assert session.run(made) == [1.0, 1.0]
    assert len(graph.get_operations()) == n_operations
    names = [name for name, _ in adapters.wrap(model).adapter.weights()]
    assert {"nTrue:0", "nFalse:0"} <= set(names)
    assert "slot:0" not in names


def test_device_of_a_session():
    model = TF1Model(*small())
    assert adapters.wrap(model, device="cpu").adapter.layers
    with pytest.raises(
        DeviceError, match=r"device='gpu:0' was asked for, but a session runs where.*tf.device\('GPU:0'\)"
    ):
        SessionNetwork(model, "GPU:0")


@pytest.fixture(params=[None, 3], ids=["any batch", "batches of 3"])
def reader(request: pytest.FixtureRequest) -> TF1Model:
    """Build a graph that reads image files itself, as the old wrappers of model-tools had them."""
    graph = tf.Graph()
    with graph.as_default():
        paths = v1.placeholder(tf.string, (request.param,), name="paths")

        def load(path: Any) -> Any:
            image = tf.image.decode_png(tf.io.read_file(path), channels=3)
            return tf.image.resize(tf.cast(image, tf.float32), (6, 8))

        images = tf.map_fn(load, paths, fn_output_signature=tf.TensorSpec((6, 8, 3)))
        end_points = {"conv": tf.nn.conv2d(images / 255, np.ones((1, 1, 3, 2), np.float32), 1, "SAME")}
        return TF1Model(v1.Session(graph=graph), paths, end_points)


def test_graph_that_reads_files(reader: TF1Model, tmp_path: Path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 12, 16, 3), dtype=np.uint8)
    paths = [str(tmp_path / f"größe {number}.png") for number in range(4)]
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(image).save(path)
    extractor = adapters.wrap(reader, batch_size=3)
    assert extractor.layers["conv"].shape == (2, 6, 8)
    from_paths, from_arrays = extractor(paths, ["conv"]), extractor(pixels, ["conv"])
    expected = tf.image.resize(pixels.astype(np.float32), (6, 8)).numpy().sum(-1) / 255
    for assembly in (from_paths, from_arrays):
        np.testing.assert_allclose(assembly.values, np.tile(expected.reshape(4, -1), 2), rtol=1e-5)
    assert list(from_paths["stimulus_path"].values) == paths


def test_what_a_graph_that_reads_files_refuses(reader: TF1Model):
    pixels = np.zeros((1, 12, 16, 3), np.uint8)
    extractor = adapters.wrap(reader)
    extractor.set_visual_degrees(8)
    with pytest.raises(PreprocessingError, match=r"reads image files itself.*files cannot be moved by a microsaccade"):
        extractor(pixels, ["conv"], number_of_trials=3, require_variance=True)
    with pytest.raises(ModelForwardError, match=r"reads image files itself.*Leave preprocessing out"):
        adapters.wrap(reader, preprocessing=adapters.raw(8))(pixels, ["conv"])
    with pytest.raises(PreprocessingError, match=r"has 5,000 bytes; at most 4,094"):
        extractor(["x" * 5000], ["conv"])


def test_a_path_that_changed_on_the_way_is_noticed():
    encoded = FilePaths()("images/12.png")[None]
    assert list(paths_of(encoded, "Network")) == [b"images/12.png"]
    encoded[0, [8, 9]] = encoded[0, [9, 8]]  # images/21.png may well exist
    with pytest.raises(
        PreprocessingError, match="Network reads image files itself, from their paths, and got something"
    ):
        paths_of(encoded, "Network")
