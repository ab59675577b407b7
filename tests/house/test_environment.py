"""The environment that the other tests rely on: every framework imports, and one that is missing fails the run."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__)
WORK_ROUND = HERE.parents[1] / "environment" / "torchvision_on_cpu_torch.py"


FRAMEWORKS = [
    "torch",
    "tensorflow",
    "tf_keras",
    "keras",
    "jax",
    "flax.linen",
    "flax.nnx",
    "equinox",
    "haiku",
    "onnxruntime",
]


@pytest.mark.parametrize("name", [*FRAMEWORKS, "torchvision.models", "timm", "transformers", "sklearn", "matplotlib"])
def test_framework_imports(name: str):
    assert importlib.import_module(name).__name__ == name


def test_torchvision_models_and_transforms_work():
    import torch
    import torchvision

    model = torchvision.models.squeezenet1_1().eval()
    image = torch.rand(3, 64, 64)
    batch = torchvision.models.SqueezeNet1_1_Weights.DEFAULT.transforms()(image)[None]
    assert model(batch).shape == (1, 1000)


def test_transformers_finds_torchvision_in_order():
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, image_size=32)
    assert ViTModel(config).config.hidden_size == 8


def test_work_round_costs_nothing_at_start():
    """It may put a finder on sys.meta_path at interpreter start, never import torch."""
    code = "import torchvision_on_cpu_torch, sys; print('torch' in sys.modules or 'torchvision' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(WORK_ROUND.parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("RuntimeError('operator torchvision::nms does not exist')", "fell back"),
        ("RuntimeError('something else')", "something else"),
        ("ImportError('torchvision:: but an ImportError')", "but an ImportError"),
    ],
)
def test_work_round_retries_only_for_missing_operators(tmp_path: Path, error: str, expected: str):
    """A torchvision that fails once for want of an operator is loaded again; any other failure stays as it is."""
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "_first.py").write_text("")
    (package / "__init__.py").write_text(
        "import builtins\nfrom . import _first\n"
        "builtins.times = getattr(builtins, 'times', 0) + 1\n"
        f"if builtins.times == 1:\n    stale = True\n    raise {error}\n"
    )
    code = (
        "import torchvision_on_cpu_torch as work_round\n"
        "work_round.declare_missing_schemas = lambda: None\n"
        "import torchvision; print('stale' if hasattr(torchvision, 'stale') else 'fell back')"
    )
    path = os.pathsep.join([str(tmp_path), str(WORK_ROUND.parent)])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert expected in done.stdout + done.stderr
    assert (done.returncode == 0) == (expected == "fell back")


def test_missing_framework_fails_the_run(tmp_path: Path):
    """Where timm cannot be found the run exits non-zero, says so, and says what to install."""
    folder = tmp_path / "tests"
    folder.mkdir()
    for name in ("conftest.py", "conformance_report.py"):
        (folder / name).write_text(HERE.parents[1].joinpath(name).read_text())
    (folder / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
    code = (
        "import sys, importlib.util as util\nreal = util.find_spec\n"
        "util.find_spec = lambda name, package=None: None if name == 'timm' else real(name, package)\n"
        "import pytest\n"
        f"options = ['--rootdir', {str(tmp_path)!r}, '--import-mode=importlib', '-p', 'no:cacheprovider']\n"
        f"sys.exit(pytest.main([{str(folder)!r}, *options, '-p', 'no:xdist']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 4, done.stdout
    assert "The tests need timm, not installed" in done.stdout + done.stderr
    assert "pip install -r requirements/test.txt" in done.stdout + done.stderr
