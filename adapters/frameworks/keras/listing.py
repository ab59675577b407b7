"""Learn from two traced passes which layers a Keras model has, in which order they run, and what they return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import BudgetError, ModelForwardError
from ...layers import LOGITS, Layer, Layers
from ...outputs import describe, floating_leaves
from .engine import Engine
from .forward import State, run
from .layout import canonical_shape, default_format, is_floating_array, shape_of
from .walking import Place, walk

__all__ = ["N_PROBES", "list_layers"]

# Two passes of different length: an axis that has the batch's length in both is the batch.
N_PROBES = (2, 3)
Path = tuple[str, ...]


@dataclass(frozen=True)
class _Tensor:
    """One tensor of one call's output: its shape, and what makes it the same tensor as another layer's."""

    shape: tuple[int, ...]
    identity: tuple[int, int]


@dataclass
class _Seen:
    """What one layer did during one pass."""

    places: list[Place] = field(default_factory=list)
    first_position: int = -1
    calls: list[dict[Path, _Tensor]] = field(default_factory=list)
    description: str = ""


@dataclass
class _Ran:
    """A layer that ran and can be read: per call, which part of its output is read, and its shape per image."""

    names: list[str]
    kind: str
    first_position: int
    parts: list[Path]
    shapes: list[tuple[int, ...]]
    identities: list[tuple[int, int]]


class _Recorder:
    """Hears every call of one pass."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.seen: dict[int, _Seen] = {}
        for place in places:
            self.seen.setdefault(id(place.operation), _Seen()).places.append(place)
        self.output = _Seen()
        self._position = 0
        self._alive: list[Any] = []  # keeps ids unique for the length of the pass

    def hear(self, operation: Any, output: Any) -> None:
        self._add(self.seen[id(operation)], output)

    def _add(self, seen: _Seen, output: Any) -> None:
        if seen.first_position < 0:
            seen.first_position = self._position
        self._position += 1
        leaves = floating_leaves(output, is_floating_array)
        self._alive.append(leaves)
        seen.description = describe(output)
        seen.calls.append({path: _tensor_of(leaf) for path, leaf in leaves.items()})

    def run(self, model: Any, state: State, engine: Engine, images: np.ndarray, *, is_traced: bool) -> None:
        operations = [seen.places[0].operation for seen in self.seen.values()]

        def compute(values: Sequence[Any], images: Any) -> None:
            output, _ = run(model, state, values, images, operations, self.hear)
            self._add(self.output, output)

        values = state.first_values()
        if is_traced:
            engine.trace(compute, values, images)
        else:
            compute(values, engine.tensor(images))
        self._alive.clear()


def _tensor_of(leaf: Any) -> _Tensor:
    shape = shape_of(leaf)
    known = tuple(length for length in shape if length is not None)
    if len(known) < len(shape):
        raise ValueError("the graph does not know this shape")  # a real pass will
    return _Tensor(known, (id(leaf), getattr(leaf, "_version", 0)))


def list_layers(model: Any, state: State, engine: Engine, image_shape: tuple[int, ...]) -> Layers:
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

    Raises
    ------
    ModelForwardError
        If the model raises on this input.
    BudgetError
        If the device cannot hold it.
    """
    places = list(walk(model).values())
    default = default_format(places)
    short, long = (_recorded(places, model, state, engine, _gradients(image_shape)[:n]) for n in N_PROBES)
    ran: list[_Ran] = []
    unreadable: dict[str, str] = {}
    not_run: list[str] = []
    for key, seen in short.seen.items():
        names = [place.name for place in seen.places]
        if not seen.calls:
            not_run += names
        elif (readable := _readable(seen, long.seen[key], default)) is None:
            unreadable.update(dict.fromkeys(names, _why(seen, long.seen[key])))
        else:
            ran.append(readable)
    output = _readable(short.output, long.output, default, kind=type(model).__name__)
    if output is None:
        reason = _why(short.output, long.output)
        raise ModelForwardError(f"The output of {type(model).__name__} cannot be read: {reason}")
    return Layers(
        _layers(sorted(ran, key=lambda found: found.first_position)),
        model=type(model).__name__,
        output=_layer(output, LOGITS, ()),
        not_run=not_run,
        unreadable=unreadable,
    )


def _gradients(image_shape: tuple[int, ...]) -> np.ndarray:
    """Return as many images as the longest pass takes, all different and none of them blank."""
    gradient = np.linspace(-1, 1, int(np.prod(image_shape)), dtype=np.float32).reshape(image_shape)
    return np.stack([gradient, gradient[::-1], -gradient])


def _recorded(places: list[Place], model: Any, state: State, engine: Engine, images: np.ndarray) -> _Recorder:
    error: Exception | None = None
    for is_traced in (True, False):  # what cannot be traced, for its path depends on values, may still run
        recorder = _Recorder(places)
        try:
            recorder.run(model, state, engine, images, is_traced=is_traced)
        except Exception as failure:
            error = failure
        else:
            return recorder
    if error is not None and engine.is_out_of_memory(error):
        raise BudgetError(
            f"{type(model).__name__} runs out of device memory on {len(images)} images of shape {images.shape[1:]}: "
            f"{error}. Use device='cpu', or smaller images."
        ) from error
    raise ModelForwardError(
        f"{type(model).__name__} raised {type(error).__name__} on a batch of shape {images.shape}: {error} "
        f"If it expects another size or layout, say so with preprocessing=, for example adapters.imagenet(224)."
    ) from error


def _readable(short: _Seen, long: _Seen, default: str, *, kind: str | None = None) -> _Ran | None:
    """Find in each call's output the first tensor with one row per image; None if one of the calls has none."""
    parts: list[Path] = []
    for call, tensors in enumerate(short.calls):
        in_long = long.calls[call] if call < len(long.calls) else {}
        rows = [path for path in tensors if _has_rows(path, tensors, in_long)]
        if kind is not None:  # the final output
            rows.sort(key=lambda path: path != (LOGITS,))
        if not rows:
            return None
        parts.append(rows[0])
    read = [tensors[part] for tensors, part in zip(short.calls, parts, strict=True)]
    place = short.places[0] if short.places else None
    shapes = [canonical_shape(one.shape, place, part, default)[1:] for one, part in zip(read, parts, strict=True)]
    return _Ran(
        [each.name for each in short.places],
        kind or type(short.places[0].operation).__name__,
        short.first_position,
        parts,
        shapes,
        [tensor.identity for tensor in read],
    )


def _has_rows(path: Path, short: dict[Path, _Tensor], long: dict[Path, _Tensor]) -> bool:
    return all(
        path in tensors and tensors[path].shape[:1] == (n_images,)
        for tensors, n_images in zip((short, long), N_PROBES, strict=True)
    )


def _why(short: _Seen, long: _Seen) -> str:
    """Say why a layer cannot be read."""
    for seen, n_images in zip((short, long), N_PROBES, strict=True):
        for tensors in seen.calls:
            if not tensors:
                return f"it returned {seen.description}, which holds no floating-point array. Request another layer."
            if all(tensor.shape[:1] != (n_images,) for tensor in tensors.values()):
                shapes = ", ".join(str(tensor.shape) for tensor in tensors.values())
                return (
                    f"it returned shape {shapes} for {n_images} images; the first axis must be the batch. Request "
                    f"another layer, or one after which the batch axis is first again."
                )
    return "no part of its output has one row per image. Request another layer."


def _layers(ran: list[_Ran]) -> list[Layer]:
    same_as = _containers_of_their_last_child(ran)
    layers = []
    for position, found in enumerate(ran):
        if position in same_as:
            continue
        containers = [ran[outer] for outer, inner in same_as.items() if inner == position]
        aliases = (*found.names[1:], *(name for outer in containers for name in outer.names))
        layers.append(_layer(found, found.names[0], aliases))
    return layers


def _layer(found: _Ran, name: str, aliases: tuple[str, ...]) -> Layer:
    n_calls = len(found.shapes)
    return Layer(
        name=name,
        kind=found.kind,
        shape=found.shapes[-1],
        n_calls=n_calls,
        aliases=aliases,
        call_shapes=tuple(found.shapes) if n_calls > 1 else (),
        call_parts=tuple(found.parts) if any(found.parts) else (),
    )


def _containers_of_their_last_child(ran: list[_Ran]) -> dict[int, int]:
    """Find layers that return the very tensor of one of their children, as nested models do: {container: child}."""
    makers: dict[tuple[int, int], int] = {}
    same_as: dict[int, int] = {}
    for position, found in enumerate(ran):  # in order of completion, so the child comes first
        if len(found.identities) != 1:
            continue
        maker = makers.setdefault(found.identities[0], position)
        is_child = any(inner.startswith(f"{outer}/") for outer in found.names for inner in ran[maker].names)
        if maker != position and is_child:
            same_as[position] = maker
    return same_as
