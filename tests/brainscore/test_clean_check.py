"""`brain-adapters check --clean` on whole submissions, in the environment that has the released Brain-Score.

``--reuse`` gives it the environment that these tests run in; what pip does is tested with tiny packages in
tests/registry/test_clean_environments.py.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from typer.testing import CliRunner

from brain_adapters.application import app
from registry import default_registry, load_models_file, unregister
from registry.clean import CleanOptions, CleanReport, CleanStep, CleanSteps, check_clean
from registry.clean.report import Reporter
from registry.clean.unpacking import unpack
from registry.submission import write_submission
from registry.submission.archive import to_zip

SUCCESS = "Test successful, you are ready to submit!"
OPTIONS = "layers=[{layers}], preprocessing=adapters.raw(8), bibtex='@misc{{tiny, url={{https://example.org}}}}'"
TORCH = f"""
import os
import torch
import adapters
from registry import register_model

@register_model({OPTIONS.format(layers="'0', '3'")})
def clean_torch():
    os.write(1, b"caf\\xe9\\n")  # which is no UTF-8
    if not os.path.isabs(os.environ.get("BRAIN_ADAPTERS_WEIGHTS", "/")):
        raise OSError("a relative folder was handed on, and this runs in another one")
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 40)
    )
"""
FLAX = f"""
import jax, jax.numpy as jnp
from flax import linen as nn
import adapters
from registry import register_model

class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3), name="conv")(x))
        return nn.Dense(40, name="head")(x.reshape(len(x), -1))

@register_model({OPTIONS.format(layers="'conv', 'head'")})
def clean_flax():
    net = Net()
    return net, net.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
"""
KERAS = f"""
import keras
import adapters
from registry import register_model

@register_model({OPTIONS.format(layers="'conv', 'head'")})
def clean_keras():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential([layers.Input((8, 8, 3)), layers.Conv2D(4, 3, name="conv"), layers.Flatten(),
                             layers.Dense(40, name="head")])
"""
BRAIN = Path(__file__).parents[2] / "examples" / "brain_model.py"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Path]]:
    """Write submissions, and forget their models: the check gets to see the zips alone."""
    folder = tmp_path_factory.mktemp("submissions")
    before, path = set(default_registry), list(sys.path)

    def write(text: str, name: str, **options: Any) -> Path:
        (folder / f"{name}.py").write_text(text)
        (identifier,) = load_models_file(folder / f"{name}.py")
        try:
            return write_submission(identifier, folder, **options)
        finally:
            unregister(identifier)

    yield write
    sys.path[:] = path
    for identifier in set(default_registry) - before:
        unregister(identifier)


@pytest.fixture(scope="module")
def torch_zip(package: Callable[..., Path]) -> Path:
    return package(TORCH, "clean_torch_models", trial=False)


def checked(path: Path, folder: Path, *names: str) -> dict[str, CleanStep]:
    """Run some of the steps on a submission, after those that all need; return them by the name of their method."""
    options = CleanOptions(reuse=Path(sys.prefix))
    steps = CleanSteps(unpack(path, folder / "unpacked"), options, folder, folder, default_registry)
    with (folder / "told.txt").open("w") as told:
        reporter = Reporter(told, folder / "logs")
        done = ["make_base", "put_in_place", *names]
        for name in done:
            reporter.run(name, getattr(steps, name), needed=name == "load")
    return dict(zip(done, reporter.steps, strict=True))


def changed(path: Path, folder: Path, file: str, text: Callable[[str], str]) -> Path:
    """Write a copy of a zip in which one file is another."""
    with zipfile.ZipFile(path) as archive:
        files = {PurePosixPath(name): archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    (place,) = (place for place in files if str(place).endswith(file))
    files[place] = text(files[place].decode()).encode()
    (folder / path.name).write_bytes(to_zip(files))
    return folder / path.name


def test_good_submission_after_a_check_that_was_killed(torch_zip: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("BRAIN_ADAPTERS_WEIGHTS", "copied")
    work = tmp_path / "work"
    arguments = ["check", "--clean", str(torch_zip), "--reuse", sys.prefix, "--work", str(work)]
    killed = subprocess.Popen(
        [sys.executable, "-m", "brain_adapters", *arguments], start_new_session=True, stdout=subprocess.DEVNULL
    )
    while not list(work.glob("checks/*/overlay/brainscore_vision/models/clean_torch")) and killed.poll() is None:
        time.sleep(0.05)
    assert killed.poll() is None, "it ended before it could be killed"
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stdout
    lines = result.stdout.splitlines()
    assert lines[-1] == SUCCESS
    told = {line.partition("] ")[2].partition(" ... ")[0]: line for line in lines if line.startswith("[")}
    assert "regions committed to spread layers" in told["load_model"]
    for who in ("the website", "the plugin loader", "the test and scoring jobs", "the metadata generator"):
        assert who in told["registration"]
    assert "@misc{tiny" in told["bibtex"]
    assert "5 passed: test_identifier" in told["generic plugin tests"]
    assert "test_look_at_neural_V1" in told["generic plugin tests"]
    assert "1 passed: test_has_identifier" in told["the plugin's test.py"]
    assert "2 of 2 agree on 3 images; largest difference " in told["activations there and here"]
    assert "8 steps passed" in told["offline check"]


def test_legacy_submission(package: Callable[..., Path], tmp_path: Path):
    path = package(TORCH, "clean_legacy_models", layout="legacy", trial=False)
    arguments = ["check", "--clean", str(path), "--reuse", sys.prefix, "--work", str(tmp_path / "work"), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.splitlines()[-1] == SUCCESS
    report = json.loads(result.stdout)
    assert report["passed"] is True
    assert report["identifier"] == "clean_torch"
    steps = {step["name"]: step for step in report["steps"]}
    assert steps["the four functions"]["finding"] == (
        "get_model_list ['clean_torch'], get_model ActivationsExtractor, 2 layers, get_bibtex"
    )
    assert "2 of 2 agree" in steps["activations there and here"]["finding"]
    assert steps["offline check"]["status"] == "passed"
    assert SUCCESS.encode() in Path(steps["offline check"]["log"]).read_bytes()


@pytest.mark.parametrize(("name", "text"), [("flax", FLAX), ("keras", KERAS)])
def test_other_frameworks(package: Callable[..., Path], tmp_path: Path, name: str, text: str):
    steps = checked(package(text, f"clean_{name}_models", trial=False), tmp_path, "compare")
    assert {step.status for step in steps.values()} == {"passed"}, steps
    assert "2 of 2 agree on 3 images" in steps["compare"].finding


def test_brain_model(package: Callable[..., Path], tmp_path: Path):
    path = package(BRAIN.read_text(), "clean_brain_models", trial=False)
    steps = checked(path, tmp_path, "run_generic_tests", "compare")
    assert {step.status for step in steps.values()} == {"passed"}, steps["run_generic_tests"]
    assert "5 passed" in steps["run_generic_tests"].finding
    assert "1 of 1 agree on 3 images" in steps["compare"].finding


def test_registered_model_is_compared_with(torch_zip: Path, tmp_path: Path, package: Callable[..., Path]):
    """The model here has other weights than the zip's, as after more training: it is noticed."""
    file = tmp_path / "retrained_models.py"
    file.write_text(TORCH.replace("manual_seed(0)", "manual_seed(1)"))
    load_models_file(file)
    compared = checked(torch_zip, tmp_path, "compare")["compare"]
    unregister("clean_torch")
    assert compared.status == "failed"
    assert "2 of 2 layers differ" in compared.finding
    assert "set their seed" in compared.fix


SOURCE = "source/clean_torch_models.py"
BEFORE = "@register_model"
INSIDE = "    torch.manual_seed(0)\n"


@pytest.mark.parametrize(
    ("file", "old", "new", "said", "fix"),
    [
        (SOURCE, BEFORE, "raise ValueError('a slip')\n@register_model", "ValueError: a slip", "The log shows where"),
        (
            SOURCE,
            BEFORE,
            "import gizmo\n@register_model",
            "No module named 'gizmo'",
            "names it, and install it there. Else: The model imports gizmo",
        ),
        (
            SOURCE,
            INSIDE,
            "    import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/weights.pt')\n",
            "Connection refused",
            "weights, could not be fetched",
        ),
    ],
    ids=["import fails", "missing requirement", "weights unreachable"],
)
def test_model_that_cannot_be_loaded(
    torch_zip: Path, tmp_path: Path, file: str, old: str, new: str, said: str, fix: str
):
    path = changed(torch_zip, tmp_path, file, lambda text: text.replace(old, new))
    steps = checked(path, tmp_path, "load", "run_generic_tests")
    failed = steps["load"]
    assert failed.status == "failed"
    assert said in failed.finding
    assert fix in failed.fix
    assert Path(failed.log).is_file()
    assert f"log: {failed.log}" in (tmp_path / "told.txt").read_text()
    assert steps["run_generic_tests"].status == "not run"


def test_tests_and_references_that_fail(torch_zip: Path, tmp_path: Path):
    """What does not keep the other steps from running is told beside them."""
    path = changed(torch_zip, tmp_path, "clean_torch/test.py", lambda text: "def test_sum():\n    assert 1 + 1 == 3\n")
    reference = "return entry_of(source, identifier).bibtex"
    path = changed(
        path, tmp_path, "clean_torch/model.py", lambda text: text.replace(reference, "raise KeyError('gone')")
    )
    steps = checked(path, tmp_path, "load", "find_registration", "find_bibtex", "run_own_tests")
    assert steps["load"].status == steps["find_registration"].status == "passed"
    assert steps["find_bibtex"].status == steps["run_own_tests"].status == "failed"
    assert "KeyError: 'gone'" in steps["find_bibtex"].finding
    assert steps["find_bibtex"].log.endswith("_load.log")
    own = steps["run_own_tests"]
    assert "1 failed:\n        test_sum: assert (1 + 1) == 3" in own.finding
    assert "test_sum" in Path(own.log).read_text()


def test_plugin_that_takes_the_place_of_another(torch_zip: Path, tmp_path: Path):
    """In the overlay it stands where Brain-Score's plugin was, and everything else looks well."""
    with zipfile.ZipFile(torch_zip) as archive:
        files = {PurePosixPath(name): archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    moved = {PurePosixPath("net", "models", "pixels", *place.parts[3:]): text for place, text in files.items()}
    (tmp_path / "net.zip").write_bytes(to_zip(moved))
    steps = checked(tmp_path / "net.zip", tmp_path, "load", "find_registration")
    assert steps["load"].status == "passed"
    assert "Brain-Score has a plugin in a folder 'pixels' already" in steps["find_registration"].finding
    assert "'pixels_v2'" in steps["find_registration"].fix


def test_environment_without_brainscore(torch_zip: Path, tmp_path: Path):
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    report: CleanReport = check_clean(torch_zip, CleanOptions(reuse=bare, work=tmp_path / "work"), stream=sys.stderr)
    failed = next(step for step in report.steps if step.status == "failed")
    assert failed.name == "plugin in its place"
    assert failed.finding.startswith(f"There is no brainscore_vision in {bare / 'bin' / 'python'}.")
    assert "pip install 'brainscore-vision[test]'" in failed.fix
