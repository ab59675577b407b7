"""What of a PyTorch model must miss and what must hit; the lists are data, to be read and printed."""

from __future__ import annotations

import copy
import functools
import io
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import transformers
from torch import nn

from adapters.fingerprints import NotFingerprintable, key_of, model_recipe
from adapters.frameworks.pytorch import PyTorchAdapter

from ...fingerprints.studies import Change, Study, load_file, write_images
from .changes import HITS, MISSES, NET, attribute, of_model, ulp


@pytest.fixture
def study(tmp_path: Path) -> Study:
    code = load_file(NET)
    return Study(
        code.build(), functools.partial(PyTorchAdapter, device="cpu"), write_images(tmp_path), tmp_path, code=code
    )


@pytest.fixture
def as_found(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put back what changes set for the whole process."""
    for owner, name in ((nn.GELU, "forward"), (nn.functional, "relu"), (nn.functional, "gelu")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    flags = (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark)
    n_threads, state = torch.get_num_threads(), torch.get_rng_state()
    try:
        yield
    finally:
        torch.backends.mkldnn.set_flags(_enabled=True)
        torch.use_deterministic_algorithms(False)
        torch.set_default_dtype(torch.float32)
        torch.set_float32_matmul_precision("highest")
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = flags
        torch.set_grad_enabled(True)
        torch.set_num_threads(n_threads)
        torch.set_rng_state(state)


@pytest.mark.usefixtures("as_found")
@pytest.mark.parametrize("name", MISSES)
def test_must_miss(study: Study, name: str):
    before = study.key()
    MISSES[name](study)
    assert study.key() != before


@pytest.mark.usefixtures("as_found")
@pytest.mark.parametrize("name", HITS)
def test_must_hit(study: Study, name: str):
    if name == "a saved model":
        HITS[name](study)
        return
    before = study.key()
    HITS[name](study)
    assert study.key() == before


def test_all_changes_differ(study: Study):
    """No two of the changes of weights and attributes are taken for each other."""
    names = [name for name in MISSES if "PyTorch" not in name][:36]
    keys = {study.key()}
    for name in names:
        other = Study(load_file(NET).build(), study.adapter, study.stimuli, study.folder, code=None)
        other.code = sys.modules["brain_adapters_loaded"]
        MISSES[name](other)
        keys.add(other.key())
    assert len(keys) == len(names) + 1


TINY = transformers.ViTConfig(num_hidden_layers=1, hidden_size=12, num_attention_heads=2)
PROCESS = """
import sys
from pathlib import Path
from adapters.fingerprints import key_of, model_recipe
from adapters.frameworks.pytorch import PyTorchAdapter
source = "\\n" * 7 + Path(sys.argv[1]).read_text().replace('Run.', 'Run it, and say so.')
path = Path(sys.argv[2]) / "renamed_net.py"
path.write_text(source)
sys.path.insert(0, sys.argv[2])
import renamed_net
model = renamed_net.build()
model.block_names = {"b", "a", "c"}
print(key_of(model_recipe(PyTorchAdapter(model, device="cpu"), (3, 8, 8))))
"""


def test_another_process_path_and_hash_seed(study: Study, tmp_path: Path):
    study.model.block_names = {"c", "a", "b"}
    expected = key_of(study.recipe()["model"])
    environment = {**os.environ, "PYTHONHASHSEED": "123", "OMP_NUM_THREADS": "1", "HOSTNAME": "elsewhere"}
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, str(NET), str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == expected


@pytest.mark.parametrize(
    ("change", "fragments"),
    [
        (attribute("first", lambda study: threading.Thread()), ["Attribute 'first' of layer 'blocks.0'", "Thread"]),
        (attribute("parts", lambda study: [0, torch.Generator()]), ["Item 1 of attribute 'parts'", "does not set"]),
        (of_model("act", torch.jit.script(nn.ReLU())), ["Layer 'act'", "TorchScript", "torch.nn.Module that it was"]),
        (attribute("table", torch.zeros(3, device="meta")), ["Attribute 'table'", "cannot be read", "meta"]),
    ],
)
def test_what_cannot_be_told_is_named(study: Study, change: Change, fragments: list[str]):
    change(study)
    with pytest.raises(NotFingerprintable) as caught:
        study.key()
    assert all(fragment in str(caught.value) for fragment in fragments), caught.value


def test_the_generator_of_all_is_seeded_by_runs(study: Study):
    study.model.generator = torch.default_generator
    before = study.key()
    torch.rand(1)
    assert study.key() == before


@pytest.mark.parametrize(
    "make",
    [
        lambda: timm.create_model("resnet10t", num_classes=5),
        lambda: timm.create_model("vit_tiny_patch16_224", depth=2, num_classes=5),
        lambda: transformers.ViTModel(TINY),
    ],
    ids=["timm resnet", "timm vit", "transformers vit"],
)
def test_models_of_libraries(make: Callable[[], Any]):
    def key(model: nn.Module) -> str:
        return key_of(model_recipe(PyTorchAdapter(model, device="cpu"), (3, 224, 224)))

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = make().eval()
    before = key(model)
    with torch.no_grad():
        model(torch.zeros(1, 3, 224, 224))
    assert key(copy.deepcopy(model)) == key(model) == before
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    assert key(torch.load(buffer, weights_only=False)) == before
    ulp(next(model.parameters()))
    assert key(model) != before


def test_where_weights_were_loaded_from_does_not_count(tmp_path: Path):
    model = transformers.ViTModel(TINY)
    keys = []
    for name in ("one", "two"):
        model.save_pretrained(tmp_path / name)
        loaded = transformers.ViTModel.from_pretrained(tmp_path / name)
        keys.append(key_of(model_recipe(PyTorchAdapter(loaded, device="cpu"), (3, 224, 224))))
    assert keys[0] == keys[1]


def constant_model() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 2, 3, stride=2), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(18, 2))
    with torch.no_grad():
        for number, tensor in enumerate(model.state_dict().values()):
            tensor.copy_(torch.arange(tensor.numel()).view(tensor.shape) / 64 + number)
    model.register_buffer("extra", torch.arange(3, dtype=torch.int16), persistent=False)
    model.note = {"sizes": (3, 5), "table": torch.ones(2, dtype=torch.bfloat16)}
    return model


WEIGHTS_DIGEST = "a440e7276e964c299753823daff9f0c5d826e98ef3bf75eaf824f1ddd5801c80"
ONES_DIGEST = "b455c07629c24407ba126409a6645fb63e1eb5a76051b6d7bd5dfa823a2c66b4"  # of b"\x80\x3f\x80\x3f"


def test_golden_recipe():
    """What does not depend on the version of PyTorch is fixed: raise SEMANTICS when one of these has to change."""
    recipe = model_recipe(PyTorchAdapter(constant_model(), device="cpu"), (3, 8, 8))
    modules = dict(recipe["structure"]["modules"])
    assert list(modules) == ["", "0", "1", "2", "3", "4"]
    assert recipe["weights"] == {"n": 10, "digest": WEIGHTS_DIGEST}
    array = {"array": ["torch.bfloat16", [2], ONES_DIGEST]}
    assert modules[""]["attributes"] == {"note": {"dict": [["sizes", [3, 5]], ["table", array]]}}
    assert re.fullmatch(r"torch\.nn\.modules\.conv\.Conv2d \(torch [\d.]+\)", modules["0"]["class"])
    assert {"stride": [2, 2], "padding": [0, 0], "padding_mode": "zeros"}.items() <= modules["0"]["attributes"].items()
    assert {"eps": 1e-5, "track_running_stats": True}.items() <= modules["1"]["attributes"].items()
    assert modules["2"]["attributes"] == {"inplace": False}
    others = {name: recipe["structure"][name] for name in ("arguments", "global hooks", "replaced")}
    assert others == {"arguments": {}, "global hooks": [], "replaced": {}}
