"""A real Slurm of one node: arrays that are followed, killed, cancelled, requeued, held, and submitted by hand."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.engines import EngineError
from adapters.engines.slurm import Slurm
from adapters.engines.slurm_jobs import states_of
from brain_adapters.distributing import script_for

from ..environment.slurm import ADVICE, ToySlurm, missing_programs, running_slurm, wait_until
from .candidate import Candidate, is_alive
from .conformance import Check, checks, driver_killed, name_of, slow_worker, straggler
from .conftest import contents
from .toy_tasks import expected, kept, processes, times_begun, times_done, toy_task

SECONDS = 60.0
SHARDS = range(8)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToySlurm]:
    if missing_programs():
        pytest.fail(ADVICE.format(missing=missing_programs()[0]))
    with running_slurm(tmp_path_factory.mktemp("slurm")) as slurm:
        yield slurm


@pytest.fixture
def slurm(cluster: ToySlurm, monkeypatch: pytest.MonkeyPatch) -> Iterator[ToySlurm]:
    """Give the Slurm that this process's commands mean; a test leaves no job there."""
    monkeypatch.setenv("SLURM_CONF", str(cluster.configuration))
    yield cluster
    left = cluster.jobs()
    if left:
        cluster.cancel_all()
    assert not left, "the test left jobs"


def quick(**options: object) -> Slurm:
    return Slurm(**{"poll": 0.2, "patience": SECONDS, **options})  # type: ignore[arg-type]


def submit(slurm: ToySlurm, script: Path) -> None:
    """Do what somebody does by hand, and wait until all elements have ended."""
    slurm.ask("sbatch", str(script))
    assert wait_until(lambda: not slurm.jobs(), SECONDS)


def job_of(slurm: ToySlurm) -> str:
    """Return the number of the array that runs."""
    return slurm.jobs().partition("_")[0]


def logs(folder: Path) -> str:
    return "".join(f"{path}:\n{path.read_text()}" for path in sorted(folder.glob("slurm-*/*.txt")))


# A shard is one element's from the beginning, so nobody relieves a slow one; and a job survives whoever submitted it.
@pytest.mark.parametrize("check", checks(but=[slow_worker, straggler, driver_killed]), ids=name_of)
def test_conformance(check: Check, slurm: ToySlurm, tmp_path: Path):
    check(Candidate(make=lambda patience: Slurm(poll=0.2, patience=patience)), tmp_path)


def test_a_setup_that_fails_shows_its_log(slurm: ToySlurm, tmp_path: Path):
    engine = quick(setup="echo 'é is loaded'\nmodule_that_is_not_there\ntouch never")
    with pytest.raises(EngineError) as error:
        list(engine.run(toy_task(tmp_path), [0, 1], 2))
    assert "exit status 127 (FAILED)" in str(error.value)
    assert "é is loaded" in str(error.value)
    assert "module_that_is_not_there: command not found" in str(error.value)
    assert not processes(tmp_path)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_whoever_submitted_it_goes(slurm: ToySlurm, tmp_path: Path, ending: signal.Signals):
    """With Ctrl-C the job ends at once; when a login node dies it goes on, and does everything."""
    code = (
        "from toy_tasks import toy_task; from adapters.engines.slurm import Slurm\n"
        f"list(Slurm(poll=0.2).run(toy_task({str(tmp_path)!r}, seconds=0.7), range(4), 1))\n"
    )
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])
    process = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE, text=True
    )
    assert wait_until(lambda: times_begun(tmp_path)[0] == 1, SECONDS)
    process.send_signal(ending)
    said = process.communicate(timeout=SECONDS)[1]
    assert process.returncode != 0
    if ending == signal.SIGINT:
        assert "KeyboardInterrupt" in said
        assert not slurm.jobs()
        assert len(kept(tmp_path)) < 4
    assert wait_until(lambda: not slurm.jobs(), SECONDS)
    assert not any(is_alive(process) for process in processes(tmp_path))
    if ending == signal.SIGKILL:
        assert kept(tmp_path) == expected(range(4))


def test_what_a_cancelled_element_left_is_done_by_a_second_run(slurm: ToySlurm, tmp_path: Path):
    task = toy_task(tmp_path, hangs_once=[2])
    receipts = []
    for receipt in quick().run(task, SHARDS, 2):
        receipts.append(receipt)
        if len(receipts) == 1:
            assert wait_until(lambda: times_begun(tmp_path)[2] == 1, SECONDS)
            slurm.ask("scancel", f"{job_of(slurm)}_0")
    assert sorted(receipt.shard for receipt in receipts) == [0, 1, 3, 5, 7]
    again = list(quick().run(task, [2, 4, 6], 2))
    assert sorted(receipt.shard for receipt in again) == [2, 4, 6]
    assert kept(tmp_path) == expected(SHARDS)
    assert set(times_done(tmp_path).values()) == {1}


def test_a_job_that_somebody_cancels_is_not_started_again(slurm: ToySlurm, tmp_path: Path):
    receipts = quick().run(toy_task(tmp_path, hangs=[2, 3]), SHARDS, 2)
    assert {next(receipts).shard, next(receipts).shard} == {0, 1}
    job = job_of(slurm)
    slurm.ask("scancel", job)
    with pytest.raises(EngineError) as error:
        next(receipts)
    assert f"Slurm job {job} of 'toy' was cancelled by somebody, with 6 shards left" in str(error.value)


def test_a_requeued_element_goes_on(slurm: ToySlurm, tmp_path: Path):
    """It waits for five seconds then, which are no silence."""
    receipts = []
    for receipt in quick(patience=4.0).run(toy_task(tmp_path, group=2, hangs_once=[2]), SHARDS, 2):
        receipts.append(receipt)
        if receipt.shard == 0:
            assert wait_until(lambda: times_begun(tmp_path)[2] == 1, SECONDS)
            slurm.ask("scontrol", "requeue", f"{job_of(slurm)}_0")
    assert sorted(receipt.shard for receipt in receipts) == [*SHARDS]
    assert {receipt.error for receipt in receipts} == {""}
    assert kept(tmp_path) == expected(SHARDS)
    assert set(times_done(tmp_path).values()) == {1}
    assert len(list(tmp_path.glob("slurm-*"))) == 1


def test_a_job_that_is_held(slurm: ToySlurm, tmp_path: Path):
    engine = quick(options={"hold": True}, patience=1.0)
    with pytest.raises(EngineError, match="Slurm holds what is left of 'toy' \\(JobHeldUser\\)") as error:
        list(engine.run(toy_task(tmp_path), [0], 1))
    assert "scontrol show job" in str(error.value)


def test_a_controller_that_hangs_for_a_while(slurm: ToySlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("adapters.engines.slurm_jobs._ANSWER_SECONDS", 0.5)
    receipts = quick().run(toy_task(tmp_path, seconds=0.5), SHARDS, 1)
    found, job = [next(receipts)], job_of(slurm)
    with slurm.paused("slurmctld"):
        with pytest.raises(EngineError, match=r"squeue has not answered for 0.5 s"):
            states_of([job])
        found += [next(receipts), next(receipts)]
    found += list(receipts)
    assert [receipt.shard for receipt in found] == [*SHARDS]
    assert kept(tmp_path) == expected(SHARDS)


def test_a_controller_that_does_not_come_back(slurm: ToySlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    impatient = tmp_path / "slurm.conf"  # commands try again for that long
    impatient.write_text(slurm.configuration.read_text().replace("MessageTimeout=30", "MessageTimeout=1"))
    monkeypatch.setenv("SLURM_CONF", str(impatient))
    receipts = quick(patience=5.0).run(toy_task(tmp_path, hangs=[1]), [0, 1], 1)
    assert next(receipts).shard == 0
    job = job_of(slurm)
    slurm.stop("slurmctld")
    try:
        with pytest.raises(EngineError) as error:
            list(receipts)
    finally:
        slurm.start("slurmctld")
        slurm.wait_until_ready()
        slurm.ask("scancel", job)
    assert "scancel refused" in str(error.value)
    assert f"Cancel by hand: scancel {job}." in str(error.value)
    assert "squeue refused" in str(error.value.__context__)
    assert wait_until(lambda: not slurm.jobs(), SECONDS)


def test_several_processes_in_each_element(slurm: ToySlurm, tmp_path: Path):
    """Somebody edits the script so that srun starts two processes in each of two elements."""
    script = Slurm(options={"ntasks": 2, "overcommit": True}).write(toy_task(tmp_path), SHARDS, 2)
    script.write_text(script.read_text().replace("exec ", "exec srun --overcommit --ntasks=2 "))
    submit(slurm, script)
    assert kept(tmp_path) == expected(SHARDS), logs(tmp_path)
    assert len(processes(tmp_path)) == 4
    assert set(times_done(tmp_path).values()) == {1}


NASTY = "a b'c\"d $(touch pwned) é `id` %j # ;& *"


def test_nasty_names(slurm: ToySlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / NASTY
    options = {"comment": f"{NASTY}\\", "job_name": NASTY}
    receipts = list(quick(options=options).run(toy_task(folder), [0, 1, 2], 2))
    assert {receipt.error for receipt in receipts} == {""}
    assert kept(folder) == expected([0, 1, 2])
    (log,) = folder.glob("slurm-*/log-1.txt")
    assert "1 of 1: shard 1 in" in log.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == [NASTY]


def test_what_slurm_refuses(slurm: ToySlurm, tmp_path: Path):
    with pytest.raises(EngineError) as error:
        list(quick(options={"partition": "nowhere"}).run(toy_task(tmp_path), SHARDS, 2))
    assert "sbatch refused" in str(error.value)
    assert "nvalid partition" in str(error.value)
    assert "correct options=..." in str(error.value)


def test_variables_that_do_not_count(slurm: ToySlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whoever submits may be a process of torchrun or of another job; and with ntasks a lonely script is 0 of 2."""
    for name, value in {"RANK": "3", "WORLD_SIZE": "4", "SLURM_PROCID": "1", "SLURM_STEP_ID": "0"}.items():
        monkeypatch.setenv(name, value)
    assert len(list(quick(options={"ntasks": 2}).run(toy_task(tmp_path), SHARDS, 1))) == 8
    assert kept(tmp_path) == expected(SHARDS)
    assert len(list(tmp_path.glob("slurm-*"))) == 1


@pytest.mark.usefixtures("many_shards")
def test_an_extraction_submitted_by_hand(slurm: ToySlurm, built: Any, images: list[str], tmp_path: Path):
    """What `brain-adapters extract --engine slurm --dry-run` writes leaves what this process leaves alone."""
    extractor, layers = built("engine_flax"), ["Conv_0", "Conv_1"]
    alone = extractor(images, layers, store=tmp_path / "alone")
    assert "decode" in extractor.report().seconds
    store = tmp_path / "by hand"
    text = script_for(extractor, images, layers, engine=Slurm(options={"partition": "toys"}), store=store, workers=2)
    (script,) = store.glob("v1/??/*/tasks/*/slurm-*/job.sh")
    assert script.read_text() == text
    assert f"sbatch {shlex.quote(str(script))}" in text.splitlines()[1]
    submit(slurm, script)
    found = extractor(images, layers, store=store)
    assert "decode" not in extractor.report().seconds  # nothing was left to do
    np.testing.assert_array_equal(found.values, alone.values)
    assert contents(store) == contents(tmp_path / "alone")
