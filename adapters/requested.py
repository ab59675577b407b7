"""What a request means while a model runs: at which call of a layer it is due, and which part of the output it is."""

from __future__ import annotations

from .errors import LayerNeverRanError
from .layers import LayerRequest, Layers

__all__ = ["is_due", "never_reached", "part_of"]


def is_due(request: LayerRequest, call: int, layers: Layers) -> bool:
    """Tell whether a call of the requested layer, counted from 0, is the one that is requested.

    Without a number that is the last one; where a layer runs more often than it did when it was listed, each call from
    there on, so that the last of them stays.
    """
    if request.call is not None:
        return call == request.call
    return call >= (layers[request.name].n_calls if request.name in layers else 1) - 1


def part_of(request: LayerRequest, call: int, layers: Layers) -> tuple[str, ...]:
    """Return the path of the part of a call's output that a request reads; empty for the whole."""
    return request.path or (layers[request.name].part_of(call) if request.name in layers else ())


def never_reached(request: LayerRequest, model: str) -> LayerNeverRanError:
    """Return the error for a layer that ran when it was listed, and did not now."""
    return LayerNeverRanError(
        f"Layer {request.requested!r} of {model} was not reached in this forward pass, though it ran in a trial pass. "
        f"The model's path depends on the images; request layers that always run."
    )
