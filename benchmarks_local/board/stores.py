"""Models by the activations that a store holds of them: a job of such a model needs no model."""

from __future__ import annotations

import json
import os
from pathlib import Path

from adapters import ActivationStore
from adapters.store import Entry

from .errors import JobError

__all__ = ["is_store", "models_in", "state_of", "stored_model"]


def is_store(place: str) -> bool:
    """Say whether a place that a job or a user names is the folder of a store."""
    return bool(place) and (Path(place) / "v1").is_dir()


def models_in(place: str) -> list[str]:
    """Return the models of which a store holds activations, by the names under which they were extracted.

    Parameters
    ----------
    place : str
        Its folder.

    Raises
    ------
    JobError
        When it holds none.
    """
    found = dict.fromkeys(sorted(_model_of(entry) for entry in ActivationStore(place).entries()))
    if not found:
        raise JobError(f"{place} holds no activations. Fill it: brain-adapters extract MODEL STIMULI --store {place}")
    return list(found)


def stored_model(place: str, model: str) -> ActivationStore:
    """Return a store as if it held activations of one model only.

    Parameters
    ----------
    place : str
        Its folder.
    model : str
        One of `models_in`.
    """
    return _OfOneModel(place, model)


def state_of(place: str, model: str) -> bytes:
    """Return what a score of a stored model depends on: which entries there are, and with which layers.

    Values of an entry never change, but layers can be added to it, and it can be unfinished.

    Parameters
    ----------
    place : str
        Folder of the store.
    model : str
        One of `models_in`.
    """
    entries = stored_model(place, model).entries()
    state = sorted([entry.key, sorted(entry.layers()), entry.complete()] for entry in entries)
    return json.dumps(state).encode()


class _OfOneModel(ActivationStore):
    def __init__(self, root: str | os.PathLike[str], model: str) -> None:
        super().__init__(root)
        self._model = model

    def entries(self) -> list[Entry]:
        return [entry for entry in super().entries() if _model_of(entry) == self._model]


def _model_of(entry: Entry) -> str:
    return str((entry.presentations() or {}).get("model", entry.key[:12]))
