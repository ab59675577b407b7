"""Learn from two traced passes which layers a model has, in which order they run, and what they return."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import jax

from ...errors import ModelForwardError
from ...layers import LOGITS, Layer, Layers
from ...outputs import describe, floating_leaves
from .network import Snapshot
from .reading import canonical, is_floating_array, visit
from .tagging import Call

__all__ = ["list_layers"]

# Two passes of different length: an axis that has the batch's length in both is the batch.
N_PROBES = (2, 3)
Path = tuple[str, ...]


@dataclass(frozen=True)
class _Value:
    """One array of a layer's output: its shape, and which value of the program it is."""

    shape: tuple[int, ...]
    identity: int


@dataclass
class _Seen:
    """What one layer did in one pass."""

    kind: str
    position: int
    description: str = ""
    calls: list[dict[Path, _Value]] = field(default_factory=list)


@dataclass
class _Ran:
    """A layer that ran and can be read."""

    name: str
    kind: str
    position: int
    parts: list[Path]
    values: list[_Value]


def list_layers(snapshot: Snapshot, image_shape: tuple[int, ...], dtype: Any) -> Layers:
    """Trace the model for two and for three images, computing nothing, and list what runs.

    Parameters
    ----------
    snapshot : Snapshot
        The model.
    image_shape : tuple of int
        One image in the layout of the model.
    dtype : dtype
        Of the model's input.

    Raises
    ------
    ModelForwardError
        If the model raises on this input, or its output cannot be read.
    """
    short, long = (_trace(snapshot, (n_images, *image_shape), dtype) for n_images in N_PROBES)
    ran: list[_Ran] = []
    unreadable: dict[str, str] = {}
    for name, seen in short.items():
        readable = _readable(name, seen, long.get(name))
        if readable is None:
            unreadable[name] = _why(seen, long.get(name))
        else:
            ran.append(readable)
    output = next((found for found in ran if found.name == LOGITS), None)
    if output is None:
        reason = unreadable.get(LOGITS, "it holds no array.")
        raise ModelForwardError(f"The output of {snapshot.kind} cannot be read: {reason}")
    ran = sorted((found for found in ran if found is not output), key=lambda found: found.position)
    return Layers(
        list(_layers(ran)),
        model=snapshot.kind,
        output=_layer(output, ()),
        not_run=[name for name in snapshot.module_names if name not in short],
        unreadable={name: reason for name, reason in unreadable.items() if name != LOGITS},
    )


def _trace(snapshot: Snapshot, shape: tuple[int, ...], dtype: Any) -> dict[str, _Seen]:
    found: dict[str, _Seen] = {}
    alive: list[Any] = []  # keeps ids unique for the length of the pass

    def see(call: Call, output: Any) -> None:
        seen = found.setdefault(call.name, _Seen(call.kind, len(found)))
        leaves = floating_leaves(output, is_floating_array)
        alive.append(leaves)
        seen.description = describe(output)
        seen.calls.append({
            path: _Value(canonical(leaf, call.kind, channels_last=snapshot.channels_last).shape, id(leaf))
            for path, leaf in leaves.items()
        })  # fmt: skip

    try:
        jax.eval_shape(
            lambda arrays, images: visit(snapshot, arrays, images, see),
            snapshot.arrays,
            jax.ShapeDtypeStruct(shape, dtype),
        )
    except Exception as error:
        raise ModelForwardError(
            f"{snapshot.kind} raised {type(error).__name__} on a batch of shape {shape}: {error}. "
            f"If it expects another size or layout, say so with preprocessing=, for example adapters.imagenet(224)."
        ) from error
    return found


def _readable(name: str, short: _Seen, long: _Seen | None) -> _Ran | None:
    """Find in each call's output the first array with one row per image; None if one of the calls has none."""
    parts: list[Path] = []
    for call, values in enumerate(short.calls):
        in_long = long.calls[call] if long is not None and call < len(long.calls) else {}
        rows = [path for path in values if _has_rows(path, values, in_long)]
        if name == LOGITS:
            rows.sort(key=lambda path: path != (LOGITS,))
        if not rows:
            return None
        parts.append(rows[0])
    values_read = [values[part] for values, part in zip(short.calls, parts, strict=True)]
    return _Ran(name, short.kind, short.position, parts, values_read)


def _has_rows(path: Path, short: dict[Path, _Value], long: dict[Path, _Value]) -> bool:
    return all(
        path in values and values[path].shape[:1] == (n_images,)
        for values, n_images in zip((short, long), N_PROBES, strict=True)
    )


def _why(short: _Seen, long: _Seen | None) -> str:
    """Say why a layer cannot be read."""
    for seen, n_images in zip((short, long), N_PROBES, strict=True):
        if seen is None:
            break
        for values in seen.calls:
            if not values:
                return f"it returned {seen.description}, which holds no floating-point array. Request another layer."
            if all(value.shape[:1] != (n_images,) for value in values.values()):
                shapes = ", ".join(str(value.shape) for value in values.values())
                return (
                    f"it returned shape {shapes} for {n_images} images; the first axis must be the batch. Request "
                    f"another layer, or one after which the batch axis is first again."
                )
    return "no part of its output has one row per image. Request another layer."


def _layers(ran: list[_Ran]) -> Iterator[Layer]:
    same_as = _containers_of_their_last_child(ran)
    for found in ran:
        if found.name not in same_as:
            yield _layer(found, tuple(other.name for other in ran if same_as.get(other.name) == found.name))


def _layer(found: _Ran, aliases: tuple[str, ...]) -> Layer:
    shapes = [value.shape[1:] for value in found.values]
    return Layer(
        name=found.name,
        kind=found.kind,
        shape=shapes[-1],
        n_calls=len(shapes),
        aliases=aliases,
        call_shapes=tuple(shapes) if len(shapes) > 1 else (),
        call_parts=tuple(found.parts) if any(found.parts) else (),
    )


def _containers_of_their_last_child(ran: list[_Ran]) -> dict[str, str]:
    """Find layers that return the very value of one of their children, as Sequential does: {container: child}."""
    makers: dict[int, _Ran] = {}
    same_as: dict[str, str] = {}
    for found in ran:  # in order of completion, so the child comes first
        if len(found.values) != 1:
            continue
        maker = makers.setdefault(found.values[0].identity, found)
        if maker is not found and maker.name.startswith((f"{found.name}/", f"{found.name}.")):
            same_as[found.name] = maker.name
    return same_as
