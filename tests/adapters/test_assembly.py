"""Labels of the assembly against coordinates written by hand with np.indices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from adapters.assembly import LayerValues, assemble, neuroid_index, presentation_index

AXES = {
    (): ("channel",),
    (5,): ("channel",),
    (3, 4): ("channel", "embedding"),
    (2, 3, 4): ("channel", "channel_x", "channel_y"),
    (2, 3, 2, 4): ("channel_temporal", "channel_x", "channel_y", "channel"),
    (2, 1, 2, 1, 3): (),
}
DENSE_HAS_ALSO = ("channel_x", "channel_y")


class Shaped(nn.Module):
    """One layer per shape, each holding a different part of a running count."""

    def __init__(self, shapes):
        super().__init__()
        self.shapes = shapes
        for index in range(len(shapes)):
            self.add_module(f"shape_{index}", nn.Identity())

    def forward(self, images):
        last = images.flatten(1).sum(1)
        for index, shape in enumerate(self.shapes):
            values = torch.arange(int(np.prod(shape)), dtype=torch.float32).reshape(shape) + 100 * index
            last = getattr(self, f"shape_{index}")(values.expand(len(images), *shape) + images.mean())
        return last


def by_hand(shape, name):
    """Return a coordinate of one layer, or None where layers of this rank do not have it."""
    if name not in AXES[shape]:
        return None
    return np.indices(shape or (1,))[AXES[shape].index(name)].ravel()


@pytest.mark.parametrize("shape", AXES, ids=str)
def test_coordinates_of_one_layer(read, batch, shape):
    assembly = read(Shaped([shape]), batch(2, 3, 4, 4), ["shape_0"], identifier="toy")
    n_neuroids = int(np.prod(shape))
    assert assembly.dims == ("presentation", "neuroid")
    assert assembly.dtype == np.float32
    expected = {*AXES[shape], *(DENSE_HAS_ALSO if len(shape) <= 1 else ())}
    expected |= {"model", "layer", "neuroid_num", "neuroid_id"}
    assert set(assembly.indexes["neuroid"].names) == expected
    for name in AXES[shape]:
        np.testing.assert_array_equal(assembly[name].values, by_hand(shape, name))
        assert assembly[name].dtype == np.int64
    for name in expected & set(DENSE_HAS_ALSO) - set(AXES[shape]):
        assert np.isnan(assembly[name].values).all()
    np.testing.assert_array_equal(assembly["neuroid_num"].values, np.arange(n_neuroids))
    assert list(assembly["neuroid_id"].values) == [f"toy.shape_0.{number}" for number in range(n_neuroids)]
    assert set(assembly["model"].values) == {"toy"}
    assert set(assembly["layer"].values) == {"shape_0"}


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 2, 0, 3, 1], [2, 3], [3, 1], [1, 4]], ids=str)
def test_layers_of_different_rank_in_one_call(read, batch, order):
    shapes = list(AXES)[1:]
    images = batch(2, 3, 4, 4)
    assembly = read(Shaped(shapes), images, [f"shape_{index}" for index in order], identifier="toy")
    expected_values = np.concatenate([np.arange(np.prod(shapes[index])) + 100 * index for index in order])
    np.testing.assert_allclose(assembly.values[1], expected_values + images.mean(), rtol=1e-5)
    names = [f"shape_{index}" for index in order for _ in range(int(np.prod(shapes[index])))]
    assert list(assembly["layer"].values) == names
    for name in ("channel_temporal", "channel", "channel_x", "channel_y", "embedding"):
        parts = [by_hand(shapes[index], name) for index in order]
        if all(part is None for part in parts):
            continue
        filled = [
            np.full(int(np.prod(shapes[index])), np.nan) if part is None else part
            for index, part in zip(order, parts, strict=True)
        ]
        np.testing.assert_array_equal(assembly[name].values.astype(float), np.concatenate(filled))


def test_selecting_a_layer_gives_what_it_gives_alone(read, batch):
    shapes, images = list(AXES)[1:5], batch(3, 3, 4, 4)
    model = Shaped(shapes)
    names = [f"shape_{index}" for index in range(len(shapes))]
    together = read(model, images, names)
    for name in names:
        alone = read(model, images, [name])
        np.testing.assert_array_equal(together.sel(layer=name).values, alone.values)
        np.testing.assert_array_equal(together.sel(layer=name)["neuroid_id"].values, alone["neuroid_id"].values)
    picked = together.sel(neuroid=together["neuroid_id"] == "Shaped.shape_1.7")
    assert picked.shape == (3, 1)
    assert together.sel(layer=names[1], neuroid_num=7).values.ravel().tolist() == picked.values.ravel().tolist()


def test_neuroid_ids_are_unique(read, batch):
    assembly = read(Shaped(list(AXES)), batch(1, 3, 4, 4), "*")
    ids = assembly["neuroid_id"].values
    assert len(set(ids)) == len(ids) == sum(int(np.prod(shape)) for shape in AXES)


def test_dtypes_of_mixed_layers():
    index = neuroid_index([LayerValues("conv", (2, 2, 2)), LayerValues("fc", (300,))], "toy")
    levels = {name: index.get_level_values(name) for name in index.names}
    assert levels["channel"].dtype == levels["neuroid_num"].dtype == np.int64
    assert levels["channel_x"].dtype == levels["channel_y"].dtype == np.float64
    assert levels["model"].dtype == levels["layer"].dtype == object
    assert levels["neuroid_id"].to_numpy().dtype == object
    assert index.is_unique


def test_one_call_of_many_becomes_a_time_step():
    index = neuroid_index([LayerValues("a@0", (2,), 0), LayerValues("a@1", (2,), 1), LayerValues("b", (1,))], "toy")
    np.testing.assert_array_equal(index.get_level_values("time_step").to_numpy(float), [0, 0, 1, 1, np.nan])


@pytest.mark.parametrize("n_neuroids", [127, 128, 129, 32768, 70000])
def test_many_neuroids_are_counted_right(n_neuroids):
    index = neuroid_index([LayerValues("wide", (n_neuroids,))], "toy")
    for name in ("neuroid_num", "channel"):
        np.testing.assert_array_equal(index.get_level_values(name), np.arange(n_neuroids))
    assert index.get_level_values("neuroid_id")[-1] == f"toy.wide.{n_neuroids - 1}"


def test_every_dimension_has_at_least_two_levels(read, batch):
    assembly = read(nn.Flatten(), batch(2, 3, 2, 2))
    for dimension in assembly.dims:
        assert assembly.indexes[dimension].nlevels >= 2


def test_values_are_not_copied():
    values = np.zeros((2, 3), np.float32)
    presentation = presentation_index(pd.DataFrame({"stimulus_id": ["a", "b"]}), {"trial": np.arange(2)})
    assembly = assemble(values, presentation, neuroid_index([LayerValues("fc", (3,))], "toy"))
    assert np.shares_memory(assembly.values, values)


def test_missing_values_and_duplicates_keep_their_rows():
    labels = pd.DataFrame({"stimulus_id": ["a", "b", "a"], "depth": [np.nan, 2.0, 1.0], "name": ["x", None, "y"]})
    index = presentation_index(labels, {"trial": np.zeros(3)})
    assert list(index.get_level_values("stimulus_id")) == ["a", "b", "a"]
    np.testing.assert_array_equal(index.get_level_values("depth"), [np.nan, 2.0, 1.0])
    assert list(index.get_level_values("name"))[::2] == ["x", "y"]


def test_common_xarray_operations_work(read, batch):
    assembly = read(Shaped([(2, 3, 4), (5,)]), batch(4, 3, 2, 2), ["shape_0", "shape_1"])
    assert assembly.groupby("layer").mean(...).sizes == {"layer": 2}
    assert assembly.isel(presentation=[2, 0])["stimulus_id"].values.tolist() == ["stimulus_0002", "stimulus_0000"]
    assert assembly.transpose("neuroid", "presentation").shape == (29, 4)
    assert assembly.reset_index("neuroid")["layer"].dims == ("neuroid",)
    assert assembly.unstack("presentation").sizes["neuroid"] == 29
