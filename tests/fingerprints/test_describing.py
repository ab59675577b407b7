"""Values as data: what behaves differently is described differently, and what behaves alike is described alike."""

from __future__ import annotations

import contextlib
import copy
import enum
import functools
import json
import logging
import math
import pickle
import threading
import weakref
from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from adapters.fingerprints import NotFingerprintable, canonical, describe, digest_of

Point = namedtuple("Point", "x y")


class Colour(enum.Enum):
    RED = 1


class Other(enum.Enum):
    RED = 2


class Slotted:
    __slots__ = ("a",)

    def __init__(self, a: object) -> None:
        self.a = a


class Slotless:
    pass


@dataclass
class Record:
    a: int = 1
    b: list[int] = field(default_factory=list)


class Text(str):
    __slots__ = ()


def with_attribute(value: object) -> object:
    made = SimpleNamespace()
    made.one, made.two = value, 2
    return made


def masked(mask: list[bool]) -> np.ma.MaskedArray:
    return np.ma.MaskedArray([1.0, 2.0], mask)


def palette(colours: bytes) -> Image.Image:
    image = Image.new("P", (2, 2))
    image.putpalette(colours)
    return image


ONE, TWO = Record(), Record()
DIFFERENT: dict[str, list[Any]] = {
    "which of two equal objects comes again": [[ONE, TWO, ONE], [ONE, TWO, TWO], [ONE, ONE, TWO]],
    "numbers and their types": [1, 1.0, True, "1", None, 1 + 0j, np.float32(1), np.int64(1), 2, -1, b"1", Text("1")],
    "floats": [0.0, -0.0, 5e-324, math.nan, math.inf, -math.inf, np.float32(0.1), np.float64(0.1)],
    "long numbers and texts": [10**5000, 10**5000 + 1, "a" * 5000, "a" * 4999 + "b", "\ud800"],
    "lists, tuples, sets": [[1, 2], (1, 2), {1, 2}, [2, 1], deque([1, 2]), deque([1, 2], 3), [[1, 2]], Point(1, 2)],
    "dicts": [{"a": 1}, {"a": 2}, {1: 1}, {"a": 1, "b": 2}, {"b": 2, "a": 1}, defaultdict(list, a=1), defaultdict(set)],
    "arrays": [
        *(np.zeros(4), np.zeros((2, 2)), np.zeros(4, np.float32), np.zeros(4, ">f4"), np.ones(4), np.array([0, 0])),
        *(np.array(["a"]), np.array(["a"], object), np.array([{}], object), np.array(None), np.zeros(1, [("a", "f4")])),
        *(masked([True, False]), masked([False, True]), np.zeros(1, [("b", "f4")])),
    ],
    "enums": [Colour.RED, Other.RED, Colour, Other],
    "objects": [
        *(Slotted(1), Slotted(2), Record(1), Record(2), Record(1, [1]), with_attribute(1), with_attribute([1])),
        *(object(), threading.Lock(), logging.getLogger("a"), logging.getLogger("b"), Path("a"), Path("b")),
    ],
    "small things": [
        range(3),
        range(4),
        slice(3),
        ...,
        NotImplemented,
        np.dtype("f4"),
        np.dtype("f8"),
        memoryview(b""),
    ],
    "images": [
        *(Image.new("L", (2, 3)), Image.new("L", (3, 2)), Image.new("RGB", (2, 3)), Image.new("L", (2, 3), 1)),
        *(palette(b"\0\0\0\1\1\1"), palette(b"\0\0\0\1\1\2")),
    ],
    "classes and functions by name": [
        np.ndarray,
        np.float32,
        list,
        dict,
        np.tanh,
        np.sin,
        np.linalg.norm,
        len,
        "".join,
    ],
    "partials": [
        *(functools.partial(math.pow, 2), functools.partial(math.pow, 3), functools.partial(math.fmod, 2)),
        *(functools.partial(sorted, key=abs), functools.partial(sorted, key=len)),
    ],
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_different_values(name: str):
    found = [canonical(describe(value)) for value in DIFFERENT[name]]
    same = [(a, b) for a in range(len(found)) for b in range(a) if found[a] == found[b]]
    assert not same, [(DIFFERENT[name][a], DIFFERENT[name][b], found[a]) for a, b in same]


def recursive() -> list[Any]:
    made: list[Any] = [1]
    made.append(made)
    return made


def parent() -> SimpleNamespace:
    made = SimpleNamespace(child=SimpleNamespace())
    made.child.parent = made
    return made


def lazily(is_used: bool) -> object:
    class Lazy:
        @functools.cached_property
        def size(self) -> int:
            return 3

    made = Lazy()
    if is_used:
        assert made.size == 3
    return made


def weak(value: object) -> object:
    keys = weakref.WeakKeyDictionary()
    keys[value] = 1
    return keys


HELD = Slotless()
EQUAL: dict[str, list[Any]] = {
    "sets in any order": [{"a", "b", "c", 3, (1, 2)}, {3, "c", (1, 2), "b", "a"}],
    "attributes in any order": [SimpleNamespace(a=1, b=2), SimpleNamespace(b=2, a=1)],
    "keyword arguments in any order": [functools.partial(max, a=1, b=2), functools.partial(max, b=2, a=1)],
    "a list that holds itself": [recursive(), copy.deepcopy(recursive())],
    "objects that hold each other": [parent(), copy.deepcopy(parent())],
    "copies": [Record(3, [4]), copy.deepcopy(Record(3, [4])), pickle.loads(pickle.dumps(Record(3, [4])))],
    "tuples that are or are not one": [((x := (3, 3)), x), pickle.loads(pickle.dumps(((3, 3), tuple([3, 3]))))],
    "plain mappings": [{"a": 1}, OrderedDict(a=1), MappingProxyType({"a": 1})],
    "what is computed when it is first asked for": [lazily(False), lazily(True)],
    "array memory": [np.arange(4.0).reshape(2, 2), np.asfortranarray(np.arange(4.0).reshape(2, 2))],
    "locks": [threading.Lock(), threading.Lock()],
    "weak keys": [weak(HELD), weak(HELD)],
    "nothing is remembered": [HELD, HELD],
}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=1), inner),
    max_leaves=5,
)


@given(PLAIN, PLAIN)
@settings(max_examples=200, deadline=None)
def test_plain_values_against_repr(first: Any, second: Any):
    """Python's own text of plain values differs where they do; ours has to agree, also about copies."""
    assert (canonical(describe(first)) == canonical(describe(second))) == (repr(first) == repr(second))
    assert describe(copy.deepcopy(first)) == describe(first)


@pytest.mark.parametrize("name", EQUAL)
def test_equal_values(name: str):
    assert len({canonical(describe(value)) for value in EQUAL[name]}) == 1


def hiding() -> Any:
    return iter([1, 2, 3])


def test_what_is_hidden_in_an_object_counts():
    advanced = hiding()
    next(advanced)
    assert describe(hiding()) != describe(advanced)
    assert describe(hiding()) == describe(hiding())


def drawing() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("make", "fragments"),
    [
        (lambda folder: (folder / "open").open("w"), ["_io.TextIOWrapper", "outside of the program's memory"]),
        (lambda _: (number for number in range(3)), ["is a generator", "hidden in it", "cannot pickle"]),
        (lambda _: threading.Thread(), ["threading.Thread"]),
        (lambda _: drawing(), ["numpy.random", "Generator", "which a run does not set"]),
        (lambda _: functools.reduce(lambda inner, _: [inner], range(5000), 1), ["list", "nested too deeply"]),
        (lambda _: np.zeros(1, [("a", object)]), ["numpy.ndarray", "structured array that holds objects"]),
    ],
)
def test_what_has_no_content_is_refused(make: Callable[[Path], Any], fragments: list[str], tmp_path: Path):
    value = make(tmp_path)
    closing = contextlib.closing(value) if hasattr(value, "close") else contextlib.nullcontext()
    with closing, pytest.raises(NotFingerprintable) as caught:
        describe(value, where="attribute 'lookup' of layer 'blocks.3'")
    for fragment in (*fragments, "ttribute 'lookup' of layer 'blocks.3'", "Replace it, or remove it"):
        assert fragment in str(caught.value)


@pytest.mark.parametrize(
    ("wrap", "where"),
    [
        (lambda value: {"a": [0, value]}, "Item 1 of item 'a' of the thing is a"),
        (lambda value: SimpleNamespace(b=value), "Attribute 'b' of the thing is a"),
        (lambda value: lambda: value, "Variable 'value' of the thing is a"),
        (lambda value: lambda x=value: x, "Default 0 of the thing is a"),
        (lambda value: functools.partial(len, k=value), "Argument 'k' of the thing is a"),
        (lambda value: {value}, "An item of the thing is a"),
    ],
)
def test_the_message_says_where(wrap: Callable[[Any], Any], where: str):
    with pytest.raises(NotFingerprintable) as caught:
        describe(wrap(threading.Thread()), where="the thing")
    assert str(caught.value).startswith(where)


def test_golden_descriptions():
    """These make part of keys: raise SEMANTICS when one has to change."""
    value = {"kernel": (3, 3), "rate": 0.5, "act": None, "names": ["a"], "set": {2, 1}, "nan": math.nan}
    assert json.dumps(describe(value)) == (
        '{"dict": [["kernel", [3, 3]], ["rate", 0.5], ["act", null], ["names", {"list": ["a"]}], '
        '["set", {"set": [1, 2]}], ["nan", {"float": "nan"}]]}'
    )
    assert describe(np.zeros((2, 1), np.int16)) == {"array": ["int16", [2, 1], digest_of(bytes(4))]}
    assert describe(bytearray(3)) == {"bytearray": digest_of(bytes(3))}
    assert describe(SimpleNamespace(a=1)) == {"object": "types.SimpleNamespace", "state": {"a": 1}}
    assert describe(Colour.RED)["enum"][1:] == ["RED", 1]
    assert describe(math.tanh) == {"builtin": "math.tanh"}
    assert describe(Path("a/b")) == {"PosixPath": "PosixPath('a/b')"}
