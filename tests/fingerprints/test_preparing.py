"""Preprocessing that users bring: what must be told apart, what is refused, and what is tried."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import adapters
from adapters.fingerprints import (
    NotFingerprintable,
    probe_stimuli,
)

from .studies import Study
from .told import prepared, prepared_from_files, shifted, told_study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return told_study(tmp_path)


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
