"""Attempts at shards are counted before the work, by run, so that what ends its worker is not tried for ever."""

import os
import time
from pathlib import Path

import pytest

from adapters.store import ActivationStore, Entry, StoreWriteError
from adapters.store.attempts import Attempts, Pulse


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return ActivationStore(tmp_path).entry({"n": 1}, n_rows=64, batch_rows=4, widest=3)


def test_deaths_are_counted_and_ends_are_not(entry: Entry) -> None:
    for n_before in range(3):
        process = Attempts(entry, "run")  # each in the place of one that died
        assert process.count(7) == n_before
        process.begin(7)
        process.begin(7)  # another pass of the same attempt
    other = Attempts(entry, "run")
    assert (other.count(7), other.count(77), other.count(1)) == (3, 0, 0)
    other.finish(7)
    assert other.count(7) == 0


def test_another_run_counts_anew(entry: Entry) -> None:
    first, second = Attempts(entry, "first"), Attempts(entry, "second ../../x")
    first.begin(1)
    assert second.count(1) == 0
    second.begin(1)
    second.forget()
    second.forget()
    assert (first.count(1), second.count(1)) == (1, 0)
    assert [path.parent for path in (entry.path / "attempts").rglob("1-*")] == list((entry.path / "attempts").iterdir())


def test_the_attempt_that_came_furthest(entry: Entry) -> None:
    for n_images in (3, 12, 5):
        attempts = Attempts(entry, "run")
        assert attempts.furthest(2) in (0, 3, 12)
        attempts.begin(2)
        attempts.note(2, n_images)
    attempts.note(99, 1)  # of a shard that was not begun: nothing to note
    assert (attempts.furthest(2), attempts.furthest(99)) == (12, 0)


def test_who_is_told_to_stop_takes_its_attempts_back(entry: Entry) -> None:
    dead, told = Attempts(entry, "run"), Attempts(entry, "run")
    dead.begin(1)
    for shard in (1, 2):
        told.begin(shard)
    told.withdraw()
    told.withdraw()
    assert (dead.count(1), dead.count(2)) == (1, 0)


def test_a_pulse_is_felt_while_somebody_gets_on(entry: Entry) -> None:
    pulse, attempts = Pulse(entry), Attempts(entry, "run")
    attempts.begin(3)
    assert pulse.seconds_silent() < 0.1
    time.sleep(0.2)
    assert pulse.seconds_silent() >= 0.2
    attempts.note(3, 64)
    assert pulse.seconds_silent() < 0.1
    (note,) = (entry.path / "attempts").glob("*/3-*")
    os.utime(note, (0, 0))  # by a machine whose clock is wrong
    assert pulse.seconds_silent() < 0.1
    attempts.finish(3)
    assert pulse.seconds_silent() < 0.1
    time.sleep(0.2)
    assert pulse.seconds_silent() >= 0.2


def test_who_makes_a_model_is_seen_to_be_at_it(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.store.attempts._OPENING_TOLD", 0.02)
    pulse, attempts = Pulse(entry), Attempts(entry, "run")
    with attempts.opening():
        for _ in range(5):
            time.sleep(0.1)
            assert pulse.seconds_silent() < 0.1
        assert [attempts.count(shard) for shard in range(3)] == [0, 0, 0]
    assert not list((entry.path / "attempts").glob("*/*"))
    with pytest.raises(RuntimeError), attempts.opening():
        raise RuntimeError
    assert not list((entry.path / "attempts").glob("*/*"))


def test_a_disk_that_refuses(entry: Entry) -> None:
    (entry.path / "attempts").rmdir()
    (entry.path / "attempts").write_text("in the way")
    with pytest.raises(StoreWriteError, match="could not be written"):
        Attempts(entry, "run").begin(0)
