"""Making room: the least used goes first; what is pinned, at work or not finished yet stays."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.store import (
    ActivationStore,
    EntryNotFoundError,
    StoreInUseError,
    folder_bytes,
    is_pinned,
    pin,
    remove,
    sweep,
    unpin,
)
from adapters.store.files import Files
from adapters.store.leasing import Lease, is_leased

from .small import CONV, open_entry, write_missing

HOUR = 3600


@pytest.fixture
def store(tmp_path: Path) -> ActivationStore:
    """Return a store with three entries that were used three, two and one hours ago."""
    store = ActivationStore(tmp_path)
    for hours in (3, 2, 1):
        entry = open_entry(store, {"used": hours})
        write_missing(entry, [CONV])
        os.utime(entry.path / "used", (time.time() - hours * HOUR,) * 2)
    return store


def used(store: ActivationStore) -> list[int]:
    return [entry.recipe["used"] for entry in store.entries()]


def test_old_entries_go(store: ActivationStore):
    assert used(store) == [3, 2, 1]
    n_bytes = sum(folder_bytes(entry.path) for entry in store.entries()[:2])
    swept = sweep(store, older_than=1.5 * HOUR)
    assert used(store) == [1]
    assert (len(swept.keys), swept.n_bytes, swept.n_leftovers) == (2, n_bytes, 0)


def test_the_least_used_go_until_the_rest_fits(store: ActivationStore):
    sizes = [folder_bytes(entry.path) for entry in store.entries()]
    assert sweep(store, max_bytes=sum(sizes)).keys == ()
    sweep(store, max_bytes=sum(sizes) - 1)
    assert used(store) == [2, 1]
    store.find(store.entries()[0].key)  # using one puts it last
    assert used(store) == [1, 2]
    sweep(store, max_bytes=sizes[0])
    assert used(store) == [2]


def test_pinned_entries_stay(store: ActivationStore):
    (oldest, *_) = store.entries()
    pin(oldest)
    assert is_pinned(oldest)
    sweep(store, max_bytes=0)
    assert used(store) == [3]
    with pytest.raises(
        StoreInUseError, match=r"is pinned, so it stays\. Unpin it first: brain-adapters cache pin --off"
    ):
        remove(oldest)
    unpin(oldest)
    unpin(oldest)
    remove(oldest)
    assert used(store) == []
    with pytest.raises(EntryNotFoundError):
        store.find(oldest.key)
    assert list(store.root.glob("v1/temporary/*")) == []


def test_entries_in_which_somebody_works_stay(store: ActivationStore):
    (oldest, *_) = store.entries()
    with oldest.lease():
        sweep(store, max_bytes=0)
        assert used(store) == [3]
        with pytest.raises(
            StoreInUseError, match=r"A process is writing to entry .*lease\), so it stays\. Wait for it;"
        ):
            remove(oldest)
        for lease in (oldest.path / "lease").iterdir():
            os.utime(lease, (time.time() - HOUR,) * 2)  # a process that was killed renews nothing
        remove(oldest)
    assert used(store) == []


@pytest.mark.parametrize(
    ("place", "days"),
    [
        *(
            (place, 1)
            for place in ("v1/temporary", *(f"v1/{{}}/{{}}/{each}" for each in ("temporary", "lease", "attempts")))
        ),
        ("v1/{}/{}/tasks", 30),
    ],
)
def test_leftovers_go_in_time(store: ActivationStore, place: str, days: int):
    entry = store.entries()[0]
    folder = store.root / place.format(entry.key[:2], entry.key)
    folder.mkdir(exist_ok=True)
    for name, hours in (("young", 24 * days - 1), ("old", 24 * days + 1), ("old folder", 24 * days + 1)):
        path = folder / name
        if "folder" in name:
            path.mkdir()
            (path / "part").write_bytes(b"123")
            (path / "link").symlink_to(store.root)
        else:
            path.write_bytes(b"12345")
        os.utime(path, (time.time() - hours * HOUR,) * 2, follow_symlinks=False)
    swept = sweep(store)
    assert [path.name for path in folder.iterdir()] == ["young"]
    assert (swept.keys, swept.n_leftovers) == ((), 2)
    assert swept.n_bytes >= 8
    assert used(store) == [3, 2, 1]  # nobody followed the link


def test_a_shard_is_taken_by_one(store: ActivationStore):
    entry = store.entries()[0]
    with entry.lease() as first, entry.lease() as second:
        assert first.take(1)
        assert first.take(1)
        assert not second.take(1)
        assert second.take(2)
        first.give_back(1)
        assert second.take(1)
    assert list((entry.path / "lease").iterdir()) == []


def wait_until(is_so: Callable[[], bool]) -> bool:
    end = time.monotonic() + 5
    while not is_so() and time.monotonic() < end:
        time.sleep(0.01)
    return is_so()


def test_leases_are_renewed_while_they_are_held(store: ActivationStore):
    entry = store.entries()[0]
    with Lease(entry.path, entry.files, time_to_live=0.2) as lease:
        lease.take(1)
        time.sleep(0.5)
        assert is_leased(entry.path, time_to_live=0.2)
        assert not Lease(entry.path, entry.files, time_to_live=0.2).take(1)


def test_a_lease_that_nobody_renews_ends(store: ActivationStore):
    entry = store.entries()[0]
    abandoned = Lease(entry.path, entry.files, time_to_live=0.05)
    assert abandoned.take(1)  # without its block nothing renews it
    assert wait_until(lambda: not is_leased(entry.path, time_to_live=0.05))
    assert Lease(entry.path, entry.files, time_to_live=0.05).take(1)


def test_a_clock_that_jumped_holds_nobody_up(store: ActivationStore):
    entry = store.entries()[0]
    assert Lease(entry.path, entry.files).take(1)
    os.utime(entry.path / "lease" / "shard-1", (time.time() + 10 * HOUR,) * 2)
    assert not is_leased(entry.path)
    assert Lease(entry.path, entry.files).take(1)


def test_where_no_lease_can_be_written_everybody_works(store: ActivationStore):
    class NoLeases(Files):
        def open(self, path: str | Path, flags: int) -> int:
            raise PermissionError(13, "no", str(path))

    entry = store.entries()[0]
    with Lease(entry.path, NoLeases()) as lease:
        assert lease.take(1)
    assert not is_leased(entry.path / "nowhere")
