"""Learn from two traced passes which layers a Keras model has, in which order they run, and what they return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...layers import LOGITS, Layers
from ...recorded import N_PROBES, Part, Path, Recording, forward_failed, layers_of, probe_images
from .engine import Engine
from .forward import State, run
from .layout import MAP_AXES, Layout, Layouts, canonical_shape, is_floating_array, shape_of
from .listening import Call
from .refusing import weights_fixed
from .walking import Place, walk

__all__ = ["Listed", "list_layers"]

_Calls = dict[int | str, list[dict[Path, Layout]]]


@dataclass(frozen=True)
class Listed:
    """What was learnt of a model for images of one shape.

    Parameters
    ----------
    layers : Layers
        What it offers.
    calls : mapping
        Layouts of what each call of a layer returned, by the path in its output; by the layer's id, and `LOGITS`.
    """

    layers: Layers
    calls: Mapping[int | str, Sequence[Mapping[Path, Layout]]]


def list_layers(
    model: Any, state: State, engine: Engine, image_shape: tuple[int, ...], *, name: str, data_format: str
) -> Listed:
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
    data_format : {'channels_first', 'channels_last'}
        Of the images.

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
            images = probe_images(image_shape)[:n_images]
            layout = Layout(len(image_shape) >= MAP_AXES, data_format, image_shape)
            try:
                recordings.append(_recorded(model, state, engine, images, layout))
            except Exception as error:
                is_full, shape = engine.is_out_of_memory(error), images.shape
                raise forward_failed(
                    _cause_of(error), model=name, batch_shape=shape, is_out_of_memory=is_full
                ) from error
    (short, calls), (long, _) = recordings
    return Listed(layers_of(short, long, model=name), calls)


def _recorded(model: Any, state: State, engine: Engine, images: np.ndarray, layout: Layout) -> tuple[Recording, _Calls]:
    with suppress(Exception):  # what cannot be traced, for its path depends on values, may still run
        return _record(model, state, engine, images, layout, is_traced=True)
    return _record(model, state, engine, images, layout, is_traced=False)


def _cause_of(error: Exception) -> Exception:
    """Return the error that a layer raised, without the pages of arguments that every layer around it wraps it in."""
    inner = error.__context__
    while isinstance(inner, Exception) and str(inner) and str(inner) in str(error):
        error, inner = inner, inner.__context__
    return error


def _record(
    model: Any, state: State, engine: Engine, images: np.ndarray, layout: Layout, *, is_traced: bool
) -> tuple[Recording, _Calls]:
    """Run one pass that listens to every layer, in a graph or eagerly."""
    recording = Recording(is_floating_array)
    places = list(walk(model).values())
    layouts = Layouts(layout)
    calls: _Calls = {}
    first_places = {id(place.operation): place for place in reversed(places) if not place.loop}
    operations = [place.operation for place in first_places.values()]

    def take_down(key: int | str, call: Call, place: Place | None) -> None:
        found = layouts.hear(call, place)
        calls.setdefault(key, []).append(found)
        heard_as = LOGITS if place is None else (key, "")
        recording.hear(heard_as, call.output, lambda path, leaf: _part_of(leaf, found[path]))

    def hear(call: Call) -> None:
        take_down(id(call.operation), call, first_places[id(call.operation)])

    def compute(values: Sequence[Any], images: Any) -> None:
        output, _ = run(model, state, values, images, operations, hear)
        take_down(LOGITS, Call(model, (), output, has_inner=True), None)

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
    return recording, calls


def _why_not(place: Place) -> str:
    """Say why the values of a layer cannot be taken out; empty where they can."""
    if not place.loop:
        return ""
    return (
        f"{place.loop} runs it once per step, in a loop of the backend that hands out only the result. Request the "
        f"layer around it."
    )


def _part_of(leaf: Any, layout: Layout) -> Part:
    shape = shape_of(leaf)
    known = tuple(length for length in shape if length is not None)
    if len(known) < len(shape):
        raise ValueError("the graph does not know this shape")  # a real pass will
    return Part(canonical_shape(known, layout), (id(leaf), getattr(leaf, "_version", 0)))
