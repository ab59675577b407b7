"""Ray on this machine: the checks of every engine in one session, and sessions that the engine starts itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.engines import EngineError, Task
from adapters.engines.ray_actors import Ray
from adapters.engines.working import WORKER_VARIABLE
from adapters.errors import MissingFrameworkError

from .candidate import Candidate, is_alive, wait_for
from .conformance import Check, checks, name_of
from .toy_tasks import expected, kept, processes, toy_task

CANDIDATE = Candidate(
    make=lambda patience: Ray(patience=patience),
    script="from adapters.engines.ray_actors import Ray\nengine = Ray()",
)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Be a user who has called ``ray.init``: starting it for each test would take seconds."""
    from adapters.engines.ray_session import started

    with started(4, 2, {}):  # GPUs only to be counted
        yield
    import ray

    assert not ray.is_initialized()


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("check", checks(), ids=name_of)
def test_conformance(check: Check, tmp_path: Path):
    check(CANDIDATE, tmp_path)


TELLING = '''
import os, time
from contextlib import contextmanager
from pathlib import Path
from adapters.engines import Receipt
from adapters.engines.working import worker_name

@contextmanager
def telling(names, folder, n_workers):
    """Say what stands in the environment, once all workers are there."""
    here = Path(folder, "there")
    here.mkdir(exist_ok=True)
    (here / str(os.getpid())).touch()
    end = time.monotonic() + 30
    while len(list(here.iterdir())) < n_workers and time.monotonic() < end:
        time.sleep(0.02)
    note = str([os.environ.get(name) for name in names])
    def work(shards):
        for shard in shards:
            time.sleep(0.1)
            yield Receipt(shard, worker_name(), note=note)
    yield work
'''
SCRIPT = """
import os, signal, sys
from pathlib import Path
from adapters.engines import Task
from adapters.engines.ray_actors import Ray
from adapters.engines.working import WORKER_VARIABLE

handler, variables = signal.getsignal(signal.SIGTERM), dict(os.environ)
task = Task.from_json(sys.argv[1])
arguments = {"names": ["OMP_NUM_THREADS", WORKER_VARIABLE], "folder": sys.argv[2], "n_workers": 1}
telling = Task("telling:telling", arguments, paths=(sys.argv[2],))
receipts = Ray(num_cpus=3, num_gpus=0).run(telling, [0, 1], 1)
Path(sys.argv[2], "told").write_text(next(receipts).note)
try:
    receipts.throw(RuntimeError("somebody keeps this"))
except RuntimeError as error:
    kept = error
for receipt in Ray().run(task, range(24), 2):
    assert not receipt.error, receipt
    kept = None  # what it held of the first session must not end anything in the second, where names are the same
import ray
assert not ray.is_initialized()
assert signal.getsignal(signal.SIGTERM) is handler
for name in ("RAY_CLIENT_MODE", "RAY_AUTH_MODE"):  # which Ray sets and reads once
    os.environ.pop(name, None)
    variables.pop(name, None)
assert dict(os.environ) == variables
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder for temporary files with a name that is short enough for Ray's sockets."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as found:
        yield Path(found)


def started_script(text: str, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a script that lies elsewhere, where somebody left a cluster that is none and files of a dead process."""
    (folder / "ba-ray-left").mkdir()
    (folder / "ba-ray-left" / "in-use").touch()
    variables = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    variables |= {"TMPDIR": str(folder), "RAY_ADDRESS": "127.0.0.1:1"}
    command = [sys.executable, "-c", text, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=variables, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )


def test_its_own_session_leaves_nothing_behind(folder: Path, tmp_path: Path):
    (tmp_path / "telling.py").write_text(TELLING)
    task = toy_task(tmp_path / "toy", seconds=0.05, dies_once=[5], says="printed by a model")
    script = started_script(SCRIPT, folder, task.to_json(), str(tmp_path))
    said = script.communicate(timeout=60)
    assert said == ("", "")
    assert script.returncode == 0
    assert kept(tmp_path / "toy") == expected(range(24))
    assert (tmp_path / "told").read_text() == "['3', '1']"
    assert not any(map(is_alive, processes(tmp_path / "toy")))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("n_done", [0, 3])
def test_ctrl_c_ends_everything(n_done: int, folder: Path, tmp_path: Path):
    """Show it while Ray starts, which could swallow it, and in mid-run."""
    task, shards = toy_task(tmp_path, seconds=0.3), range(24)
    text = SCRIPT.partition("arguments =")[0] + "for receipt in Ray().run(task, range(24), 2):\n    pass\n"
    script = started_script(text, folder, task.to_json())
    is_time = (lambda: len(kept(tmp_path)) >= n_done) if n_done else (lambda: any(folder.glob("ba-ray-*/session_*/*")))
    wait_for(lambda: is_time() or script.poll() is not None, 60)
    os.killpg(script.pid, signal.SIGINT)  # to all of the terminal's processes
    said = script.communicate(timeout=60)
    assert script.returncode == -signal.SIGINT, said
    assert said[1].rstrip().endswith("KeyboardInterrupt")
    assert "Error" not in said[1]
    assert not any(map(is_alive, processes(tmp_path)))
    assert list(folder.iterdir()) == []
    assert n_done <= len(kept(tmp_path)) < len(shards)


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize(
    ("engine", "workers", "seen"),
    [(Ray(), None, {"0", "1"}), (Ray(), 3, {"0", "1"}), (Ray(num_gpus=0), 1, {""})],
)
def test_each_worker_sees_its_gpu(engine: Ray, workers: int | None, seen: set[str], tmp_path: Path):
    n_workers = workers or 2
    (tmp_path / "telling.py").write_text(TELLING)
    arguments = {"names": ["CUDA_VISIBLE_DEVICES"], "folder": str(tmp_path), "n_workers": n_workers}
    receipts = list(engine.run(Task("telling:telling", arguments, paths=(str(tmp_path),)), range(16), workers))
    assert {receipt.note for receipt in receipts} == {str([each]) for each in seen}
    assert len({receipt.worker for receipt in receipts}) == n_workers


@pytest.mark.usefixtures("session")
def test_no_place_for_a_worker(tmp_path: Path):
    with pytest.raises(EngineError, match=r"No Ray worker has begun with 'toy' within \d s.*4 CPUs and 2 GPUs.*less"):
        list(Ray(num_gpus=3, patience=1.0).run(toy_task(tmp_path), range(3)))
    assert processes(tmp_path) == []


@pytest.mark.usefixtures("session")
def test_workers_without_the_package(tmp_path: Path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['adapters'] = None\n")
    environment = {"env_vars": {"PYTHONPATH": str(tmp_path)}}
    with pytest.raises(
        EngineError, match=r"begin with 'toy'.*ended with ModuleNotFoundError: No module named 'adapters.*same versions"
    ):
        list(Ray(runtime_env=environment).run(toy_task(tmp_path), range(3), 1))


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        ({"address": "ray://head:10001"}, "ray://head:10001.*cannot stream.*auto"),
        ({"num_gpus": -1}, "num_gpus=-1 is no number of GPUs"),
        ({"num_cpus": 0}, "num_cpus=0 is no number of CPUs"),
        ({"patience": 0}, "patience=0 leaves no time"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], fragments: str):
    with pytest.raises(ValueError, match=fragments):
        Ray(**options)


def test_runs_that_cannot_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ValueError, match="workers=0 is no number of workers"):
        Ray().run(toy_task(tmp_path), range(3), 0)
    with monkeypatch.context() as patch:
        patch.setenv(WORKER_VARIABLE, "1")
        with pytest.raises(EngineError, match="worker of a run was about to start"):
            Ray().run(toy_task(tmp_path), range(3))
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingFrameworkError, match=r"needs Ray.*pip install 'brain-adapters\[ray\]'"):
        Ray().run(toy_task(tmp_path), range(3))


@pytest.mark.parametrize(
    ("engine", "fragments"),
    [
        ("Ray('127.0.0.1:1')", "Nobody answers at address='127.0.0.1:1'"),
        ("Ray(init={'object_store_memory': 1})", "Ray did not start with address='local'"),
    ],
)
def test_no_ray_at_all(engine: str, fragments: str, tmp_path: Path):
    text = (
        "import sys\nfrom adapters.engines import Task\nfrom adapters.engines.ray_actors import Ray\n"
        f"list({engine}.run(Task.from_json(sys.argv[1]), range(3)))\n"
    )
    command = [sys.executable, "-c", text, toy_task(tmp_path).to_json()]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert f"EngineError: {fragments}" in found.stderr
    assert "ray start --head" in found.stderr
