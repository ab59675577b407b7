"""How checks build a toy, read its layers through an extractor or through the bare adapter, and watch it run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..callables import already_preprocessed
from ..contract import Adapter
from ..extractor import ActivationsExtractor
from ..layers import resolve
from .case import AdapterCase
from .toys import Toy

__all__ = ["Watch", "adapter_of", "extract", "extractor_of", "forward_once", "values_by_layer"]

IDENTIFIER = "toy"


class Watch:
    """A probe that counts how many forward passes and images come by each place."""

    def __init__(self) -> None:
        self.n_passes: Counter[str] = Counter()
        self.n_images: Counter[str] = Counter()

    def __call__(self, place: str, value: Any) -> None:
        """Count one pass of some images."""
        self.n_passes[place] += 1
        self.n_images[place] += int(value.shape[0])


def adapter_of(case: AdapterCase, toy: Toy | None = None) -> Adapter:
    """Build a toy and its adapter."""
    return case.adapter(case.build_model(toy or Toy()), device=case.device)


def extractor_of(
    case: AdapterCase, toy: Toy | None = None, *, model: Any = None, batch_size: int = 8
) -> ActivationsExtractor:
    """Return an extractor of a new toy, or of a given model, that takes arrays in the model's own layout."""
    adapter = adapter_of(case, toy) if model is None else case.adapter(model, device=case.device)
    return ActivationsExtractor(
        adapter, identifier=IDENTIFIER, preprocessing=already_preprocessed(), batch_size=batch_size
    )


def extract(
    case: AdapterCase, extractor: ActivationsExtractor, images: np.ndarray, layers: Sequence[str], **options: Any
) -> Any:
    """Read layers of the toy, by the oracle's names, for images of shape (n_images, channel, row, column)."""
    return extractor(list(case.in_layout(images)), [case.name_of(layer) for layer in layers], progress=False, **options)


def values_by_layer(case: AdapterCase, assembly: Any, layers: Sequence[str]) -> dict[str, np.ndarray]:
    """Take an assembly apart: the oracle's name of each layer -> array of shape (n_images, n_neuroids)."""
    values, labels = np.asarray(assembly.values), np.asarray(assembly["layer"].values)
    return {layer: values[:, labels == case.name_of(layer)] for layer in layers}


def forward_once(
    case: AdapterCase,
    adapter: Adapter,
    images: np.ndarray,
    layers: Sequence[str],
    *,
    out: Mapping[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Run one batch through the bare adapter: the adapter's name of each layer -> host array (n_images, ...)."""
    requests = resolve([case.name_of(layer) for layer in layers], adapter.layers(tuple(case.image_shape)))
    with adapter.open(requests, tuple(case.image_shape)) as forward:
        host = adapter.to_host(forward(case.in_layout(images), out))
    return {name: value if out is not None else np.array(value) for name, value in host.items()}
