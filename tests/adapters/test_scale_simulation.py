"""The simulation of large runs: as the formula says where nothing fails, and plausible where something does."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from torch import nn

import adapters
from adapters.forecasting import Rates, forecast

EXAMPLE = Path(__file__).parents[2] / "examples" / "scale_simulation.py"


@pytest.fixture(scope="module")
def simulation() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scale_simulation", EXAMPLE)
    module = sys.modules["scale_simulation"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("n_workers", [1, 2, 7, 64])
@pytest.mark.parametrize("disk", [None, 2e6, 2e7])
def test_simulation_agrees_with_the_formula(simulation: ModuleType, n_workers: int, disk: float | None) -> None:
    reading = simulation.Reading("", 1e5, 1, Rates(12.5, disk, 3))
    for n_images, shard_images in ((640, 10), (1000, 17), (33, 100)):
        expected = forecast(n_workers, reading.rates, n_images=n_images, shard_images=shard_images, image_bytes=1e5)
        found = simulation.simulate(reading, n_images, n_workers, shard_images=shard_images)
        # the formula has rounds; a short last shard gives its part of the disk to the others a little earlier
        assert found.seconds == pytest.approx(expected.seconds, rel=0.02)
        if n_images % shard_images == 0 or disk is None:
            assert found.seconds == pytest.approx(expected.seconds, rel=1e-6)


def test_crashes_and_slow_workers_cost(simulation: ModuleType) -> None:
    reading = simulation.Reading("", 1.0, 1, Rates(10, None, 5))
    job = {"n_images": 40_000, "n_workers": 4, "shard_images": 100}  # 1,000 s
    smooth, crashing, slow = (
        simulation.simulate(reading, **job, **faults)
        for faults in ({}, {"crashes_per_hour": 60}, {"slow_share": 0.25, "slow_factor": 4})
    )
    assert smooth == simulation.Outcome(pytest.approx(1005), 0)
    # about 70 crashes, each of which costs one of four workers half a shard (5 s) and a start (5 s)
    assert 40 <= crashing.n_crashes <= 120
    assert crashing.seconds == pytest.approx(1005 + crashing.n_crashes * 10 / 4, abs=40)
    assert slow.seconds == pytest.approx(5 + 40_000 / (30 + 2.5), abs=45)  # its last shard takes 40 s
    assert crashing == simulation.simulate(reading, **job, crashes_per_hour=60)


def test_workers_share_the_disk_evenly(simulation: ModuleType) -> None:
    paces = simulation.shared(np.array([1.0, 9.0, 9.0]), 11.0)
    np.testing.assert_allclose(paces, [1, 5, 5])
    np.testing.assert_allclose(simulation.shared(np.array([1.0, 9.0]), 11.0), [1, 9])


def test_the_example_runs(tmp_path: Path) -> None:
    run = [sys.executable, str(EXAMPLE), "--images", "10000", "--workers", "1", "8", "--plot", str(tmp_path / "a.png")]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| 10,000")]
    assert [row[1] for row in rows] == ["1 layer", "5 layers", "20 layers"]
    assert rows[2][2] == "5.9 GB"
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_the_example_takes_a_plan(
    simulation: ModuleType, noise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("adapters.rates._SECONDS", 0.2)
    extractor = adapters.wrap(nn.Flatten(), identifier="toy", preprocessing=adapters.raw(8), batch_size=4)
    plan = extractor.plan(noise(40, 8, 8, 3), ["logits"], store=tmp_path, workers=2)
    (tmp_path / "plan.json").write_text(json.dumps(dataclasses.asdict(plan)))
    simulation.main(["--json", str(tmp_path / "plan.json"), "--images", "36000", "--workers", "1", "--price", "10"])
    rates, row = capsys.readouterr().out.splitlines()[::3]
    assert f"{plan.forecast.images_per_second:,.1f} images/s per worker" in rates
    assert "27.6 MB" in row
    options = [
        "--images-per-second",
        "10",
        "--startup-seconds",
        "0",
        "--layers",
        "3",
        "--price",
        "10",
        "--crashes",
        "1",
    ]
    simulation.main([*options, "--images", "36000", "--workers", "1"])
    assert "no limit" in (text := capsys.readouterr().out)
    assert "(1" in text  # an hour and some crashes, for 10 and a little
