"""The toy network in Keras 2, the package tf_keras; see `adapters.testing.toys` for what each layer does."""

from __future__ import annotations

import functools
import random
from dataclasses import replace
from typing import Any

import numpy as np

from .case import AdapterCase, ModelState
from .toys import NORM_EPSILON, TOKEN_NORM_EPSILON, Toy
from .toys_tensorflow import channels_last_kernel, probed, tensorflow_state, toy_case

__all__ = ["tf_keras_case"]

_NAMES = {
    "conv1": "stem/conv1",
    "relu1": "stem/relu1",
    "pool": "stem/pool",
    "pool_alias": "stem",
    **{name: name for name in ("conv2", "norm", "token_norm", "shared", "branch")},
    **{name: name for name in ("dropout", "noise", "head", "unused")},
}


def tf_keras_case() -> AdapterCase:
    """Return the case of a subclassed tf_keras model, on the CPU; imports tf_keras."""
    return toy_case("tf_keras", _build, _NAMES, snapshot=_snapshot)


@functools.cache
def _network() -> Any:
    """Return the class of the network, defined at first use because its base is tf_keras's."""
    import tensorflow as tf
    import tf_keras
    from tf_keras import layers

    class Branch(layers.Layer):
        def call(self, tokens: Any) -> Any:
            positions = tf.broadcast_to(tf.range(tokens.shape[1]), tf.shape(tokens)[:2])
            return positions, 2 * tokens, {"mean": tf.reduce_mean(tokens, 1)}

    class Noise(layers.Layer):
        def build(self, _shape: Any) -> None:
            self.scale = self.add_weight(shape=(1,), initializer="zeros", name="scale")

        def call(self, values: Any) -> Any:
            return values + self.scale * tf.random.normal(tf.shape(values), dtype=values.dtype)

    class ToyNetwork(tf_keras.Model):
        def __init__(self, toy: Toy) -> None:
            super().__init__(dtype=toy.dtype)
            named = {"dtype": toy.dtype}
            self.probe = toy.probe
            self.head = layers.Dense(5, name="head", **named)  # made first and run last
            self.unused = layers.Dense(2, name="unused", **named)
            self.stem = tf_keras.Sequential(
                [
                    layers.Conv2D(4, 3, padding="same", name="conv1", **named),
                    layers.ReLU(name="relu1", **named),
                    layers.MaxPooling2D(2, name="pool", **named),
                ],
                name="stem",
            )
            self.pad = layers.ZeroPadding2D(1, **named)  # Keras's own "same" pads less at the top with stride 2
            self.conv2 = layers.Conv2D(6, 3, strides=2, name="conv2", **named)
            self.norm = layers.BatchNormalization(epsilon=NORM_EPSILON, name="norm", **named)
            self.token_norm = layers.LayerNormalization(epsilon=TOKEN_NORM_EPSILON, name="token_norm", **named)
            self.shared = layers.Dense(6, name="shared", **named)
            self.branch = Branch(name="branch", **named)
            self.dropout = layers.Dropout(0.5, name="dropout", **named)
            self.noise = Noise(name="noise", **named)

        def call(self, images: Any, training: Any = None) -> Any:
            values = self.stem(probed(self.probe, "start", images), training=training)
            values = self.norm(self.conv2(self.pad(probed(self.probe, "middle", values))), training=training)
            tokens = self.token_norm(tf.reshape(values, (-1, values.shape[1] * values.shape[2], values.shape[3])))
            _, _, parts = self.branch(self.shared(tokens))
            values = self.noise(self.dropout(self.shared(parts["mean"]), training=training))
            return self.head(probed(self.probe, "head", values)) / 2

    return ToyNetwork


def _build(toy: Toy) -> Any:
    """Build the network as a training script leaves it, with one frozen layer."""
    state = random.getstate()  # Keras draws the seeds of initialisers from it
    try:
        model = _network()(Toy(dtype=toy.dtype))
        model.unused.build((None, 6))
        model(np.zeros((1, 10, 14, 3), np.float32))
    finally:
        random.setstate(state)
    model.probe = toy.probe
    for name, variable in _variables(model).items():
        variable.assign(channels_last_kernel(toy.weights[name]))
    model.token_norm.trainable = False
    return model


def _variables(model: Any) -> dict[str, Any]:
    found = {"noise.scale": model.noise.scale}
    for name in ("conv1", "conv2", "shared", "unused", "head"):
        layer = model.stem.get_layer(name) if name == "conv1" else getattr(model, name)
        found.update({f"{name}.kernel": layer.kernel, f"{name}.bias": layer.bias})
    for name in ("norm", "token_norm"):
        found.update({f"{name}.scale": getattr(model, name).gamma, f"{name}.offset": getattr(model, name).beta})
    found.update({"norm.mean": model.norm.moving_mean, "norm.variance": model.norm.moving_variance})
    return found


def _snapshot(model: Any) -> ModelState:
    import tf_keras

    found = tensorflow_state(model)
    layers = model._flatten_layers()
    modes = {f"{layer.name}.trainable": layer.trainable for layer in layers}
    settings = {"floatx": tf_keras.backend.floatx(), "data format": tf_keras.backend.image_data_format()}
    return replace(
        found,
        modes={**found.modes, **modes, **settings},
        n_hooks=sum(name in vars(layer) for layer in model._flatten_layers() for name in ("call", "__call__")),
    )
