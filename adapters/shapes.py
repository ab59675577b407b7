"""Output shapes of requests before a run, so that memory is allocated once and the cost is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .contract import Adapter
from .layers import LayerRequest, Layers

__all__ = ["request_shapes"]


def request_shapes(
    adapter: Adapter, requests: Sequence[LayerRequest], layers: Layers, image_shape: tuple[int, ...]
) -> dict[str, tuple[int, ...]]:
    """Return the shape per image of every request, in order.

    Parts of structured outputs are not in the list of layers: for them two images run through the model.
    """
    known = {request.requested: _listed(request, layers) for request in requests}
    unknown = [request for request in requests if known[request.requested] is None]
    if unknown:
        with adapter.open(unknown, image_shape) as forward:
            values = adapter.to_host(forward(np.zeros((2, *image_shape), np.float32)))
            known.update({name: tuple(value.shape[1:]) for name, value in values.items()})
    return {name: shape for name, shape in known.items() if shape is not None}


def _listed(request: LayerRequest, layers: Layers) -> tuple[int, ...] | None:
    if request.path or request.name not in layers:
        return None
    layer = layers[request.name]
    return layer.shape if request.call is None or not layer.call_shapes else layer.call_shapes[request.call]
