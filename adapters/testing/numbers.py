"""Checks of the values: against the oracle, and against themselves under other batches, dtypes and runs."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from ..contract import Adapter
from ..layers import resolve
from .case import AdapterCase
from .expecting import require, require_close
from .oracle import oracle
from .reading import adapter_of, extract, extractor_of, forward_once, values_by_layer
from .toys import LAYERS, Toy, toy_images, toy_weights

__all__ = [
    "check_batch_size",
    "check_fingerprint",
    "check_half_precision",
    "check_in_place",
    "check_next_batch",
    "check_offered_memory",
    "check_stochastic_layers",
    "check_values",
]

# one layer of each rank: channels with rows and columns, tokens, a vector
_SAMPLE = ["pool", "token_norm", "head"]
# these have checks of their own: overwritten in place, called twice, structured
_SPECIAL = {"conv1", "shared", "branch"}


def check_values(case: AdapterCase) -> None:
    """Give every layer the values of the NumPy oracle, in (channel, row, column) order."""
    images, layers = toy_images(4), [layer for layer in LAYERS if layer not in _SPECIAL]
    expected = oracle(toy_weights(), images)
    for layer, values in values_by_layer(case, extract(case, extractor_of(case), images, layers), layers).items():
        require_close(values, expected[layer], f"Layer {layer!r}")


def check_in_place(case: AdapterCase) -> None:
    """Give what the layer returned, although a later layer overwrites it."""
    images = toy_images(3)
    values = values_by_layer(case, extract(case, extractor_of(case), images, ["conv1", "logits"]), ["conv1"])["conv1"]
    expected = oracle(toy_weights(), images)["conv1"].reshape(len(images), -1)
    # sorted: in which order the values come is for other checks to say
    require_close(np.sort(values), np.sort(expected), "Layer 'conv1', which an in-place ReLU follows,")


def check_half_precision(case: AdapterCase) -> None:
    """Read models in float16 and bfloat16, and give their values as float32."""
    images = toy_images(3)
    expected = oracle(toy_weights(), images)
    for dtype in ("float16", "bfloat16"):
        host = forward_once(case, adapter_of(case, Toy(dtype=dtype)), images, _SAMPLE)
        kinds = {name: str(values.dtype) for name, values in host.items() if values.dtype != np.float32}
        require(not kinds, f"Layers of a {dtype} model come to the host as {kinds}; expected float32.")
        extractor = extractor_of(case, Toy(dtype=dtype))
        got = values_by_layer(case, extract(case, extractor, images, _SAMPLE), _SAMPLE)
        for layer in ("token_norm", "head"):
            coarse = 0.05 * np.abs(expected[layer]).max()  # bfloat16 has 8 bits for the digits
            require_close(got[layer], expected[layer], f"Layer {layer!r} of a {dtype} model", rtol=0.05, atol=coarse)


def check_batch_size(case: AdapterCase) -> None:
    """Give an image the same values in batches of one, two and all, and in a last batch that is shorter."""
    images, extractor = toy_images(5), extractor_of(case)
    whole = values_by_layer(case, extract(case, extractor, images, _SAMPLE), _SAMPLE)
    for batch_size in (1, 2, 3):
        extractor.batch_size = batch_size
        parts = values_by_layer(case, extract(case, extractor, images, _SAMPLE), _SAMPLE)
        for layer in _SAMPLE:
            limit = 1e-5 * np.abs(whole[layer]).max()
            require_close(
                parts[layer], whole[layer], f"Layer {layer!r} in batches of {batch_size}", rtol=1e-5, atol=limit
            )


def check_offered_memory(case: AdapterCase) -> None:
    """Give the same values whether memory is offered to the forward pass or not."""
    adapter, images = adapter_of(case), toy_images(3)
    plain = forward_once(case, adapter, images, _SAMPLE)
    sizes = {name: value[0].size for name, value in plain.items()}
    block = np.full((len(images), sum(sizes.values())), np.nan, np.float32)
    ends = np.cumsum(list(sizes.values()))
    offered = {name: block[:, end - size : end] for (name, size), end in zip(sizes.items(), ends, strict=True)}
    for name, value in forward_once(case, adapter, images, _SAMPLE, out=offered).items():
        require_close(value, plain[name], f"Layer {name!r} with memory offered for it", rtol=0, atol=1e-6)


def check_next_batch(case: AdapterCase) -> None:
    """Keep what one batch returned as it is while the next one runs."""
    adapter, shape = adapter_of(case), tuple(case.image_shape)
    first, second = toy_images(2, seed=1), toy_images(2, seed=2)
    alone = forward_once(case, adapter, first, _SAMPLE)
    requests = resolve([case.name_of(layer) for layer in _SAMPLE], adapter.layers(shape))
    with adapter.open(requests, shape) as forward:
        held = forward(case.in_layout(first))
        forward(case.in_layout(second))
        after = {name: np.array(value) for name, value in adapter.to_host(held).items()}
    for name, value in alone.items():
        require_close(after[name], value, f"Layer {name!r} of a batch, after the next batch ran,", rtol=0, atol=1e-6)


def check_stochastic_layers(case: AdapterCase) -> None:
    """Repeat what layers draw at random, also in evaluation mode, in every run."""
    weights = {**toy_weights(), "noise.scale": np.ones((1,), np.float32)}
    images, layers = toy_images(3), ["dropout", "noise"]
    runs = []
    for _ in range(2):
        extractor = extractor_of(case, Toy(weights))  # building a model may itself draw random numbers
        runs += [values_by_layer(case, extract(case, extractor, images, layers), layers) for _ in range(2)]
    is_random = not np.array_equal(runs[0]["noise"], runs[0]["dropout"])
    require(is_random, "Layer 'noise' adds nothing at noise.scale=1; the toy of this case must draw random numbers.")
    for run in runs[1:]:
        require_close(run["noise"], runs[0]["noise"], "Layer 'noise' in another run", rtol=0, atol=0)


def check_fingerprint(case: AdapterCase) -> None:
    """Yield every parameter and buffer from `weights`, so that one changed value is noticed."""
    weights = toy_weights()
    original = _fingerprint(adapter_of(case))
    require(
        _fingerprint(adapter_of(case)) == original,
        "Two models with the same weights() differ; expected the same bytes.",
    )
    for name, value in weights.items():
        changed = value.copy()
        changed.flat[-1] += 0.5
        other = _fingerprint(adapter_of(case, replace(Toy(), weights={**weights, name: changed})))
        require(other != original, f"weights() does not change with {name}; expected every parameter and buffer in it.")


def _fingerprint(adapter: Adapter) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(adapter.weights(), key=lambda item: item[0]):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()
