"""Find out what a call leaves open: which layers it names, their shapes, what is done to them on the device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from .calls import Call
from .decoding import OnError
from .errors import listing, warn
from .guessing import image_shape_of
from .layers import LOGITS, LayerRequest, Layers, resolve
from .reductions import as_reductions, reduced_shapes
from .shapes import request_shapes

__all__ = ["resolve_call"]


def resolve_call(
    call: Call,
    layers: str | Sequence[str] | None,
    *,
    warned_of: set[str],
    calls: Literal["last", "all"] | None = "last",
    reduce: Any = None,
    on_error: OnError = "raise",
    progress: bool | None = None,
) -> Call:
    """Return the call with its layers, shapes and reductions.

    Parameters
    ----------
    call : Call
        Knows model and stimuli.
    layers : str or sequence of str, optional
        As the user gave them.
    warned_of : set of str
        Layers with several calls that the user was told of; added to.
    calls, reduce, on_error, progress
        As in `adapters.ActivationsExtractor.__call__`.

    Raises
    ------
    LayerNotFoundError
        If a name matches nothing.
    ValueError
        If an option is none.
    """
    _require_choice("calls", calls or "last", ("last", "all"))
    _require_choice("on_error", on_error, ("raise", "skip"))
    adapter = call.adapter
    image_shape = image_shape_of(call.preprocess, adapter, call.presented.items)
    offered = adapter.layers(image_shape)
    requests = tuple(resolve(LOGITS if layers is None else layers, offered, calls=calls or "last"))
    if calls is None:
        _warn_of_repeats(requests, offered, warned_of)
    shapes = request_shapes(adapter, requests, offered, image_shape)
    reductions = as_reductions(reduce, requests, shapes, n_presentations=call.presented.n_rows, adapter=adapter)
    return replace(
        call,
        image_shape=image_shape,
        requests=requests,
        shapes=reduced_shapes(reductions, shapes),
        widest=max(math.prod(shape) for shape in shapes.values()),
        reductions=reductions,
        on_error=on_error,
        progress=progress,
    )


def _warn_of_repeats(requests: Sequence[LayerRequest], layers: Layers, warned_of: set[str]) -> None:
    named = {request.name for request in requests if request.call is None and request.name in layers}
    repeated = sorted(name for name in named - warned_of if layers[name].n_calls > 1)
    if repeated:
        warned_of.update(repeated)
        n_calls = layers[repeated[0]].n_calls
        warn(
            f"{listing(repeated)} of {layers.model} run several times per forward pass; you get the last call. "
            f"Request '{repeated[0]}@0' ... '{repeated[0]}@{n_calls - 1}', or pass calls='all' for each, or "
            f"calls='last' if this is what you want."
        )


def _require_choice(option: str, given: object, choices: tuple[str, ...]) -> None:
    if given not in choices:
        raise ValueError(f"{option}={given!r} is unknown. Use one of: {', '.join(map(repr, choices))}.")
