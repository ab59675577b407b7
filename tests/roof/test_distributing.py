"""`extract --engine`: workers fill the store, a dry run costs nothing, and options that cannot work are named."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import adapters
import registry


def test_two_processes_fill_the_store(models_file: Path, images: Path, tmp_path: Path):
    def run(*given: object) -> subprocess.CompletedProcess[str]:
        """Run it in a process that no other test has changed: workers would notice."""
        command = [sys.executable, "-m", "brain_adapters", *map(str, given)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    store = tmp_path / "store"
    arguments = ("extract", f"{models_file}:small_net", images, "--store", store)
    result = run(*arguments, "--engine", "local", "--workers", 2, "--engine-option", "threads=1", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["sizes"] == {"presentation": 6, "neuroid": 288}
    registry.load_models_file(models_file)
    expected = registry.get_model("small_net")(str(images), ["conv", "relu"])
    np.testing.assert_allclose(adapters.open_store(store).to_xarray().values, expected.values, rtol=1e-5, atol=1e-6)
    (entry,) = adapters.open_store(store).entries()
    assert entry.run_cards()[-1]["engine"] == "Local"
    again = run(*arguments, "--engine", "local")
    assert again.returncode == 0
    assert len(entry.run_cards()) == 1


def test_a_dry_run_says_what_it_would_cost(run, models_file: Path, images: Path, tmp_path: Path):
    store = tmp_path / "store"
    result = run("extract", f"{models_file}:small_net", images, "--store", store, "--dry-run", "--workers", 4)
    assert result.exit_code == 0, result.stderr
    assert "2 layers x 6 presentations" in result.stdout
    assert "worker-hours" in result.stdout
    assert not list(store.glob("v1/??/*"))


def test_a_plan_as_data(run, models_file: Path, images: Path, tmp_path: Path):
    arguments = ("--store", tmp_path / "store", "--dry-run", "--workers", 4, "--json")
    plan = json.loads(run("extract", f"{models_file}:small_net", images, *arguments).stdout)
    assert [layer["layer"] for layer in plan["layers"]] == ["conv", "relu"]
    assert plan["forecast"]["n_workers"] == 4


def test_the_store_of_the_environment(run, models_file: Path, images: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("BRAIN_ADAPTERS_STORE", str(tmp_path / "store"))
    assert run("extract", f"{models_file}:small_net", images, "--out", tmp_path / "x.npz").exit_code == 0
    assert len(adapters.open_store(tmp_path / "store")) == 1


def test_a_script_for_slurm(run, models_file: Path, images: Path, tmp_path: Path):
    options = ("--engine-option", "partition=gpu", "--engine-option", "setup=module load cuda")
    arguments = ("--engine", "slurm", "--workers", 3, "--dry-run", *options)
    result = run("extract", f"{models_file}:small_net", images, "--store", tmp_path / "store", *arguments)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("#!")
    assert '--partition="gpu"' in result.stdout
    assert "\nmodule load cuda\n" in result.stdout
    assert "-m adapters.engines" in result.stdout
    (order,) = (tmp_path / "store").glob("v1/??/*/tasks/*/*/task.json")
    assert json.loads(order.read_text())["shards"] == [0]
    assert str(order) in result.stdout


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (("--engine", "local", "--out", "x.npz"), "Pass --store FOLDER, too"),
        (("--workers", 2, "--out", "x.npz"), "--workers 2 came without --engine"),
        (("--engine-option", "a=1", "--store", "s"), "--engine-option came without --engine"),
        (("--engine", "local", "--engine-option", "a", "--store", "s"), "is not NAME=VALUE"),
        (
            ("--engine", "local", "--engine-option", "thread=1", "--store", "s"),
            "no option 'thread'. Did you mean 'threads'?",
        ),
        (("--engine", "local", "--engine-option", "threads=0", "--store", "s"), "does not fit engine local"),
        (("--store", "s3://lab/acts"), "is on an object store"),
        (("--engine", "locla", "--store", "s"), "'locla' is not one of"),
        (("--engine", "torchrun", "--store", "s"), "torchrun"),
    ],
)
def test_options_that_cannot_work(
    run, models_file: Path, images: Path, arguments: tuple, fragment: str, tmp_path: Path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    result = run("extract", f"{models_file}:small_net", images, *arguments)
    assert result.exit_code == 2
    assert fragment in " ".join(result.stderr.replace("│", " ").split())
