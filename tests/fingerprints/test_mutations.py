"""What must miss and what must hit, as far as it has nothing to do with a framework: the model is in NumPy."""

from __future__ import annotations

import os
import platform
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import adapters
from adapters.callables import already_preprocessed
from adapters.pooling import Pooling
from adapters.testing.toys import Toy, toy_weights

from .studies import Change, Study
from .told import prepared, told_study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return told_study(tmp_path)


def with_preprocessing(**changes: Any) -> Change:
    return lambda study: setattr(study, "preprocessing", replace(study.preprocessing, **changes))


def with_callable(made: Any) -> Change:
    return lambda study: setattr(study, "preprocessing", made)


def with_request(**changes: Any) -> Change:
    return lambda study: setattr(study, "request", replace(study.request, **changes))


def flip_one_byte(study: Study) -> None:
    path = Path(study.stimuli[1])
    before, content = path.stat(), bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(bytes(content))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def change_weight(study: Study) -> None:
    kernel = study.model.weights["conv1.kernel"]
    kernel[0, 0, 0, 0] = np.nextafter(kernel[0, 0, 0, 0], np.float32(np.inf))


def with_environment(name: str, value: str) -> Change:
    return lambda study: os.environ.__setitem__(name, value)


def as_arrays(study: Study) -> None:
    study.stimuli = [np.asarray(Image.open(path)) for path in study.stimuli]


MISSES: dict[str, Change] = {
    "mean": with_preprocessing(mean=(0.485, 0.456, 0.4061)),
    "std": with_preprocessing(std=(0.229, 0.224, 0.2251)),
    "size": with_preprocessing(size=(8, 9)),
    "crop": with_preprocessing(resize=10),
    "resize to a pair": with_preprocessing(resize=(8, 8)),
    "interpolation": with_preprocessing(interpolation="bicubic"),
    "divisor": with_preprocessing(divisor=1.0),
    "channel order": with_preprocessing(channel_order="BGR"),
    "no preprocessing at all": with_callable(already_preprocessed()),
    "a callable in place of settings": with_callable(prepared),
    "the order of images": lambda study: study.stimuli.reverse(),
    "1 byte of 1 image, with its time of modification kept": flip_one_byte,
    "an image more": lambda study: study.stimuli.append(study.stimuli[0]),
    "an image less": lambda study: study.stimuli.pop(),
    "an image that is gone": lambda study: Path(study.stimuli[0]).unlink(),
    "arrays in place of files": as_arrays,
    "1 ulp of a weight": change_weight,
    "the name of a weight": lambda study: study.model.weights.update({"new": study.model.weights.pop("head.bias")}),
    "what a model holds": lambda study: setattr(study.model, "toy", Toy(probe=lambda place, value: value.sort())),
    "layer": with_request(name="conv2"),
    "call": with_request(call=0),
    "part of the output": with_request(path=("1",)),
    "reduction": lambda study: setattr(study, "reduction", Pooling("mean")),
    "storage dtype": lambda study: setattr(study, "dtype", "float16"),
    "batch size": lambda study: setattr(study, "batch_size", 5),
    "policy": lambda study: setattr(study, "policy", "portable"),
    "TF32 by the environment": with_environment("NVIDIA_TF32_OVERRIDE", "0"),
    "kernels by the environment": with_environment("ONEDNN_MAX_CPU_ISA", "AVX2"),
}


def touch(study: Study) -> None:
    os.utime(study.stimuli[0], (1, 1))


def move(study: Study) -> None:
    folder = study.folder / "elsewhere"
    folder.mkdir()
    moved = [folder / f"other-name-{number}.dat" for number in range(len(study.stimuli))]
    for before, after in zip(study.stimuli, moved, strict=True):
        shutil.move(before, after)
    study.stimuli = [str(path) for path in moved]


def relative(study: Study) -> None:
    os.chdir(study.folder)
    study.stimuli = [Path(path).name for path in study.stimuli]


def linked(study: Study) -> None:
    place = study.folder / "link.png"
    place.symlink_to(study.stimuli[0])
    study.stimuli[0] = str(place)


HITS: dict[str, Change] = {
    "nothing": lambda study: None,
    "other paths and names of the same files": move,
    "relative paths": relative,
    "a link": linked,
    "the time of modification": touch,
    "the words of the request": with_request(requested="conv@1"),
    "preprocessing from JSON": with_callable(adapters.Preprocessing.from_dict(adapters.imagenet(8).to_dict())),
    "number of threads": with_environment("OMP_NUM_THREADS", "7"),
    "the order of weights": lambda study: setattr(study.model, "weights", dict(reversed(study.model.weights.items()))),
    "equal weights in other memory": lambda study: study.model.weights.update(
        {name: np.asfortranarray(value) for name, value in toy_weights().items()}
    ),
    "no memory of digests": lambda study: (study.folder / "digests.sqlite").unlink(),
}


@pytest.mark.parametrize("name", MISSES)
def test_must_miss(study: Study, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    before = study.key()
    MISSES[name](study)
    assert study.key() != before


@pytest.mark.parametrize("name", HITS)
def test_must_hit(study: Study, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.chdir(study.folder)
    before = study.key()
    HITS[name](study)
    assert study.key() == before


def test_settings_of_the_environment_count_by_their_value(study: Study, monkeypatch: pytest.MonkeyPatch):
    keys = set()
    for value in ("0", "1"):
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", value)
        keys.add(study.key())
    assert len(keys) == 2


def test_other_host(study: Study, monkeypatch: pytest.MonkeyPatch):
    before = study.key()
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    monkeypatch.setattr(platform, "node", lambda: "elsewhere")
    monkeypatch.setenv("HOSTNAME", "elsewhere")
    assert study.key() == before
