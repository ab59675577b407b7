"""Check of reductions: what is made of values on the device is what NumPy makes of them on the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..components import FittedPCA
from ..contract import Adapter
from ..device_math import DeviceMath
from ..functions import FunctionReduction
from ..layers import resolve
from ..pooling import Pooling, Tokens
from ..reducing import LayerReduction, Reduction
from .case import AdapterCase
from .expecting import require, require_close
from .reading import adapter_of, forward_once
from .toys import Toy, toy_images, toy_weights

__all__ = ["check_reductions"]

_N_COMPONENTS, _N_ENTRIES = 4, 9
_SHAPES = {
    **{"conv1": (4, 10, 14), "relu1": (4, 10, 14), "pool": (4, 5, 7)},
    **{"conv2": (6, 3, 4), "norm": (6, 3, 4), "token_norm": (12, 6), "head": (5,)},
}
_Plan = dict[str, tuple[Reduction, Callable[[np.ndarray], np.ndarray]]]


def check_reductions(case: AdapterCase) -> None:
    """Reduce values before they are copied to the host, in single precision, as NumPy does it there."""
    images, adapter = toy_images(3), adapter_of(case)
    components = _components(_SHAPES["norm"])
    product = _SparseProduct(_SHAPES["relu1"])
    # a function that returns a view comes first: the ReLU in place that follows must not reach the view
    first: _Plan = {
        "conv1": (FunctionReduction(_some), _some),
        "relu1": (product, product.on_host),
        "pool": (Pooling("max"), lambda value: value.max((2, 3))),
        "conv2": (Pooling("mean"), lambda value: value.mean((2, 3))),
        "norm": (FittedPCA(_N_COMPONENTS, {"norm": components}), lambda value: _scores(value, *components)),
        "token_norm": (Tokens("cls"), lambda value: value[:, 0]),
        "head": (Pooling("mean"), lambda value: value),
    }
    second: _Plan = {
        "token_norm": (Tokens("tokens"), lambda value: value[:, 1:]),
        "conv2": (Pooling("max"), lambda value: value.max((2, 3))),
    }
    values = forward_once(case, adapter, images, list(first))
    for plan in (first, second):
        wanted = {layer: on_host(values[case.name_of(layer)]) for layer, (_, on_host) in plan.items()}
        _compare(case, adapter, images, {layer: reduction for layer, (reduction, _) in plan.items()}, wanted)
    _require_single_precision(case, images)


def _compare(
    case: AdapterCase,
    adapter: Adapter,
    images: np.ndarray,
    reductions: Mapping[str, Reduction],
    wanted: Mapping[str, np.ndarray],
) -> None:
    """Read the reduced layers without memory offered for them, and with it."""
    names = {case.name_of(layer): layer for layer in wanted}
    sizes = {name: wanted[layer][0].size for name, layer in names.items()}
    ends = np.cumsum(list(sizes.values()))
    block = np.full((len(images), int(ends[-1])), np.nan, np.float32)
    offered = {name: block[:, end - size : end] for (name, size), end in zip(sizes.items(), ends, strict=True)}
    for out in (None, offered):
        found = _reduced(case, adapter, images, reductions, out=out)
        for name, layer in names.items():
            what = (
                f"Layer {layer!r} reduced by {reductions[layer].name}{'' if out is None else ', with memory offered'}"
            )
            require(found[name].dtype == np.float32, f"{what} comes as {found[name].dtype}; expected float32.")
            require_close(found[name], wanted[layer], what, atol=1e-4 * float(np.abs(wanted[layer]).max()))


def _reduced(
    case: AdapterCase,
    adapter: Adapter,
    images: np.ndarray,
    reductions: Mapping[str, Reduction],
    *,
    out: Mapping[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Run one batch through the bare adapter: the adapter's name of each layer -> array on the host."""
    shape, math, ready = tuple(case.image_shape), adapter.math, dict[str, LayerReduction]()
    for layer, reduction in reductions.items():
        found = reduction.for_layer(layer, _SHAPES[layer], n_presentations=len(images), math=math)
        if found is not None:
            ready[case.name_of(layer)] = found
    requests = resolve([case.name_of(layer) for layer in reductions], adapter.layers(shape))
    with adapter.open(requests, shape, ready) as forward:
        host = adapter.to_host(forward(case.in_layout(images), out))
        return {name: np.array(value) for name, value in host.items()}


def _require_single_precision(case: AdapterCase, images: np.ndarray) -> None:
    """Average values of half precision that are far from zero: in half precision the mean would be far off."""
    bias = np.full(4, 8, np.float32)
    toy = Toy({**toy_weights(), "conv1.bias": bias}, dtype="float16")
    name = case.name_of("conv1")
    adapter = adapter_of(case, toy)
    values = forward_once(case, adapter, images, ["conv1"])[name]
    mean = _reduced(case, adapter, images, {"conv1": Pooling("mean")})[name]
    expected = values.mean((2, 3), dtype=np.float64)
    require_close(mean, expected, "The mean of layer 'conv1' of a float16 model", rtol=2e-4)


def _some(value: Any) -> Any:
    """Take two channels, as a view of an array of any framework."""
    return value[:, 1:3]


def _components(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return some mean and components; whether they are principal ones makes no difference to an adapter."""
    rng, n_values = np.random.default_rng(1), int(np.prod(shape))
    return rng.random(n_values).astype(np.float32), rng.random((_N_COMPONENTS, n_values)).astype(np.float32)


def _scores(value: np.ndarray, mean: np.ndarray, components: np.ndarray) -> np.ndarray:
    scores: np.ndarray = (value.reshape(len(value), -1) - mean) @ components.T
    return scores


class _SparseProduct(LayerReduction):
    """A product with a sparse matrix, with no need of scikit-learn."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        rng = np.random.default_rng(2)
        size = (_N_COMPONENTS, _N_ENTRIES)
        self._columns = rng.integers(int(np.prod(shape)), size=size, dtype=np.int32)
        self._weights = rng.standard_normal(size).astype(np.float32)

    @property
    def name(self) -> str:
        return "a sparse product"

    @property
    def step(self) -> Callable[..., Any]:
        return _sparse_product

    def arrays(self) -> dict[str, np.ndarray]:
        return {"columns": self._columns, "weights": self._weights}

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (_N_COMPONENTS,)

    def to_dict(self) -> dict[str, Any]:
        return {"reduction": "sparse product"}

    def on_host(self, value: np.ndarray) -> np.ndarray:
        """Return what the product is, by a matrix that is not sparse."""
        matrix = np.zeros((_N_COMPONENTS, value[0].size))
        np.add.at(matrix, (np.arange(_N_COMPONENTS)[:, None], self._columns), self._weights)
        product: np.ndarray = value.reshape(len(value), -1) @ matrix.T
        return product

    def __call__(self, value: Any, math: DeviceMath, arrays: Mapping[str, Any]) -> Any:
        return _sparse_product(value, math, arrays)


def _sparse_product(value: Any, math: DeviceMath, arrays: Mapping[str, Any]) -> Any:
    return math.weighted_sums(value, arrays["columns"], arrays["weights"])
