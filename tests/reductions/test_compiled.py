"""Where a model is compiled, so is its reduction: only results leave the program, and no array is baked into it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow as tf
from flax import linen as nn

import adapters
from adapters.errors import ModelForwardError
from adapters.frameworks.jax import JaxAdapter
from adapters.frameworks.tensorflow import TensorFlowAdapter
from adapters.layers import resolve
from adapters.reductions import as_reductions

SHAPE = (10, 12, 3)


def images(n_images: int = 3) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n_images, *SHAPE)).astype(np.float32)


class LinenNet(nn.Module):
    note: Callable[[Any], None]

    @nn.compact
    def __call__(self, images: Any) -> Any:
        self.note(images.shape)
        return nn.relu(nn.Conv(16, (3, 3), name="conv")(images)).mean((1, 2))


class TensorFlowNet(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = Conv()

    def __call__(self, images: Any) -> Any:
        return tf.reduce_mean(tf.nn.relu(self.conv(images)), (1, 2))


class Conv(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(tf.random.stateless_normal((3, 3, 3, 16), (1, 2)))

    def __call__(self, images: Any) -> Any:
        return tf.nn.conv2d(images, self.kernel, 1, "SAME")


@pytest.fixture
def traces() -> list[Any]:
    return []


@pytest.fixture
def linen(traces: list[Any]) -> Any:
    module = LinenNet(traces.append)
    return module, module.init(jax.random.key(0), jnp.zeros((1, *SHAPE)))


def opened(adapter: Any, reduce: Any) -> Any:
    layers = adapter.layers(SHAPE)
    requests = resolve(["conv"], layers)
    shapes = {"conv": layers["conv"].shape}
    return adapter.open(requests, SHAPE, as_reductions(reduce, requests, shapes, n_presentations=3, adapter=adapter))


def outputs_of(program: str) -> list[str]:
    """Return the types of what a program in XLA's language returns."""
    (returned,) = re.findall(r"func\.func public @main\(.*?\) -> \((.*?)\) \{", program)
    return re.findall(r"tensor<([^>]*)>", returned)


@pytest.mark.parametrize(
    ("reduce", "output"),
    [
        (None, "3x10x12x16xf32"),
        *(("mean", "3x16xf32"), ("max", "3x16xf32")),
        (adapters.Einops("c h w -> w c", "mean"), "3x12x16xf32"),
        (lambda values: values[:, :, 0, 0], "3x16xf32"),
        (adapters.SparseRandomProjection(5), "3x5xf32"),
    ],
)
def test_only_the_result_leaves_the_program(linen: Any, reduce: Any, output: str):
    with opened(JaxAdapter(linen, device="cpu"), reduce) as forward:
        assert outputs_of(forward.lowered(images())) == [output]


def test_arrays_are_arguments_of_the_program(linen: Any):
    """A constant would be compiled into each program, and held by it."""
    fitted = adapters.FittedPCA(7, {"conv": (np.full(1920, 0.5, np.float32), np.ones((7, 1920), np.float32))})
    for reduce in (fitted, adapters.SparseRandomProjection(100, density=0.9)):
        with opened(JaxAdapter(linen, device="cpu"), reduce) as forward:
            program = forward.lowered(images())
        assert max(map(len, re.findall(r"dense<(.*?)>", program)), default=0) < 200
        assert len(program) < 40_000


def test_one_compilation_for_reduction_layers_and_shape(linen: Any, traces: list[Any]):
    """Also for other components of the same size, and where only a glob or a call differs from run to run."""
    extractor = adapters.wrap(linen, preprocessing=adapters.already_preprocessed(), batch_size=2)
    assert list(extractor.adapter.layers(SHAPE)) == ["conv"]
    del traces[:]
    for value in (1, 2):
        components = np.full((7, 1920), value, np.float32)
        fitted = adapters.FittedPCA(7, {"conv": (np.zeros(1920, np.float32), components)})
        extractor(list(images(3)), ["conv"], reduce=fitted)
        extractor(list(images(3)), ["conv"], reduce="mean")
        extractor(list(images(3)), ["conv"], reduce={"co*": "mean"})
        extractor(list(images(3)), ["conv"])
    assert len(traces) == 3


def untraceable(values: Any) -> Any:
    return values[:, : int(np.asarray(values).min() < 1e9)]


def broken(values: Any) -> Any:
    if float(np.asarray(values).max()) != 0:
        raise KeyError("only zeros")
    return values


@pytest.mark.parametrize("framework", ["jax", "tensorflow"])
def test_functions_that_cannot_be_traced_run_after_the_program(framework: str, linen: Any):
    """Each time, also where the program is taken from a run before; and what they raise is heard."""
    model = linen if framework == "jax" else TensorFlowNet()
    extractor = adapters.wrap(model, preprocessing=adapters.already_preprocessed(), batch_size=2)
    plain = extractor(list(images()), ["conv"]).values.reshape(3, 16, 10, 12)
    for _ in range(2):
        found = extractor(list(images()), ["conv"], reduce=untraceable).values
        np.testing.assert_allclose(found, plain[:, :1].reshape(3, -1), rtol=1e-5, atol=1e-6)
    with pytest.raises(ModelForwardError, match="only zeros"):
        extractor(list(images()), ["conv"], reduce=broken)


class UnknownRank(tf.Module):
    """Returns what a graph knows no shape of."""

    def __call__(self, images: Any) -> Any:
        lengths = tf.concat([tf.shape(images), [1]], 0)
        return tf.reshape(images, tf.boolean_mask(lengths, tf.concat([lengths[:4] > 0, [False]], 0)))


class TwoLayers(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.unknown = Conv(), UnknownRank()

    def __call__(self, images: Any) -> Any:
        return tf.reduce_sum(self.unknown(self.conv(images)), (1, 2))


def test_values_of_unknown_rank_are_reduced_once():
    """What the graph cannot reduce is reduced after it, and so is all that is read with it."""
    extractor = adapters.wrap(TwoLayers(), preprocessing=adapters.already_preprocessed())
    plain = extractor(list(images()), ["conv"]).values.reshape(3, 16, 10, 12)
    found = extractor(
        list(images()), ["conv", "unknown"], reduce={"conv": lambda v: 2 * untraceable(v), "unknown": "mean"}
    )
    expected = np.hstack([2 * plain[:, 0].reshape(3, -1), plain.mean((2, 3))])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_tensorflow_graph_returns_results_only():
    """The function that runs is one, and what it returns has the reduced shape."""
    adapter = TensorFlowAdapter(TensorFlowNet())
    plain = tf.nn.conv2d(images(), adapter.model.conv.kernel, 1, "SAME").numpy()
    for reduce, wanted in (("max", plain.max((1, 2))), (lambda values: values[:, 0], plain[..., 0])):
        with opened(adapter, reduce) as forward:
            value = forward(images())["conv"]
        assert isinstance(value, tf.Tensor)
        np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-6)
