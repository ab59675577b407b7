"""What a call is called in a store: the recipe of its values, and the records of its layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .callables import Preprocess
from .calls import Call
from .contract import Adapter
from .fingerprints import (
    SEMANTICS,
    key_of,
    layer_recipe,
    model_recipe,
    numerics_recipe,
    preprocessing_recipe,
    stimuli_recipe,
)
from .fingerprints.recipes import Policy
from .presenting import Presented
from .store import LayerRecord
from .store.layout import StorageType

__all__ = ["layer_records", "model_key", "presentations_of", "recipe_of", "row_map_of"]


def recipe_of(call: Call, *, policy: Policy = "exact", stimuli: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return all that the values of any layer depend on, as plain data.

    Parameters
    ----------
    call : Call
        What is asked for.
    policy : {'exact', 'portable'}
        Whether device, driver and batch size count, which change no more than the last bits.
    stimuli : mapping, optional
        What `stimuli_recipe` says of the stimuli, where that is known already.

    Raises
    ------
    NotFingerprintable
        If something cannot be told by its content.
    """
    trials: dict[str, Any] = {"n": call.presented.n_trials}
    if call.shifts is not None:
        trials["shifts"] = [[float(x), float(y)] for x, y in call.shifts.pixels]
    return {
        "semantics": SEMANTICS,
        "policy": policy,
        "model": model_recipe(call.adapter, call.image_shape),
        "preprocessing": preprocessing_recipe(call.preprocess),
        "image_shape": list(call.image_shape),
        "stimuli": stimuli_recipe(call.presented.items) if stimuli is None else stimuli,
        "trials": trials,
        "numerics": numerics_recipe(call.adapter, batch_size=call.batch_size, policy=policy),
    }


def model_key(adapter: Adapter, preprocess: Preprocess, image_shape: tuple[int, ...]) -> str:
    """Name a model by its content: weights, structure, preprocessing; 64 hexadecimal digits.

    Raises
    ------
    NotFingerprintable
        If something cannot be told by its content.
    """
    model, preprocessing = model_recipe(adapter, image_shape), preprocessing_recipe(preprocess)
    return key_of({"semantics": SEMANTICS, "model": model, "preprocessing": preprocessing})


def layer_records(call: Call, dtype: StorageType = "float32") -> list[LayerRecord]:
    """Describe each requested layer for a store that keeps values as ``dtype``."""
    return [
        LayerRecord(
            request.requested,
            tuple(call.shapes[request.requested]),
            layer_recipe(request, call.reductions.get(request.requested), dtype),
            dtype,
            request.call,
        )
        for request in call.requests
    ]


def row_map_of(presented: Presented) -> np.ndarray:
    """Return the row of the store for each presentation; the store keeps a stimulus that is shown twice once."""
    trials = np.arange(len(presented.row_items)) % presented.n_trials
    return presented.row_items * presented.n_trials + trials


def presentations_of(call: Call) -> dict[str, Any]:
    """Return the table of presentations as plain data, for those who open the store without the stimuli."""
    from .store.labelled import presentations_document

    presentation = call.presentation_index(call.presented.labels)
    return presentations_document(call.identifier, row_map_of(call.presented), presentation)
