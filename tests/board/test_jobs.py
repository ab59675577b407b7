"""The table of jobs: each is done once, by whoever takes it; what a process leaves behind is found."""

from __future__ import annotations

import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks_local.board import Job, JobError, JobTable, content_of
from benchmarks_local.board.jobs import DRIVER
from benchmarks_local.board.working import Orders, work


@pytest.fixture
def table(tmp_path: Path) -> JobTable:
    return JobTable(tmp_path)


def states(table: JobTable, ids: list[int]) -> list[str]:
    return [job.state for job in table.jobs(ids)]


def finished(table: JobTable, number: int) -> None:
    (table.folder / "a.json").touch()
    table.finish(number, record="a.json")


def test_jobs_are_taken_in_order_and_once(table: JobTable):
    ids = table.add([Job("a", "x"), Job("b", "x"), Job("a", "y")])
    with table.lock("me"):
        taken = [table.take(ids[1:], "me") for _ in range(3)]
    assert [(job.model, job.benchmark) for job in taken if job] == [("b", "x"), ("a", "y")]
    assert taken[2] is None
    assert states(table, ids) == ["waiting", "running", "running"]


def test_all_that_wait_are_taken_at_once(table: JobTable):
    ids = table.add([Job(name, "x") for name in "abcd"])
    with table.lock("other"), table.lock("me"):
        table.take([ids[1]], "other")
        assert [job.model for job in table.take_all([ids[3], ids[1], ids[0]], "me", most=1)] == ["d"]
        assert [job.model for job in table.take_all(ids[::-1], "me")] == ["c", "a"]
        assert table.take_all(ids, "me") == []
        assert states(table, ids) == ["running"] * 4


def test_many_takers_do_each_job_once(tmp_path: Path):
    table = JobTable(tmp_path)
    ids = table.add([Job(f"m{i}", "x") for i in range(40)])

    def work(worker: int) -> list[int]:
        own, done = JobTable(tmp_path), []
        with own.lock(f"w{worker}"):
            while (job := own.take(ids, f"w{worker}")) is not None:
                done.append(job.id)
                own.finish(job.id, record=f"{job.id}.json")
        return done

    with ThreadPoolExecutor(4) as pool:
        counts = Counter(number for done in pool.map(work, range(4)) for number in done)
    assert counts == dict.fromkeys(ids, 1)
    assert set(states(table, ids)) == {"done"}


def test_done_stays_done_until_something_changed(table: JobTable):
    job = Job("a", "x", place="nets.py", layers='["conv"]', content="1")
    (number,) = table.add([job])
    finished(table, number)
    assert table.add([job, replace(job, place="moved/nets.py")]) == [number, number]
    assert states(table, [number]) == ["done"]
    for other in (replace(job, content="2"), replace(job, content="2", layers='["fc"]')):
        table.add([other])
        assert states(table, [number]) == ["waiting"]
        finished(table, number)
    table.add([other], force=True)
    assert states(table, [number]) == ["waiting"]
    finished(table, number)
    (table.folder / "a.json").unlink()
    table.add([other])
    assert states(table, [number]) == ["waiting"]
    assert table.add([replace(other, parity="brainscore-2.4")]) != [number]


def test_failed_is_tried_again(table: JobTable):
    (number,) = table.add([Job("a", "x")])
    table.finish(number, error="it broke", seconds=2.0)
    (job,) = table.jobs([number])
    assert (job.state, job.error, job.seconds) == ("failed", "it broke", 2.0)
    table.add([Job("a", "x")])
    (job,) = table.jobs([number])
    assert (job.state, job.error) == ("waiting", "")


def test_a_job_of_a_process_that_lives_is_left_alone(table: JobTable):
    (number,) = table.add([Job("a", "x")])
    with table.lock("alive"):
        table.take([number], "alive")
        table.free_abandoned()
        table.add([Job("a", "x", content="changed")], force=True)
        assert states(table, [number]) == ["running"]
        assert table.has_taken("alive")
    table.free_abandoned()
    assert states(table, [number]) == ["waiting"]


def test_a_job_that_ends_its_process_twice_has_failed(table: JobTable):
    (number,) = table.add([Job("a", "x")])
    for expected in ("waiting", "failed"):
        table.take([number], "gone")
        table.free_abandoned({"gone": "by SIGKILL"})
        assert states(table, [number]) == [expected]
    (job,) = table.jobs([number])
    for fragment in ("ended 2 times", "by SIGKILL", "--memory", "--jobs 1"):
        assert fragment in job.error
    table.add([Job("a", "x")])  # a new run begins to count anew
    table.take([number], "gone")
    table.free_abandoned()
    assert states(table, [number]) == ["waiting"]
    assert list((table.folder / ".workers").iterdir()) == []


def test_the_end_of_a_driver_is_not_that_of_a_worker(table: JobTable):
    (number,) = table.add([Job("a", "x")])
    for _ in range(3):
        assert table.take_all([number], f"{DRIVER}gone")
        table.free_abandoned()
        assert states(table, [number]) == ["waiting"]


def test_nothing_is_begun_for_a_parent_that_has_gone(table: JobTable):
    ids = table.add([Job("a", "x")])
    work(Orders(str(table.folder), "orphan", ids, [], parent=-1))
    assert states(table, ids) == ["waiting"]


def test_a_file_that_is_no_table(tmp_path: Path):
    (tmp_path / "jobs.sqlite").write_bytes(b"something else, and long enough to be looked at" * 50)
    with pytest.raises(JobError, match=r"jobs\.sqlite is no table of jobs .*Delete it"):
        JobTable(tmp_path)


def test_a_table_of_another_version(tmp_path: Path):
    JobTable(tmp_path)
    with sqlite3.connect(tmp_path / "jobs.sqlite") as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(JobError, match=r"is of version 9, and this brain-adapters reads 1.*--out"):
        JobTable(tmp_path)


def test_an_error_leaves_the_table_as_it_was(table: JobTable):
    with pytest.raises(sqlite3.IntegrityError):
        table.add([Job("a", "x"), Job(None, "x")])  # type: ignore[arg-type]
    assert table.add([Job("b", "x")]) == [1]


def test_content_is_that_of_the_models_file_and_the_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, gone = tmp_path / "nets.py", str(tmp_path / "gone.py")
    path.write_text("1")
    first = content_of(str(path), "Mock2026.IT-pls")
    assert first == content_of(str(path), "Mock2026.IT-ridge")
    assert content_of(gone, "x") != first
    path.write_text("2")
    assert content_of(str(path), "Mock2026.IT-pls") != first


def test_content_of_a_module_is_its_name_and_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("lab_nets", "other_nets"):
        (tmp_path / f"{name}.py").write_text("1")
    first = content_of("lab_nets", "x")
    assert content_of("other_nets", "x") != first
    assert content_of("no_such_module", "x") != first
    (tmp_path / "lab_nets.py").write_text("2")
    assert content_of("lab_nets", "x") != first
