"""Learn from two traced passes which layers a model has, in which order they run, and what they return."""

from __future__ import annotations

from typing import Any

import jax

from ...layers import Layers
from ...recorded import N_PROBES, Part, Path, Recording, forward_failed, layers_of
from .network import Snapshot
from .reading import canonical, is_floating_array, visit
from .tagging import Call

__all__ = ["list_layers"]


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


def _recorded(snapshot: Snapshot, shape: tuple[int, ...], dtype: Any) -> Recording:
    recording = Recording(is_floating_array)

    def see(call: Call, output: Any) -> None:
        def measure(_path: Path, leaf: Any) -> Part:
            return Part(canonical(leaf, call.kind, channels_last=snapshot.channels_last).shape, id(leaf))

        if call.name not in recording:
            recording.expect(call.name, call.name, call.kind)
        recording.hear(call.name, output, measure)

    try:
        jax.eval_shape(
            lambda arrays, images: visit(snapshot, arrays, images, see),
            snapshot.arrays,
            jax.ShapeDtypeStruct(shape, dtype),
        )
    except Exception as error:
        raise forward_failed(error, model=snapshot.kind, batch_shape=shape) from error
    for name in snapshot.module_names:
        if name not in recording:
            recording.expect(name, name, "")
    recording.close()
    return recording
