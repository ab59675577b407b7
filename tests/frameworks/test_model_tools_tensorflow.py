"""The former wrappers of TensorFlow 1: graphs that read image files themselves, or take images."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from PIL import Image

import adapters
from adapters.errors import UnsupportedModelError
from adapters.model_tools import (
    KerasWrapper,
    TensorflowSlimWrapper,
    TensorflowWrapper,
    load_images,
    load_resize_image,
    preprocess,
)

tf1 = tf.compat.v1
BATCH_SIZE, SIZE, N_CLASSES = 4, 8, 7


@pytest.fixture(scope="module")
def image_files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder, generator = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    paths = [str(folder / f"image_{number}.png") for number in range(6)]
    for path in paths:
        Image.fromarray(generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)).save(path)
    return paths


def network(images: Any) -> dict[str, Any]:
    """Return endpoints as TF-slim's networks do; one class more than there are, for the background."""
    generator = np.random.default_rng(1)
    kernel = tf1.get_variable("kernel", initializer=generator.standard_normal((3, 3, 3, 5)).astype(np.float32))
    readout = tf1.get_variable("readout", initializer=generator.standard_normal((45, N_CLASSES + 1)).astype(np.float32))
    convolved = tf.nn.relu(tf.nn.conv2d(images / 255.0, kernel, 1, "VALID"))
    pooled = tf.nn.max_pool2d(convolved, 2, 2, "VALID")
    logits = tf.matmul(tf.reshape(pooled, (-1, 45)), readout)
    return {"my_model/conv1": convolved, "my_model/pool1": pooled, "my_model/logits": logits}


@pytest.fixture(scope="module")
def of_paths() -> Iterator[tuple[Any, dict[str, Any], Any]]:
    """Build a graph in the lines of Brain-Score's example of 2021."""
    with tf.Graph().as_default():
        placeholder = tf1.placeholder(dtype=tf.string, shape=[BATCH_SIZE])
        images = tf1.map_fn(lambda path: load_resize_image(path, SIZE), placeholder, dtype=tf.float32)
        endpoints, session = network(images), tf1.Session()
        session.run(tf1.global_variables_initializer())
    yield placeholder, endpoints, session
    session.close()


def expected_of(of_paths: Any, paths: list[str]) -> dict[str, np.ndarray]:
    placeholder, endpoints, session = of_paths
    filled = [*paths, *paths][: 2 * BATCH_SIZE]
    batches = [session.run(endpoints, {placeholder: filled[start : start + BATCH_SIZE]}) for start in (0, BATCH_SIZE)]
    return {name: np.concatenate([batch[name] for batch in batches])[: len(paths)] for name in endpoints}


def in_our_order(values: np.ndarray) -> np.ndarray:
    return np.moveaxis(values, -1, 1).reshape(len(values), -1)


def test_old_lines_for_tensorflow(of_paths: Any, image_files: list[str]) -> None:
    placeholder, endpoints, session = of_paths
    wrapper = TensorflowWrapper("tf-custom", placeholder, endpoints, session, batch_size=BATCH_SIZE)
    wrapper.image_size = SIZE
    assembly = wrapper(stimuli=image_files, layers=["my_model/pool1", "logits", "my_model/conv1"])
    expected = expected_of(of_paths, image_files)
    for layer in ("my_model/pool1", "my_model/conv1"):
        np.testing.assert_allclose(assembly.sel(layer=layer).values, in_our_order(expected[layer]), rtol=1e-5)
    np.testing.assert_allclose(assembly.sel(layer="logits").values, expected["my_model/logits"], rtol=1e-5)
    assert assembly["neuroid_id"][0].item() == "tf-custom.my_model/pool1.0"
    assert adapters.wrap(wrapper) is wrapper


@pytest.mark.parametrize(("options", "offset"), [({}, 1), ({"labels_offset": 0}, 0), ({"labels_offset": 2}, 2)])
def test_slim_leaves_out_the_background(of_paths: Any, image_files: list[str], options: Any, offset: int) -> None:
    placeholder, endpoints, session = of_paths
    wrapper = TensorflowSlimWrapper(
        identifier="slim", endpoints=endpoints, inputs=placeholder, session=session, batch_size=BATCH_SIZE, **options
    )
    expected = expected_of(of_paths, image_files)["my_model/logits"]
    np.testing.assert_allclose(wrapper(image_files, ["logits"]).values, expected[:, offset:], rtol=1e-5)
    np.testing.assert_allclose(wrapper(image_files, ["my_model/logits"]).values, expected, rtol=1e-5)


def test_graph_that_takes_images(image_files: list[str]) -> None:
    with tf.Graph().as_default(), tf1.Session() as session:
        placeholder = tf1.placeholder(tf.float32, (None, SIZE, SIZE, 3))
        endpoints = network(placeholder)
        session.run(tf1.global_variables_initializer())
        preprocessing = functools.partial(load_images, image_size=SIZE)
        wrapper = TensorflowWrapper("net", placeholder, endpoints, session, preprocessing=preprocessing)
        expected = session.run(endpoints["my_model/conv1"], {placeholder: preprocessing(image_files)})
        values = wrapper(image_files, ["my_model/conv1"]).values
    np.testing.assert_allclose(values, in_our_order(expected), rtol=1e-5, atol=1e-6)


def test_keras_wrapper_takes_models_of_tf_keras(image_files: list[str]) -> None:
    layers = [tf_keras.layers.Conv2D(4, 3, name="conv"), tf_keras.layers.Flatten(), tf_keras.layers.Dense(3)]
    model = tf_keras.Sequential([tf_keras.Input((SIZE, SIZE, 3)), *layers], name="old_net")
    wrapper = KerasWrapper(model, functools.partial(preprocess, image_size=SIZE, mode="tf"))
    batch = preprocess(image_files, SIZE, mode="tf")
    assembly = wrapper(image_files, ["conv", "logits"])
    np.testing.assert_allclose(
        assembly.sel(layer="conv").values, in_our_order(model.layers[0](batch).numpy()), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(assembly.sel(layer="logits").values, model(batch).numpy(), rtol=1e-4, atol=1e-5)
    assert assembly["neuroid_id"][0].item() == "old_net.conv.0"


def loaded(path: Path) -> np.ndarray:
    with tf.Graph().as_default(), tf1.Session() as session:
        image: np.ndarray = session.run(load_resize_image(tf.constant(str(path)), SIZE))
    return image


def test_images_are_resized_as_tensorflow_1_did(tmp_path: Path) -> None:
    """Row i lies at i * (old height / new height), between two rows of the image; the last one is repeated."""
    pixels = np.broadcast_to(np.arange(6, dtype=np.uint8)[:, None] * 40, (6, 4)).copy()
    Image.fromarray(pixels).save(tmp_path / "ramp.png")
    rows = np.minimum(np.arange(SIZE) * 6 / SIZE, 5) * 40
    image = loaded(tmp_path / "ramp.png")
    np.testing.assert_array_equal(image, np.broadcast_to(rows[:, None, None], (SIZE, SIZE, 3)))
    assert image.dtype == np.float32


def test_jpeg_files_are_read_too(tmp_path: Path) -> None:
    Image.new("RGB", (12, 16), (200, 100, 50)).save(tmp_path / "flat.jpg")
    np.testing.assert_allclose(loaded(tmp_path / "flat.jpg"), np.full((SIZE, SIZE, 3), (200, 100, 50)), atol=2)


def test_no_session(of_paths: Any) -> None:
    placeholder, endpoints, _ = of_paths
    with pytest.raises(UnsupportedModelError, match=r"session=None is NoneType; expected a tf\.compat\.v1\.Session"):
        TensorflowWrapper("net", placeholder, endpoints, None)
