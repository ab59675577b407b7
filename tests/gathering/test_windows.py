"""Windows cover every unit of a layer once, in the order of the flattened values, in every framework's arrays."""

import math

import numpy as np
import pytest

from adapters.device_math import HostMath
from adapters.errors import BudgetError
from adapters.planning import LayerCost
from benchmarks_local.gathering.plans import LayerPart, fill_passes
from benchmarks_local.gathering.windows import next_window

SHAPES = [(4, 3, 5), (7,), (2, 6), (2, 3, 2, 4)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("room", [1, 2, 5, 12, 17, 60])
def test_windows_cover_every_unit_once(shape, room):
    n_units = math.prod(shape)
    values = np.arange(2 * n_units).reshape(2, *shape)
    start, found = 0, []
    while start < n_units:
        window = next_window(shape, start, room)
        taken = window(values, HostMath(), {})
        assert taken.shape == (2, *window.shape_of(shape))
        assert window.n_units <= room
        found.append(taken.reshape(2, -1))
        start += window.n_units
    np.testing.assert_array_equal(np.concatenate(found, axis=1), values.reshape(2, -1))


def test_no_room_for_a_single_unit():
    assert next_window((3, 4), 0, 0) is None


def test_windows_are_keyed_by_what_they_read():
    first, second = next_window((4, 9), 0, 18), next_window((4, 9), 18, 18)
    assert first == next_window((4, 9), 0, 20) != second
    assert first.to_dict() == {"reduction": "units", "lead": [], "first": 0, "last": 2}
    assert (first.name, next_window((4, 9), 9, 5).name) == ("units[0:2]", "units[1, 0:5]")


def costs(**shapes):
    return [LayerCost(name, shape, math.prod(shape), 0) for name, shape in shapes.items()]


def test_passes_are_as_few_as_there_is_room_for():
    given = costs(a=(64, 10, 10), b=(10,), c=(64, 10, 10), d=(3, 3))
    for capacity in (12_819, 6_500, 4_300, 2_000, 1_000):
        passes = fill_passes(given, capacity)
        assert len(passes) <= math.ceil(12_819 / (capacity - 100))  # channels of 100 units stay whole
        assert all(sum(part.n_units for part in parts) <= capacity for parts in passes)
        assert all(len({part.layer for part in parts}) == len(parts) for parts in passes)
        read = [part for parts in passes for part in parts]
        assert [part.layer for part in read] == sorted(part.layer for part in read)
        for name, shape in (("a", (64, 10, 10)), ("b", (10,)), ("d", (3, 3))):
            assert sum(part.n_units for part in read if part.layer == name) == math.prod(shape)


def test_a_layer_that_is_kept_stays_whole():
    given = costs(a=(8, 4), b=(8, 4), c=(8, 4))
    assert fill_passes(given, 48, whole=["b"]) == (
        (LayerPart("a", 32),),
        (LayerPart("b", 32), LayerPart("c", 16, next_window((8, 4), 0, 16))),
        (LayerPart("c", 16, next_window((8, 4), 16, 16)),),
    )


@pytest.mark.parametrize(
    ("options", "remedy"),
    [({"whole": ["wide"]}, "do not keep its values"), ({"can_split": False}, "leave the layer out")],
    ids=["kept", "other extractor"],
)
def test_a_layer_that_cannot_be_split_must_fit(options, remedy):
    with pytest.raises(BudgetError, match=r"Layer 'wide' has 32 values per image, and memory is left for 31") as it:
        fill_passes(costs(wide=(8, 4)), 31, **options)
    assert remedy in str(it.value)
