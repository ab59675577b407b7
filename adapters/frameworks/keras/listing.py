"""Learn from two traced passes which layers a Keras model has, in which order they run, and what they return."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from ...layers import LOGITS, Layers
from ...recorded import N_PROBES, Part, Path, Recording, forward_failed, layers_of
from .engine import Engine
from .forward import State, run
from .layout import canonical_shape, default_format, is_floating_array, shape_of
from .refusing import weights_fixed
from .walking import Place, walk

__all__ = ["N_PROBES", "list_layers"]


def list_layers(model: Any, state: State, engine: Engine, image_shape: tuple[int, ...], *, name: str) -> Layers:
    """Trace the model for a few images and list what ran.

    Parameters
    ----------
    model : keras.Layer
        A built model.
    state : State
        Its seeds and weights.
    engine : Engine
        Of the backend.
    image_shape : tuple of int
        One image in the model's layout.
    name : str
        Of the model, for messages.

    Raises
    ------
    ModelForwardError
        If the model raises on this input.
    BudgetError
        If the device cannot hold it.
    UnsupportedModelError
        If a layer has no weights yet.
    """
    with weights_fixed(model):
        recordings = []
        for n_images in N_PROBES:
            images = _gradients(image_shape)[:n_images]
            try:
                recordings.append(_recorded(model, state, engine, images))
            except Exception as error:
                is_full, shape = engine.is_out_of_memory(error), images.shape
                raise forward_failed(
                    _cause_of(error), model=name, batch_shape=shape, is_out_of_memory=is_full
                ) from error
    return layers_of(*recordings, model=name)


def _gradients(image_shape: tuple[int, ...]) -> np.ndarray:
    """Return as many images as the longest pass takes, all different and none of them blank."""
    gradient = np.linspace(-1, 1, int(np.prod(image_shape)), dtype=np.float32).reshape(image_shape)
    return np.stack([gradient, gradient[::-1], -gradient])


def _recorded(model: Any, state: State, engine: Engine, images: np.ndarray) -> Recording:
    with suppress(Exception):  # what cannot be traced, for its path depends on values, may still run
        return _record(model, state, engine, images, is_traced=True)
    return _record(model, state, engine, images, is_traced=False)


def _cause_of(error: Exception) -> Exception:
    """Return the error that a layer raised, without the pages of arguments that every layer around it wraps it in."""
    inner = error.__context__
    while isinstance(inner, Exception) and str(inner) and str(inner) in str(error):
        error, inner = inner, inner.__context__
    return error


def _record(model: Any, state: State, engine: Engine, images: np.ndarray, *, is_traced: bool) -> Recording:
    """Run one pass that listens to every layer, in a graph or eagerly."""
    recording = Recording(is_floating_array)
    places = list(walk(model).values())
    default = default_format(places)
    first_places = {id(place.operation): place for place in reversed(places) if not place.loop}
    operations = [place.operation for place in first_places.values()]

    def hear(operation: Any, output: Any) -> None:
        place = first_places[id(operation)]
        recording.hear((id(operation), ""), output, lambda path, leaf: _part_of(leaf, place, path, default))

    def compute(values: Sequence[Any], images: Any) -> None:
        output, _ = run(model, state, values, images, operations, hear)
        recording.hear(LOGITS, output, lambda path, leaf: _part_of(leaf, None, path, default))

    for place in places:
        key = (id(place.operation), place.loop)
        recording.expect(key, place.name, type(place.operation).__name__, unreadable=_why_not(place))
    recording.expect(LOGITS, LOGITS, type(model).__name__)
    values = state.first_values()
    if is_traced:
        engine.trace(compute, values, images)
    else:
        compute(values, engine.tensor(images))
    recording.close()
    return recording


def _why_not(place: Place) -> str:
    """Say why the values of a layer cannot be taken out; empty where they can."""
    if not place.loop:
        return ""
    return (
        f"{place.loop} runs it once per step, in a loop of the backend that hands out only the result. Request the "
        f"layer around it."
    )


def _part_of(leaf: Any, place: Place | None, path: Path, default: str) -> Part:
    shape = shape_of(leaf)
    known = tuple(length for length in shape if length is not None)
    if len(known) < len(shape):
        raise ValueError("the graph does not know this shape")  # a real pass will
    return Part(canonical_shape(known, place, path, default), (id(leaf), getattr(leaf, "_version", 0)))
