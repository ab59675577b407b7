"""The toy network and an adapter for it in a "framework" of its own: NumPy, channels last, nothing to hook into.

It holds the suite itself to its promises: no check knows PyTorch, and a case says what its framework cannot do.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from adapters import Adapter, InputSpec
from adapters.contract import Forward
from adapters.layers import Layer, LayerRequest, Layers
from adapters.outputs import pick
from adapters.reducing import LayerReduction, Reducing
from adapters.testing import AdapterCase, ModelState, Toy
from adapters.testing.toys import NORM_EPSILON, TOKEN_NORM_EPSILON


class NumpyToy:
    """Computes the toy network on arrays of shape (image, row, column, channel)."""

    def __init__(self, toy: Toy) -> None:
        if toy.dtype == "bfloat16":  # refused here, as importing JAX or TensorFlow teaches NumPy the name
            raise TypeError("NumPy has no bfloat16")
        self.toy = toy
        self.weights = {name: value.astype(toy.dtype) for name, value in toy.weights.items()}

    def steps(self, images: np.ndarray) -> Iterator[tuple[str, Any]]:
        """Yield the output of each layer, and at last the network's, as soon as it is there."""
        w = self.weights
        self.toy.probe("start", images)
        yield "conv1", (x := _convolve(images, w["conv1.kernel"], stride=1) + w["conv1.bias"])
        yield "relu1", (x := np.maximum(x, 0))
        n_images, n_rows, n_columns, n_channels = x.shape
        yield "pool", (x := x.reshape(n_images, n_rows // 2, 2, n_columns // 2, 2, n_channels).max((2, 4)))
        self.toy.probe("middle", x)
        yield "conv2", (x := _convolve(x, w["conv2.kernel"], stride=2) + w["conv2.bias"])
        x = (x - w["norm.mean"]) / np.sqrt(w["norm.variance"] + np.float32(NORM_EPSILON))
        yield "norm", (x := x * w["norm.scale"] + w["norm.offset"])
        tokens = x.reshape(n_images, -1, x.shape[-1])
        deviation = np.sqrt(tokens.var(-1, keepdims=True) + np.float32(TOKEN_NORM_EPSILON))
        tokens = (tokens - tokens.mean(-1, keepdims=True)) / deviation * w["token_norm.scale"]
        yield "token_norm", (tokens := tokens + w["token_norm.offset"])
        yield "shared", (tokens := tokens @ w["shared.kernel"] + w["shared.bias"])
        positions = np.tile(np.arange(tokens.shape[1]), (n_images, 1))
        yield "branch", (positions, 2 * tokens, {"mean": (x := tokens.mean(1))})
        yield "shared", (x := x @ w["shared.kernel"] + w["shared.bias"])
        yield "dropout", x
        draw = np.random.default_rng(0).standard_normal(x.shape)
        yield "noise", (x := x + w["noise.scale"] * draw)
        self.toy.probe("head", x)
        yield "head", (x := x @ w["head.kernel"] + w["head.bias"])
        yield "logits", x / 2


def _convolve(images: np.ndarray, kernel: np.ndarray, *, stride: int) -> np.ndarray:
    windows = sliding_window_view(np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0))), (3, 3), axis=(1, 2))
    return np.tensordot(windows[:, ::stride, ::stride], kernel, axes=((3, 4, 5), (1, 2, 3)))


class NumpyAdapter(Adapter):
    """Reads a `NumpyToy`."""

    framework = "numpy"

    @classmethod
    def accepts(cls, model: object) -> bool:
        return isinstance(model, NumpyToy)

    @property
    def input(self) -> InputSpec:
        return InputSpec(channel_axis=-1)

    def layers(self, image_shape: tuple[int, ...]) -> Layers:
        shapes: dict[str, list[tuple[int, ...]]] = {}
        for name, output in self.model.steps(np.zeros((2, *image_shape), np.float32)):
            shapes.setdefault(name, []).append(_pick(output, (), name, 2).shape[1:])
        output = Layer("logits", "NumpyToy", shapes.pop("logits")[-1])
        listed = [
            Layer(name, "step", found[-1], len(found), ("pooled",) if name == "pool" else (), tuple(found))
            for name, found in shapes.items()
        ]
        return Layers(listed, model="NumpyToy", output=output, not_run=["unused"])

    @contextmanager
    def open(
        self,
        requests: Sequence[LayerRequest],
        image_shape: tuple[int, ...],
        reductions: Mapping[str, LayerReduction] | None = None,
    ) -> Iterator[Forward]:
        layers, reducing = self.layers(image_shape), Reducing(reductions, self.math)
        n_calls = {"logits": 1, **{name: layers[name].n_calls for name in layers}}

        def forward(batch: np.ndarray, out: Mapping[str, np.ndarray] | None = None) -> dict[str, Any]:
            seen: dict[str, int] = {}
            found: dict[str, Any] = {}
            for name, output in self.model.steps(batch):
                call = seen[name] = seen.get(name, -1) + 1
                for request in requests:
                    wanted = n_calls[name] - 1 if request.call is None else request.call
                    if {"pooled": "pool"}.get(request.name, request.name) == name and call == wanted:
                        value = _pick(output, request.path, name, len(batch))
                        found[request.requested] = reducing(request.requested, value)
                if len(found) == len(requests):
                    break
            return found

        yield forward

    def to_host(self, activations: Mapping[str, Any]) -> dict[str, np.ndarray]:
        return {name: np.asarray(value, np.float32) for name, value in activations.items()}

    def weights(self) -> Iterator[tuple[str, np.ndarray]]:
        yield from self.model.weights.items()


def _pick(output: Any, path: tuple[str, ...], layer: str, n_images: int) -> np.ndarray:
    value = pick(output, path, layer=layer, n_images=n_images, is_floating_array=lambda leaf: leaf.dtype.kind == "f")
    return np.moveaxis(value, -1, 1) if value.ndim == 4 else value


def numpy_case() -> AdapterCase:
    """Return the case of the NumPy adapter."""
    names = ("conv1", "relu1", "pool", "conv2", "norm", "token_norm", "shared", "branch", "dropout", "noise", "head")
    return AdapterCase(
        name="numpy",
        adapter=NumpyAdapter,
        build_model=NumpyToy,
        snapshot=lambda model: ModelState(weights={name: value.tobytes() for name, value in model.weights.items()}),
        layer_names={**{name: name for name in names}, "unused": "unused", "pool_alias": "pooled"},
        image_shape=(10, 14, 3),
        expected_failures={"check_half_precision": "NumPy has no bfloat16"},
    )
