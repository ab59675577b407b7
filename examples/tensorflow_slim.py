"""A network of TensorFlow 1 in the manner of TF-slim, registered as ``small_slim``: a session and its end points.

Its weights are random, and the same every time; with weights of your own, restore a checkpoint where this initialises.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

import adapters
from adapters.frameworks.tensorflow import TF1Model
from registry import register_model

VGG = """@inproceedings{simonyan2015very,
    title = {Very Deep Convolutional Networks for Large-Scale Image Recognition},
    author = {Simonyan, Karen and Zisserman, Andrew},
    booktitle = {International Conference on Learning Representations},
    year = {2015},
    url = {https://arxiv.org/abs/1409.1556}
}"""
v1 = tf.compat.v1


def small_vgg(images: Any) -> dict[str, Any]:
    end_points: dict[str, Any] = {}
    values = images
    for block, width in enumerate([16, 32, 64, 64], start=1):
        with v1.variable_scope(f"conv{block}"):
            values = tf.nn.relu(tf.nn.conv2d(values, weights((3, 3, values.shape[-1], width)), 1, "SAME"))
        end_points[f"small_vgg/conv{block}"] = values
        values = tf.nn.max_pool2d(values, 2, 2, "VALID")
        end_points[f"small_vgg/pool{block}"] = values
    with v1.variable_scope("fc8"):  # 1001 classes: the first is the background
        end_points["small_vgg/fc8"] = tf.reduce_mean(values, (1, 2)) @ weights((64, 1001))
    return end_points


def weights(shape: tuple[int, ...]) -> Any:
    return v1.get_variable("weights", shape, initializer=v1.variance_scaling_initializer(2.0))


@register_model(
    layers=[f"small_vgg/pool{block}" for block in (1, 2, 3, 4)], preprocessing=adapters.inception(64), bibtex=VGG
)
def small_slim() -> TF1Model:
    with tf.Graph().as_default() as graph:
        v1.set_random_seed(1)
        images = v1.placeholder(tf.float32, (None, 64, 64, 3))
        end_points = small_vgg(images)
        session = v1.Session(graph=graph)
        session.run(v1.global_variables_initializer())  # or: v1.train.Saver().restore(session, "vgg_16.ckpt")
    return TF1Model(session, images, end_points, labels_offset=1)
