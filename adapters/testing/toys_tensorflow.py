"""The toy network as a `tf.Module`, and what the toys of all kinds of TensorFlow model share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .case import AdapterCase, ModelState
from .toys import NORM_EPSILON, TOKEN_NORM_EPSILON, Probe, Toy

__all__ = ["channels_last_kernel", "probed", "tensorflow_case", "tensorflow_state", "toy_case"]

_NAMES = {
    **{"conv1": "stem.layers.0", "relu1": "stem.layers.1", "pool": "stem.layers.2", "pool_alias": "stem"},
    **{name: name for name in ("conv2", "norm", "token_norm", "shared", "branch")},
    **{name: name for name in ("dropout", "noise", "head", "unused")},
}


def tensorflow_case() -> AdapterCase:
    """Return the case of a `tf.Module` whose ``__call__`` is a `tf.function`, on the CPU; imports tensorflow."""
    return toy_case("tensorflow", _build, _NAMES)


def toy_case(
    name: str, build_model: Callable[[Toy], Any], layer_names: Mapping[str, str], **options: Any
) -> AdapterCase:
    """Return a case of our own TensorFlow adapter, on the CPU; imports tensorflow."""
    from ..frameworks.tensorflow import TensorFlowAdapter

    snapshot = options.pop("snapshot", tensorflow_state)

    def build(toy: Toy) -> Any:
        model = build_model(toy)
        snapshot(model)  # Python remembers every class that TensorFlow looks at: now, not while a check counts objects
        return model

    return AdapterCase(
        name=name,
        adapter=TensorFlowAdapter,
        build_model=build,
        snapshot=snapshot,
        layer_names=layer_names,
        image_shape=(10, 14, 3),
        device="cpu",
        **options,
    )


def tensorflow_state(model: Any) -> ModelState:
    """Return the variables of a module, the settings of TensorFlow, and calls that somebody has replaced."""
    import tensorflow as tf
    from tensorflow.python.eager import context

    state: Any = context.context()
    modules = [model, *model.submodules] if isinstance(model, tf.Module) else []
    own = [type(module).__call__ for module in modules if callable(module)]
    function_class: Any = type(tf.function(lambda: None))
    return ModelState(
        modes={
            "run_functions_eagerly": tf.config.functions_run_eagerly(),
            "calls": [id(call) for call in own],
            "function call": id(function_class.__call__),
            **{f"{number}.trainable": variable.trainable for number, variable in enumerate(_variables(model))},
        },
        random_state=repr((state._seed, getattr(getattr(state, "_rng", None), "getstate", tuple)())).encode(),
        weights={f"{number}": np.asarray(value).tobytes() for number, value in enumerate(_variables(model))},
    )


def _variables(model: Any) -> list[Any]:
    return list(getattr(model, "variables", ()))


def channels_last_kernel(kernel: np.ndarray) -> np.ndarray:
    """Bring a kernel from (output, input, row, column) to (row, column, input, output)."""
    return kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel


def probed(probe: Probe, place: str, value: Any) -> Any:
    """Call the toy's probe from inside the graph, unless the value it returns is not needed."""
    import tensorflow as tf

    def call(array: Any) -> Any:
        probe(place, array)
        return array

    if tf.executing_eagerly():
        return call(value)
    passed = tf.numpy_function(call, [value], value.dtype, stateful=False)
    passed.set_shape(value.shape)
    return passed


@functools.cache
def _network() -> Any:
    """Return the class of the network, defined at first use because its base is TensorFlow's."""
    import tensorflow as tf

    class Layer(tf.Module):
        def __init__(self, toy: Toy, name: str) -> None:
            super().__init__()
            weights = {key: value for key, value in toy.weights.items() if key.startswith(f"{name}.")}
            for key, value in weights.items():
                variable = tf.Variable(tf.cast(channels_last_kernel(value), toy.dtype), name=key)
                setattr(self, key.partition(".")[2], variable)

    class Convolution(Layer):
        def __init__(self, toy: Toy, name: str, stride: int) -> None:
            super().__init__(toy, name)
            self.stride = stride

        def __call__(self, images: Any) -> Any:
            padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])
            return tf.nn.bias_add(tf.nn.conv2d(padded, self.kernel, self.stride, "VALID"), self.bias)

    class Relu(tf.Module):
        def __call__(self, values: Any) -> Any:
            return tf.nn.relu(values)

    class MaxPool(tf.Module):
        def __call__(self, values: Any) -> Any:
            return tf.nn.max_pool2d(values, 2, 2, "VALID")

    class ChannelNorm(Layer):
        def __call__(self, values: Any, training: bool = True) -> Any:
            mean, variance = self.mean, self.variance
            if training:
                mean, variance = tf.nn.moments(values, [0, 1, 2])
            return tf.nn.batch_normalization(values, mean, variance, self.offset, self.scale, NORM_EPSILON)

    class TokenNorm(Layer):
        def __call__(self, tokens: Any) -> Any:
            mean, variance = tf.nn.moments(tokens, [-1], keepdims=True)
            return tf.nn.batch_normalization(tokens, mean, variance, self.offset, self.scale, TOKEN_NORM_EPSILON)

    class Dense(Layer):
        def __call__(self, values: Any) -> Any:
            return tf.tensordot(values, self.kernel, 1) + self.bias

    class Branch(tf.Module):
        def __call__(self, tokens: Any) -> Any:
            positions = tf.broadcast_to(tf.range(tokens.shape[1]), tf.shape(tokens)[:2])
            return positions, 2 * tokens, {"mean": tf.reduce_mean(tokens, 1)}

    class Dropout(tf.Module):
        def __call__(self, values: Any, training: bool = True) -> Any:
            return tf.nn.dropout(values, 0.5) if training else values

    class Noise(Layer):
        def __call__(self, values: Any) -> Any:
            return values + self.scale * tf.random.normal(tf.shape(values), dtype=values.dtype)

    class Stem(tf.Module):
        def __init__(self, *layers: Any) -> None:
            super().__init__()
            self.layers = list(layers)

        def __call__(self, values: Any) -> Any:
            for layer in self.layers:
                values = layer(values)
            return values

    class ToyNetwork(tf.Module):
        def __init__(self, toy: Toy) -> None:
            super().__init__()
            self.probe = toy.probe
            self.head = Dense(toy, "head")  # made first and run last
            self.unused = Dense(toy, "unused")
            self.stem = Stem(Convolution(toy, "conv1", 1), Relu(), MaxPool())
            self.conv2 = Convolution(toy, "conv2", 2)
            self.norm = ChannelNorm(toy, "norm")
            self.token_norm = TokenNorm(toy, "token_norm")
            self.shared = Dense(toy, "shared")
            self.branch, self.dropout, self.noise = Branch(), Dropout(), Noise(toy, "noise")

        @tf.function
        def __call__(self, images: Any, training: bool = True) -> Any:
            values = self.stem(probed(self.probe, "start", images))
            values = self.norm(self.conv2(probed(self.probe, "middle", values)), training=training)
            tokens = self.token_norm(tf.reshape(values, (-1, values.shape[1] * values.shape[2], values.shape[3])))
            _, _, parts = self.branch(self.shared(tokens))
            values = self.noise(self.dropout(self.shared(parts["mean"]), training=training))
            return self.head(probed(self.probe, "head", values)) / 2

    return ToyNetwork


def _build(toy: Toy) -> Any:
    """Build the module; its ``training=True`` is what it would do if nobody said otherwise."""
    return _network()(toy)
