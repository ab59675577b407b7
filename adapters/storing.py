"""Run a call through a store: compute what is missing there, and read the result from it."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from .budgeting import plan_of
from .calls import Call, read_into_memory
from .errors import BudgetError, StimulusError, listing, warn
from .filling import StorePass, jobs_for, n_rows_of
from .fingerprints import NotFingerprintable, key_of
from .keying import layer_records, presentations_of, recipe_of, row_map_of
from .memory import format_bytes
from .planning import Plan, RunReport, queue_bytes
from .probing import probe, trust
from .run_cards import run_card
from .running import BatchTooLargeError, Stopwatch
from .store import ActivationStore, Entry, EntryNotFoundError, LayerRecord, StoreMismatchError, StoreWriteError

if TYPE_CHECKING:
    from .engines.driving import Distribution

__all__ = ["ENVIRONMENT_VARIABLE", "distribution_of", "find_store", "read_through_store"]

ENVIRONMENT_VARIABLE = "BRAIN_ADAPTERS_STORE"
_URL = re.compile(r"[a-z][a-z0-9+.-]+:/")  # as a path, it has lost one of its slashes


def find_store(given: Any) -> ActivationStore | None:
    """Return the store that is meant: an object, the folder of one, or for None the environment variable's.

    Parameters
    ----------
    given : path, ActivationStore, bool or None
        False means no store, whatever the environment variable says.

    Raises
    ------
    TypeError
        If it is none of these.
    StoreWriteError
        If it is the URL of an object store.
    """
    if given is False or isinstance(given, ActivationStore):
        return given or None
    if given is None:
        given = os.environ.get(ENVIRONMENT_VARIABLE) or None
        return None if given is None else ActivationStore(given)
    if isinstance(given, (str, os.PathLike)) and str(given):
        if _URL.match(str(given)):
            raise StoreWriteError(
                f"{given} is on an object store, and a run writes to a folder. Name a folder, and send it there with: "
                f"brain-adapters cache push"
            )
        return ActivationStore(given)
    raise TypeError(
        f"store={given!r} is no place for activations. Pass the path of a folder, what adapters.open_store returned, "
        f"or False for none."
    )


def distribution_of(
    engine: Any, n_workers: int | None, store: ActivationStore | None, *, origin: Any, reduce: Any
) -> Distribution | None:
    """Return how a call is to be distributed; None where this process does it.

    Parameters
    ----------
    engine : str or Engine, optional
        As the user gave it.
    n_workers : int, optional
        How many.
    store : ActivationStore, optional
        Where the values go.
    origin, reduce
        As for `Distribution`.

    Raises
    ------
    ValueError
        If there is no store, or no engine for the workers.
    EngineError
        If this process is a worker itself.
    """
    if engine is None:
        if n_workers is not None:
            raise ValueError(f"workers={n_workers} came without an engine. Pass engine='local' for processes here.")
        return None
    if store is None:
        raise ValueError(
            f"engine={engine!r} came without a store: workers leave what they compute there. Pass store='folder', on a "
            f"file system that all workers share."
        )
    from .engines.choosing import engine_named
    from .engines.driving import Distribution
    from .engines.working import require_no_worker

    require_no_worker()
    if n_workers is not None and (isinstance(n_workers, bool) or not isinstance(n_workers, Integral) or n_workers < 1):
        raise ValueError(f"workers={n_workers!r} is no number of workers. Use a whole number, 1 or more.")
    return Distribution(engine_named(engine), None if n_workers is None else int(n_workers), origin, reduce)


def read_through_store(
    call: Call,
    store: ActivationStore,
    watch: Stopwatch,
    *,
    memory: str | int | None = None,
    distribution: Distribution | None = None,
) -> tuple[Any, RunReport]:
    """Compute what the store does not have, and return the labelled values, read when they are used, and a report.

    What cannot be told apart by its content (a hook on the host, a model that keeps state nobody can describe) is
    computed without the store, with a warning that names it.
    """
    if distribution is not None and memory is not None and getattr(distribution.engine, "waits_for_others", False):
        raise ValueError(
            f"memory={memory!r} came with engine='torchrun'. Each process would plan for itself, and they would not "
            f"agree on one size of batches. Leave memory= out, and set extractor.batch_size."
        )
    reason = _why_not(call)
    while not reason:
        try:
            plan = plan_of(call, memory=memory, store=store)
            plan.require_fit()
            return _Stored(replace(call, batch_size=plan.batch_size), store, plan, watch, distribution).read()
        except NotFingerprintable as error:
            reason = str(error)
        except BatchTooLargeError as error:
            if store.policy == "portable":  # the size of its batches is that of whoever made the entry
                raise
            warn(f"{error} The run starts again with that; it is kept apart from what larger batches gave.")
            call = replace(call, batch_size=error.smaller)
    if distribution is not None:
        raise StoreMismatchError(f"engine= needs values that can be kept in {store.root}, and these cannot: {reason}")
    warn(f"Nothing of this call is kept in {store.root}: {reason}")
    return read_into_memory(call, watch)


def _why_not(call: Call) -> str:
    if not call.hooks:
        return ""
    names = listing([getattr(hook, "__qualname__", type(hook).__name__) for hook in call.hooks])
    return (
        f"the hook {names} changes values in a way that no key can tell. Use reduce= in its place, or remove the hook."
    )


@dataclass
class _Stored:
    """One call, one store, and the plan for how to get the missing part of the one into the other."""

    call: Call
    store: ActivationStore
    plan: Plan
    watch: Stopwatch
    distribution: Distribution | None = None

    def read(self) -> tuple[Any, RunReport]:
        """Compute what is missing; read all of it."""
        call = self.call
        with self.watch.stage("key"):
            records = layer_records(call, self.store.dtype)
            entry = self._entry(max(record.n_units for record in records))
            entry.add_layers(records)
            call = self.call
            missing = entry.missing(records)
        is_some_there = len(missing) < entry.n_shards or any(len(each) < len(records) for each in missing.values())
        if is_some_there and not (missing and self.distribution):  # workers look themselves, each on its device
            with self.watch.stage("probe"):
                probe(call, entry, [record for record in records if not _lacks(missing, 0, record)])
        if missing:
            self._require_room(entry, missing)
            if self.distribution is None:
                self._compute(entry, missing)
                trust(entry, missing.get(0, ()))
            else:
                self._distribute(entry, records, missing, self.distribution)
        skipped = {row // call.presented.n_trials: reason for row, reason in entry.skipped().items()}
        if skipped and call.on_error == "raise":  # a call before this one was told to leave them out
            raise StimulusError(next(iter(skipped.values())))
        with self.watch.stage("labels"):
            assembly, n_rows = _labelled(call, entry, records)
        return assembly, call.report(self.watch, n_rows, call.batch_size, skipped)

    def _entry(self, widest: int) -> Entry:
        call, n_trials = self.call, self.call.presented.n_trials
        recipe = recipe_of(call, policy=self.store.policy)
        if self.store.policy == "portable":  # others may have made it, with batches of another size
            with suppress(EntryNotFoundError):
                self.call = call = replace(call, batch_size=self.store.find(key_of(recipe)).batch_rows // n_trials)
        return self.store.entry(
            recipe,
            n_rows=len(call.presented.items) * n_trials,
            batch_rows=call.batch_size * n_trials,
            widest=widest,
            min_shards=1 if self.distribution is None else self.distribution.min_shards,
            presentations=presentations_of(call),
        )

    def _require_room(self, entry: Entry, missing: Mapping[int, Sequence[LayerRecord]]) -> None:
        """Refuse what will not fit onto the disk; compressed layers may, whatever their size."""
        needed = sum(
            n_rows_of(entry, [shard]) * record.n_units * record.numpy_dtype.itemsize
            for shard, records in missing.items()
            for record in records
            if entry.compression_of(record) == "none"
        )
        free = shutil.disk_usage(entry.path).free
        if needed > free:
            raise BudgetError(
                f"{self.call.identifier} needs {format_bytes(needed)} on the disk of {self.store.root}, and "
                f"{format_bytes(free)} are free. Reduce layers with reduce=, keep half precision with "
                f"ActivationStore(path, dtype='float16'), request fewer, or name another folder."
            )

    def _compute(self, entry: Entry, missing: Mapping[int, Sequence[LayerRecord]]) -> None:
        jobs = jobs_for(missing, self.plan.passes)
        n_images = sum(n_rows_of(entry, shards) for _, shards in jobs) // self.call.presented.n_trials
        largest = max(4 * entry.batch_rows * sum(record.n_units for record in records) for records, _ in jobs)
        with (
            self.call.advancing(n_images) as advance,
            entry.writer(queue_bytes=queue_bytes(largest)) as writer,
        ):
            for records, shards in jobs:
                StorePass(self.call, entry, records, writer, self.watch).run(shards, advance)
            with self.watch.stage("write"):
                writer.flush()
        entry.write_run_card(run_card(self.call, self.plan, self.watch, n_images, writer.n_bytes))

    def _distribute(
        self,
        entry: Entry,
        records: Sequence[LayerRecord],
        missing: Mapping[int, Sequence[LayerRecord]],
        distribution: Distribution,
    ) -> None:
        from .engines.driving import distribute
        from .engines.extraction import Extraction
        from .store.attempts import Attempts

        call, attempts = self.call, Attempts(entry, f"{int(time.time())}-{secrets.token_hex(8)}")
        n_images = sum(n_rows_of(entry, shards) for _, shards in jobs_for(missing, self.plan.passes))
        extraction = Extraction(call, entry, records, self.plan.passes, attempts)
        with (
            self.watch.stage("workers"),
            entry.lease(),
            call.advancing(n_images // call.presented.n_trials) as advance,
        ):
            outcome = distribute(extraction, self.store, distribution, advance)
        card = run_card(call, self.plan, self.watch, outcome.n_images, outcome.n_bytes)
        entry.write_run_card({**card, "engine": type(distribution.engine).__name__, "workers": outcome.to_dict()})


def _lacks(missing: Mapping[int, Sequence[LayerRecord]], shard: int, record: LayerRecord) -> bool:
    return any(each.digest == record.digest for each in missing.get(shard, ()))


def _labelled(call: Call, entry: Entry, records: Sequence[LayerRecord]) -> tuple[Any, int]:
    from .brainscore import as_neuroid_assembly
    from .store.labelled import to_xarray

    row_map, labels = row_map_of(call.presented), call.presented.labels
    if skipped := entry.skipped():
        keep = ~np.isin(row_map, list(skipped))
        row_map, labels = row_map[keep], labels.loc[keep].reset_index(drop=True)
    lazy = to_xarray(entry, records, row_map, call.presentation_index(labels), call.neuroid_index(call.shapes))
    return as_neuroid_assembly(lazy), len(labels)
