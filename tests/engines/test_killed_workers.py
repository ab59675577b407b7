"""The acceptance of the issue, for real: two workers, three frameworks, kill -9 in mid-run, and the same bits."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .conftest import contents

pytestmark = pytest.mark.usefixtures("many_shards")
LAYERS = {"slow_torch": ["0", "2"], "slow_keras": ["first", "second"], "slow_flax": ["Conv_0", "Conv_1"]}


class Killer(threading.Thread):
    """Kills whoever is at a shard once some shards of a store are committed."""

    def __init__(self, store: Path, after: int = 2) -> None:
        super().__init__(daemon=True)
        self.store, self.after, self.killed = store, after, 0

    def run(self) -> None:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            if len(list(self.store.glob("v1/??/*/commits/*.json"))) >= self.after:
                for note in self.store.glob("v1/??/*/attempts/*/*"):
                    pid = int(note.name.split("-")[1])
                    if pid != os.getpid():
                        os.kill(pid, signal.SIGKILL)
                        self.killed = pid
                        return
            time.sleep(0.005)


@pytest.mark.parametrize(
    ("engine", "model"), [("local", "slow_torch"), *((engine, model) for engine in ("dask", "ray") for model in LAYERS)]
)
def test_a_killed_worker_changes_nothing(
    engine: str, model: str, built: Any, images: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    extractor = built(model)
    alone = extractor(images, LAYERS[model], store=tmp_path / "alone")
    killer = Killer(tmp_path / "shared")
    killer.start()
    found = extractor(images, LAYERS[model], store=tmp_path / "shared", engine=engine, workers=2)
    killer.join(1)
    assert killer.killed
    np.testing.assert_array_equal(found.values, alone.values)
    assert contents(tmp_path / "shared") == contents(tmp_path / "alone")
