"""Prove that JAX users need no other framework: install ``.[jax]`` into an empty environment, and go the whole road.

``python tests/environment/jax_alone.py FOLDER`` builds the environment in FOLDER on first use, and again when setup.py
has changed. Nothing but the standard library is needed to run it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
OTHERS = ("torch", "torchvision", "tensorflow", "tf_keras", "keras", "onnxruntime")
ROAD = """
import importlib.util, sys
import numpy as np
found = [name for name in {others} if importlib.util.find_spec(name) is not None]
if found:
    sys.exit(f"{{found}} should not be here")

import adapters
sys.path.insert(0, {examples!r})
from jax_flax_vit import small_vit

batch = np.random.default_rng(0).standard_normal((3, 64, 64, 3), dtype=np.float32)
module, variables = small_vit()
extractor = adapters.wrap((module, variables), preprocessing=adapters.already_preprocessed())
assembly = extractor(batch, ["block0", "logits"])
logits, kept = module.apply(variables, batch, capture_intermediates=True, mutable=["intermediates"])
for layer, output in ("block0", kept["intermediates"]["block0"]["__call__"][0]), ("logits", logits):
    found = assembly.values[:, assembly["layer"].values == layer]
    np.testing.assert_allclose(found, np.asarray(output).reshape(len(batch), -1), rtol=1e-4, atol=1e-5)
loaded = [name for name in {others} if name in sys.modules]
if loaded:
    sys.exit(f"{{loaded}} were imported")
print("extracted", dict(assembly.sizes))
"""


def main(folder: Path) -> None:
    """Build the environment where needed; wrap, extract, check, package and validate in it."""
    python = folder / "bin" / "python"
    stamp = folder / "alone.stamp"
    setup = (ROOT / "setup.py").read_bytes()
    if not stamp.exists() or stamp.read_bytes() != setup:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--upgrade", "pip"], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-e", f"{ROOT}[jax]"], check=True)
        stamp.write_bytes(setup)
    examples = ROOT / "examples"
    with tempfile.TemporaryDirectory() as scratch:
        for command in (
            ["-c", ROAD.format(others=OTHERS, examples=str(examples))],
            ["-m", "brain_adapters", "check", str(examples / "jax_flax_vit.py")],
            ["-m", "brain_adapters", "package", str(examples / "jax_flax_vit.py"), "--out", "."],
            ["-m", "brain_adapters", "validate", "small_vit.zip"],
        ):
            subprocess.run([python, *command], check=True, cwd=scratch)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
