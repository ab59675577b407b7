"""Importing our packages imports no framework, costs little, and survives a broken framework."""

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

PACKAGES = ("adapters", "registry", "benchmarks_local", "brain_adapters")
NEVER_AT_IMPORT = (
    *("torch", "torchvision", "timm", "transformers", "tensorflow", "tf_keras", "keras", "jax", "flax", "equinox"),
    *(
        "haiku",
        "onnx",
        "onnxruntime",
        "sklearn",
        "scipy",
        "matplotlib",
        "brainscore_vision",
        "brainscore_core",
        "brainio",
        "result_caching",
    ),
)
FOUNDATION = "import numpy, pandas, xarray, PIL.Image, tqdm.auto"
GOAL_MS, LIMIT_MS = 150, 1000


def run_fresh(code: str, *, path: Path | None = None) -> dict:
    """Run code, which ends by printing one JSON object, in a fresh interpreter; return the object."""
    if path is not None:
        code = f"import sys; sys.path.insert(0, {str(path)!r})\n" + code
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("package", PACKAGES)
def test_import_leaves_frameworks_alone(package: str):
    loaded = run_fresh(f"import json, sys, {package}; print(json.dumps(list(sys.modules)))")
    assert package in loaded
    assert not set(NEVER_AT_IMPORT) & set(loaded)


def test_import_cost(record_property: Callable[[str, object], None]):
    """Report what `import adapters` costs beyond numpy, pandas, xarray and Pillow; only a gross excess fails."""
    code = textwrap.dedent(f"""
        import json, sys, time
        {FOUNDATION}
        before, start = set(sys.modules), time.perf_counter()
        import adapters
        first = time.perf_counter() - start
        import {", ".join(PACKAGES[1:])}
        print(json.dumps({{"adapters": first * 1e3, "all": (time.perf_counter() - start) * 1e3}}))
    """)
    runs = [run_fresh(code) for _ in range(3)]
    cost = {name: min(run[name] for run in runs) for name in runs[0]}
    record_property(
        "measured",
        f"import adapters: {cost['adapters']:.0f} ms beyond numpy, pandas and xarray (goal {GOAL_MS}); "
        f"all four packages: {cost['all']:.0f} ms",
    )
    assert cost["adapters"] < LIMIT_MS


@pytest.mark.parametrize("framework", ["torch", "keras", "tensorflow", "jax", "sklearn", "matplotlib"])
def test_broken_framework_stops_nobody(tmp_path: Path, framework: str):
    (tmp_path / framework).mkdir()
    (tmp_path / framework / "__init__.py").write_text("raise RuntimeError('this install is broken')")
    result = run_fresh(
        f"import json, importlib.util, {', '.join(PACKAGES)}\n"
        f"print(json.dumps({{'origin': importlib.util.find_spec({framework!r}).origin, 'name': adapters.__name__}}))",
        path=tmp_path,
    )
    assert result == {"origin": str(tmp_path / framework / "__init__.py"), "name": "adapters"}
