"""A TensorFlow SavedModel, registered as ``small_savedmodel``: the folder is all that is needed.

Its weights are random, and the same every time: good enough to see how a SavedModel is passed, worthless as a model.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import adapters
from registry import register_model

TENSORFLOW = """@misc{tensorflow2015,
    title = {TensorFlow: Large-Scale Machine Learning on Heterogeneous Systems},
    author = {Abadi, Martin and others},
    year = {2015},
    url = {https://www.tensorflow.org/}
}"""


class SmallNetwork(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        shapes = [(7, 7, 3, 16), (3, 3, 16, 32), (3, 3, 32, 64)]
        self.kernels = [tf.Variable(he_normal(rng, *shape)) for shape in shapes]
        self.head = tf.Variable(he_normal(rng, 64, 1000))

    @tf.function(input_signature=[tf.TensorSpec((None, 96, 96, 3), tf.float32, name="images")])
    def __call__(self, images: Any) -> Any:
        for number, kernel in enumerate(self.kernels, start=1):
            images = tf.nn.relu(tf.nn.conv2d(images, kernel, 2, "SAME"), name=f"relu{number}")
        return {"logits": tf.reduce_mean(images, (1, 2), name="pool") @ self.head}


def he_normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return (np.sqrt(2 / np.prod(shape[:-1])) * rng.standard_normal(shape)).astype(np.float32)


# Layers are operations of the saved graph; `brain-adapters layers` lists them, with short names beside the full ones.
@register_model(layers=["relu1", "relu2", "relu3", "pool"], preprocessing=adapters.inception(96), bibtex=TENSORFLOW)
def small_savedmodel() -> Path:
    folder = Path(tempfile.mkdtemp()) / "small_network"  # yours is there already: return its path
    network = SmallNetwork()
    tf.saved_model.save(network, folder, signatures=network.__call__)
    return folder
