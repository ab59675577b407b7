"""Who gets which shard, on a clock that stands still until it is told to move."""

from __future__ import annotations

import pytest

from adapters.engines.ledger import Ledger


class Clock:
    """Seconds, set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ledger_of(n_shards: int, clock: Clock, group: int = 1, workers: str = "ab") -> Ledger:
    """Return a ledger whose workers, named by letters, are there and have opened."""
    ledger = Ledger(range(n_shards), group, len(workers), clock)
    for worker in workers:
        ledger.join(worker)
        ledger.opened(worker)
    return ledger


def test_groups_come_in_order_and_get_smaller(clock: Clock):
    ledger, sizes, seen = ledger_of(40, clock, group=6), [], []
    while group := ledger.next_for("a"):
        sizes.append(len(group))
        seen += group
        for shard in group:
            assert ledger.done("a", shard)
    assert seen == list(range(40))
    assert sizes[:4] == [6, 6, 6, 6]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 1
    assert ledger.n_left == 0


def test_one_group_in_work_and_one_ahead(clock: Clock):
    ledger = ledger_of(20, clock, group=2)
    assert [ledger.next_for("a") for _ in range(3)] == [[0, 1], [2, 3], []]
    ledger.done("a", 0)
    assert ledger.next_for("a") == []
    ledger.done("a", 1)
    assert ledger.next_for("a") == [4, 5]


def test_nothing_ahead_when_little_is_left(clock: Clock):
    ledger = ledger_of(3, clock)
    assert [ledger.next_for(worker) for worker in "aab"] == [[0], [], [1]]
    assert ledger.n_wanted == 1
    ledger.done("b", 1)
    assert ledger.n_wanted == 0  # b can do it
    assert ledger.next_for("b") == [2]


def test_shards_given_twice_are_one(clock: Clock):
    ledger = Ledger([4, 4, 2, 4], 1, 1, clock)
    ledger.join("a")
    assert ledger.n_left == 2
    assert ledger.next_for("a") == [4]


def test_first_receipt_counts(clock: Clock):
    ledger = ledger_of(3, clock)
    ledger.next_for("a")
    assert ledger.done("a", 0)
    assert not ledger.done("a", 0)
    assert ledger.done("b", 1)  # which nobody gave to it
    assert ledger.next_for("a") == [2]


def test_what_the_dead_held_is_given_one_by_one(clock: Clock):
    ledger = ledger_of(40, clock, group=4)
    assert [ledger.next_for("a"), ledger.next_for("a")] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    ledger.done("a", 0)
    assert ledger.died("a") == (1, 1)
    assert ledger.next_for("b") == [1]
    assert ledger.next_for("b") == []  # nothing behind one that may kill
    ledger.done("b", 1)
    assert ledger.next_for("b") == [2]
    ledger.done("b", 2)
    assert ledger.next_for("b") == [3]
    ledger.done("b", 3)
    assert ledger.next_for("b") == [4, 5, 6, 7]  # had not been begun


def test_deaths_are_counted_for_the_first_in_hand(clock: Clock):
    ledger = ledger_of(4, clock)
    for n_deaths, worker in enumerate("abc", 1):
        if worker == "c":
            ledger.join("c")
            ledger.opened("c")
        assert ledger.next_for(worker) == [0]
        assert ledger.died(worker) == (0, n_deaths)
    assert ledger.settle(0)
    assert not ledger.settle(0)
    ledger.join("d")
    assert ledger.next_for("d") == [1]


def test_who_dies_before_the_beginning_blames_no_shard(clock: Clock):
    ledger = Ledger(range(4), 2, 1, clock)
    ledger.join("a")
    assert ledger.next_for("a") == [0, 1]
    assert not ledger.is_open("a")
    assert ledger.died("a") == (None, 0)
    ledger.join("b")
    assert ledger.next_for("b") == [0, 1]


def test_what_takes_too_long_is_given_to_one_more(clock: Clock):
    ledger = ledger_of(5, clock, workers="abc")
    assert [ledger.next_for(worker) for worker in "abc"] == [[0], [1], [2]]
    clock.now = 10.0
    assert [ledger.done("b", 1), ledger.next_for("b")] == [True, [3]]
    assert [ledger.done("c", 2), ledger.next_for("c")] == [True, [4]]
    clock.now = 20.0
    assert ledger.done("b", 3)
    assert ledger.done("c", 4)
    assert ledger.next_for("b") == []  # 20 s, where 10 are usual, is not too long yet
    clock.now = 40.5
    assert ledger.next_for("b") == [0]
    assert ledger.next_for("c") == []  # two are at it
    assert ledger.done("b", 0)
    assert ledger.is_idle("b")
    assert not ledger.is_idle("a")
    assert ledger.n_left == 0


def test_what_a_slow_worker_has_not_begun_comes_first(clock: Clock):
    ledger = ledger_of(9, clock, group=4)
    assert [ledger.next_for("a"), ledger.next_for("b")] == [[0, 1, 2], [3, 4]]
    clock.now = 1.0
    given = [3, 4]
    while given:
        for shard in given:
            ledger.done("b", shard)
        given = ledger.next_for("b")
    clock.now = 100.0
    assert [ledger.next_for("b"), ledger.done("b", 2)] == [[2], True]
    assert [ledger.next_for("b"), ledger.done("b", 1)] == [[1], True]
    assert ledger.next_for("b") == [0]


def test_a_group_has_the_time_of_all_its_shards(clock: Clock):
    ledger = ledger_of(20, clock, group=4)
    assert [ledger.next_for("a"), ledger.next_for("b")] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    given = [4, 5, 6, 7]
    while given:
        clock.now += 10.0 * len(given)
        for shard in given:  # at once, as a task does that writes a whole group before it says so
            ledger.done("b", shard)
        given = ledger.next_for("b") if ledger.n_left > 4 else []
    clock.now = 159.0
    assert ledger.next_for("b") == []
    clock.now = 161.0  # 4 times 4 shards of 10 s
    assert ledger.next_for("b") == [3]


def test_one_who_opens_for_too_long_is_helped(clock: Clock):
    ledger = Ledger(range(2), 1, 2, clock)
    ledger.join("a")
    ledger.join("b")
    assert [ledger.next_for("a"), ledger.next_for("b")] == [[0], [1]]
    clock.now = 10.0
    ledger.opened("a")
    ledger.done("a", 0)
    clock.now = 39.0
    assert ledger.next_for("a") == []
    clock.now = 41.0
    assert ledger.next_for("a") == [1]


def test_a_failure_waits_for_who_is_at_the_same(clock: Clock):
    ledger = Ledger(range(2), 1, 2, clock)
    ledger.join("a")
    ledger.join("b")
    ledger.next_for("a"), ledger.next_for("b")
    ledger.opened("a")
    ledger.done("a", 0)
    clock.now = 10.0
    assert ledger.next_for("a") == [1]
    assert not ledger.done("b", 1, is_failure=True)
    assert ledger.done("a", 1, is_failure=True)


def test_what_two_held_does_not_wait_when_one_dies(clock: Clock):
    ledger = ledger_of(2, clock)
    ledger.next_for("a"), ledger.next_for("b")
    ledger.done("b", 1)
    clock.now = 50.0
    assert ledger.next_for("b") == [0]
    assert ledger.died("a") == (0, 1)
    assert ledger.n_wanted == 0
    assert ledger.died("b") == (0, 2)
    assert ledger.n_wanted == 1
