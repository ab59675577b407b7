"""Gather from activations that are stored, without the model."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from adapters import ActivationStore, open_store
from adapters.errors import listing
from adapters.memory import used_memory
from adapters.planning import LayerCost, Plan
from adapters.store import Entry, EntryNotFoundError
from adapters.store.labelled import open_labelled

from ..errors import ScoringError
from ..metrics import Features
from .naming import ids_of_files
from .preparing import budget_of, plan_from_disk
from .streaming import features_of

__all__ = ["gather_stored", "stored_stimulus_ids"]


def gather_stored(
    stored: str | os.PathLike[str] | ActivationStore | Entry,
    layers: str | Sequence[str] | None = None,
    *,
    memory: str | int | None = None,
    keep_values: Sequence[str] = (),
) -> dict[str, Features]:
    """Bring stored activations to what metrics need of them, reading blocks of units from the disk.

    Parameters
    ----------
    stored : path, ActivationStore or Entry
        A store's folder or object stands for the entry in it that was used last.
    layers : str or sequence of str, optional
        As they were requested; all that are stored by default.
    memory, keep_values
        As for `gather`.

    Returns
    -------
    dict of str to Features
        By layer; rows are the presentations of the entry, whose stimuli `stored_stimulus_ids` names.

    Raises
    ------
    StoreReadError, EntryNotFoundError, NotStoredError, LayerNotFoundError
        If there is no store, no entry, or not all of a layer.
    ScoringError
        If a layer is stored several times, or a value is NaN or infinite.
    BudgetError
        If there is not enough memory.
    """
    entry = _entry_of(stored)
    records = entry.layers()
    names = [record.requested for record in records.values()]
    wanted = list(names) if layers is None else [layers] if isinstance(layers, str) else list(layers)
    repeated = [name for name, n_times in Counter(names).items() if n_times > 1 and name in wanted]
    if repeated:
        raise ScoringError(
            f"{listing(repeated)} of entry {entry.key[:12]} is stored several times, reduced in different ways or in "
            "different precision, and nothing says which is meant. Keep each in a store of its own."
        )
    activations = _labelled(entry, wanted)
    n_rows = activations.sizes["presentation"]
    costs = tuple(
        LayerCost(record.requested, record.shape, record.n_units, 4 * n_rows * record.n_units)
        for record in records.values()
        if record.requested in wanted
    )
    cost = Plan(entry.key[:12], costs, n_rows, n_rows, 1, 0, passes=(tuple(wanted),), store=str(entry.path))
    base = used_memory()
    plan = plan_from_disk(cost, budget_of(memory, base), base, keep_values)
    return features_of(activations, wanted, keep_values, panel_bytes=plan.panel_bytes)


def stored_stimulus_ids(stored: str | os.PathLike[str] | ActivationStore | Entry) -> NDArray[Any]:
    """Return the stimuli of stored activations, one per presentation.

    Parameters
    ----------
    stored : path, ActivationStore or Entry
        As for `gather_stored`.

    Returns
    -------
    array of shape (n_presentations,) of str
        Their ``stimulus_id``, in the order of the rows. Where only paths were shown: the names of the files without
        their endings, or the whole paths where a name comes twice.
    """
    entry = _entry_of(stored)
    activations = _labelled(entry, [next(iter(entry.layers().values())).requested])
    index = activations.indexes["presentation"]
    if "stimulus_id" in index.names:
        return np.array([str(each) for each in index.get_level_values("stimulus_id")], dtype=object)
    return np.array(ids_of_files([str(each) for each in index.get_level_values("stimulus_path")]), dtype=object)


def _labelled(entry: Entry, layers: Sequence[str]) -> xr.DataArray:
    return open_labelled(entry, layers, partial=False)


def _entry_of(stored: str | os.PathLike[str] | ActivationStore | Entry) -> Entry:
    if isinstance(stored, Entry):
        return stored
    store = stored if isinstance(stored, ActivationStore) else open_store(stored)
    entries = store.entries()
    if not entries:
        raise EntryNotFoundError(f"There is nothing in {store.root} yet. Extract something with this store first.")
    return entries[-1]
