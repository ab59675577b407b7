"""The toy network as a `tf.function` and as a SavedModel; see `adapters.testing.toys` for what each layer does."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from typing import Any

import numpy as np

from .case import AdapterCase, ModelState
from .toys import LAYERS, NORM_EPSILON, TOKEN_NORM_EPSILON, Toy
from .toys_tensorflow import channels_last_kernel, probed, tensorflow_state, toy_case

__all__ = ["saved_model_case", "tensorflow_function_case", "toy_operations"]

_NO_MODULES = "a graph has no module that could exist without running"
_NO_STRUCTURE = "an operation gives tensors, never dicts of them"
_NAMED_TWICE = "each call of a layer is an operation of its own, with a name of its own"

_NAMES = {name: name for name in LAYERS if name != "shared"} | {"pool_alias": "pool_alias"}


def tensorflow_function_case() -> AdapterCase:
    """Return the case of a `tf.function`, whose layers are the names of its operations; imports tensorflow."""
    return toy_case(
        "tensorflow function",
        _build_function,
        _NAMES,
        snapshot=_state_of_function,
        expected_failures={
            "check_never_run_layer": _NO_MODULES,
            "check_repeated_layer": _NAMED_TWICE,
            "check_structured_outputs": _NO_STRUCTURE,
        },
    )


def saved_model_case() -> AdapterCase:
    """Return the case of a loaded SavedModel, one function of which is read by its operations; imports tensorflow."""
    return toy_case(
        "tensorflow SavedModel",
        _build_saved,
        {name: f"StatefulPartitionedCall/{operation}" for name, operation in _NAMES.items()},
        snapshot=_state_of_saved,
        expected_failures={
            "check_never_run_layer": _NO_MODULES,
            "check_repeated_layer": _NAMED_TWICE,
            "check_structured_outputs": _NO_STRUCTURE,
        },
    )


def toy_operations(toy: Toy, weights: dict[str, Any], images: Any) -> Any:
    """Compute the toy network with operations that carry the names of its layers.

    Parameters
    ----------
    toy : Toy
        Its probe is called.
    weights : dict of str to tensor or variable
        As `adapters.testing.toys.toy_weights` names them; convolution kernels with channels last.
    images : tensor of shape (n_images, 10, 14, 3)
        Of a graph.
    """
    import tensorflow as tf

    def convolve(values: Any, layer: str, stride: int) -> Any:
        padded = tf.pad(values, [[0, 0], [1, 1], [1, 1], [0, 0]])
        values = tf.nn.conv2d(padded, weights[f"{layer}.kernel"], stride, "VALID")
        return tf.nn.bias_add(values, weights[f"{layer}.bias"], name=layer)

    def dense(values: Any, layer: str, name: str) -> Any:
        return tf.add(tf.tensordot(values, weights[f"{layer}.kernel"], 1), weights[f"{layer}.bias"], name=name)

    def normalise(values: Any, layer: str, mean: Any, variance: Any, epsilon: float) -> Any:
        standard = (values - mean) * tf.math.rsqrt(variance + tf.cast(epsilon, values.dtype))
        return tf.add(standard * weights[f"{layer}.scale"], weights[f"{layer}.offset"], name=layer)

    values = tf.nn.relu(convolve(probed(toy.probe, "start", images), "conv1", 1), name="relu1")
    values = tf.identity(tf.nn.max_pool2d(values, 2, 2, "VALID", name="pool"), name="pool_alias")
    values = convolve(probed(toy.probe, "middle", values), "conv2", 2)
    values = normalise(values, "norm", weights["norm.mean"], weights["norm.variance"], NORM_EPSILON)
    tokens = tf.reshape(values, (-1, values.shape[1] * values.shape[2], values.shape[3]))
    mean, variance = tf.nn.moments(tokens, [-1], keepdims=True)
    tokens = dense(normalise(tokens, "token_norm", mean, variance, TOKEN_NORM_EPSILON), "shared", "shared_first")
    tokens = tf.multiply(tokens, tf.constant(2, tokens.dtype), name="branch")
    values = dense(tf.reduce_mean(tokens, 1) / 2, "shared", "shared_second")  # what nothing needs would not be saved
    values = tf.multiply(values, tf.constant(1, values.dtype), name="dropout")  # what a dropout leaves when it is off
    draw = tf.random.normal(tf.shape(values), dtype=values.dtype)
    values = tf.add(values, weights["noise.scale"] * draw, name="noise")
    return dense(probed(toy.probe, "head", values), "head", "head") / 2


def toy_variables(toy: Toy) -> dict[str, Any]:
    """Return the weights of a toy as variables."""
    import tensorflow as tf

    return {
        name: tf.Variable(tf.cast(channels_last_kernel(value), toy.dtype), name=name.replace(".", "_"))
        for name, value in toy.weights.items()
    }


def _build_function(toy: Toy) -> Any:
    import tensorflow as tf

    weights = toy_variables(toy)

    @tf.function
    def toy_network(images: Any) -> Any:
        return toy_operations(toy, weights, images)

    return toy_network


def _build_saved(toy: Toy) -> Any:
    """Save and load; the probe is a number in this process, and lives as long as what refers to it here."""
    import tensorflow as tf

    module: Any = tf.Module()
    module.weights = toy_variables(toy)
    spec = tf.TensorSpec((None, 10, 14, 3), toy.dtype, name="images")
    module.run = tf.function(lambda images: {"output": toy_operations(toy, module.weights, images)}, [spec])
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={"serving_default": module.run})
        loaded: Any = tf.saved_model.load(folder)
    loaded.made_from = module
    return loaded


def _state_of_function(model: Any) -> ModelState:
    cells = dict(zip(model.python_function.__code__.co_freevars, model.python_function.__closure__, strict=True))
    return _with_weights(model, cells["weights"].cell_contents)


def _state_of_saved(model: Any) -> ModelState:
    return _with_weights(model, model.weights)


def _with_weights(model: Any, weights: Any) -> ModelState:
    found = {name: np.asarray(value).tobytes() for name, value in weights.items()}
    return replace(tensorflow_state(model), weights=found)
