"""Workers that nobody talks to: how they read their order, tell what they did, are started; and their scripts."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.engines import EngineError, Receipt, Task
from adapters.engines.__main__ import main
from adapters.engines.ranks import LAUNCHER_VARIABLES
from adapters.engines.slurm import Slurm
from adapters.engines.spooling import Journal, JournalReader, read_order, write_order
from adapters.engines.working import Worker

from ..environment.slurm import wait_until
from .toy_tasks import events, expected, kept, processes, times_begun, times_done, toy_task

SECONDS = 60.0
SHARDS = range(8)
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nobody_started_us(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LAUNCHER_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def order(folder: Path, **arguments: object) -> Path:
    """Write an order of the eight shards of a toy."""
    path = folder / "order" / "task.json"
    path.parent.mkdir()
    write_order(path, toy_task(folder, **arguments), SHARDS)  # type: ignore[arg-type]
    return path


def journal(path: Path, rank: int) -> list[dict[str, object]]:
    lines = (path.parent / f"receipts-{rank}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines if line]


def test_a_worker_does_its_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = order(tmp_path, group=2)
    assert main([str(path), "--rank", "1", "--of", "2"]) == 0
    assert kept(tmp_path) == expected([1, 3, 5, 7])
    said, (out, err) = journal(path, 1), capsys.readouterr()
    assert [next(iter(line)) for line in said] == [
        *("started", "taken", "opened", "receipt", "receipt", "taken", "receipt", "receipt", "ended")
    ]
    assert [line["taken"] for line in said if "taken" in line] == [[1, 3], [5, 7]]
    assert out == ""
    assert f"worker 1 of 2, process {os.getpid()}: 4 of 8 shards of 'toy'" in err
    assert "4 of 4: shard 7 in" in err


def test_what_is_done_is_not_done_again(tmp_path: Path):
    path = order(tmp_path)
    assert main([str(path), "--rank", "0", "--of", "2"]) == 0
    assert main([str(path)]) == 0
    assert kept(tmp_path) == expected(SHARDS)
    assert set(times_done(tmp_path).values()) == {1}


def test_a_worker_that_fails_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(order(tmp_path, raises=[2], group=8))]) == 1
    assert kept(tmp_path) == expected({*SHARDS} - {2})
    err = capsys.readouterr().err
    assert "shard 2 failed" in err
    assert "the toy cannot do shard 2" in err
    assert "worker 0 of 1 could not do 1 of 8 shards" in err


@pytest.mark.parametrize("content", [None, "", "[]", '{"task": {}}', '{"shards": [1]}', '{"task": {}, "shards": []}'])
def test_what_is_no_order(tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "task.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(EngineError, match=r"could not be read as the order of an engine"):
        read_order(path)
    assert main([str(path)]) == 1
    err = capsys.readouterr().err
    assert str(path) in err
    assert "--engine slurm --dry-run" in err


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["--rank", "1"], "--rank and --of belong together"),
        (["--of", "1"], "--rank and --of belong together"),
        (["--rank", "2", "--of", "2"], "the last is 1"),
        (["--rank", "-1", "--of", "2"], "counted from 0"),
        ([], "the following arguments are required: file"),
    ],
)
def test_wrongly_called(arguments: list[str], fragment: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main([*(["task.json"] if arguments else []), *arguments])
    assert stop.value.code == 2
    assert fragment in capsys.readouterr().err


def test_without_any_scheduler(tmp_path: Path):
    """The command, twice at the same time."""
    path = order(tmp_path)
    command = [sys.executable, "-m", "adapters.engines", str(path), "--of", "2", "--rank"]
    started = [subprocess.Popen([*command, rank], cwd=ROOT, stderr=subprocess.DEVNULL) for rank in "01"]
    assert [process.wait(SECONDS) for process in started] == [0, 0]
    assert kept(tmp_path) == expected(SHARDS)
    assert set(times_done(tmp_path).values()) == {1}
    assert set(processes(tmp_path)) == {process.pid for process in started}


def test_the_script_of_each_element_without_slurm(tmp_path: Path):
    script = Slurm(setup="export TOY='set up'\necho $TOY >&2").write(toy_task(tmp_path), SHARDS, 3)
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    for element in range(3):
        own = {"SLURM_ARRAY_TASK_ID": str(element), "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_COUNT": "3"}
        environment = {**os.environ, **own, "RANK": "7", "WORLD_SIZE": "8"}
        done = subprocess.run([str(script)], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith(f"set up\nworker {element} of 3, process")
    assert kept(tmp_path) == expected(SHARDS)


def test_asked_to_stop_it_closes(tmp_path: Path):
    path = order(tmp_path, hangs=[0])
    process = subprocess.Popen(
        [sys.executable, "-m", "adapters.engines", str(path)], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    assert wait_until(lambda: times_begun(tmp_path)[0] == 1, SECONDS)
    process.terminate()
    assert process.wait(SECONDS) == 128 + signal.SIGTERM
    assert len(events(tmp_path, "closed")) == 1
    assert journal(path, 0)[-1] == {"ended": "SystemExit"}
    reader = JournalReader(path.parent)
    assert list(reader.news()) == []
    assert reader.in_hand(0, of=1) == []
    assert reader.died_with([0], of=1) == []  # to be stopped is no shard's fault


def test_the_dead_leave_what_they_had_in_hand(tmp_path: Path):
    """Journals of workers that are killed: in the middle of a line, before they began, and again and again."""
    first, second = Journal(tmp_path, 0), Journal(tmp_path, 1)
    reader, path = JournalReader(tmp_path), tmp_path / "receipts-0.jsonl"
    done, failed = Receipt(4, "a"), Receipt(6, "a", error="é", is_refusal=True)
    first.__enter__()
    first.take([4, 6, 8])
    assert list(reader.news()) == []
    assert reader.died_with([0], of=1) == []  # it was not opened
    first.__enter__()
    first.take([4, 6, 8])
    first.open()
    first.keep(done)
    second.__enter__()
    second.take([5, 7])
    second.open()
    with path.open("a") as file:
        file.write('{"receipt": {"shard": 6, "wor')
    assert list(reader.news()) == [(0, done)]
    assert (reader.in_hand(0, of=2), reader.in_hand(1, of=2)) == ([6], [5])
    assert reader.n_lines == {0: 6, 1: 3}
    first.__enter__()  # after the torn line
    first.take([6, 8])
    first.open()
    first.keep(failed)
    assert list(reader.news()) == [(0, failed)]
    assert reader.died_with([], of=2) == [6]
    assert reader.died_with([0], of=2) == [8]
    assert reader.died_with([0], of=2) == []
    assert reader.died_with([1], of=2) == [5]
    second.__exit__(OSError, OSError(28, "No space left on device"), None)
    assert list(reader.news()) == []


def test_a_task_survives_the_order(tmp_path: Path):
    task = Task("a.b:c", {"names": ["é", 1.5]}, "label", "run", 3, ("/x y",), str(tmp_path))
    write_order(tmp_path / "task.json", task, (3, 1))
    assert read_order(tmp_path / "task.json") == (task, [3, 1])


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        ({"array": "0-3"}, ["'array', which the engine decides itself", "say workers=..."]),
        ({"output": "x"}, ["'output'", "its log beside the script"]),
        ({"clusters": "a,b"}, ["'clusters'", "submit it by hand"]),
        ({"p": "gpu"}, ["'p', which is no long option of sbatch", "'partition': 'gpu'"]),
        ({"partition\n#SBATCH --x": "gpu"}, ["no long option"]),
        ({"comment": "a\nrm -rf /"}, ["comment='a\\nrm -rf /' cannot stand in a batch script", "more than one line"]),
    ],
)
def test_options_that_cannot_be(tmp_path: Path, options: dict[str, str], fragments: list[str]):
    with pytest.raises(EngineError) as error:
        Slurm(options=options).write(toy_task(tmp_path), SHARDS, 2)
    assert all(fragment in str(error.value) for fragment in fragments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "fragment"), [("a\\b", "because of the backslash"), ("a\nb", "more than one line")])
def test_folders_that_cannot_be(tmp_path: Path, name: str, fragment: str):
    with pytest.raises(EngineError, match=fragment):
        Slurm().write(toy_task(tmp_path / name), SHARDS, 2)


def test_settings_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ValueError, match=r"patience=0 leaves no time"):
        Slurm(patience=0)
    with pytest.raises(ValueError, match=r"poll=-1.0 leaves no time"):
        Slurm(poll=-1.0)
    with pytest.raises(ValueError, match=r"workers=0 is no size of an array. Pass 1 or more, or None for 4"):
        Slurm().run(toy_task(tmp_path), SHARDS, 0)
    with pytest.raises(EngineError, match=r"Task 'x' names no folder that all nodes see"):
        Slurm().write(Task("a:b", {}, "x"), SHARDS, 2)
    with Worker(toy_task(tmp_path)), pytest.raises(EngineError, match=r"start a run of its own"):
        Slurm().run(toy_task(tmp_path), SHARDS, 2)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"sbatch was not found.*login node.*--engine slurm --dry-run"):
        list(Slurm().run(toy_task(tmp_path), SHARDS, 2))
    assert list(Slurm().run(toy_task(tmp_path), [], 2)) == []


def test_what_the_script_says(tmp_path: Path):
    options = {"partition": "gpu", "cpus_per_task": 4, "exclusive": True, "requeue": False, "open-mode": None}
    text = Slurm(options=options, python="/opt/my python").script(toy_task(tmp_path), SHARDS, None)
    lines = text.splitlines()
    (folder,) = tmp_path.iterdir()
    assert [line for line in lines if line.startswith("#SBATCH")] == [
        "#SBATCH --array=0-3",
        f'#SBATCH --output="{folder}/log-%a.txt"',
        '#SBATCH --job-name="brain-adapters toy"',
        '#SBATCH --partition="gpu"',
        '#SBATCH --cpus-per-task="4"',
        "#SBATCH --exclusive",
    ]
    assert lines[-1] == f"exec '/opt/my python' -m adapters.engines {folder}/task.json"
    assert read_order(folder / "task.json") == (toy_task(tmp_path), [*SHARDS])
