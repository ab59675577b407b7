"""What counts as a change of an object's attributes."""

import gc
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from adapters.structure import Same, comparable


def _object(**attributes: Any) -> SimpleNamespace:
    return SimpleNamespace(**attributes)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2),
        (1, 1.0),
        (1, True),
        ((2, 2), (1, 1)),
        ((2, 2), [2, 2]),
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        ({1, 2}, {1, 3}),
        ({"a": [{"b": (1, 2)}]}, {"a": [{"b": (1, 3)}]}),
        (np.zeros(3), np.ones(3)),
        (np.zeros(3), np.zeros(3, np.float32)),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.float32(1), np.float32(2)),
    ],
)
def test_by_value(one: Any, other: Any):
    assert comparable(one) == comparable(one)
    assert comparable(one) != comparable(other)


def test_equal_values_are_no_change():
    assert comparable({"a": [np.arange(3), {1}]}) == comparable({"a": [np.arange(3), {1}]})


def test_arrays_changed_in_place():
    small, large = np.zeros(8), np.zeros(2**20)
    before = comparable([small, large])
    assert comparable([small, large]) == before
    large[:] = 1
    assert comparable([small, large]) != before
    assert comparable([small, np.ones(2**20)]) != comparable([small, large])  # large ones count as objects
    before = comparable([small, large])
    small[3] = 1
    assert comparable([small, large]) != before


def test_attributes_of_plain_objects():
    one = _object(inner=_object(factor=1))
    before = comparable(one)
    assert comparable(one) == before
    one.inner.factor = 2
    assert comparable(one) != before
    assert comparable(one, opaque=["types"]) == comparable(one, opaque=["types"]) == Same(one)


def test_functions_and_what_lies_deep_count_by_identity():
    def one() -> None: ...

    def other() -> None: ...

    assert comparable(one) == comparable(one) != comparable(other)
    deep: list[Any] = [[[[[1]]]]]
    before = comparable(deep)
    deep[0][0][0][0][0] = 2
    assert comparable(deep) == before
    deep[0][0][0][0] = [2]
    assert comparable(deep) != before


def test_an_object_that_holds_itself():
    one = _object(name="a")
    one.me = one
    before = comparable(one)
    one.name = "b"
    assert comparable(one) != before


def test_ids_are_not_given_away_while_they_are_compared():
    before = comparable([object()])
    gc.collect()
    assert all(comparable([object()]) != before for _ in range(100))


def test_long_lists_are_not_looked_into():
    data = [0] * 20_000
    before = comparable(data)
    data.append(1)
    assert comparable(data) != before
    assert comparable(list(data)) != comparable(data)
