"""Damaged files are found, mended as far as they can be, and what cannot is computed again: the bits are the same."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.store import (
    ActivationStore,
    Entry,
    LayerRecord,
    StoreCorruptError,
    StoreReadError,
    StoreWriteError,
    repair,
    verify,
)

from .faults import FaultyFiles
from .sizes import memory_folder, size
from .small import CONV, HALF, LAYERS, assert_holds, chunk_files, open_entry, values_of, write_missing

CHUNKS, DESCRIPTIONS = "layers/*/c/*/*", ("entry.json", "zarr.json", "layers/zarr.json", "layers/*/*.json")
Damaging = Callable[[Entry, random.Random], list[Path]]


def flip(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def any_of(entry: Entry, chance: random.Random, *patterns: str) -> Path:
    return chance.choice(sorted(path for pattern in patterns for path in entry.path.glob(pattern)))


def flip_chunk(entry: Entry, chance: random.Random) -> list[Path]:
    flip(path := any_of(entry, chance, CHUNKS), chance)
    return [path]


def flip_description(entry: Entry, chance: random.Random) -> list[Path]:
    flip(path := any_of(entry, chance, *DESCRIPTIONS), chance)
    return [path]


def flip_record(entry: Entry, chance: random.Random) -> list[Path]:
    flip(path := any_of(entry, chance, "commits/*", "COMPLETE.json"), chance)
    return [path]


def truncate(entry: Entry, chance: random.Random) -> list[Path]:
    path = any_of(entry, chance, CHUNKS, "commits/*")
    path.write_bytes(path.read_bytes()[: chance.randrange(1, path.stat().st_size)])
    return [path]


def empty(entry: Entry, chance: random.Random) -> list[Path]:
    (path := any_of(entry, chance, CHUNKS, "commits/*", *DESCRIPTIONS)).write_bytes(b"")
    return [path]


def delete(entry: Entry, chance: random.Random) -> list[Path]:
    (path := any_of(entry, chance, CHUNKS, *DESCRIPTIONS)).unlink()
    return [path]


def swap(entry: Entry, chance: random.Random) -> list[Path]:
    """Exchange two chunks of a layer, or two records."""
    folder = chance.choice([*(entry.path / layer.folder / "c" for layer in LAYERS), entry.path / "commits"])
    first, second = chance.sample(sorted(path for path in folder.glob("**/*") if path.is_file()), 2)
    data = first.read_bytes(), second.read_bytes()
    first.write_bytes(data[1])
    second.write_bytes(data[0])
    return [first, second] if data[0] != data[1] else []


def put_old_chunk(entry: Entry, chance: random.Random) -> list[Path]:
    """Put back what an older run wrote: of the same size, and sound in itself."""
    import google_crc32c

    path = any_of(entry, chance, CHUNKS)
    data = np.frombuffer(path.read_bytes()[:-4], np.uint8)[::-1].tobytes()
    path.write_bytes(data + google_crc32c.value(data).to_bytes(4, "little"))
    return [path]


DAMAGES: list[Damaging] = [*(flip_chunk, flip_description, flip_record, truncate, empty, delete, swap, put_old_chunk)]


@pytest.fixture(scope="module", params=["none", "zstd"])
def original(request: pytest.FixtureRequest) -> Iterator[tuple[Path, Any, dict[str, bytes]]]:
    """Give a folder with a complete entry, how it is kept, and its chunks."""
    with memory_folder() as folder:
        entry = open_entry(ActivationStore(folder / "original", compression=request.param))
        write_missing(entry)
        yield folder, request.param, chunk_files(entry)


@pytest.mark.parametrize("damaging", DAMAGES)
def test_damage_is_found_and_mended(original: tuple[Path, Any, dict[str, bytes]], damaging: Damaging):
    folder, compression, expected = original
    for seed in range(size(13, 650)):
        place = folder / "damaged"
        shutil.copytree(folder / "original", place)
        (entry,) = ActivationStore(place, compression=compression).entries()
        damaged = damaging(entry, random.Random(seed))
        (entry,) = ActivationStore(place, compression=compression).entries()
        assert {entry.path / damage.path for damage in verify(entry)} >= set(damaged)
        if damaging in (truncate, empty, delete):
            assert {entry.path / damage.path for damage in verify(entry, full=False)} >= set(damaged)
        repaired = repair(entry)
        assert repaired.damages
        assert verify(entry) == []
        n_lost = sum(map(len, repaired.missing.values()))
        assert n_lost <= len(damaged)  # what is sound is kept
        kept = {name: data for name, data in chunk_files(entry).items() if entry.commits.find(name)}
        assert len(kept) == len(expected) - n_lost
        assert all(expected[name] == data for name, data in kept.items())
        entry = open_entry(ActivationStore(place, compression=compression))
        assert write_missing(entry) == len(repaired.missing)
        assert chunk_files(entry) == expected
        assert verify(entry) == []
        shutil.rmtree(place)


def test_damage_says_which_layer_and_shard(tmp_path: Path):
    entry = open_entry(ActivationStore(tmp_path))
    write_missing(entry)
    name = f"{HALF.folder}/c/2/0"
    (entry.path / name).write_bytes(b"x")
    (damage,) = verify(entry, full=False)
    assert (damage.path, damage.shard, damage.layer) == (name, 2, "fc:0")
    assert str(damage) == f"{name} (shard 2 of layer 'fc:0'): has 1 bytes, and 84 were written"
    assert repair(entry).missing == {2: ("fc:0",)}


def test_a_lost_record_is_written_again_from_what_was_merged(tmp_path: Path):
    entry = open_entry(ActivationStore(tmp_path))
    write_missing(entry)
    next((entry.path / "commits").glob("3-*")).unlink()
    assert entry.missing(LAYERS) == {}
    assert {damage.path for damage in verify(entry)} == {"commits/3-*.json"}
    assert repair(entry).missing == {}
    assert len(list((entry.path / "commits").glob("3-*"))) == 1


def test_a_lost_record_without_merged_ones_is_work_to_be_done(tmp_path: Path):
    entry = open_entry(ActivationStore(tmp_path))
    write_missing(entry)
    (entry.path / "COMPLETE.json").unlink()
    next((entry.path / "commits").glob("3-*")).unlink()
    entry = open_entry(ActivationStore(tmp_path))
    assert verify(entry) == []
    assert entry.missing(LAYERS) == {3: LAYERS}
    write_missing(entry)
    assert_holds(entry)


def test_a_layer_without_any_description_keeps_its_chunks(tmp_path: Path):
    store = ActivationStore(tmp_path)
    entry = open_entry(store)
    write_missing(entry)
    for name in ("layer.json", "zarr.json"):
        (entry.path / CONV.folder / name).write_bytes(b"{}")
    entry = open_entry(store)
    with pytest.raises(
        StoreCorruptError, match=r"layer\.json is not what was written there: 2 bytes that are no layer"
    ):
        entry.layers()
    repair(entry)
    assert [layer.requested for layer in entry.layers().values()] == ["fc:0", "logits"]
    entry = open_entry(store)
    assert write_missing(entry) == 0
    entry.add_layers([CONV])
    assert {layer.requested for layer in entry.layers().values()} == {"conv", "fc:0", "logits"}
    np.testing.assert_array_equal(entry.read(CONV, slice(None)), values_of(CONV))
    assert verify(entry) == []


def test_a_description_of_another_layer_is_none(tmp_path: Path):
    store = ActivationStore(tmp_path)
    entry = open_entry(store)
    twin = LayerRecord("twin", CONV.shape, {"name": "twin"})
    write_missing(entry, [CONV, twin])
    for name in ("layer.json", "zarr.json"):
        shutil.copy(entry.path / twin.folder / name, entry.path / CONV.folder / name)
    assert {damage.path for damage in verify(open_entry(store))} >= {f"{CONV.folder}/layer.json"}
    repair(open_entry(store))
    assert write_missing(open_entry(store), [CONV, twin]) == 0
    np.testing.assert_array_equal(open_entry(store).read(CONV, slice(None)), values_of(CONV))


def test_labels_and_run_cards_are_checked(tmp_path: Path):
    store = ActivationStore(tmp_path)
    entry = store.entry({"x": 1}, n_rows=2, batch_rows=1, widest=1, presentations={"model": "toy"})
    card = entry.write_run_card({"seconds": 1.5})
    assert entry.presentations() == {"model": "toy"}
    assert entry.run_cards() == [{"seconds": 1.5}]
    assert verify(entry) == []
    for path in (card, entry.path / "presentations.json"):
        path.write_bytes(path.read_bytes().replace(b"t", b"T"))
    assert {damage.path for damage in verify(entry)} == {"presentations.json", f"run-cards/{card.name}"}
    repair(entry)
    assert (entry.presentations(), entry.run_cards(), verify(entry)) == (None, [], [])
    store.entry({"x": 1}, n_rows=2, batch_rows=1, widest=1, presentations={"model": "again"})
    assert entry.presentations() == {"model": "again"}


def test_an_entry_without_any_description_is_passed_over(tmp_path: Path):
    store = ActivationStore(tmp_path)
    entry = open_entry(store)
    for name in ("entry.json", "zarr.json"):
        (entry.path / name).write_bytes(b"[]")
    assert store.entries() == []
    with pytest.raises(StoreCorruptError, match=f"Mend the entry with: brain-adapters cache repair {entry.key[:12]}"):
        store.find(entry.key)
    for name in ("entry.json", "zarr.json"):
        (entry.path / name).unlink()
    with pytest.raises(StoreCorruptError, match=r"has no description, neither entry\.json nor zarr\.json. Remove it"):
        store.find(entry.key)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "3", '{"checksum": 1}', "[" * 100_000, '{"kind": "commit"}', "\xff"]
)
def test_a_record_of_anything_counts_as_none(tmp_path: Path, text: str):
    entry = open_entry(ActivationStore(tmp_path))
    write_missing(entry)
    (entry.path / "COMPLETE.json").unlink()
    for path in (entry.path / "commits").iterdir():
        path.write_text(text, encoding="latin-1")
    entry = open_entry(ActivationStore(tmp_path))
    assert len(entry.missing(LAYERS)) == entry.n_shards
    assert len(verify(entry)) == entry.n_shards


def test_repair_can_be_interrupted_at_every_call(tmp_path: Path):
    """Whatever a repair did before it was stopped, the next one ends where an undisturbed one would."""
    with memory_folder() as folder:
        write_missing(open_entry(ActivationStore(folder / "original")))

        def damaged(place: Path, files: FaultyFiles) -> Entry:
            shutil.copytree(folder / "original", place)
            entry = open_entry(ActivationStore(place, files=files))
            flip(entry.path / CONV.folder / "c" / "1" / "0", random.Random(1))
            (entry.path / HALF.folder / "zarr.json").unlink()
            return entry

        counted = FaultyFiles()
        repair(damaged(folder / "counted", counted))
        for at in range(len(counted.calls)):
            entry = damaged(folder / f"{at}", FaultyFiles(at, "ENOSPC"))
            with suppress(StoreWriteError, StoreReadError):
                repair(entry)
            entry = open_entry(ActivationStore(folder / f"{at}"))
            repair(entry)
            assert verify(entry) == []
            assert entry.missing(LAYERS) == {1: [CONV]}
        assert {"rename", "remove", "write", "sync"} <= set(counted.calls)


def test_documents_are_not_confused_between_entries(tmp_path: Path):
    store = ActivationStore(tmp_path)
    first, second = open_entry(store), open_entry(store, {"other": 1})
    for entry in (first, second):
        write_missing(entry)
    for record in (second.path / "commits").iterdir():
        shutil.copy(record, first.path / "commits" / record.name)
    shutil.copy(second.path / "COMPLETE.json", first.path / "COMPLETE.json")
    assert len(open_entry(store).missing(LAYERS)) == first.n_shards
    described = json.loads((second.path / "entry.json").read_text())
    assert described["key"] == second.key
