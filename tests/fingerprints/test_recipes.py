"""Recipes of stimuli, weights and numerics, against digests by hand; and what has no recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blake3 import blake3
from PIL import Image

from adapters.fingerprints import (
    NotFingerprintable,
    model_recipe,
    numerics_recipe,
)
from adapters.testing.toys import Toy

from ..conformance.numpy_network import NumpyAdapter, NumpyToy
from .studies import Study
from .told import ToldAdapter, told_study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return told_study(tmp_path)


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
