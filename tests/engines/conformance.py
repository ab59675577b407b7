"""What every engine must do, shown with tasks whose result is known and processes that really die.

A file of tests describes its engine as a `Candidate` and runs the checks that `checks` returns::

    @pytest.mark.parametrize("check", checks(), ids=name_of)
    def test_conformance(check, tmp_path):
        check(Candidate(make=lambda patience: Local(patience=patience)), tmp_path)
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Collection
from pathlib import Path

from adapters.engines import Task
from adapters.engines.working import Worker

from .candidate import Candidate, enough_patience, require_final, require_no_process
from .conformance_deaths import (
    closing,
    died_on_opening,
    died_on_opening_once,
    driver_killed,
    poison,
    poison_nobody_counts,
    worker_killed,
)
from .toy_tasks import events, expected, kept, processes, times_begun, times_done, toy_task

Check = Callable[[Candidate, Path], None]


def all_done_like_alone(candidate: Candidate, folder: Path) -> None:
    """Show that each shard is done once, with one receipt, as one process alone does it; prints do not disturb."""
    shards = range(3, 20)
    task = toy_task(folder / "many", group=2, says='{"shard": 4}')
    receipts = candidate.run(task, shards)
    with Worker(toy_task(folder / "one")) as worker:
        alone = list(worker.do(shards))
    assert kept(folder / "many") == kept(folder / "one") == expected(shards)
    assert sorted(each.shard for each in receipts) == [each.shard for each in alone] == list(shards)
    assert not any(each.error for each in receipts)
    assert sum(each.n_bytes for each in receipts) == 4096 * len(shards)
    assert times_done(folder / "many") == dict.fromkeys(shards, 1)
    assert {each.worker for each in receipts} == {each["worker"] for each in events(folder / "many", "done")}
    require_no_process(candidate, folder / "many")


def travels_and_comes_twice(candidate: Candidate, folder: Path) -> None:
    """Show that what went through JSON and pickle is the same task; receipts and shards that come twice do no harm."""
    task = toy_task(folder, twice=[1, 2], group=2)
    there = pickle.loads(pickle.dumps(Task.from_json(task.to_json())))
    assert there == task
    receipts = candidate.run(there, [0, 1, 2, 2, 3, 3])
    assert kept(folder) == expected(range(4))
    assert {each.shard for each in receipts} == set(range(4))
    assert not any(each.error for each in receipts)
    assert times_done(folder) == dict.fromkeys(range(4), 1)


def nothing_to_do(candidate: Candidate, folder: Path) -> None:
    """Show that without shards there is no receipt, and nobody opens the task."""
    assert candidate.run(toy_task(folder), []) == []
    assert processes(folder) == []


def opened_once(candidate: Candidate, folder: Path) -> None:
    """Show that a worker opens the task, which takes long, once for all its shards."""
    receipts = candidate.run(toy_task(folder, opening=1.0, group=2), range(12))
    assert kept(folder) == expected(range(12))
    assert 1 <= len(events(folder, "opened")) <= 2
    assert len({each.worker for each in receipts}) <= 2


def failures_passed_on(candidate: Candidate, folder: Path) -> None:
    """Show that failures come with kind and message, also of a lost word, and are not tried again."""
    receipts = candidate.run(toy_task(folder, raises=[3], refused=[6], drops=[8], group=3), range(10))
    assert kept(folder) == expected(set(range(10)) - {3, 6})
    ordinary, ours, silent = sorted((each for each in receipts if each.error), key=lambda each: each.shard)
    assert (ordinary.shard, ordinary.kind, ordinary.is_final) == (3, "ValueError", False)
    assert "the toy cannot do shard 3" in ordinary.error
    assert (ours.shard, ours.kind, ours.is_final) == (6, "ToyRefusalError", True)
    assert ours.error == "The toy does not take shard 6. Leave it out."
    assert (silent.shard, silent.kind) == (8, "EngineError")
    assert "without a word on shard 8" in silent.error
    assert not any(each.is_refusal for each in receipts)
    assert sorted(each.shard for each in receipts if not each.error) == [0, 1, 2, 4, 5, 7, 9]
    assert times_begun(folder) == dict.fromkeys(range(10), 1)


def refused_on_opening(candidate: Candidate, folder: Path) -> None:
    """Show that workers that refuse on opening, as with other versions, say so finally and by name; nothing is done."""
    receipts = candidate.run(toy_task(folder, refuses="always"), range(4))
    for failure in require_final(receipts, range(4)):
        assert failure.is_refusal
        assert failure.kind == "ToyRefusalError"
        assert failure.error == f"{failure.worker} has torch 2.0, the entry was made with 2.1."
    assert kept(folder) == {}


def unknown_task(candidate: Candidate, folder: Path) -> None:
    """Show that a function that workers cannot find is a final failure that says which."""
    receipts = candidate.run(Task("no_such_toys:writing", {}, "toy", "toy", folder=str(folder)), [3])
    for failure in require_final(receipts, [3]):
        assert failure.is_refusal
        assert "no_such_toys" in failure.error


def slow_worker(candidate: Candidate, folder: Path) -> None:
    """Show that a worker that is slow gets less to do."""
    candidate.run(toy_task(folder, seconds=0.05, slow_worker=True, slow_seconds=1.5), range(24))
    assert kept(folder) == expected(range(24))
    by_process = [each["process"] for each in events(folder, "done")]
    counts = sorted(map(by_process.count, set(by_process)))
    assert counts[0] <= 8
    assert counts[-1] >= 16


def straggler(candidate: Candidate, folder: Path) -> None:
    """Show that a shard that one worker never ends is given to another; the run does not wait for the first."""
    receipts = candidate.run(toy_task(folder, hangs_once=[1]), range(12), patience=candidate.limit)
    assert kept(folder) == expected(range(12))
    assert sorted(each.shard for each in receipts) == list(range(12))
    assert not any(each.error for each in receipts)
    assert times_begun(folder)[1] == 2
    require_no_process(candidate, folder)


def patience(candidate: Candidate, folder: Path) -> None:
    """Show that a worker that hangs for ever ends the run after a while; the others' shards are done."""
    enough = enough_patience(candidate, folder / "before")
    receipts = candidate.run(toy_task(folder, hangs=[1], group=1), range(12), patience=enough)
    assert kept(folder) == expected(set(range(12)) - {1})
    assert sorted(each.shard for each in receipts if not each.error) == [0, *range(2, 12)]
    assert not any(each.is_final for each in receipts)
    require_no_process(candidate, folder)


CHECKS: tuple[Check, ...] = (
    *(all_done_like_alone, travels_and_comes_twice, nothing_to_do, opened_once, failures_passed_on),
    *(refused_on_opening, unknown_task, died_on_opening, died_on_opening_once),
    *(worker_killed, poison, poison_nobody_counts, slow_worker, straggler, patience, closing, driver_killed),
)


def checks(*, but: Collection[Check] = ()) -> list[Check]:
    """Return the checks of an engine, but those for what it cannot do."""
    return [check for check in CHECKS if check not in but]


def name_of(check: Check) -> str:
    """Return the name of a check, for ``ids=``."""
    return check.__name__
