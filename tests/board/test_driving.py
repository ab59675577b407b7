"""The driver of jobs on an engine: it alone touches the table, and makes the best of what workers say or do not say."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from adapters.engines import EngineError, Receipt, Task
from adapters.engines.local import Local
from adapters.engines.working import WORKER_VARIABLE
from adapters.memory import available_memory
from benchmarks_local.board import Job, JobError, JobTable, Run, run_jobs, write_record

from .making import record

Round = Callable[[Task, Sequence[int]], Iterator[Receipt]]


class Scripted:
    """An engine whose rounds are written down; the last one is repeated."""

    def __init__(self, *rounds: Round) -> None:
        self.rounds, self.tasks, self.given = list(rounds), [], []
        self.n_ended = self.n_closed = 0

    def run(self, task: Task, shards: Sequence[int], workers: int | None) -> Iterator[Receipt]:
        self.tasks.append(task)
        self.given.append((list(shards), workers))
        try:
            yield from (self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0])(task, shards)
            self.n_ended += 1
        finally:
            self.n_closed += 1


def made(number: int, task: Task, **parts: Any) -> Receipt:
    """Return the receipt of a job whose record was made up."""
    (job,) = [each for each in task.arguments["jobs"] if each["id"] == number]
    path = write_record(record(job["model"], job["benchmark"]), task.arguments["folder"])
    return Receipt(number, "w:1", 2.5, note=path.name, **parts)


def all_made(task: Task, shards: Sequence[int]) -> Iterator[Receipt]:
    yield from (made(number, task) for number in shards)


def no_word(task: Task, shards: Sequence[int]) -> Iterator[Receipt]:
    yield from ()


def refused(task: Task, shards: Sequence[int]) -> Iterator[Receipt]:
    yield from (Receipt(each, "w:1", error="other versions", is_final=True, is_refusal=True) for each in shards)


def three() -> list[Job]:
    return [Job(model, "x.IT-pls") for model in "abc"]


def test_receipts_go_into_the_table_as_they_come(tmp_path: Path):
    told, states = [], []

    def round_of_all(task: Task, shards: Sequence[int]) -> Iterator[Receipt]:
        assert task.group == 1
        Path(task.folder).mkdir(parents=True)
        (Path(task.folder) / "log").touch()
        states.append({job.state for job in JobTable(tmp_path).jobs(shards)})
        yield made(shards[2], task)
        yield made(shards[2], task, error="a second word on it")
        assert [job.model for job, *_ in told] == ["c"]
        assert JobTable(tmp_path).jobs(shards)[2].state == "done"
        yield Receipt(99, "w:1", error="of another run")
        yield Receipt(shards[0], "w:1", 0.5, error="no eyes", is_final=True)
        yield made(shards[1], task)

    def round_of_one(task: Task, shards: Sequence[int]) -> Iterator[Receipt]:
        Path(task.folder).mkdir(parents=True)
        yield made(shards[0], task)

    engine = Scripted(round_of_all)
    jobs = [*three(), three()[0]]
    found = run_jobs(jobs, Run(tmp_path, n_workers=5, engine=engine, report=lambda *said: told.append(said)))
    assert [(job.model, job.state, job.error) for job in found] == [
        *[("a", "failed", "no eyes"), ("b", "done", ""), ("c", "done", "")],
        ("a", "failed", "no eyes"),
    ]
    assert (found[0].seconds, found[1].seconds) == (0.5, 2.5)
    assert [(job.model, *counts) for job, *counts in told] == [("c", 1, 3), ("a", 2, 3), ("b", 3, 3)]
    assert states == [{"running"}]
    assert engine.given == [([1, 2, 3], 5)]
    assert engine.n_ended == 1
    assert list((tmp_path / ".workers").iterdir()) == []

    (log,) = (tmp_path / ".engine").glob("*/log")  # is kept, as something failed

    engine = Scripted(round_of_one)
    assert {job.state for job in run_jobs(jobs, Run(tmp_path, engine=engine))} == {"done"}
    assert engine.given == [([1], 1)]  # what was done stays done, what failed is tried again
    assert list((tmp_path / ".engine").iterdir()) == [log.parent]


def test_jobs_of_which_nothing_is_heard_are_tried_again(tmp_path: Path):
    def only_one(task: Task, shards: Sequence[int]) -> Iterator[Receipt]:
        yield made(shards[-1], task)

    engine = Scripted(no_word, no_word, only_one, no_word, no_word, only_one, only_one)
    assert {job.state for job in run_jobs(three(), Run(tmp_path, engine=engine))} == {"done"}
    assert [shards for shards, _ in engine.given] == [[1, 2, 3]] * 3 + [[1, 2]] * 3 + [[1]]

    engine = Scripted(only_one, no_word)
    found = run_jobs(three(), Run(tmp_path, engine=engine, force=True))
    assert [job.state for job in found] == ["failed", "failed", "done"]
    assert len(engine.given) == 4
    for fragment in ("Scripted", "3 times", "nothing was heard", "the same command"):
        assert fragment in found[0].error


def test_workers_that_refuse(tmp_path: Path):
    def mixed(task: Task, shards: Sequence[int]) -> Iterator[Receipt]:
        yield from refused(task, shards[:-1])
        yield made(shards[-1], task)

    engine = Scripted(mixed)
    assert {job.state for job in run_jobs(three(), Run(tmp_path, engine=engine))} == {"done"}
    assert len(engine.given) == 3  # one that can is enough
    engine = Scripted(refused)
    found = run_jobs(three(), Run(tmp_path, engine=engine, force=True))
    assert [(job.state, job.error) for job in found] == [("failed", "other versions")] * 3
    assert len(engine.given) == 1


def test_a_worker_that_died_with_a_job(tmp_path: Path):
    def dies(task: Task, shards: Sequence[int]) -> Iterator[Receipt]:
        said = "Its worker ended by SIGKILL 3 times."
        yield Receipt(shards[0], "w:1", error=said, kind="WorkerDiedError", is_final=True)

    (job,) = run_jobs(three()[:1], Run(tmp_path, engine=Scripted(dies)))
    assert job.state == "failed"
    for fragment in ("by SIGKILL 3 times", "memory", "--memory", "--jobs 1"):
        assert fragment in job.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EngineError("no worker can be had")])
def test_what_ends_a_run_lets_its_jobs_wait_again(tmp_path: Path, error: BaseException):
    def one_and_the_end(task: Task, shards: Sequence[int]) -> Iterator[Receipt]:
        yield made(shards[0], task)
        raise error

    engine = Scripted(one_and_the_end)
    with pytest.raises(type(error)):
        run_jobs(three(), Run(tmp_path, engine=engine))
    assert [job.state for job in JobTable(tmp_path).jobs([1, 2, 3])] == ["done", "waiting", "waiting"]
    assert list((tmp_path / ".workers").iterdir()) == []


def test_a_reporter_that_raises_ends_the_workers(tmp_path: Path):
    def raising(*_: Any) -> None:
        raise ZeroDivisionError

    engine = Scripted(all_made)
    with pytest.raises(ZeroDivisionError) as caught:
        run_jobs(three(), Run(tmp_path, engine=engine, report=raising))
    assert caught.tb is not None  # which keeps the iterator from being closed by and by
    assert (engine.n_ended, engine.n_closed) == (0, 1)
    assert [job.state for job in JobTable(tmp_path).jobs([1, 2, 3])] == ["done", "waiting", "waiting"]


def test_a_second_run_waits_for_the_jobs_of_the_first(tmp_path: Path):
    begun, may_go_on = threading.Event(), threading.Event()

    def slow(task: Task, shards: Sequence[int]) -> Iterator[Receipt]:
        begun.set()
        assert may_go_on.wait(60)
        yield from all_made(task, shards)

    def last(task: Task, shards: Sequence[int]) -> Iterator[Receipt]:
        yield from all_made(task, shards)
        may_go_on.set()

    first, second = Scripted(slow), Scripted(last)
    thread = threading.Thread(target=run_jobs, args=(three()[:2], Run(tmp_path, engine=first)))
    thread.start()
    assert begun.wait(60)
    found = run_jobs(three(), Run(tmp_path, engine=second))
    thread.join(60)
    assert [job.state for job in found] == ["done"] * 3
    assert ([shards for shards, _ in first.given], [shards for shards, _ in second.given]) == ([[1, 2]], [[3]])


def test_engines_that_cannot_hand_out_jobs(tmp_path: Path):
    engine = Scripted(all_made)
    engine.waits_for_others = True
    with pytest.raises(JobError, match=r"the same call in each of its processes.*'local', 'ray', 'dask' or 'slurm'"):
        run_jobs(three(), Run(tmp_path / "results", engine=engine))
    with pytest.raises(JobError, match="Torchrun starts the same call"):
        run_jobs(three(), Run(tmp_path / "results", engine="torchrun"))
    with pytest.raises(ValueError, match="'lokal' is unknown"):
        run_jobs(three(), Run(tmp_path / "results", engine="lokal"))
    assert not (tmp_path / "results").exists()


def test_no_run_is_started_by_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(WORKER_VARIABLE, "1")
    with pytest.raises(EngineError, match="__main__"):
        run_jobs(three(), Run(tmp_path, engine=Scripted(all_made)))


class LocalWithoutProcesses(Local):
    """A local engine that starts no process."""

    def run(self, task: Task, shards: Sequence[int], workers: int | None = None) -> Iterator[Receipt]:
        return TOLD.run(task, shards, workers)


TOLD = Scripted(all_made)


def test_memory_is_shared_out(tmp_path: Path):
    engine = Scripted(all_made)
    for options in ({"memory": 800, "n_workers": 4}, {"n_workers": 4}, {"memory": 800}):
        run_jobs(three(), Run(tmp_path, engine=engine, force=True, **options))
    assert [task.arguments["memory"] for task in engine.tasks] == [200, None, 800]
    run_jobs(three(), Run(tmp_path, engine=LocalWithoutProcesses(), force=True, n_workers=4))
    share, free = TOLD.tasks[-1].arguments["memory"], available_memory()
    assert free is not None
    assert share == pytest.approx(free / 8, rel=0.5)  # others take and give back at the same time
