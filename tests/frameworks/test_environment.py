"""The environment that these tests rely on: every framework imports, and one that is missing fails the run."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["tensorflow", "keras", "jax", "flax.linen", "flax.nnx", "equinox", "haiku"])
def test_framework_imports(name: str):
    assert importlib.import_module(name).__name__ == name


def test_missing_framework_fails_the_run(tmp_path: Path):
    """Where jax cannot be found the run exits non-zero, says so, and says what to install."""
    (tmp_path / "conftest.py").write_text(Path(__file__).with_name("conftest.py").read_text())
    (tmp_path / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "import importlib.util as util\nreal = util.find_spec\n"
        "util.find_spec = lambda name, package=None: None if name == 'jax' else real(name, package)\n"
        f"import pytest; sys.exit(pytest.main([{str(tmp_path)!r}, '-p', 'no:cacheprovider', '-p', 'no:xdist']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 4, done.stdout
    assert "need jax, not installed" in done.stdout + done.stderr
    assert "pip install -r requirements/frameworks.txt" in done.stdout + done.stderr
