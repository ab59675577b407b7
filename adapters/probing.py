"""Compute one batch again and compare it with what is stored: the answer to whatever the key has missed."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from .calls import Call
from .errors import AdapterError
from .running import Stopwatch
from .store import Entry, LayerRecord

__all__ = ["StaleEntryError", "probe", "trust"]

# Entries that this process has compared already, by key and layer. A process that runs for days compares once.
_COMPARED: set[tuple[str, str]] = set()
# Of a layer's largest value. Another number of threads changes last bits; where devices may differ, TensorFloat-32
# counts, too, which GPUs take for convolutions: ten bits.
_TOLERANCES = {"exact": 1e-5, "portable": 1e-2}


class StaleEntryError(AdapterError, RuntimeError):
    """What is stored is not what the model gives."""


class _Kept:
    """Keeps the values of one batch."""

    def __init__(self) -> None:
        self.trials: list[tuple[np.ndarray, Mapping[str, np.ndarray]]] = []

    def offer(self, rows: np.ndarray) -> None:
        """Offer nothing."""

    def write(
        self, rows: np.ndarray, batch: Mapping[str, np.ndarray], offered: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Keep a copy."""
        self.trials.append(
            (rows, {layer: np.array(values).reshape(len(values), -1) for layer, values in batch.items()})
        )


def probe(call: Call, entry: Entry, records: Sequence[LayerRecord], *, sets_aside: bool = True) -> None:
    """Compare the first batch of an entry with the model's answer, once per process, entry and layer.

    Parameters
    ----------
    call : Call
        What is asked for.
    entry : Entry
        Where values of it are.
    records : sequence of LayerRecord
        Those of its layers whose first rows are stored.
    sets_aside : bool
        Whether an entry with other values is moved away: not while others are at work in it.

    Raises
    ------
    StaleEntryError
        If values differ by more than rounding; the entry is set aside, so that the next call computes it anew, unless
        its policy is ``'portable'``: others may have made it.
    """
    records = [record for record in records if (entry.key, record.digest) not in _COMPARED]
    if not records:
        return
    items, n_trials = call.presented.items[: call.batch_size], call.presented.n_trials
    kept = _Kept()
    rows = np.arange(len(items) * n_trials).reshape(len(items), n_trials)
    run = call.run(kept, rows, Stopwatch(), names={record.requested for record in records}, is_bound=True)
    run.execute(replace(call, on_error="skip").decoder(items), call.image_shape, lambda _: None)
    policy = str(entry.recipe.get("policy", "exact"))
    for record in records:
        for rows, batch in kept.trials:
            stored = entry.read(record, rows)
            if not _same(stored, batch[record.requested].astype(stored.dtype), _TOLERANCES[policy]):
                sets_aside = sets_aside and policy == "exact"  # what others made on their devices is not ours to move
                _refuse(call, entry, record, stored, batch[record.requested], sets_aside=sets_aside)
        _COMPARED.add((entry.key, record.digest))


def trust(entry: Entry, records: Sequence[LayerRecord]) -> None:
    """Note that layers of an entry were computed by this process, from the first row on."""
    _COMPARED.update((entry.key, record.digest) for record in records)


def _same(stored: np.ndarray, computed: np.ndarray, tolerance: float) -> bool:
    if np.array_equal(stored, computed, equal_nan=True):
        return True
    largest = np.max(np.abs(computed), initial=0.0, where=np.isfinite(computed))
    return bool(np.allclose(stored, computed, rtol=0, atol=tolerance * float(largest), equal_nan=True))


def _refuse(
    call: Call, entry: Entry, record: LayerRecord, stored: np.ndarray, computed: np.ndarray, *, sets_aside: bool
) -> None:
    differing = int((np.abs(stored - computed) > 0).any(1).sum())
    advice = f"Remove it with: brain-adapters cache rm {entry.key[:12]}"
    if sets_aside:
        place = entry.path.parents[1] / "set-aside" / f"{entry.key}-{secrets.token_hex(4)}"
        place.parent.mkdir(exist_ok=True)
        entry.path.rename(place)
        advice = (
            f"The entry was moved to {place}; call again to compute it anew, and please report what you had changed."
        )
    raise StaleEntryError(
        f"Layer {record.requested!r} of {call.identifier} gives other values now than entry {entry.key[:12]} holds "
        f"({differing} of {len(stored)} probed rows differ). Something that changes values is in no part of the key. "
        f"{advice}"
    )
