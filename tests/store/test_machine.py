"""Anything in any order: a store behaves like a dict of what was written, through faults, damage and removal."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from adapters.store import (
    ActivationStore,
    Entry,
    LayerRecord,
    StoreWriteError,
    pin,
    remove,
    repair,
    sweep,
    unpin,
    verify,
)

from .faults import FaultyFiles
from .sizes import size
from .small import CONV, DOUBLE, HALF, open_entry, values_of, write_missing

LAYERS = [CONV, HALF, DOUBLE]
RECIPES: list[dict[str, Any]] = [{"model": 1}, {"model": 2}]
SOME_LAYERS = st.lists(st.sampled_from(LAYERS), min_size=1, unique=True)


def is_committed(entry: Entry, path: Path) -> bool:
    entry.commits.refresh()
    return bool(entry.commits.find(str(path.relative_to(entry.path))))


class StoreMachine(RuleBasedStateMachine):
    """The model: for each recipe, which shards of which layers are there."""

    handles: Bundle[Entry] = Bundle("handles")

    def __init__(self) -> None:
        super().__init__()
        folder = "/dev/shm" if Path("/dev/shm").is_dir() else None
        self.folder = tempfile.TemporaryDirectory(dir=folder)
        self.model: dict[str, set[tuple[str, int]]] = {}
        self.current: list[Entry] = []

    def teardown(self) -> None:
        self.folder.cleanup()

    def store(self, files: FaultyFiles | None = None, compression: Any = "none") -> ActivationStore:
        return ActivationStore(self.folder.name, files=files, compression=compression)

    def there(self, entry: Entry) -> set[tuple[str, int]]:
        """Return what an entry says that it has."""
        missing = entry.missing(LAYERS)
        lacking = {(layer.digest, shard) for shard, layers in missing.items() for layer in layers}
        return {(layer.digest, shard) for layer in LAYERS for shard in range(entry.n_shards)} - lacking

    def is_current(self, entry: Entry) -> bool:
        """Tell whether the entry of a handle was not removed, or removed and made again, since it was opened."""
        return entry.key in self.model and entry in self.current

    def forget(self, keys: Iterable[str]) -> None:
        self.model = {key: there for key, there in self.model.items() if key not in keys}
        self.current = [entry for entry in self.current if entry.key not in keys]

    @rule(target=handles, recipe=st.sampled_from(RECIPES), compression=st.sampled_from(["none", "zstd", "auto"]))
    def open(self, recipe: dict[str, Any], compression: str) -> Entry:
        entry = open_entry(self.store(compression=compression), recipe)
        self.model.setdefault(entry.key, set())
        self.current.append(entry)
        return entry

    @rule(entry=handles, layers=SOME_LAYERS)
    def add(self, entry: Entry, layers: list[LayerRecord]) -> None:
        if self.is_current(entry):
            entry.add_layers(layers)

    @rule(entry=handles, layers=SOME_LAYERS, n=st.integers(1, 6), threads=st.integers(1, 3))
    def write(self, entry: Entry, layers: list[LayerRecord], n: int, threads: int) -> None:
        if self.is_current(entry):
            shards = list(entry.missing(layers))[:n]
            write_missing(entry, layers, order=lambda missing: missing[:n], threads=threads)
            self.model[entry.key] |= {(layer.digest, shard) for layer in layers for shard in shards}

    @rule(recipe=st.sampled_from(RECIPES), layers=SOME_LAYERS, at=st.integers(0, 150))
    def write_on_a_failing_disk(self, recipe: dict[str, Any], layers: list[LayerRecord], at: int) -> None:
        with suppress(StoreWriteError):
            entry = open_entry(self.store(FaultyFiles(at, "EIO")), recipe)
            self.model.setdefault(entry.key, set())
            write_missing(entry, layers, threads=1)
        for entry in self.store().entries():
            before = self.model.setdefault(entry.key, set())
            assert before <= self.there(entry)
            self.model[entry.key] = self.there(entry)

    @rule(entry=handles, layers=SOME_LAYERS)
    def stop_in_the_middle(self, entry: Entry, layers: list[LayerRecord]) -> None:
        missing = entry.missing(layers) if self.is_current(entry) else {}
        if missing:
            shard = min(missing)
            with suppress(KeyboardInterrupt), entry.writer(threads=1) as writer:
                writer.begin(shard, missing[shard])
                writer.append({layer.requested: values_of(layer, [4 * shard]) for layer in missing[shard]})
                raise KeyboardInterrupt

    @rule(recipe=st.sampled_from(RECIPES), seed=st.integers(0, 99))
    def damage_and_repair(self, recipe: dict[str, Any], seed: int) -> None:
        for entry in self.store().entries():
            chunks = sorted(path for path in entry.path.glob("layers/*/c/*/*") if is_committed(entry, path))
            if entry.recipe != recipe or not chunks:
                continue
            path = random.Random(seed).choice(chunks)
            data = path.read_bytes()
            path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
            _, folder, _, shard, _ = path.relative_to(entry.path).parts
            (digest,) = (layer.digest for layer in LAYERS if layer.digest.startswith(folder))
            assert [damage.path for damage in verify(entry)] == [str(path.relative_to(entry.path))]
            repair(entry)
            self.model[entry.key].remove((digest, int(shard)))

    @rule(entry=handles, layers=SOME_LAYERS)
    def write_with_an_old_handle(self, entry: Entry, layers: list[LayerRecord]) -> None:
        """Expect a refusal, or values that are right."""
        if not self.is_current(entry) and entry.key in self.model:
            with suppress(StoreWriteError):
                write_missing(entry, layers, threads=1)
            (found,) = (each for each in self.store().entries() if each.key == entry.key)
            assert self.model[entry.key] <= self.there(found)
            self.model[entry.key] = self.there(found)

    @rule(entry=handles)
    def remove(self, entry: Entry) -> None:
        if entry.key in self.model:
            remove(entry)
            self.forget([entry.key])

    @rule(keep=handles, max_bytes=st.sampled_from([0, 10**9]))
    def sweep(self, keep: Entry, max_bytes: int) -> None:
        if keep.key in self.model:
            pin(keep)
            swept = sweep(self.store(), max_bytes=max_bytes, leftovers_older_than=-1)
            assert set(swept.keys) == ({*self.model} - {keep.key} if max_bytes == 0 else set())
            self.forget(swept.keys)
            unpin(keep)

    @rule(entry=handles, layer=st.sampled_from(LAYERS))
    def read(self, entry: Entry, layer: LayerRecord) -> None:
        """Read with a handle that may be older than what others wrote."""
        for shard in (shard for digest, shard in self.model.get(entry.key, ()) if digest == layer.digest):
            rows = range(entry.n_rows)[entry.rows_of(shard)]
            np.testing.assert_array_equal(entry.read(layer, entry.rows_of(shard)), values_of(layer, rows))

    @invariant()
    def store_equals_model(self) -> None:
        entries = {entry.key: entry for entry in self.store().entries()}
        assert entries.keys() == self.model.keys()
        for key, entry in entries.items():
            assert self.there(entry) == self.model[key]
            assert verify(entry) == []
            layers = [layer for layer in LAYERS if layer.digest in entry.layers()]
            is_complete = bool(layers) and not entry.missing(layers)
            assert entry.complete() == is_complete


def test_any_order_of_operations():
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        StoreMachine,
        settings=settings(
            max_examples=size(60, 10_000), stateful_step_count=12, deadline=None, suppress_health_check=checks
        ),
    )
