"""Digests and canonical JSON, against what BLAKE3's authors publish and against values fixed here."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import store
from adapters.errors import MissingFrameworkError
from adapters.fingerprints import SEMANTICS, NotFingerprintable, canonical, digest_of, key_of, merkle

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
RECIPE = {"semantics": 1, "model": {"weights": ["b", 1.5, -0.0, 1e-5]}, "é": [True, None]}


def test_published_digests():
    assert digest_of(b"") == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    assert digest_of(memoryview(b"abc")) == "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"


def test_golden_recipe():
    """Changing how recipes are written changes the key of every entry there is: raise SEMANTICS, then this value."""
    assert SEMANTICS == 1
    assert canonical(RECIPE) == (rb'{"model":{"weights":["b",1.5,-0.0,1e-05]},"semantics":1,"\u00e9":[true,null]}')
    assert key_of(RECIPE) == "650ed6a33154dc5ddb36846776862b018d42e2d04288f17d44b4b30ddb85780b"
    assert merkle(["a", "b"]) == digest_of(b"ab") != merkle(["b", "a"])


@given(JSON)
@settings(max_examples=60, deadline=None)
def test_the_store_writes_the_same(value):
    assert canonical(value) == store.digests.canonical(value)


@pytest.mark.parametrize("array", [np.arange(6, dtype=">f8"), np.arange(12.0)[::2] / 2, np.float64([0, 1, 2, 3, 4, 5])])
def test_an_array_counts_by_its_values(array: np.ndarray):
    assert digest_of(array) == digest_of(np.arange(6, dtype="<f8").tobytes())


def test_one_bit_counts():
    values = np.ones(1000, np.float32)
    changed = values.copy()
    changed[500] = np.nextafter(np.float32(1), np.float32(2))
    assert digest_of(values) != digest_of(changed)


@pytest.mark.parametrize(
    ("value", "fragments"),
    [
        ({"a": [1, float("nan")]}, ["recipe['a'][1]", "float", "no nan", "Expected None, bool"]),
        ({"a": {1: 2}}, ["key of the recipe['a']", "int", "text of 1"]),
        ([{3}], ["recipe[0]", "set", "no JSON"]),
    ],
)
def test_what_is_no_json_is_refused(value: object, fragments: list[str]):
    with pytest.raises(NotFingerprintable) as caught:
        canonical(value)
    assert all(fragment in str(caught.value) for fragment in fragments), caught.value
    assert isinstance(caught.value, TypeError)


def test_arrays_of_objects_are_refused():
    with pytest.raises(NotFingerprintable, match=r"(?s)The array is a numpy.ndarray.*dtype is object.*addresses"):
        digest_of(np.array([object()]))


def test_missing_blake3_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "blake3", None)
    with pytest.raises(MissingFrameworkError, match=r"could not be imported.*pip install 'brain-adapters\[store\]'"):
        digest_of(b"")
