"""The toy network in Keras 3, on any backend; see `adapters.testing.toys` for what each layer does."""

from __future__ import annotations

import functools
import random
from typing import Any

import numpy as np

from .case import AdapterCase, ModelState
from .toys import NORM_EPSILON, TOKEN_NORM_EPSILON, Toy

__all__ = ["keras_case"]

_NAMES = {
    "conv1": "stem/conv1",
    "relu1": "stem/relu1",
    "pool": "stem/pool",
    "pool_alias": "stem",
    **{name: name for name in ("conv2", "norm", "token_norm", "shared", "branch")},
    **{name: name for name in ("dropout", "noise", "head", "unused")},
}


def keras_case() -> AdapterCase:
    """Return the case of our own Keras adapter, on the CPU and the backend of this process; imports keras."""
    import keras

    from ..frameworks.keras import KerasAdapter

    return AdapterCase(
        name=f"keras-{keras.config.backend()}",
        adapter=KerasAdapter,
        build_model=_build,
        snapshot=_snapshot,
        layer_names=_NAMES,
        image_shape=(10, 14, 3),
        device="cpu",
    )


def _probed(toy: Toy, place: str, value: Any) -> Any:
    """Call the probe, from inside the compiled code where there is one, and return the value."""
    import keras

    def call(value: Any) -> Any:
        toy.probe(place, value)
        return value

    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        if not tf.executing_eagerly():
            passed = tf.numpy_function(call, [value], value.dtype, stateful=False)
            passed.set_shape(value.shape)
            return passed
    if backend == "jax":
        import jax

        if isinstance(value, jax.core.Tracer):
            return jax.pure_callback(call, jax.ShapeDtypeStruct(value.shape, value.dtype), value)
    return call(value)


@functools.cache
def _network() -> Any:
    """Return the class of the network, defined at first use because its base is Keras's."""
    import keras
    from keras import layers, ops

    class OverwritingReLU(layers.Layer):
        def call(self, values: Any) -> Any:
            return values.relu_() if keras.config.backend() == "torch" else ops.relu(values)

    class Branch(layers.Layer):
        def call(self, tokens: Any) -> Any:
            positions = ops.broadcast_to(ops.arange(tokens.shape[1]), ops.shape(tokens)[:2])
            return positions, 2 * tokens, {"mean": ops.mean(tokens, axis=1)}

    class Noise(layers.Layer):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.seeds = keras.random.SeedGenerator(7)
            self.scale = self.add_weight(shape=(1,), initializer="zeros", name="scale")

        def call(self, values: Any) -> Any:
            return values + self.scale * keras.random.normal(ops.shape(values), dtype=values.dtype, seed=self.seeds)

    class ToyNetwork(keras.Model):
        def __init__(self, toy: Toy) -> None:
            super().__init__(dtype=toy.dtype)
            named = {"dtype": toy.dtype}
            weighed = {"kernel_initializer": "zeros", **named}  # replaced anyway; on JAX a random draw is compiled
            self.toy = Toy(dtype=toy.dtype)
            self.head = layers.Dense(5, name="head", **weighed)  # made first and run last
            self.unused = layers.Dense(2, name="unused", **weighed)
            self.stem = keras.Sequential(
                [
                    layers.Conv2D(4, 3, padding="same", name="conv1", **weighed),
                    OverwritingReLU(name="relu1", **named),
                    layers.MaxPooling2D(2, name="pool", **named),
                ],
                name="stem",
            )
            self.pad = layers.ZeroPadding2D(1, **named)  # Keras's own "same" pads less at the top with stride 2
            self.conv2 = layers.Conv2D(6, 3, strides=2, name="conv2", **weighed)
            self.norm = layers.BatchNormalization(epsilon=NORM_EPSILON, name="norm", **named)
            self.token_norm = layers.LayerNormalization(epsilon=TOKEN_NORM_EPSILON, name="token_norm", **named)
            self.shared = layers.Dense(6, name="shared", **weighed)
            self.branch = Branch(name="branch", **named)
            self.dropout = layers.Dropout(0.5, seed=1, name="dropout", **named)
            self.noise = Noise(name="noise", **named)

        def call(self, images: Any) -> Any:
            values = self.stem(_probed(self.toy, "start", images))
            values = self.norm(self.conv2(self.pad(_probed(self.toy, "middle", values))))
            tokens = self.token_norm(ops.reshape(values, (-1, values.shape[1] * values.shape[2], values.shape[3])))
            _, _, parts = self.branch(self.shared(tokens))
            values = self.noise(self.dropout(self.shared(parts["mean"])))
            return self.head(_probed(self.toy, "head", values)) / 2

    return ToyNetwork


def _build(toy: Toy) -> Any:
    """Build the network as a training script leaves it, with one frozen layer."""
    state = random.getstate()  # Keras draws the seeds of initialisers from it
    try:
        model = _network()(toy)
        model.unused.build((None, 6))
        model(np.zeros((1, 10, 14, 3), np.float32))
    finally:
        random.setstate(state)
    model.toy = toy
    for name, variable in _variables(model).items():
        value = toy.weights[name]
        variable.assign(np.transpose(value, (2, 3, 1, 0)) if value.ndim == 4 else value)
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
    import keras

    layers = model._flatten_layers()
    modes: dict[str, Any] = {f"{layer.name}.trainable": layer.trainable for layer in layers}
    modes["floatx"], modes["data format"] = keras.config.floatx(), keras.config.image_data_format()
    modes["dtype policy"] = keras.config.dtype_policy().name
    random_state = b"".join(
        np.ascontiguousarray(keras.ops.convert_to_numpy(variable)).tobytes()
        for variable in model.variables
        if variable.name == "seed_generator_state"
    )
    if keras.config.backend() == "torch":
        import torch

        modes["torch.is_grad_enabled()"] = torch.is_grad_enabled()
        modes.update({f"{layer.name}.training": layer.training for layer in layers})
        random_state += torch.get_rng_state().numpy().tobytes()
    return ModelState(
        modes=modes,
        n_hooks=sum(name in vars(layer) for layer in layers for name in ("call", "quantized_call", "__call__")),
        random_state=random_state,
        weights={
            f"{number}/{variable.name}": np.ascontiguousarray(keras.ops.convert_to_numpy(variable)).tobytes()
            for number, variable in enumerate(model.weights)
        },
    )
