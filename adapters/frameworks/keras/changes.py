"""What a listing and a compiled forward pass hold for: a model that was changed since is read anew."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import keras

from ...structure import Same, comparable
from .walking import walk

__all__ = ["kept_by_keras", "structure"]

_OPAQUE = ("keras", "tensorflow", "jax", "jaxlib", "torch", "flax", "torch_xla")
# what Keras's own work leaves behind in layers, once it was done: training, predicting, saving
_LATE = (
    *("optimizer", "history", "stop_training", "stop_evaluating", "stop_predicting", "training"),
    *("_functional", "_compile_config", "_compiled_trainable_state", "_eval_epoch_iterator", "_jax_state"),
    *("_jax_state_synced", "_obj_type"),
)
_CHECKPOINTS = "_self_"


def structure(model: Any) -> tuple[object, ...]:
    """Return what makes this the same model as before, all but the values of its variables.

    Parameters
    ----------
    model : keras.Layer
        Looked at with all layers below it, and not changed.
    """
    return tuple(_parts(model))


def _parts(model: Any) -> Iterator[object]:
    done: set[int] = set()
    for name, operation in (("", model), *((name, place.operation) for name, place in walk(model).items())):
        yield name, Same(operation), type(operation)
        if id(operation) in done:
            continue
        done.add(id(operation))
        policy = getattr(operation, "dtype_policy", None)
        yield getattr(policy, "name", None), getattr(operation, "trainable", None)
        kept = kept_by_keras()
        for key, value in vars(operation).items():
            if key not in kept and not key.startswith(_CHECKPOINTS):
                yield key, comparable(value, _OPAQUE)
    for variable in model.variables:
        yield Same(variable), tuple(variable.shape), variable.dtype


@functools.cache
def kept_by_keras() -> frozenset[str]:
    """Return the attributes in which Keras keeps books on any layer or model, whatever it computes."""
    image, layer = keras.Input((1,), name="image"), keras.layers.Identity(name="same")
    model = keras.Model(image, layer(image), name="books")
    of_layers = {name for name in vars(layer) if name.startswith("_")}
    of_models = set(vars(model)) - set(vars(layer))
    return frozenset(of_layers | of_models).union(_LATE)
