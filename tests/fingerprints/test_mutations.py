"""What must miss and what must hit, as far as it has nothing to do with a framework: the model is in NumPy."""

from __future__ import annotations

import functools
import json
import os
import platform
import shutil
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blake3 import blake3
from PIL import Image

import adapters
from adapters.callables import already_preprocessed
from adapters.fingerprints import NotFingerprintable, describe, model_recipe, numerics_recipe, probe_stimuli
from adapters.pooling import Pooling
from adapters.testing.toys import Toy, toy_weights

from ..conformance.numpy_network import NumpyAdapter, NumpyToy
from .studies import Change, Study, write_images


class ToldAdapter(NumpyAdapter):
    """What a third party writes to have results of its own framework kept."""

    def structure(self, image_shape: tuple[int, ...]) -> Mapping[str, Any]:
        tensors = {name: [str(value.dtype), list(value.shape)] for name, value in self.model.weights.items()}
        return {"class": type(self.model).__name__, "probe": describe(self.model.toy.probe), "tensors": tensors}

    def numerics(self) -> Mapping[str, Any]:
        return {"settings": {"dtype": "float32"}, "versions": {"toy": "1.0+cpu"}, "device": {"class": "cpu-avx2"}}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(NumpyToy(Toy()), ToldAdapter, write_images(tmp_path), tmp_path)


SCALE = 2.0


def prepared(image: Image.Image, size: int = 8, offset: float = 0.0) -> np.ndarray:
    return np.asarray(image.resize((size, size)), np.float32).transpose(2, 0, 1) / SCALE + offset


def prepared_from_files(image_paths: list[str]) -> np.ndarray:
    return np.stack([prepared(Image.open(path).convert("RGB")) for path in image_paths])


def shifted(offset: float) -> Any:
    return lambda image: prepared(image) + offset


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


# callables that prepare images -> one that must not be taken for it
CALLABLES: dict[str, tuple[Any, Any]] = {
    "code": (lambda image: prepared(image), lambda image: prepared(image) + 0),
    "closure": (shifted(0.0), shifted(0.5)),
    "argument": (functools.partial(prepared, size=8), functools.partial(prepared, size=9)),
    "a number added": (functools.partial(prepared, offset=0.0), functools.partial(prepared, offset=1e-6)),
    "per image and per paths": (prepared, prepared_from_files),
}


@pytest.mark.parametrize("name", CALLABLES)
def test_callables_must_miss(study: Study, name: str):
    keys = set()
    for made in CALLABLES[name]:
        study.preprocessing = made
        keys.add(study.key())
        assert study.key() in keys
    assert len(keys) == 2


def test_a_global_that_a_callable_uses(study: Study, monkeypatch: pytest.MonkeyPatch):
    study.preprocessing = prepared
    before = study.key()
    monkeypatch.setitem(prepared.__globals__, "SCALE", 2.5)
    assert study.key() != before


def test_keyword_arguments_in_any_order(study: Study):
    study.preprocessing = functools.partial(prepared, size=8, offset=1.0)
    before = study.key()
    study.preprocessing = functools.partial(prepared, offset=1.0, size=8)
    assert study.key() == before


def test_a_callable_that_draws_is_refused(study: Study):
    study.preprocessing = lambda image: prepared(image) + np.random.default_rng().random()
    with pytest.raises(
        NotFingerprintable, match=r"The preprocessing is a function.*different values for the same image"
    ):
        study.key()


def test_a_callable_that_could_draw_but_does_not_is_found(study: Study):
    """Libraries of augmentations keep a generator in every transform, with a state from the clock."""

    def made() -> Any:
        rng = np.random.default_rng()
        return lambda image, p=0.0: prepared(image) + (p and rng.random())

    study.preprocessing = made()
    before = study.key()
    study.preprocessing = made()
    assert study.key() == before


def test_a_callable_that_wants_one_size(study: Study):
    def strict(image: Image.Image) -> np.ndarray:
        if image.size != (137, 211):
            raise ValueError("wrong size")
        return prepared(image)

    study.preprocessing = adapters.callables.PerImagePreprocessing(strict)
    assert study.recipe()["preprocessing"]["probes"] == [["raises", "ValueError"]] * 3


def test_probes_are_of_three_modes():
    assert [image.mode for image in probe_stimuli()] == ["RGB", "L", "RGBA"]
    assert all(image.width != image.height for image in probe_stimuli())


STIMULI: dict[str, list[Any]] = {
    "arrays": [
        *(np.zeros((2, 3, 3), np.uint8), np.zeros((3, 2, 3), np.uint8), np.zeros((2, 3, 3), np.float32)),
        *(np.ones((2, 3, 3), np.uint8), np.zeros((2, 3, 3), bool)),
    ],
    "images": [
        *(Image.new("RGB", (3, 2)), Image.new("RGB", (2, 3)), Image.new("RGBA", (3, 2)), Image.new("L", (3, 2))),
        *(Image.new("RGB", (3, 2), (0, 0, 1)), Image.new("P", (3, 2))),
    ],
}


@pytest.mark.parametrize("name", STIMULI)
def test_stimuli_in_memory(study: Study, name: str):
    keys = []
    for stimulus in STIMULI[name]:
        study.stimuli = [stimulus]
        keys.append(study.key())
        study.stimuli = [stimulus.copy()]
        assert study.key() == keys[-1]
    assert len(set(keys)) == len(keys)


def test_arrays_of_objects_are_refused(study: Study):
    study.stimuli = [np.array([None])]
    with pytest.raises(NotFingerprintable, match=r"Stimulus 0 is a numpy.ndarray.*dtype is object"):
        study.key()


STIMULI_DIGEST = "3cee0c3e9f13b528c8dea444ab1466c2fc77b8c545ab18ea367cfd8ce451ae87"
WEIGHTS_DIGEST = "d253148c5d51fa570b2209eb49f0487be3b0231d4b5a19fd77df80f178a5c243"


def by_hand(*leaves: list[Any]) -> str:
    """Digest some leaves without this package."""
    texts = (json.dumps(leaf, separators=(",", ":")).encode() for leaf in leaves)
    return str(blake3("".join(blake3(text).hexdigest() for text in texts).encode()).hexdigest())


def test_golden_digests_by_hand():
    assert (
        by_hand(
            ["array", "uint8", [2, 2, 3], blake3(bytes(range(12))).hexdigest()],
            ["image", "L", [2, 1], blake3(b"\7\7").hexdigest()],
        )
        == STIMULI_DIGEST
    )
    assert (
        by_hand(
            ["a", "float32", [2, 1], blake3(b"\0\0\x80?" * 2).hexdigest()],
            ["b", "int16", [3], blake3(b"\0\0\1\0\2\0").hexdigest()],
        )
        == WEIGHTS_DIGEST
    )


def test_golden_keys(study: Study):
    """Each guards what a part of a key means: raise SEMANTICS when one has to change."""
    recipe = study.recipe()
    assert recipe["preprocessing"] == {
        "kind": "data",
        **{"size": [8, 8], "resize": None, "interpolation": "bilinear", "divisor": 255.0},
        **{"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "channel_order": "RGB"},
    }
    study.stimuli = [np.arange(12, dtype=np.uint8).reshape(2, 2, 3), Image.new("L", (2, 1), 7)]
    assert study.recipe()["stimuli"] == {"n": 2, "digest": STIMULI_DIGEST}
    study.model.weights = {"b": np.arange(3, dtype=np.int16), "a": np.ones((2, 1), np.float32)}
    assert study.recipe()["model"]["weights"] == {"n": 2, "digest": WEIGHTS_DIGEST}
    assert recipe["layer"] == {"name": "conv", "call": None, "part": [], "reduction": None, "dtype": "float32"}
    assert recipe["numerics"]["batch"] == {"size": 4, "padding": "last image repeated"}


def test_portable_leaves_out_device_and_batch(study: Study):
    study.policy = "portable"
    before, recipe = study.key(), study.recipe()["numerics"]
    assert not {"device", "batch"} & set(recipe)
    assert recipe["versions"]["toy"] == "1.0"
    study.batch_size = 7
    assert study.key() == before


def test_an_adapter_that_does_not_tell():
    """An adapter of a third party that was written before there were keys is computed and not kept."""
    adapter = NumpyAdapter(NumpyToy(Toy()))
    for ask in (lambda: model_recipe(adapter, (3, 8, 8)), lambda: numerics_recipe(adapter, batch_size=1)):
        with pytest.raises(NotFingerprintable, match=r"NumpyAdapter does not tell.*computed and not kept.*write the"):
            ask()


def test_weights_that_cannot_be_read(study: Study, monkeypatch: pytest.MonkeyPatch):
    study.model.weights["head.bias"] = np.array([None])
    with pytest.raises(NotFingerprintable, match="dtype is object"):
        study.key()
    monkeypatch.setattr(ToldAdapter, "weights", lambda self: iter([None]))
    with pytest.raises(NotFingerprintable, match=r"The model is a .*NumpyToy.*weights cannot be read.*Load the model"):
        study.key()


def test_another_policy_is_refused(study: Study):
    with pytest.raises(ValueError, match=r"policy='loose' is unknown. Use one of: 'exact', 'portable'"):
        numerics_recipe(ToldAdapter(study.model), batch_size=1, policy="loose")
