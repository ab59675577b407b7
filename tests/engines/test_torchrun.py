"""Processes that torchrun starts: a script whose every process makes the same call."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.engines import EngineError, Task
from adapters.engines.driving import Distribution
from adapters.engines.ranks import LAUNCHER_VARIABLES
from adapters.engines.torchrun import Torchrun
from adapters.engines.working import WORKER_VARIABLE, worker_name

from .candidate import is_alive, time_limit, wait_for
from .toy_tasks import Toy, events, expected, kept, processes, times_begun, times_done, toy_task

ROOT = Path(__file__).parents[2]
TWO = {"RANK": "1", "WORLD_SIZE": "2"}

SCRIPT = """
import sys
from adapters.engines import Task
from adapters.engines.torchrun import Torchrun

receipts = list(Torchrun().run(Task.from_json({task!r}), range({n_shards}), None))
if "torch" in sys.modules:
    raise SystemExit("torch was imported")
print("receipts of", *[each.shard for each in receipts], flush=True)
"""


EXTRACTION = """
import hashlib
import numpy as np
import registry

registry.load_models_file({models!r})
found = registry.get_model("slow_torch")({images!r}, ["0", "2"], store={store!r}, engine="torchrun")
print(found.shape, hashlib.sha256(np.ascontiguousarray(found.values)).hexdigest(), flush=True)
"""


def torchrun(folder: Path, text: str, *options: str) -> subprocess.Popen[str]:
    """Return a running torchrun of a script in two processes."""
    script = folder / "script.py"
    script.write_text(text)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*command, str(script)], cwd=folder, env=environment, process_group=0, **pipes)


def started(folder: Path, task: Task, n_shards: int, *options: str) -> subprocess.Popen[str]:
    """Return a running torchrun of a script that does a task."""
    return torchrun(folder, SCRIPT.format(task=task.to_json(), n_shards=n_shards), *options)


def test_two_processes(tmp_path: Path):
    printed, errors = started(tmp_path, toy_task(tmp_path, group=2), 9).communicate(timeout=60)
    assert sorted(printed.splitlines()) == ["receipts of 0 2 4 6 8", "receipts of 1 3 5 7"], errors
    assert kept(tmp_path) == expected(range(9))
    assert times_done(tmp_path) == dict.fromkeys(range(9), 1)
    assert len(processes(tmp_path)) == len(events(tmp_path, "closed")) == 2


def test_a_script_that_extracts(built: Any, images: list[str], tmp_path: Path):
    """Both processes return all of it, to the last bit, though each has computed one half."""
    alone = built("slow_torch")(images, ["0", "2"], store=tmp_path / "alone")
    models, store = str(Path(__file__).with_name("engine_models.py")), str(tmp_path / "shared")
    run = torchrun(tmp_path, EXTRACTION.format(models=models, images=images, store=store))
    printed, errors = run.communicate(timeout=120)
    digest = hashlib.sha256(np.ascontiguousarray(alone.values)).hexdigest()
    assert printed.splitlines() == [f"{alone.shape} {digest}"] * 2, errors
    cards = [json.loads(path.read_text())["card"] for path in Path(store).glob("v1/*/*/run-cards/*.json")]
    n_shards = [each["shards"] for card in cards for each in card["workers"].values()]
    assert len(n_shards) == 2
    assert n_shards[0] == n_shards[1] >= 2


def test_a_process_is_killed(tmp_path: Path):
    """Torchrun starts the whole group again: all is done, and only what was in hand is done again."""
    run = started(tmp_path, toy_task(tmp_path, seconds=0.2), 24, "--max-restarts", "1", "--monitor-interval", "0.1")
    try:
        wait_for(lambda: len(kept(tmp_path)) >= 4 or run.poll() is not None, 60.0)
        there, (killed, *_) = kept(tmp_path), processes(tmp_path)
        os.kill(killed, signal.SIGKILL)
        _, errors = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == 0, errors
    assert kept(tmp_path) == expected(range(24))
    assert len(processes(tmp_path)) == 4
    assert all(times_done(tmp_path)[shard] == 1 for shard in there)
    assert sum(times_begun(tmp_path).values()) - 24 <= 2


def test_all_are_interrupted(tmp_path: Path):
    """Ctrl-C, which a terminal sends to all of them: nobody is left, and the next run does the rest."""
    task = toy_task(tmp_path, seconds=0.2)
    run = started(tmp_path, task, 40)
    try:
        wait_for(lambda: len(kept(tmp_path)) >= 4 or run.poll() is not None, 60.0)
        os.killpg(run.pid, signal.SIGINT)
        run.communicate(timeout=60)
    finally:
        run.kill()
    there = kept(tmp_path)
    assert 4 <= len(there) < 40
    assert not any(map(is_alive, processes(tmp_path)))
    left = [shard for shard in range(40) if shard not in there]
    with time_limit(60.0):
        for rank in ("0", "1"):
            list(Torchrun(environ={"RANK": rank, "WORLD_SIZE": "2"}).run(task, left))
    assert kept(tmp_path) == expected(range(40))
    assert all(times_done(tmp_path)[shard] == 1 for shard in there)


def test_the_model_at_hand_is_used_and_nothing_travels(tmp_path: Path):
    toy = Toy(tmp_path)
    toy.open()
    opened = []

    def here() -> Any:
        opened.append(os.environ.get(WORKER_VARIABLE))
        return nullcontext(toy.work)

    receipts = Torchrun(environ=TWO).run(Task("", {}, "toy", "run", group=2, here=here), range(8))
    assert next(receipts).shard == 1
    assert [each.shard for each in receipts] == [3, 5, 7]
    assert {each["worker"] for each in events(tmp_path)} == {worker_name()}
    assert opened == ["1"]
    assert WORKER_VARIABLE not in os.environ
    assert kept(tmp_path) == expected([1, 3, 5, 7])


def test_parts_fit_together_whatever_was_there_when_each_process_looked(tmp_path: Path):
    """One that begins later finds shards that the first has done; nobody must wait for a shard that is nobody's."""
    first, task = Torchrun(environ={"RANK": "0", "WORLD_SIZE": "2"}), toy_task(tmp_path)
    list(first.run(task, range(4)))
    missing = [shard for shard in range(9) if shard not in kept(tmp_path)]
    assert missing == [1, 3, 4, 5, 6, 7, 8]
    assert [each.shard for each in Torchrun(environ=TWO).run(task, missing)] == [1, 3, 5, 7]
    assert [each.shard for each in first.run(task, range(9))] == [0, 2, 4, 6, 8]
    assert times_done(tmp_path) == dict.fromkeys(range(9), 1)


def test_groups_are_those_of_the_task(tmp_path: Path):
    seen: list[tuple[int, ...]] = []

    def here() -> Any:
        toy = Toy(tmp_path)
        toy.open()

        def work(shards: Any) -> Any:
            seen.append(tuple(shards))
            yield from toy.work(shards)

        return nullcontext(work)

    list(Torchrun(environ=TWO).run(Task("", {}, group=3, here=here), range(10)))
    assert seen == [(1, 3, 5), (7, 9)]


def test_failures_are_passed_on(tmp_path: Path):
    receipts = list(Torchrun(environ=TWO).run(toy_task(tmp_path, raises=[3], refused=[5]), range(8)))
    assert [(each.shard, each.kind) for each in receipts] == [
        (1, ""),
        (3, "ValueError"),
        (5, "ToyRefusalError"),
        (7, ""),
    ]


def test_it_waits_for_the_others():
    assert Torchrun.waits_for_others
    assert Torchrun(patience=3.0).patience == 3.0


def test_mpirun_and_srun_say_it_too(tmp_path: Path):
    for name, environ in {
        "mpirun": {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "3"},
        "srun": {"SLURM_PROCID": "1", "SLURM_NTASKS": "3", "SLURM_STEP_ID": "0"},
    }.items():
        receipts = Torchrun(environ=environ).run(toy_task(tmp_path / name), range(6), 3)
        assert [each.shard for each in receipts] == [1, 4]


def test_started_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in LAUNCHER_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(EngineError, match=r"does not know which of several.*RANK.*torchrun --nproc-per-node.*'local'"):
        Torchrun().run(toy_task(tmp_path), range(2))
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(EngineError, match="WORLD_SIZE"):
        Torchrun().run(toy_task(tmp_path), range(2))


def test_what_makes_no_sense_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ValueError, match=r"workers=4 was given to one of 2 processes.*--nproc-per-node 4"):
        Torchrun(environ=TWO).run(toy_task(tmp_path), range(2), 4)
    with pytest.raises(ValueError, match="patience=0 leaves no time"):
        Torchrun(patience=0)
    monkeypatch.setenv(WORKER_VARIABLE, "1")
    with pytest.raises(EngineError, match="A worker of a run was about to start"):
        Torchrun(environ=TWO).run(toy_task(tmp_path), range(2))


def test_an_entry_is_cut_for_all_of_them():
    assert Torchrun(environ={"RANK": "3", "WORLD_SIZE": "48"}).n_workers == 48
    assert Torchrun(environ={}).n_workers is None
    assert Distribution(Torchrun(environ={"RANK": "3", "WORLD_SIZE": "48"})).min_shards == 4 * 48
    assert Distribution(Torchrun(environ={}), 3).min_shards == 12
