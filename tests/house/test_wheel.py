"""The wheel holds our four packages and nothing else."""

import ast
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"adapters", "registry", "benchmarks_local", "brain_adapters"}


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Names in a wheel that is built, without network, from a copy of what would be committed."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    skip = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info", "out")
    shutil.copytree(ROOT, source, ignore=skip)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    done = subprocess.run([*command, "--wheel-dir", str(folder), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("brain_adapters-*.whl")
    return zipfile.ZipFile(wheel).namelist()


def test_top_level_names(wheel_names: list[str]):
    top_level = {name.split("/")[0] for name in wheel_names}
    assert {name for name in top_level if not name.endswith(".dist-info")} == PACKAGES


def test_every_file_of_the_packages_is_in_the_wheel(wheel_names: list[str]):
    """A new sub-package or data file that setup.py does not list would be missing only for users."""
    files = {path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()}
    expected = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    assert expected - set(wheel_names) == set()


def test_packages_are_typed(wheel_names: list[str]):
    """PEP 561: the marker of a top-level package holds for everything below it."""
    assert {package for package in PACKAGES if f"{package}/py.typed" not in wheel_names} == set()


def test_no_test_files_below_adapters():
    """Brain-Score's plugin CI refuses any test*.py in a sub-folder, and adapters/ is what submissions vendor."""
    assert [str(path.relative_to(ROOT)) for path in (ROOT / "adapters").rglob("test*.py")] == []


def test_torch_is_pinned_in_requirements_only():
    """The tested pair is pinned for tests and demo; the distribution itself leaves users their own torch."""
    assert "torch==" not in (ROOT / "setup.py").read_text()
    assert re.search(r"^torch==[\d.]+$", (ROOT / "requirements" / "demo.txt").read_text(), re.MULTILINE)


def test_setup_lists_packages_explicitly():
    calls = [node for node in ast.walk(ast.parse((ROOT / "setup.py").read_text())) if isinstance(node, ast.Name)]
    assert not {"find_packages", "find_namespace_packages"} & {node.id for node in calls}
