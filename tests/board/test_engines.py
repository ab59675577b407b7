"""Jobs on engines: what travels to workers, and that a score is the same whoever computes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import registry
from adapters.engines import Task
from adapters.engines.local import Local
from adapters.engines.working import Worker
from benchmarks_local.board import Job, JobError, Run, content_of, read_record, run_jobs
from benchmarks_local.board.shards import scoring, scoring_task
from benchmarks_local.board.working import Orders

from .eyes import MODELS

CHEAP = ("Mock2026.IT-rdm", "Mock2026.IT-cka")


@pytest.fixture
def eyes(tmp_path: Path) -> Iterator[str]:
    path, before = tmp_path / "eye_models.py", set(registry.list_models())
    path.write_text(MODELS)
    yield str(path)
    for identifier in set(registry.list_models()) - before:
        registry.unregister(identifier)


@pytest.fixture
def task(tmp_path: Path, eyes: str) -> Task:
    mark = tmp_path / "mark"
    mark.touch()
    jobs = [Job("eyes", CHEAP[0], place=eyes, content=content_of(eyes, CHEAP[0]), id=7), Job("nobody", "x.y-z", id=8)]
    return scoring_task(jobs, Orders(str(tmp_path / "results"), "me", [7, 8], [], store=str(tmp_path / "store")), mark)


def test_a_worker_scores_and_says_so(task: Task, tmp_path: Path):
    with Worker(Task.from_json(task.to_json())) as worker:
        done, failed = worker.do([7, 8])
    assert read_record(tmp_path / "results" / done.note).model == "eyes"
    assert done.seconds > 0
    assert (failed.is_final, failed.is_refusal) == (True, False)
    assert "x.y-z" in failed.error


def test_a_worker_that_sees_something_else_refuses(task: Task, tmp_path: Path, eyes: str):
    arguments = dict(task.arguments)
    with (
        pytest.raises(JobError, match=r"has other versions .*: numpy .* for 0\.1\. Install the same"),
        scoring(**arguments | {"versions": {"numpy": "0.1"}}),
    ):
        pass
    with pytest.raises(JobError, match=r"does not see the folder .*--out"), scoring(**arguments | {"mark": "gone"}):
        pass
    Path(eyes).write_text(MODELS + "\n")
    with Worker(task) as worker:
        (receipt,) = worker.do([7])
    assert receipt.is_refusal
    for fragment in ("eyes", "not what the run was started with", eyes, "same command"):
        assert fragment in receipt.error
    assert not (tmp_path / "results").exists()


def test_datasets_of_the_current_folder_travel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("one", "other"):
        (tmp_path / "datasets" / name).mkdir(parents=True)
        (tmp_path / "datasets" / name / "dataset.yaml").write_text(f"name: {name}\n")
    monkeypatch.chdir(tmp_path)
    task = scoring_task([Job("m", "one.IT-pls", id=1)], Orders(str(tmp_path), "me", [1], ["/given"]), tmp_path / "mark")
    assert task.arguments["data"] == [str(tmp_path / "datasets" / "one"), "/given"]
    monkeypatch.setattr("sys.path", ["", "/elsewhere"])
    assert scoring_task([], Orders("/", "me", [], []), tmp_path / "mark").paths == (str(tmp_path), "/elsewhere")


def comparable(folder: Path, job: Job) -> dict[str, Any]:
    """Return a record without what is of the run: when it was, and how long and how much it took."""
    assert job.state == "done", job.error
    data = json.loads((folder / job.record).read_text())
    return {**data, "provenance": {"versions": data["provenance"]["versions"]}}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Score two models on two benchmarks without an engine."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "eye_models.py").write_text(MODELS)
    (folder / "startled").touch()
    place = str(folder / "eye_models.py")
    jobs = [Job(model, each, place=place) for model in ("eyes", "startled_eyes") for each in CHEAP]
    return [comparable(folder / "results", job) for job in run_jobs(jobs, Run(folder / "results"))]


def test_processes_of_the_local_engine_score_as_a_plain_run_does(
    tmp_path: Path, eyes: str, plain: list, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where the killed leave what they were at
    pairs = [(model, each) for model in ("eyes", "startled_eyes") for each in CHEAP]
    pairs += [("broken_eyes", CHEAP[0]), ("deadly_eyes", CHEAP[0])]
    jobs = [Job(*pair, place=eyes) for pair in pairs]
    found = run_jobs(jobs, Run(tmp_path / "results", n_workers=2, engine=Local(gpus=0)))
    assert [comparable(tmp_path / "results", job) for job in found[:4]] == plain
    assert (tmp_path / "startled").exists()
    assert [job.state for job in found[4:]] == ["failed"] * 2
    assert "RuntimeError: no eyes today (eye_models.py, line " in found[4].error
    for fragment in ("by SIGKILL", "3 times", "--memory"):
        assert fragment in found[5].error
    assert (tmp_path / "deaths").read_text() == "xxx"


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_a_cluster_scores_as_a_plain_run_does(tmp_path: Path, eyes: str, plain: list, engine: str):
    jobs = [Job("eyes", CHEAP[0], place=eyes), Job("broken_eyes", CHEAP[0], place=eyes)]
    good, broken = run_jobs(jobs, Run(tmp_path / "results", n_workers=2, engine=engine))
    assert comparable(tmp_path / "results", good) == plain[0]
    assert (broken.state, broken.error.partition(" (")[0]) == ("failed", "RuntimeError: no eyes today")
    assert not list((tmp_path / "results").rglob("*.part"))
