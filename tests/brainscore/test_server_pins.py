"""The measured versions are those of the Brain-Score that is installed, and pip finds nothing to do for them here."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from registry.submission.requirements import changed_versions, requirement_lines
from registry.submission.server_pins import BRAINSCORE, HOST, HOST_LIMITS, MEASURED

TESTED = Path(__file__).parents[2] / "requirements" / "brainscore.txt"
OWN = ("brainscore-vision", "brainscore-core", "result-caching")


def asked_for():
    """Yield what Brain-Score itself requires."""
    for name in OWN:
        for requirement in map(Requirement, importlib.metadata.requires(name) or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                yield requirement


def test_table_was_measured_with_the_brain_score_that_is_tested():
    assert importlib.metadata.version("brainscore-vision") == BRAINSCORE
    assert set(HOST) == {*OWN, *(canonicalize_name(requirement.name) for requirement in asked_for())}


def test_every_limit_of_brain_score_is_known():
    limited = {canonicalize_name(each.name) for each in asked_for() if "<" in str(each.specifier)}
    assert limited - {"pyyaml"} == set(HOST_LIMITS)
    for requirement in asked_for():
        assert requirement.specifier.contains(HOST[canonicalize_name(requirement.name)]), requirement


def test_last_set_is_the_one_that_all_tests_run_with():
    lines = [line.split("#")[0].strip() for line in TESTED.read_text().splitlines()]
    wanted = {
        each.name: str(each.specifier)[2:]
        for each in map(Requirement, filter(None, lines))
        if str(each.specifier).startswith("==") and each.name in MEASURED[-1]
    }
    assert {"tensorflow", "keras", "jax", "flax", "equinox", "dm-haiku"} == set(wanted)
    assert {name: MEASURED[-1][name][0] for name in wanted} == wanted


@pytest.mark.parametrize(
    "names",
    [
        ("flax", "jax", "dm-haiku", "equinox", "optax"),
        ("keras", "tensorflow-cpu" if sys.platform == "linux" else "tensorflow", "onnx", "onnxruntime"),
        ("timm", "transformers", "torch", "numpy", "pandas", "pillow", "xarray", "tqdm"),
    ],
)
def test_model_made_beside_brain_score_changes_nothing_there(names, tmp_path):
    file = tmp_path / "requirements.txt"
    file.write_text("\n".join(requirement_lines(names)))
    assert changed_versions(names) == {}
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "-r", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Would install" not in done.stdout
