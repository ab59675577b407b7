"""Run every framework that is installed once, in one process with Brain-Score. Run by server_pins.py."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ |= {"RESULTCACHING_DISABLE": "1", "BS_INSTALL_DEPENDENCIES": "no", "TF_CPP_MIN_LOG_LEVEL": "3"}

import numpy as np

IMAGES = np.random.default_rng(0).standard_normal((2, 16, 16, 3)).astype("float32")


def run_torch() -> object:
    """Run a convolution through Brain-Score's own code."""
    import torch
    from brainscore_vision.model_helpers.activations.pytorch import PytorchWrapper

    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3))
    wrapper = PytorchWrapper(model, lambda paths: np.moveaxis(IMAGES[: len(paths)], 3, 1), identifier="net")
    return wrapper.get_activations(list(np.moveaxis(IMAGES, 3, 1)), ["0"])["0"]


def run_tensorflow() -> object:
    """Run a convolution."""
    import tensorflow as tf

    return tf.function(lambda images: tf.nn.conv2d(images, tf.ones((3, 3, 3, 4)), 1, "SAME"))(IMAGES).numpy()


def run_keras() -> object:
    """Run a model of two layers."""
    import keras

    return keras.Sequential([keras.layers.Conv2D(4, 3), keras.layers.Flatten()]).predict(IMAGES, verbose=0)


def run_tf_keras() -> object:
    """Run a model of two layers in Keras 2."""
    import tf_keras as keras

    return keras.Sequential([keras.layers.Conv2D(4, 3), keras.layers.Flatten()]).predict(IMAGES, verbose=0)


def run_jax() -> object:
    """Run a compiled function."""
    import jax

    return jax.jit(jax.numpy.tanh)(IMAGES)


def run_flax() -> object:
    """Run a linen and an nnx module."""
    import jax
    from flax import linen, nnx

    dense = linen.Dense(4)
    return dense.apply(dense.init(jax.random.key(0), IMAGES), IMAGES) + nnx.Linear(3, 4, rngs=nnx.Rngs(0))(IMAGES)


def run_haiku() -> object:
    """Run a convolution."""
    import haiku as hk
    import jax

    function = hk.transform(lambda images: hk.Conv2D(4, 3)(images))
    return function.apply(function.init(jax.random.key(0), IMAGES), None, IMAGES)


def run_equinox() -> object:
    """Run a compiled convolution."""
    import equinox
    import jax

    return equinox.filter_jit(jax.vmap(equinox.nn.Conv2d(3, 4, 3, key=jax.random.key(0))))(np.moveaxis(IMAGES, 3, 1))


def run_optax() -> object:
    """Take one step of an optimiser."""
    import optax

    optimiser, parameters = optax.adam(1e-3), {"weights": IMAGES}
    return optimiser.update(parameters, optimiser.init(parameters))[0]["weights"]


def run_orbax() -> object:
    """Write a checkpoint and read it."""
    import orbax.checkpoint

    with tempfile.TemporaryDirectory() as folder:
        checkpointer = orbax.checkpoint.PyTreeCheckpointer()
        checkpointer.save(Path(folder) / "weights", {"weights": IMAGES})
        return checkpointer.restore(Path(folder) / "weights")["weights"]


def run_onnxruntime() -> object:
    """Run a graph of one operation, made by onnx."""
    import onnx
    import onnxruntime

    values = [onnx.helper.make_tensor_value_info(name, 1, ["n", 16, 16, 3]) for name in ("images", "out")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["images"], ["out"])], "net", values[:1], values[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"images": IMAGES})[0]


def run_timm() -> object:
    """Run a small residual network."""
    import timm
    import torch

    return timm.create_model("resnet10t", num_classes=3).eval()(torch.zeros(1, 3, 64, 64)).detach().numpy()


def run_transformers() -> object:
    """Run a small vision transformer."""
    import torch
    import transformers

    sizes = {"hidden_size": 16, "intermediate_size": 16, "image_size": 16, "patch_size": 8}
    configuration = transformers.ViTConfig(num_hidden_layers=1, num_attention_heads=2, **sizes)
    return transformers.ViTModel(configuration)(torch.zeros(1, 3, 16, 16)).last_hidden_state.detach().numpy()


PROGRAMS: tuple[Callable[[], object], ...] = (
    *(run_torch, run_tensorflow, run_keras, run_tf_keras, run_jax, run_flax, run_haiku, run_equinox, run_optax),
    *(run_orbax, run_onnxruntime, run_timm, run_transformers),
)

if __name__ == "__main__":
    for program in PROGRAMS:
        module = program.__name__.removeprefix("run_")
        if importlib.util.find_spec(module) is None:
            print("absent:", module)
            continue
        values = np.asarray(program())
        if not np.isfinite(values).all():
            raise SystemExit(f"{module} computes values that are not finite")
        print("ran:", module, values.shape, flush=True)
