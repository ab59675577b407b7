"""A real Slurm of one node: arrays that are followed, killed, cancelled, requeued, held, and submitted by hand."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.engines import EngineError, Receipt
from adapters.engines.slurm import Slurm

from ..environment.slurm import ADVICE, ToySlurm, missing_programs, running_slurm, wait_until
from .toy_tasks import events, expected, kept, processes, times_begun, times_done, toy_task

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
        cluster.ask("scancel", "--user", "root")
    assert not left, "the test left jobs"


def quick(**options: object) -> Slurm:
    return Slurm(**{"poll": 0.2, "patience": SECONDS, **options})  # type: ignore[arg-type]


def is_alive(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


def job_of(folder: Path, slurm: ToySlurm) -> str:
    """Return the number of the array that runs."""
    return slurm.jobs().partition("_")[0]


def logs(folder: Path) -> str:
    return "".join(f"{path}:\n{path.read_text()}" for path in sorted(folder.glob("slurm-*/*.txt")))


def test_an_array_does_all(slurm: ToySlurm, tmp_path: Path):
    receipts = list(quick().run(toy_task(tmp_path, group=2), SHARDS, 2))
    assert kept(tmp_path) == expected(SHARDS), logs(tmp_path)
    assert sorted(receipt.shard for receipt in receipts) == [*SHARDS]
    assert {receipt.error for receipt in receipts} == {""}
    assert len({receipt.worker for receipt in receipts}) == len(processes(tmp_path)) == 2
    assert not any(is_alive(process) for process in processes(tmp_path))
    assert set(times_done(tmp_path).values()) == {1}


def test_shards_of_a_killed_worker_go_to_another(slurm: ToySlurm, tmp_path: Path):
    receipts = list(quick().run(toy_task(tmp_path, dies_once=[2]), SHARDS, 2))
    assert kept(tmp_path) == expected(SHARDS), logs(tmp_path)
    assert len(receipts) == 8
    assert len(processes(tmp_path)) == 3
    assert set(times_done(tmp_path).values()) == {1}


def test_a_shard_that_kills_is_given_up(slurm: ToySlurm, tmp_path: Path):
    receipts = list(quick().run(toy_task(tmp_path, group=4, uncounted_poison=[2]), SHARDS, 2))
    (failed,) = [receipt for receipt in receipts if receipt.error]
    assert kept(tmp_path) == expected({*SHARDS} - {2}), logs(tmp_path)
    assert failed.shard == 2
    assert failed.kind == "WorkerDiedError"
    assert failed.is_final
    assert "ended by SIGKILL (FAILED) 3 times with this shard first in hand" in failed.error
    assert times_begun(tmp_path)[2] == 3


def test_failures_are_passed_on(slurm: ToySlurm, tmp_path: Path):
    receipts = list(quick().run(toy_task(tmp_path, group=3, raises=[1], refused=[4]), SHARDS, 2))
    failed = {receipt.shard: receipt for receipt in receipts if receipt.error}
    assert kept(tmp_path) == expected({*SHARDS} - {1, 4})
    assert set(failed) == {1, 4}
    assert "the toy cannot do shard 1" in failed[1].error
    assert failed[4].is_final
    assert times_begun(tmp_path)[1] == 1


def test_workers_that_die_before_they_begin(slurm: ToySlurm, tmp_path: Path):
    with pytest.raises(EngineError) as error:
        list(quick().run(toy_task(tmp_path, dies_on_opening="always"), [0], 1))
    assert "ended 3 times without having done a shard" in str(error.value)
    assert "by SIGKILL (FAILED)" in str(error.value)
    assert len(processes(tmp_path)) == 3


def test_a_setup_that_fails_shows_its_log(slurm: ToySlurm, tmp_path: Path):
    engine = quick(setup="echo 'é is loaded'\nmodule_that_is_not_there\ntouch never")
    with pytest.raises(EngineError) as error:
        list(engine.run(toy_task(tmp_path), [0, 1], 2))
    assert "exit status 127 (FAILED)" in str(error.value)
    assert "é is loaded" in str(error.value)
    assert "module_that_is_not_there: command not found" in str(error.value)
    assert not processes(tmp_path)


def test_closing_cancels(slurm: ToySlurm, tmp_path: Path):
    receipts = quick().run(toy_task(tmp_path, hangs=[2, 3]), SHARDS, 2)
    assert next(receipts).shard in (0, 1)
    assert wait_until(lambda: len(processes(tmp_path)) == 2, SECONDS)
    receipts.close()  # type: ignore[attr-defined]
    assert not slurm.jobs()
    assert not any(is_alive(process) for process in processes(tmp_path))
    assert len(events(tmp_path, "closed")) == 2  # asked to stop, workers close what they have opened


def test_ctrl_c_cancels(slurm: ToySlurm, tmp_path: Path):
    code = (
        "from pathlib import Path; from toy_tasks import toy_task; from adapters.engines.slurm import Slurm\n"
        f"task = toy_task(Path({str(tmp_path)!r}), hangs=[0])\n"
        "list(Slurm(poll=0.2).run(task, [0], 1))\n"
    )
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])
    process = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE, text=True
    )
    assert wait_until(lambda: times_begun(tmp_path)[0] == 1, SECONDS)
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=SECONDS)[1]
    assert process.returncode != 0
    assert not slurm.jobs()
    assert not any(is_alive(process) for process in processes(tmp_path))


def test_what_a_cancelled_element_left_is_done_by_a_second_run(slurm: ToySlurm, tmp_path: Path):
    task = toy_task(tmp_path, hangs_once=[2])
    receipts = []
    for receipt in quick().run(task, SHARDS, 2):
        receipts.append(receipt)
        if len(receipts) == 1:
            assert wait_until(lambda: times_begun(tmp_path)[2] == 1, SECONDS)
            slurm.ask("scancel", f"{job_of(tmp_path, slurm)}_0")
    assert sorted(receipt.shard for receipt in receipts) == [0, 1, 3, 5, 7]
    again = list(quick().run(task, [2, 4, 6], 2))
    assert sorted(receipt.shard for receipt in again) == [2, 4, 6]
    assert kept(tmp_path) == expected(SHARDS)
    assert set(times_done(tmp_path).values()) == {1}


def test_a_job_that_somebody_cancels_is_not_started_again(slurm: ToySlurm, tmp_path: Path):
    receipts = quick().run(toy_task(tmp_path, hangs=[2, 3]), SHARDS, 2)
    assert {next(receipts).shard, next(receipts).shard} == {0, 1}
    job = job_of(tmp_path, slurm)
    slurm.ask("scancel", job)
    with pytest.raises(EngineError) as error:
        next(receipts)
    assert f"Slurm job {job} of 'toy' was cancelled by somebody, with 6 shards left" in str(error.value)


def test_a_requeued_element_goes_on(slurm: ToySlurm, tmp_path: Path):
    receipts = []
    for receipt in quick().run(toy_task(tmp_path, group=2, hangs_once=[2]), SHARDS, 2):
        receipts.append(receipt)
        if receipt.shard == 0:
            assert wait_until(lambda: times_begun(tmp_path)[2] == 1, SECONDS)
            slurm.ask("scontrol", "requeue", f"{job_of(tmp_path, slurm)}_0")
    assert sorted(receipt.shard for receipt in receipts) == [*SHARDS]
    assert {receipt.error for receipt in receipts} == {""}
    assert kept(tmp_path) == expected(SHARDS)
    assert set(times_done(tmp_path).values()) == {1}
    assert len(list(tmp_path.glob("slurm-*"))) == 1


def test_silence_ends_it(slurm: ToySlurm, tmp_path: Path):
    receipts = list(quick(patience=4.0).run(toy_task(tmp_path, hangs=[1]), [0, 1], 2))
    (failed,) = [receipt for receipt in receipts if receipt.error]
    assert "Nothing was heard for 4 s while a worker was at shard 1" in failed.error
    assert not failed.is_final
    assert kept(tmp_path) == expected([0])
    assert not slurm.jobs()


def test_a_job_that_is_held(slurm: ToySlurm, tmp_path: Path):
    engine = quick(options={"hold": True}, patience=1.0)
    with pytest.raises(EngineError, match="Slurm holds what is left of 'toy' \\(JobHeldUser\\)") as error:
        list(engine.run(toy_task(tmp_path), [0], 1))
    assert "scontrol show job" in str(error.value)


def test_time_in_the_queue_does_not_count(slurm: ToySlurm, tmp_path: Path):
    engine = quick(options={"begin": "now+5"}, patience=2.0)
    (receipt,) = engine.run(toy_task(tmp_path), [0], 1)
    assert receipt.error == ""


def test_a_controller_that_is_started_anew(slurm: ToySlurm, tmp_path: Path):
    receipts = quick().run(toy_task(tmp_path, seconds=0.5), SHARDS, 1)
    found: list[Receipt] = [next(receipts)]
    slurm.stop("slurmctld")
    found += [next(receipts), next(receipts)]
    slurm.start("slurmctld")
    found += list(receipts)
    slurm.wait_until_ready()
    assert [receipt.shard for receipt in found] == [*SHARDS]
    assert kept(tmp_path) == expected(SHARDS)


def test_the_script_submitted_by_hand(slurm: ToySlurm, tmp_path: Path):
    text = Slurm(options={"partition": "toys"}).script(toy_task(tmp_path), SHARDS, 2)
    (script,) = tmp_path.glob("slurm-*/job.sh")
    assert script.read_text() == text
    assert f"sbatch {script}" in text.splitlines()[1]
    slurm.ask("sbatch", "--wait", str(script))
    assert kept(tmp_path) == expected(SHARDS)
    assert set(times_done(tmp_path).values()) == {1}


def test_several_processes_in_each_element(slurm: ToySlurm, tmp_path: Path):
    """Somebody edits the script so that srun starts two processes in each of two elements."""
    script = Slurm(options={"ntasks": 2, "overcommit": True}).write(toy_task(tmp_path), SHARDS, 2)
    script.write_text(script.read_text().replace("exec ", "exec srun --overcommit --ntasks=2 "))
    slurm.ask("sbatch", "--wait", str(script))
    assert kept(tmp_path) == expected(SHARDS), logs(tmp_path)
    assert len(processes(tmp_path)) == 4
    assert set(times_done(tmp_path).values()) == {1}


def test_tasks_that_nobody_starts_are_not_waited_for(slurm: ToySlurm, tmp_path: Path):
    """With ntasks, a batch script says of itself that it is 0 of 2; but it is alone."""
    list(quick(options={"ntasks": 2}).run(toy_task(tmp_path), SHARDS, 1))
    assert kept(tmp_path) == expected(SHARDS)


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


def test_variables_of_a_launcher_stay_here(slurm: ToySlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whoever submits may be a process of torchrun or of another job."""
    for name, value in {"RANK": "3", "WORLD_SIZE": "4", "SLURM_PROCID": "1", "SLURM_NTASKS": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLURM_STEP_ID", "0")
    assert len(list(quick().run(toy_task(tmp_path), SHARDS, 2))) == 8
    assert kept(tmp_path) == expected(SHARDS)
