"""An unpacked submission runs without our packages, and gives the activations of the original."""

import json
import subprocess
import sys
import zipfile

import numpy as np

import registry
from registry.submission import write_submission

# What an interpreter must not find: our packages, and what the server need not have. A finder at the front hides them.
RUN = """
import importlib, importlib.abc, importlib.util, json, sys

class Hidden(importlib.abc.MetaPathFinder):
    names = {"adapters", "registry", "benchmarks_local", "brain_adapters", "typer", "jinja2"}
    if importlib.util.find_spec("brainscore_core") is None:  # which needs these itself
        names |= {"tqdm", "sklearn", "scipy", "matplotlib", "timm", "transformers"}

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
root, module, images = sys.argv[1:]
sys.path.insert(0, root)
package = importlib.import_module(module)
registered = {key: value.__name__ for key, value in getattr(package, "model_registry", {}).items()}
functions = importlib.import_module(module + ".model") if registered else package
layers = functions.get_layers("toy_net")
import numpy as np
activations = functions.get_model("toy_net")(np.load(images), layers=layers)
np.save(images, activations.values)
print(json.dumps({
    "registered": registered,
    "layers": layers,
    "bibtex": functions.get_bibtex("toy_net"),
    "neuroids": [str(each) for each in activations["neuroid_id"].values],
    "ours": sorted({name.split(".")[0] for name in sys.modules} & Hidden.names),
}))
"""


def run_unpacked(path, module, images, folder):
    zipfile.ZipFile(path).extractall(folder / "unpacked")
    np.save(folder / "images.npy", images)
    empty = folder / "empty"
    empty.mkdir()
    arguments = [str(folder / "unpacked" / "toy_net"), module, str(folder / "images.npy")]
    result = subprocess.run(
        [sys.executable, "-I", "-c", RUN, *arguments], cwd=empty, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout), np.load(folder / "images.npy")


def check_layout(layout, module, registered, folder):
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    expected = registry.get_model("toy_net")(images, layers=["0", "3"])
    path = write_submission("toy_net", folder, layout=layout)
    told, values = run_unpacked(path, module, images, folder)
    assert told == {
        "registered": registered,
        "layers": ["0", "3"],
        "bibtex": registry.get_bibtex("toy_net"),
        "neuroids": [str(each) for each in expected["neuroid_id"].values],
        "ours": [],
    }
    np.testing.assert_array_equal(values, expected.values)


def test_plugin_runs_elsewhere(toy, tmp_path):
    check_layout("plugin", "models.toy_net", {"toy_net": "<lambda>"}, tmp_path)


def test_legacy_submission_runs_elsewhere(toy, tmp_path):
    check_layout("legacy", "models.base_models", {}, tmp_path)
