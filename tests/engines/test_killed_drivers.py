"""Whoever started the run is killed or interrupted: no worker stays, and the same call does the rest, bit for bit."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adapters.engines import Local, Receipt, Task
from adapters.engines.extraction import PoisonShardError
from adapters.engines.working import Worker
from adapters.store import open_store

from .conftest import HERE, contents
from .toy_tasks import toy_task

SCRIPT = """
import sys
import adapters.store.store as module
import registry
entry = module.ActivationStore.entry
module.ActivationStore.entry = lambda self, recipe, **how: entry(self, recipe, **{**how, "max_shard_bytes": 1})
folder, store, engine = sys.argv[1:4]
registry.load_models_file(folder + "/engine_models.py")
extractor = registry.get_model("slow_torch")
extractor(sys.argv[4:], ["0", "2"], store=store, engine=engine, workers=2)
"""


def shards_begun(store: Path) -> set[int]:
    """Return who is at work in a store."""
    return {int(note.name.split("-")[1]) for note in store.glob("v1/??/*/attempts/*/*")}


def is_alive(pid: int) -> bool:
    """Say whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Any, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


@pytest.mark.parametrize(("engine", "end"), [("local", "SIGKILL"), ("local", "SIGINT"), ("dask", "SIGKILL")])
def test_a_run_that_lost_its_head(
    engine: str, end: str, built: Any, images: list[str], tmp_path: Path, many_shards: None, monkeypatch: Any
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    store, extractor = tmp_path / "shared", built("slow_torch")
    # Not from a shell's background, where SIGINT would be ignored.
    heeding = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n{SCRIPT}"
    driver = subprocess.Popen(
        [sys.executable, "-c", heeding, str(HERE), str(store), engine, *images],
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: len(list(store.glob("v1/??/*/commits/*.json"))) >= 3 and shards_begun(store))
    workers = shards_begun(store)
    driver.send_signal(getattr(signal, end))
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == (-signal.SIGKILL if end == "SIGKILL" else -signal.SIGINT), said
    wait_for(lambda: not any(map(is_alive, workers)), 30)
    assert driver.pid not in workers
    (entry,) = open_store(store).entries()
    records = list(entry.layers().values())
    assert 0 < len(entry.missing(records)) < 16
    found = extractor(images, ["0", "2"], store=store, engine=engine, workers=2)
    alone = extractor(images, ["0", "2"], store=tmp_path / "alone")
    np.testing.assert_array_equal(found.values, alone.values)
    assert contents(store) == contents(tmp_path / "alone")


def test_an_image_that_kills(built: Any, images: list[str], tmp_path: Path, many_shards: None) -> None:
    white = tmp_path / "white.png"
    Image.new("RGB", (30, 30), "white").save(white)
    stimuli = [*images[:18], str(white), *images[18:39]]
    with pytest.raises(PoisonShardError, match=r"SIGKILL.*shard 4.*white\.png.*try them alone") as caught:
        built("engine_mined")(stimuli, ["0"], store=tmp_path / "store", engine="local", workers=2)
    assert "All other shards that were done are kept" in str(caught.value)
    (entry,) = open_store(tmp_path / "store").entries()
    assert list(entry.missing(list(entry.layers().values()))) == [4]


def test_a_script_without_a_guard_starts_no_workers_of_workers(images: list[str], tmp_path: Path) -> None:
    script = tmp_path / "careless.py"
    script.write_text(
        "import adapters, registry, torch\n"
        "@registry.register_model(preprocessing=adapters.imagenet(24), batch_size=4)\n"
        "def careless():\n"
        "    torch.manual_seed(0)\n"
        "    return torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3))\n"
        f"registry.get_model('careless')({images[:8]!r}, ['0'], store={str(tmp_path / 'store')!r}, engine='local')\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "it imports the file that registers its model, and that file starts one" in done.stderr
    assert "if __name__ == '__main__':" in done.stderr
    assert os.environ.get("BRAIN_ADAPTERS_WORKER") is None


def test_patience_is_for_workers_that_do_nothing(tmp_path: Path) -> None:
    engine = Local(patience=0.5, threads=1)
    task = toy_task(tmp_path / "unseen", seconds=1.0)
    assert [each.error for each in engine.run(task, [0], 1)] != [""]  # it takes longer to begin than that
    seen = replace(toy_task(tmp_path / "seen", seconds=1.0), life=lambda: 0.1)
    assert [each.error for each in engine.run(seen, [0], 1)] == [""]
    assert seen.seconds_silent() == 0.1
    assert Task.from_json(seen.to_json()).seconds_silent() == math.inf


def test_a_worker_that_is_told_to_stop_blames_no_shard(
    built: Any, images: list[str], tmp_path: Path, many_shards: None
) -> None:
    n_stopped: list[int] = []

    class Preempting:
        """Tells each worker to stop in its first shard, five times."""

        def run(self, task: Task, shards: Sequence[int], workers: int | None) -> Iterator[Receipt]:
            for _ in range(5):
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr("adapters.filling._Batches.until", lambda *args: sys.exit(143))
                    try:
                        with Worker(task) as worker:
                            yield from worker.do(shards)
                    except SystemExit:
                        n_stopped.append(1)
            with Worker(task) as worker:
                yield from worker.do(shards)

    extractor = built("engine_torch")
    found = extractor(images, ["0"], store=tmp_path / "shared", engine=Preempting())
    np.testing.assert_array_equal(found.values, extractor(images, ["0"], store=tmp_path / "alone").values)
    assert len(n_stopped) == 5
