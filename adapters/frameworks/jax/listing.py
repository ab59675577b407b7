"""Learn from two traced passes which layers a model has, in which order they run, and what they return."""

from __future__ import annotations

from typing import Any

import jax

from ...errors import AdapterError, ModelForwardError
from ...layers import Layers
from ...recorded import N_PROBES, Part, Path, Recording, forward_failed, layers_of
from .network import Snapshot
from .reading import canonical_shape, describe_traced, is_floating_array, visit
from .tagging import Call

__all__ = ["list_layers"]

_HIDDEN = (
    "it runs inside JAX's {!r}, of which only the end result comes out. Request a layer before or after it, or write "
    "a loop with jax.lax.scan, whose steps can be read."
)


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
        If the model raises on this input.
    """
    short, long = (_recorded(snapshot, (n_images, *image_shape), dtype) for n_images in N_PROBES)
    return layers_of(short, long, model=snapshot.kind)


def _failed(snapshot: Snapshot, error: Exception, shape: tuple[int, ...]) -> AdapterError:
    """Return the error that a user is shown, with the kind's own advice where it has one."""
    advice = snapshot.advise(error, shape[1:])
    if not advice:
        return forward_failed(error, model=snapshot.kind, batch_shape=shape)
    cause = str(error).strip().rstrip(".")
    return ModelForwardError(
        f"{snapshot.kind} raised {type(error).__name__} on a batch of shape {shape}: {cause}. {advice}"
    )


def _recorded(snapshot: Snapshot, shape: tuple[int, ...], dtype: Any) -> Recording:
    recording = Recording(is_floating_array, describe=describe_traced)

    def see(call: Call, output: Any, axes: dict[int, int]) -> None:
        def measure(_path: Path, leaf: Any) -> Part:
            return Part(canonical_shape(leaf.shape, axes.get(id(leaf))), id(leaf))

        if call.name not in recording:
            recording.expect(call.name, call.name, call.kind)
        recording.hear(call.name, output, measure)

    def hide(call: Call, within: str) -> None:
        if call.name not in recording:
            recording.expect(call.name, call.name, call.kind, unreadable=_HIDDEN.format(within))

    def trace(arrays: Any, images: Any) -> None:
        visit(snapshot, arrays, images, see, on_hidden=hide)

    try:
        jax.eval_shape(trace, snapshot.arrays, jax.ShapeDtypeStruct(shape, dtype))
    except Exception as error:
        raise _failed(snapshot, error, shape) from error
    for name in snapshot.module_names:
        if name not in recording:
            recording.expect(name, name, "")
    recording.close()
    return recording
