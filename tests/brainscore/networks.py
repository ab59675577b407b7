"""One small network with the same weights in every framework that can be installed beside Brain-Score.

A 3x3 convolution with stride 2 and 6 channels, ReLU, the mean over space, and a dense layer to 1000 classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

SIZE, N_CHANNELS, N_CLASSES = 24, 6, 1000


@dataclass(frozen=True)
class Network:
    """A model of one framework, and how its two layers are called there."""

    model: Any
    conv: str
    head: str


def weights() -> dict[str, np.ndarray]:
    """Kernels of shape (output, input, row, column) and (input, output), and biases; the same at every call."""
    rng = np.random.default_rng(11)
    draw = {
        "conv_kernel": rng.normal(0, 0.4, (N_CHANNELS, 3, 3, 3)),
        "conv_bias": rng.normal(0, 0.1, N_CHANNELS),
        "head_kernel": rng.normal(0, 2, (N_CHANNELS, N_CLASSES)),
        "head_bias": rng.normal(0, 0.1, N_CLASSES),
    }
    return {name: value.astype(np.float32) for name, value in draw.items()}


def _channels_last() -> np.ndarray:
    return np.ascontiguousarray(weights()["conv_kernel"].transpose(2, 3, 1, 0))


def pytorch() -> Network:
    import torch
    from torch import nn

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, N_CHANNELS, 3, stride=2)
            self.relu = nn.ReLU()
            self.head = nn.Linear(N_CHANNELS, N_CLASSES)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.head(self.relu(self.conv(images)).mean((2, 3)))

    model, given = Small(), weights()
    model.load_state_dict(
        {
            "conv.weight": torch.from_numpy(given["conv_kernel"]),
            "conv.bias": torch.from_numpy(given["conv_bias"]),
            "head.weight": torch.from_numpy(given["head_kernel"].T.copy()),
            "head.bias": torch.from_numpy(given["head_bias"]),
        }
    )
    return Network(model, "conv", "head")


def keras() -> Network:
    import keras

    layers, given = keras.layers, weights()
    steps = [
        layers.Input((SIZE, SIZE, 3)),
        layers.Conv2D(N_CHANNELS, 3, strides=2, activation=None, name="conv"),
        layers.ReLU(),
        layers.GlobalAveragePooling2D(),
        layers.Dense(N_CLASSES, name="head"),
    ]
    model = keras.Sequential(steps)
    model.get_layer("conv").set_weights([_channels_last(), given["conv_bias"]])
    model.get_layer("head").set_weights([given["head_kernel"], given["head_bias"]])
    return Network(model, "conv", "head")


def tensorflow() -> Network:
    import tensorflow as tf

    class Conv(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel, self.bias = tf.Variable(_channels_last()), tf.Variable(weights()["conv_bias"])

        def __call__(self, images: tf.Tensor) -> tf.Tensor:
            return tf.nn.conv2d(images, self.kernel, 2, "VALID") + self.bias

    class Dense(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel, self.bias = tf.Variable(weights()["head_kernel"]), tf.Variable(weights()["head_bias"])

        def __call__(self, values: tf.Tensor) -> tf.Tensor:
            return values @ self.kernel + self.bias

    class Small(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = Conv(), Dense()

        def __call__(self, images: tf.Tensor) -> tf.Tensor:
            return self.head(tf.reduce_mean(tf.nn.relu(self.conv(images)), (1, 2)))

    return Network(Small(), "conv", "head")


def flax_linen() -> Network:
    from flax import linen as nn

    class Small(nn.Module):
        @nn.compact
        def __call__(self, images: Any) -> Any:
            values = nn.relu(nn.Conv(N_CHANNELS, (3, 3), strides=2, padding="VALID", name="conv")(images))
            return nn.Dense(N_CLASSES, name="head")(values.mean((1, 2)))

    given = weights()
    params = {
        "conv": {"kernel": _channels_last(), "bias": given["conv_bias"]},
        "head": {"kernel": given["head_kernel"], "bias": given["head_bias"]},
    }
    return Network((Small(), {"params": params}), "conv", "head")


def flax_nnx() -> Network:
    from flax import nnx

    class Small(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.conv = nnx.Conv(3, N_CHANNELS, (3, 3), strides=2, padding="VALID", rngs=rngs)
            self.head = nnx.Linear(N_CHANNELS, N_CLASSES, rngs=rngs)

        def __call__(self, images: Any) -> Any:
            return self.head(nnx.relu(self.conv(images)).mean((1, 2)))

    model, given = Small(nnx.Rngs(0)), weights()
    model.conv.kernel.value, model.conv.bias.value = _channels_last(), given["conv_bias"]
    model.head.kernel.value, model.head.bias.value = given["head_kernel"], given["head_bias"]
    return Network(model, "conv", "head")


def equinox() -> Network:
    import equinox as eqx
    import jax

    class Small(eqx.Module):
        conv: Any
        head: Any

        def __call__(self, image: Any) -> Any:
            return self.head(jax.nn.relu(self.conv(image)).mean((1, 2)))

    given, key = weights(), jax.random.PRNGKey(0)
    conv, head = eqx.nn.Conv2d(3, N_CHANNELS, 3, 2, key=key), eqx.nn.Linear(N_CHANNELS, N_CLASSES, key=key)
    new = (given["conv_kernel"], given["conv_bias"][:, None, None], given["head_kernel"].T, given["head_bias"])
    model = eqx.tree_at(
        lambda each: (each.conv.weight, each.conv.bias, each.head.weight, each.head.bias),
        Small(conv, head),
        tuple(jax.numpy.asarray(value) for value in new),
    )
    return Network(model, "conv", "head")


def haiku() -> Network:
    import haiku as hk
    import jax

    def forward(images: Any) -> Any:
        values = jax.nn.relu(hk.Conv2D(N_CHANNELS, 3, stride=2, padding="VALID", name="conv")(images))
        return hk.Linear(N_CLASSES, name="head")(values.mean((1, 2)))

    given = weights()
    params = {
        "conv": {"w": _channels_last(), "b": given["conv_bias"]},
        "head": {"w": given["head_kernel"], "b": given["head_bias"]},
    }
    return Network((hk.without_apply_rng(hk.transform(forward)), params), "conv", "head")


def onnx() -> Network:
    from onnx import helper, numpy_helper

    node, images = helper.make_node, ["n_images", 3, SIZE, SIZE]
    nodes = [
        node("Conv", ["images", "conv_kernel", "conv_bias"], ["convolved"], name="conv", strides=[2, 2]),
        node("Relu", ["convolved"], ["rectified"], name="relu"),
        node("GlobalAveragePool", ["rectified"], ["pooled"], name="pool"),
        node("Flatten", ["pooled"], ["flat"], name="flatten"),
        node("Gemm", ["flat", "head_kernel", "head_bias"], ["output"], name="head"),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("images", 1, images)],
        [helper.make_tensor_value_info("output", 1, ["n_images", N_CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in weights().items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return Network(model, "conv", "head")


NETWORKS: dict[str, Callable[[], Network]] = {
    build.__name__: build for build in (pytorch, keras, tensorflow, flax_linen, flax_nnx, equinox, haiku, onnx)
}
