"""Commands `score` and `leaderboard`: what was scored is kept, whatever ends the run, and shown, whatever it holds."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from benchmarks_local.board import JobTable, read_record, read_records, write_record

from ..board.eyes import MODELS
from ..board.making import HOSTILE, record, study

MOCK = "Mock2026.IT-pls"
WITH_AND_WITHOUT_ENGINE = pytest.mark.parametrize("engine", [(), ("--engine", "local")], ids=["alone", "local"])


@pytest.fixture
def eyes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where killed processes leave what they were at
    path = tmp_path / "eye_models.py"
    path.write_text(MODELS)
    return path


def started(eyes: Path, *models: str, options: tuple[str, ...] = ()) -> subprocess.Popen:
    """Start `score` in a process group of its own, for a signal to end it."""
    out = str(eyes.parent / "results")
    arguments = ["score", *(f"{eyes}:{model}" for model in models), "-b", MOCK, "--out", out, *options]
    program = (  # a shell's background job, and what it starts, ignores Ctrl-C
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from brain_adapters.__main__ import main; main()"
    )
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=eyes.parent
    )


def wait_for(path: Path) -> None:
    end = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.05)


def test_a_run_scores_what_can_be_scored_and_the_next_one_the_rest(run, eyes: Path, tmp_path: Path):
    out = tmp_path / "results"
    arguments = ("score", eyes.name, "--benchmark", MOCK, "--out", out, "--jobs", 2)
    models = [f"{eyes}:{name}" for name in ("eyes", "broken_eyes", "deadly_eyes")]
    result = run("score", *models, *arguments[2:], "--json")
    assert result.exit_code == 1, result.stderr
    good, broken, deadly = json.loads(result.stdout)
    assert (good["model"], good["state"]) == ("eyes", "done")
    found = read_record(good["record"])
    assert (found.model, found.benchmark, found.value) == ("eyes", MOCK, good["value"])
    assert 0 < found.value < 1
    assert (broken["state"], deadly["state"]) == ("failed", "failed")
    assert "RuntimeError: no eyes today (eye_models.py, line " in broken["error"]
    assert "ended 2 times, the last time by SIGKILL" in deadly["error"]
    assert (tmp_path / "deaths").read_text() == "xx"
    assert len(list(out.glob("*.json"))) == 1
    assert "eyes on Mock2026.IT-pls scored" in result.stderr

    (tmp_path / "mended").touch()
    result = run("score", *models[:2], *arguments[2:-1], 1)
    assert result.exit_code == 0, result.stderr
    assert f"eyes on {MOCK}: {found.value:.3f} (raw {found.raw:.3f}" in result.stdout
    assert f"broken_eyes on {MOCK}: {found.value:.3f}" in result.stdout  # the same eyes
    assert "this line must not" not in result.stdout
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = os.environ.get("OMP_NUM_THREADS", str(max(1, n_cores // 2)))
    assert (tmp_path / "eyes.log").read_text().split() == [threads]  # once: what was done stays done


@WITH_AND_WITHOUT_ENGINE
def test_a_killed_run_goes_on_where_it_was(run, eyes: Path, tmp_path: Path, engine: tuple[str, ...]):
    process = started(eyes, "eyes", "slow_eyes", options=engine)
    wait_for(tmp_path / "slow")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    FileLock(tmp_path / "slow.lock").acquire(timeout=60).lock.release()  # the worker has gone, too
    before = {path: path.read_bytes() for path in (tmp_path / "results").glob("*.json")}
    assert len(before) == 1
    (tmp_path / "mended").touch()
    result = run("score", f"{eyes}:eyes", f"{eyes}:slow_eyes", "-b", MOCK, "--out", tmp_path / "results", *engine)
    assert result.exit_code == 0, result.stderr
    assert [each.model for each in read_records(tmp_path / "results").records] == ["eyes", "slow_eyes"]
    assert {path: path.read_bytes() for path in before} == before
    assert len((tmp_path / "eyes.log").read_text().split()) == 1


@WITH_AND_WITHOUT_ENGINE
def test_an_interrupted_run_says_what_stays(
    eyes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: tuple[str, ...]
):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    process = started(eyes, "slow_eyes", options=engine)
    wait_for(tmp_path / "slow")
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stdout == ""
    assert f"Interrupted; what was scored stays in {tmp_path / 'results'}" in stderr
    assert "Traceback" not in stderr
    FileLock(tmp_path / "slow.lock").acquire(timeout=60).lock.release()  # the worker has gone, too
    assert {job.state for job in JobTable(tmp_path / "results").jobs([1])} == {"waiting"}
    assert [each for each in (tmp_path / "temporary").iterdir() if "brain_adapters" in each.name] == []


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        (["-b", "No2026.IT-*"], "No benchmark matches 'No2026.IT-*'"),
        (["-b", "Mock2026.IT-plz"], "plz"),
        (["-b", MOCK, "--memory", "much"], "no amount of memory"),
        (["-b", MOCK, "--data", "gone"], "gone has no dataset.yaml"),
        (["-b", MOCK, "--parity", "brainscore-1"], "--parity"),
        (["-b", MOCK, "--jobs", "0"], "--jobs"),
        (["-b", MOCK, "--engine", "torchrun"], "'local', 'ray', 'dask' or 'slurm'"),
        (["-b", MOCK, "--engine", "local", "--engine-option", "gpu=1"], "has no option 'gpu'"),
        (["-b", MOCK, "--engine-option", "gpus=1"], "--engine-option came without --engine"),
        ([], "--benchmark"),
    ],
)
def test_bad_usage_of_score(run, eyes: Path, tmp_path: Path, monkeypatch, options: list[str], fragment: str):
    monkeypatch.chdir(tmp_path)
    result = run("score", f"{eyes}:eyes", *options)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert fragment in result.stderr
    assert not (tmp_path / "results").exists()


def test_an_unknown_model_is_told_before_anything_runs(run, eyes: Path, tmp_path: Path):
    result = run("score", f"{eyes}:eye", "-b", MOCK, "--out", tmp_path / "results")
    assert result.exit_code == 2
    assert "Did you mean 'eyes'?" in result.stderr
    assert not (tmp_path / "results").exists()


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for each in study(n_models=3):
        write_record(each, tmp_path / "results")
    return tmp_path / "results"


def test_leaderboard_in_every_form(run, results: Path, tmp_path: Path):
    assert run("leaderboard", results).stdout.startswith("rank  model")
    assert run("leaderboard", results, "--csv").stdout.startswith("rank,model,average,")
    assert run("leaderboard", results, "--markdown").stdout.startswith("| rank | model |")
    assert len(json.loads(run("leaderboard", results, "--json").stdout)["rows"]) == 3
    page = tmp_path / "board.html"
    result = run("leaderboard", results, "--html", page, "--title", "Our <models>")
    assert result.exit_code == 0
    assert f"Written: {page}" in result.stderr
    assert "<h1>Our &lt;models&gt;</h1>" in page.read_text(encoding="utf-8")
    result = run("leaderboard", results, "--csv", "--json")
    assert result.exit_code == 2
    assert "exclude each other" in result.stderr
    result = run("leaderboard", results, "--html", tmp_path)
    assert result.exit_code == 2
    assert "is a folder; expected the name of a file" in result.stderr


def test_leaderboard_names_a_damaged_file_and_shows_the_others(run, results: Path, tmp_path: Path):
    (results / "broken.json").write_text('{"schema": 1')
    result = run("leaderboard", results, "--html", tmp_path / "board.html")
    assert result.exit_code == 1
    assert "Warning: " in result.stderr
    assert "broken.json: It cannot be read as JSON" in result.stderr
    assert len(result.stdout.splitlines()) > 4
    assert "broken.json" in (tmp_path / "board.html").read_text(encoding="utf-8")


def test_leaderboard_does_not_mix(run, results: Path):
    write_record(record("other", "D.IT-pls", parity="brainscore-2.4"), results)
    result = run("leaderboard", results)
    assert result.exit_code == 2
    assert "brainscore-2.4 (1)" in result.stderr
    assert "--parity" in result.stderr
    chosen = json.loads(run("leaderboard", results, "--parity", "brainscore-2.4", "--json").stdout)
    assert [row["model"] for row in chosen["rows"]] == ["other"]
    assert len(json.loads(run("leaderboard", results, "--parity", "none", "--json").stdout)["rows"]) == 3
    write_record(record("third", "D.IT-pls", formula="(r/c)2"), results)
    result = run("leaderboard", results, "--parity", "none")
    assert result.exit_code == 2
    assert "(r/c)2 (1)" in result.stderr
    chosen = run("leaderboard", results, "--parity", "none", "--formula", "(r/c)2", "--json")
    assert "third" in {row["model"] for row in json.loads(chosen.stdout)["rows"]}


def test_leaderboard_says_a_command_that_works(run, tmp_path: Path):
    """One folder with all metrics of a dataset, as a wildcard of `score` leaves it."""
    folder = tmp_path / "all results"
    of_it = {"IT-pls": "r2/c", "IT-ridge": "r2/c", **dict.fromkeys(("IT-cka", "IT-rdm", "IT-rdm_cv"), "s/c")}
    formulas = of_it | {"behavior-i2n": "s/sqrt(c)", "behavior-o1": "s/c"}
    for name, formula in formulas.items():
        write_record(record("a", f"lab.{name}", formula=formula), folder)
    result = run("leaderboard", folder, "--parity", "none")
    assert result.exit_code == 2
    for fragment in ("neural records have different formulas", "behavioral records have", "--benchmark (-b)"):
        assert fragment in result.stderr
    said = " ".join(result.stderr.split()).partition("For example: brain-adapters ")[2]
    command = shlex.split(said)
    assert command.count("--formula") == 2
    assert command[:4] == ["leaderboard", str(folder), "--parity", "none"]
    result = run(*command, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["benchmarks"]["IT"] == ["lab.IT-pls", "lab.IT-ridge"]
    result = run("leaderboard", folder, "-b", "*.IT-p*", "-b", "lab.behavior-i2n", "--json")
    found = json.loads(result.stdout)["benchmarks"]
    assert (found["IT"], found["behavior"]) == (["lab.IT-pls"], ["lab.behavior-i2n"])
    result = run("leaderboard", folder, "-b", "other.*")
    assert result.exit_code == 2
    assert "No record is of a benchmark that matches 'other.*'" in result.stderr


def test_leaderboard_does_not_mix_versions_of_the_data(run, results: Path):
    for model, day in (("torch_small", 1), ("flax_small", 2)):
        provenance = {"dataset": f"digest {day}", "created": f"2026-11-0{day}T12:00:00+00:00"}
        write_record(record(model, "lab.IT-pls", provenance=provenance), results)
    result = run("leaderboard", results)
    assert result.exit_code == 2
    assert "lab.IT-pls: score torch_small again" in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_leaderboard_of_nothing(run, tmp_path: Path):
    result = run("leaderboard", tmp_path)
    assert result.exit_code == 2
    assert "holds no score record" in result.stderr
    assert "brain-adapters score MODEL" in result.stderr


def test_hostile_names_on_the_terminal(run, tmp_path: Path):
    write_record(record(f"\x1b[2J{HOSTILE}"), tmp_path)
    result = run("leaderboard", tmp_path)
    assert "\x1b" not in result.stdout
    assert "\\x1b[2J" in result.stdout
