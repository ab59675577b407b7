"""Processes of this machine: what every engine must do, and what only they do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import adapters
from adapters.engines import EngineError
from adapters.engines.local import Local
from adapters.engines.resources import n_cores
from adapters.engines.working import WORKER_VARIABLE

from .candidate import Candidate, enough_patience, is_alive, time_limit, wait_for
from .conformance import Check, checks, name_of
from .local_tasks import local_task
from .toy_tasks import events, expected, kept, processes, toy_task

CANDIDATE = Candidate(
    make=lambda patience: Local(patience=patience),
    script="from adapters.engines.local import Local\nengine = Local()",
)


@pytest.mark.parametrize("check", checks(), ids=name_of)
def test_conformance(check: Check, tmp_path: Path):
    check(CANDIDATE, tmp_path)


def look(tmp_path: Path, engine: Local, workers: int | None = 1, n_shards: int = 1) -> list[dict[str, Any]]:
    """Return what workers see, one entry for each, in the order of their GPUs."""
    with time_limit(60):
        receipts = list(engine.run(local_task("looking_around", tmp_path), range(n_shards), workers))
    assert [each.error for each in receipts] == [""] * n_shards
    seen = {each.worker: json.loads(each.note) for each in receipts}
    return sorted(seen.values(), key=lambda each: each["CUDA_VISIBLE_DEVICES"] or "")


def test_a_worker_sees_what_its_parent_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOY", "kept")
    monkeypatch.syspath_prepend(str(tmp_path / "mine"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "5")
    (seen,) = look(tmp_path, Local(gpus=None))
    assert seen["adapters"] == adapters.__file__
    assert seen["path"][: len(sys.path)] == sys.path
    assert (seen["TOY"], seen["stdin"]) == ("kept", "")
    assert (seen["OMP_NUM_THREADS"], seen["OPENBLAS_NUM_THREADS"]) == (str(n_cores()), "5")


def test_each_worker_has_a_gpu_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    seen = look(tmp_path, Local(gpus=2, threads=3), workers=None, n_shards=2)
    assert [each["CUDA_VISIBLE_DEVICES"] for each in seen] == ["4", "6"]
    assert {each["OMP_NUM_THREADS"] for each in seen} == {"3"}


@pytest.mark.parametrize(("gpus", "shown"), [(0, ""), ("GPU-7", "GPU-7")])
def test_gpus_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: Any, shown: str):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    (seen,) = look(tmp_path, Local(gpus=gpus))
    assert seen["CUDA_VISIBLE_DEVICES"] == shown


def test_impossible_wishes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    task = toy_task(tmp_path)
    with pytest.raises(ValueError, match=r"gpus=3 was asked for, and 2 are visible here\. Pass at most that many"):
        Local(gpus=3).run(task, [0])
    with pytest.raises(ValueError, match=r"gpus=-1 is no number of GPUs\. Pass 0 for none, or None for all"):
        Local(gpus=-1)
    with pytest.raises(ValueError, match=r"threads=0 is no number of threads\. Pass 1 or more, or None"):
        Local(threads=0)
    with pytest.raises(ValueError, match=r"patience=0 leaves no time for anything\. Pass seconds above 0"):
        Local(patience=0)
    with pytest.raises(ValueError, match=r"workers=0 is no number of processes\. Pass 1 or more, or None"):
        Local().run(task, [0], 0)
    monkeypatch.setenv(WORKER_VARIABLE, "1")
    with pytest.raises(EngineError, match="about to start a run of its own"):
        Local().run(task, [0], 1)
    assert processes(tmp_path) == []


def test_who_leaves_in_the_middle_has_died(tmp_path: Path):
    with time_limit(60):
        (receipt,) = Local().run(local_task("leaving", tmp_path, status=0), [0])
    assert (receipt.kind, receipt.is_final) == ("WorkerDiedError", True)
    assert "Its worker ended with exit status 0, and so did others: 3 times with this shard in work" in receipt.error


def test_who_cannot_begin_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with (
        time_limit(60),
        pytest.raises(EngineError, match=r"'toy': 3 in a row came to nothing\. The last \(.*\) ended by"),
    ):
        list(Local().run(toy_task(tmp_path, dies_on_opening="always"), [1]))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with time_limit(60), pytest.raises(EngineError, match=r"The last could not be started: .*no-python.* may tell why"):
        list(Local().run(toy_task(tmp_path), [1]))


@pytest.mark.parametrize("escapes", [False, True], ids=["stays", "escapes"])
def test_what_a_model_starts(tmp_path: Path, escapes: bool):
    """A process that holds the pipes of a dead worker neither hides its death, nor lives on if it can be found."""
    with time_limit(60):
        (receipt,) = Local().run(local_task("starting_others", tmp_path, escapes=escapes), [0])
    other = int((tmp_path / "started").read_text())
    try:
        assert receipt.error == ""
        if not escapes:
            wait_for(lambda: not is_alive(other), 2.0)
    finally:
        if is_alive(other):
            os.kill(other, signal.SIGKILL)


def test_who_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("adapters.engines.local.GRACE", 0.3)
    with time_limit(60):
        receipts: Any = Local().run(local_task("deaf", tmp_path), [0, 1], 1)
        assert next(receipts).shard == 0
        start = time.monotonic()
        receipts.close()
    assert time.monotonic() - start > 0.3
    (name,) = [each.name for each in tmp_path.iterdir()]
    assert not is_alive(int(name))


def test_who_listens_ends_in_good_order(tmp_path: Path):
    with time_limit(60):
        receipts: Any = Local().run(local_task("tidy", tmp_path), [0, 1], 1)
        assert next(receipts).shard == 0
        wait_for((tmp_path / "at-work").exists, 10)
        receipts.close()
    assert (tmp_path / "closed").exists()


def test_a_thread_left_behind_does_not_keep_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("adapters.engines.local.GRACE", 0.3)
    with time_limit(30):
        assert len(list(Local().run(local_task("threading_on", tmp_path), range(3), 1))) == 3


def test_ctrl_c_in_a_script_without_a_guard(tmp_path: Path):
    """The script ends with the message of Python, and its workers end in good order."""
    folder, script = tmp_path / "toy", tmp_path / "script.py"
    task = toy_task(folder, seconds=0.3)
    script.write_text(
        "from adapters.engines import Task\nfrom adapters.engines.local import Local\n"
        f"for receipt in Local().run(Task.from_json({task.to_json()!r}), range(40), 2):\n    pass\n"
    )
    root = Path(adapters.__file__).parents[1]
    with time_limit(120):
        run = subprocess.Popen(
            [sys.executable, script], cwd=root, start_new_session=True, stderr=subprocess.PIPE, text=True
        )
        try:
            wait_for(lambda: len(kept(folder)) >= 2 or run.poll() is not None, 60)
            os.killpg(run.pid, signal.SIGINT)
            _, said = run.communicate(timeout=30)
        finally:
            run.kill()
        assert "KeyboardInterrupt" in said
        assert run.returncode == -signal.SIGINT
        assert not any(map(is_alive, processes(folder)))
        there = kept(folder)
        assert 2 <= len(there) < 40
        assert len(events(folder, "closed")) == 2
        assert there == expected(there)


def test_slow_consumers_and_passing_threads_do_no_harm(tmp_path: Path):
    """Patience is with workers, not with who takes the receipts; and who began may leave."""
    taken: list[int] = []
    patience = enough_patience(CANDIDATE, tmp_path / "before")
    with time_limit(120):
        receipts: Any = Local(patience=patience).run(toy_task(tmp_path), range(6), 2)
        first = threading.Thread(target=lambda: taken.append(next(receipts).shard))
        first.start()
        first.join()
        time.sleep(patience + 0.5)
        taken += [each.shard for each in receipts]
    assert sorted(taken) == list(range(6))
    assert len(processes(tmp_path)) == 2
