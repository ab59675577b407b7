"""Dask clusters that users have, what the engine says when something is missing, and scripts that are interrupted."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from adapters.engines import EngineError
from adapters.engines.dask_cluster import started_cluster
from adapters.engines.dask_distributed import Dask
from adapters.engines.dask_worker import do_group
from adapters.engines.working import WORKER_VARIABLE
from adapters.errors import MissingFrameworkError

from .candidate import Candidate, is_alive, time_limit, wait_for
from .conformance_deaths import worker_killed
from .toy_tasks import events, expected, kept, processes, times_begun, times_done, toy_task

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Return a client of a cluster that others use, too: two workers with two threads each."""
    from distributed import Client, LocalCluster

    before = dict(os.environ)
    how = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=2, silence_logs=logging.CRITICAL, memory_limit=0, scheduler_kwargs=how
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(autouse=True)
def limited() -> Iterator[None]:
    with time_limit(60.0):
        yield


def is_idle(client: Any) -> bool:
    return not any(client.processing().values())


def run(engine: Dask, task: Any, n_shards: int, workers: int | None = None) -> list[Any]:
    return list(engine.run(task, range(n_shards), workers))


def test_a_users_cluster_is_used_and_left_as_it_was(client: Any, tmp_path: Path):
    address = client.scheduler_info()["address"]
    for name, engine in (("client", Dask(client)), ("address", Dask(address=address))):
        folder = tmp_path / name
        assert sorted(each.shard for each in run(engine, toy_task(folder, group=2), 12)) == list(range(12))
        assert kept(folder) == expected(range(12))
        assert len(processes(folder)) == 2
        assert len(events(folder, "closed")) == 2
    assert client.submit(sum, [1, 2]).result() == 3
    assert len(client.nthreads()) == 2
    assert set(client.run(os.environ.get, WORKER_VARIABLE).values()) == {None}


def test_threads_of_one_worker_take_turns(client: Any, tmp_path: Path):
    """Frameworks have one model in a process."""
    task, first = toy_task(tmp_path, seconds=0.1).to_json(), sorted(client.nthreads())[:1]
    futures = [client.submit(do_group, task, (n, n + 4), "turns", pure=False, workers=first) for n in range(4)]
    client.gather(futures)
    said = [each["event"] for each in events(tmp_path) if each["shard"] >= 0]
    assert said == ["begun", "done"] * 8
    assert len(events(tmp_path, "opened")) == 1


def test_workers_are_the_most_that_are_used(client: Any, tmp_path: Path):
    run(Dask(client), toy_task(tmp_path), 12, workers=1)
    assert len(processes(tmp_path)) == 1


def test_a_new_run_takes_the_place_of_one_that_was_left_open(client: Any, tmp_path: Path):
    """Whoever started the first was killed and closed nothing; two models may not fit into a GPU."""
    first, second = tmp_path / "first", tmp_path / "second"
    client.submit(do_group, toy_task(first).to_json(), (0,), "first", pure=False).result()
    assert not events(first, "closed")
    run(Dask(client), toy_task(second, seconds=0.1), 8)
    assert len(events(first, "closed")) == 1
    assert len(events(second, "closed")) == 2


def test_closing_leaves_a_users_cluster_idle(client: Any, tmp_path: Path):
    receipts: Any = Dask(client).run(toy_task(tmp_path, seconds=0.3, group=8), range(32))
    next(receipts)
    receipts.close()
    wait_for(lambda: is_idle(client) and len(events(tmp_path, "closed")) == 2, 10.0)
    n_begun = sum(times_begun(tmp_path).values())
    assert n_begun <= 6
    time.sleep(0.7)
    assert sum(times_begun(tmp_path).values()) == n_begun


def test_a_hanging_shard_is_named(client: Any, tmp_path: Path):
    task = toy_task(tmp_path, slow=[2], slow_seconds=6.0)
    failure = run(Dask(client, patience=2.0), task, 3, workers=1)[-1]
    assert (failure.shard, failure.kind, failure.is_final) == (2, "TimeoutError", False)
    assert failure.error == f"Nothing was heard for 2 s, and {failure.worker} was at shard 2."
    assert failure.worker in {each["worker"] for each in events(tmp_path, "begun")}


def test_a_worker_is_killed_in_a_users_cluster(client: Any, tmp_path: Path):
    worker_killed(Candidate(make=lambda patience: Dask(client, patience=patience), ends_processes=False), tmp_path)
    wait_for(lambda: len(client.nthreads()) == 2, 30.0)


def test_a_worker_that_is_removed(client: Any, tmp_path: Path):
    """In mid-run, and gracefully; what it had in hand is done by another one."""
    receipts = Dask(client).run(toy_task(tmp_path, seconds=0.2, group=2), range(16))
    for n, _ in enumerate(receipts):
        if n == 3:
            client.cluster.scale(1)
    assert kept(tmp_path) == expected(range(16))
    assert sum(times_done(tmp_path).values()) <= 16 + 2
    assert len(client.nthreads()) == 1
    client.cluster.scale(2)
    wait_for(lambda: len(client.nthreads()) == 2, 30.0)


def test_workers_without_this_library(client: Any, tmp_path: Path):
    client.run(_hide_library)
    with pytest.raises(EngineError, match=r"could not take up 'toy': .*adapters.* Install the same version"):
        run(Dask(client), toy_task(tmp_path), 2)
    client.run(_show_library)
    assert len(run(Dask(client), toy_task(tmp_path), 2)) == 2


def _hide_library() -> None:
    for name in [name for name in sys.modules if name.startswith("adapters")]:
        sys.modules[f"hidden-{name}"] = sys.modules[name]
        sys.modules[name] = None  # type: ignore[assignment]


def _show_library() -> None:
    for name in [name for name in sys.modules if name.startswith("hidden-")]:
        sys.modules[name.removeprefix("hidden-")] = sys.modules.pop(name)


def test_poison_in_a_users_cluster(client: Any, tmp_path: Path):
    """Dask itself tries again until it has lost four workers; then it is known which shard it was."""
    # A worker that dies as soon as it has started is given up by Dask's own restarting: so it takes a while to open.
    receipts = run(Dask(client), toy_task(tmp_path, uncounted_poison=[4], group=3, opening=0.5), 9)
    [failure] = [each for each in receipts if each.error]
    assert (failure.shard, failure.kind, failure.is_final) == (4, "WorkerDiedError", True)
    assert "Its worker ended, and so did others: 4 times with this shard in work" in failure.error
    assert kept(tmp_path) == expected({*range(9)} - {4})
    assert times_done(tmp_path) == dict.fromkeys(set(range(9)) - {4}, 1)


def test_workers_of_a_users_cluster_that_die_on_opening(tmp_path: Path):
    with started_cluster(2, (), None) as (client, crew):
        ended = threading.Event()

        def restart() -> None:
            with suppress(EngineError):  # after the third; the engine does not know the crew, and says it, too
                while not ended.wait(0.1):
                    crew.look_after()

        threading.Thread(target=restart, daemon=True).start()
        with pytest.raises(EngineError, match=r"3 times before they had opened 'toy', the last one at tcp://.*engine="):
            run(Dask(client), toy_task(tmp_path, dies_on_opening="always"), 4)
        ended.set()


def test_what_makes_no_sense_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ValueError, match="got a client and an address"):
        Dask(client=object(), address="tcp://127.0.0.1:1")
    with pytest.raises(TypeError, match=r"client='tcp://x:1' is no distributed.Client that waits.*address="):
        Dask("tcp://x:1")
    with pytest.raises(ValueError, match="patience=0 leaves no time"):
        Dask(patience=0)
    with pytest.raises(ValueError, match="threads=0 is no number of threads"):
        Dask(threads=0)
    with pytest.raises(ValueError, match="workers=0 is no number of workers"):
        Dask().run(toy_task(tmp_path), range(2), 0)
    monkeypatch.setenv(WORKER_VARIABLE, "1")
    with pytest.raises(EngineError, match="A worker of a run was about to start"):
        Dask().run(toy_task(tmp_path), range(2))


def test_a_cluster_without_workers(tmp_path: Path):
    from distributed import Client, LocalCluster

    how = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    with (
        LocalCluster(n_workers=0, protocol="tcp://", scheduler_kwargs=how) as cluster,
        Client(cluster, set_as_default=False) as client,
        pytest.raises(
            EngineError, match=r"cluster at tcp://.* has no workers, and none came within 1 s.*`dask worker`"
        ),
    ):
        run(Dask(client, patience=1.0), toy_task(tmp_path), 2)


def test_no_scheduler_at_the_address(tmp_path: Path):
    import dask

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "300ms"}),
        pytest.raises(EngineError, match=r"'tcp://127.0.0.1:1'.*dask scheduler.*dask worker tcp://127.0.0.1:1"),
    ):
        run(Dask(address="tcp://127.0.0.1:1"), toy_task(tmp_path), 2)


def test_dask_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingFrameworkError, match=r"needs distributed.*pip install 'brain-adapters\[dask\]'"):
        Dask().run(toy_task(tmp_path), range(2))


SCRIPT = """
import os
from adapters.engines import Task
from adapters.engines.dask_distributed import Dask

before = dict(os.environ)
for receipt in Dask(threads=3).run(Task.from_json({task!r}), range(40), 2):
    if dict(os.environ) != before:
        raise SystemExit("the environment has changed")
"""


def script(folder: Path, **how: Any) -> subprocess.Popen[str]:
    """Return a running script that does a toy task; once its workers have begun."""
    path = folder / "script.py"
    path.write_text(SCRIPT.format(task=toy_task(folder, **how).to_json()))
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    driver = subprocess.Popen([sys.executable, path], cwd=ROOT, process_group=0, **pipes)
    wait_for(lambda: len(events(folder, "begun")) >= 2 or driver.poll() is not None, 30.0)
    return driver


def test_a_script_is_killed_while_its_workers_compute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What cannot be told to end goes with it, and leaves nothing in the folder for temporary files."""
    (temporary := tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    driver = script(tmp_path, hangs=list(range(40)))
    assert list(temporary.glob("brain-adapters-dask-*/*"))
    driver.kill()
    driver.communicate(timeout=20)
    wait_for(lambda: not any(map(is_alive, processes(tmp_path))), 5.0)
    assert not list(temporary.glob("brain-adapters-dask-*"))


def test_a_plain_script_that_is_interrupted(tmp_path: Path):
    """It needs no ``if __name__``, its environment stays; Ctrl-C ends its workers, and Dask prints nothing."""
    driver = script(tmp_path, seconds=0.2)
    wait_for(lambda: len(kept(tmp_path)) >= 3 or driver.poll() is not None, 30.0)
    workers = processes(tmp_path)
    said = [Path(f"/proc/{each}/environ").read_bytes().split(b"\0") for each in workers]
    os.killpg(driver.pid, signal.SIGINT)
    printed, errors = driver.communicate(timeout=20)
    assert driver.returncode == -signal.SIGINT
    assert printed == ""
    assert errors.startswith("Traceback")
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert "distributed." not in errors.replace("distributed.py", "")
    assert 3 <= len(kept(tmp_path)) < 40
    assert not any(map(is_alive, workers))
    assert all(b"OMP_NUM_THREADS=3" in each for each in said)
