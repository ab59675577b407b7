"""A registered model's weights: in its plan, and in its submission, which carries their address and not the file."""

import hashlib
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

import registry
from registry import DownloadError, Weights, WeightsError
from registry.submission import SubmissionError, write_submission
from registry.submission.trial import run_alone

MODEL = """
    import torch
    import adapters
    from registry import Weights, register_model

    WEIGHTS = Weights("https://127.0.0.1:9/small.pt", sha256="{sha256}")

    @register_model(layers=["1"], {weights}preprocessing=adapters.raw(8), bibtex="@misc{{a, title={{b}}}}")
    def small_net():
        net = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.ReLU())
        net.load_state_dict(torch.load(WEIGHTS.fetch(), weights_only=True))
        return net
"""


@pytest.fixture
def small_net(load, tmp_path, monkeypatch):
    """Register a model whose weights lie in a folder of the user's, and return a function that does so otherwise."""
    path = tmp_path / "weights" / "small.pt"
    path.parent.mkdir()
    torch.save({"0.weight": torch.ones(2, 3, 3, 3), "0.bias": torch.tensor([0.5, -100.0])}, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BRAIN_ADAPTERS_WEIGHTS", "weights")
    monkeypatch.setenv("BRAIN_ADAPTERS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BRAIN_ADAPTERS_OFFLINE", "1")

    def register(weights="weights=[WEIGHTS], "):
        load({"small.py": MODEL.format(sha256=sha256, weights=weights)})
        return path

    return register


def test_plan_names_the_weights(small_net):
    path = small_net()
    extractor = registry.get_model("small_net")
    images = np.full((1, 8, 8, 3), 255, np.uint8)
    assert extractor(images, layers=["1"]).values.max() == pytest.approx(27.5)
    (weights,) = registry.get_entry("small_net").weights
    plan = extractor.plan(images, ["1"])
    (told,) = plan.weights
    assert (told.file_name, told.sha256) == ("small.pt", weights.sha256)
    assert (told.n_bytes, told.is_here) == (path.stat().st_size, True)
    line = str(plan).splitlines()[1].strip()
    assert line.startswith("weights small.pt, ")
    assert line.endswith(f"SHA-256 {weights.sha256[:12]}...: there")


def test_weights_that_nobody_fetched_are_to_download(small_net):
    weights = Weights("https://127.0.0.1:9/large.pt", "0" * 64)
    assert str(weights.describe()) == "weights large.pt, size unknown, SHA-256 000000000000...: to download"
    weights = Weights("https://127.0.0.1:9/large.pt", "0" * 64, size=2_500_000)
    assert str(weights.describe()) == "weights large.pt, 2.5 MB, SHA-256 000000000000...: to download"


def test_missing_weights_name_the_model(small_net):
    small_net().unlink()
    with pytest.raises(DownloadError, match="BRAIN_ADAPTERS_OFFLINE is set") as caught:
        registry.get_model("small_net")
    assert "while building model 'small_net'" in caught.value.__notes__[0]


def test_submission_brings_the_address_and_not_the_file(small_net, tmp_path, monkeypatch):
    small_net()
    path = write_submission("small_net", tmp_path / "out")
    assert not [name for name in zipfile.ZipFile(path).namelist() if name.endswith(".pt")]
    assert run_alone(path.read_bytes(), "small_net", "base", "plugin")[:1] == ("torch",)
    monkeypatch.setenv("BRAIN_ADAPTERS_WEIGHTS", "elsewhere")
    with pytest.raises(SubmissionError, match=r"DownloadError: The weights small\.pt .* are not on this machine"):
        run_alone(path.read_bytes(), "small_net", "base", "plugin")


@pytest.mark.parametrize("weights", ["weights=[WEIGHTS], ", ""])
def test_submission_requires_what_downloads_exactly_with_weights(small_net, toy, package, weights):
    needed = {"certifi", "filelock", "pooch", "tqdm"}
    small_net(weights)
    lines = package("small_net")["requirements.txt"].splitlines()
    assert needed <= {line.partition("==")[0] for line in lines}
    assert {"certifi", "filelock"} <= set(lines)  # the server has its own
    lines = package("toy_net")["requirements.txt"].splitlines()
    assert not needed & {line.partition("==")[0] for line in lines}


def test_importing_registry_imports_nothing_that_downloads():
    code = "import json, sys, registry; print(json.dumps(sorted({'pooch', 'requests', 'filelock'} & set(sys.modules))))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        ({"mirrors": ["ftp://example.org/a.pt"]}, "address 'ftp://example.org/a.pt'; expected one that begins with"),
        ({"mirrors": "http://example.org/a.pt"}, "address 'http://example.org/a.pt'; expected one that begins with"),
        ({"size": 0}, "size=0; expected the file's number of bytes, 1 or more"),
        ({"size": "2 MB"}, "size='2 MB'; expected the file's number of bytes"),
    ],
)
def test_mirrors_and_size_are_checked(options, fragment):
    with pytest.raises(WeightsError) as caught:
        Weights("https://example.org/a.pt", "0" * 64, **options)
    assert fragment in str(caught.value)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.org/a.pt?download=1", "a.pt"),
        ("https://example.org/?id=3", "weights"),
        ("https://a.org/..", "weights"),
    ],
)
def test_file_name_stays_in_its_folder(url, name):
    assert Weights(url, "0" * 64).file_name == name
