"""The coordinate ``neuroid_id`` behaves as plain text in everyday operations of pandas, xarray, numpy and pickle."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from adapters.assembly import LayerValues, assemble, neuroid_index, presentation_index
from adapters.neuroid_ids import NeuroidIdDtype

LAYERS = [LayerValues("conv", (2, 3, 2)), LayerValues("fc.7", (11,)), LayerValues("norm", (1,))]
TEXTS = [f"toy.{layer.layer}.{number}" for layer in LAYERS for number in range(layer.n_neuroids)]


@pytest.fixture
def assembly():
    values = np.arange(2 * len(TEXTS), dtype=np.float32).reshape(2, -1)
    presentation = presentation_index(pd.DataFrame({"stimulus_id": ["a", "b"]}), {"trial": np.arange(2)})
    return assemble(values, presentation, neuroid_index(LAYERS, "toy"))


def ids_of(result):
    return list(result["neuroid_id"].values)


def test_values_are_plain_text(assembly):
    values = assembly["neuroid_id"].values
    assert isinstance(values, np.ndarray)
    assert values.dtype == object
    assert all(type(value) is str for value in values)
    assert list(values) == TEXTS
    assert assembly["neuroid_id"].dims == ("neuroid",)


@pytest.mark.parametrize(
    "operation",
    [
        lambda a: (a.isel(neuroid=[3, 0, 20]), [3, 0, 20]),
        lambda a: (a.isel(neuroid=slice(None, None, -1)), range(23, -1, -1)),
        lambda a: (a.sel(neuroid=a["neuroid_id"].isin(["toy.fc.7.3", "toy.norm.0"])), [15, 23]),
        lambda a: (a.sel(neuroid=a["neuroid_id"] == "toy.fc.7.10"), [22]),
        lambda a: (a.sel(layer="fc.7"), range(12, 23)),
        lambda a: (a.where(a["layer"] == "norm", drop=True), [23]),
        lambda a: (a.sortby("neuroid_id"), np.argsort(np.array(TEXTS))),
        lambda a: (xr.concat([a.isel(neuroid=[23]), a.isel(neuroid=[1, 0])], "neuroid"), [23, 1, 0]),
        lambda a: (a.transpose("neuroid", "presentation"), range(24)),
        lambda a: (a.copy(deep=True), range(24)),
        lambda a: (a.reset_index("neuroid"), range(24)),
        lambda a: (a.reset_index("neuroid").set_index(neuroid=["layer", "neuroid_id"]), range(24)),
        lambda a: (copy.deepcopy(a), range(24)),
        lambda a: (pickle.loads(pickle.dumps(a)), range(24)),
        lambda a: (a.dropna("neuroid"), range(24)),
        lambda a: (a.drop_duplicates("neuroid"), range(24)),
        lambda a: (a.mean("presentation"), range(24)),
        lambda a: (a + a.isel(neuroid=slice(None, None, -1)).isel(neuroid=slice(None, None, -1)), range(24)),
        lambda a: (a.to_dataset(name="v")["v"], range(24)),
        lambda a: (a.assign_coords(region=("neuroid", ["IT"] * 24)), range(24)),
    ],
    ids=[
        *("isel", "reverse", "isin", "equals", "layer", "where", "sortby", "concat", "transpose", "copy"),
        *("reset", "set", "deepcopy", "pickle", "dropna", "duplicates", "mean", "align", "dataset", "assign"),
    ],
)
def test_operations_keep_the_texts(assembly, operation):
    result, positions = operation(assembly)
    np.testing.assert_array_equal(np.atleast_1d(result["neuroid_id"].values), np.array(TEXTS, object)[list(positions)])


def test_one_neuroid_is_selected_by_its_text(assembly):
    selected = assembly.sel(neuroid_id="toy.conv.4")
    np.testing.assert_array_equal(selected.values.ravel(), assembly.values[:, 4])


def test_numpy_and_sets(assembly):
    values = assembly["neuroid_id"]
    assert len(np.unique(values)) == len(set(values.values)) == len(TEXTS)
    assert set(values.values) == set(TEXTS)
    assert "toy.norm.0" in values.values
    assert list(np.asarray(values).astype(str)) == TEXTS


def test_pandas(assembly):
    index = assembly.indexes["neuroid"]
    assert list(index.get_level_values("neuroid_id")) == TEXTS
    assert index.is_unique
    frame = index.to_frame(index=False)
    assert list(frame["neuroid_id"]) == TEXTS
    assert frame["neuroid_id"].nunique() == len(TEXTS)
    assert frame[frame["neuroid_id"] == "toy.fc.7.2"].index.tolist() == [14]
    assert frame.merge(pd.DataFrame({"neuroid_id": TEXTS[:3]}), on="neuroid_id").shape[0] == 3
    assert frame["neuroid_id"].astype(str).tolist() == TEXTS
    assert frame.groupby("layer")["neuroid_id"].first().to_dict() == {
        "conv": "toy.conv.0",
        "fc.7": "toy.fc.7.0",
        "norm": "toy.norm.0",
    }
    assert frame.to_csv().splitlines()[1].endswith("toy.conv.0")
    series = assembly.isel(presentation=0).to_series()
    assert list(series.index.get_level_values("neuroid_id")) == TEXTS
    assert list(pd.concat([frame, frame])["neuroid_id"]) == TEXTS * 2
    assert "toy.conv.0" in repr(frame)


def test_text_methods_of_pandas(assembly):
    frame = assembly.indexes["neuroid"].to_frame(index=False)
    assert list(frame["neuroid_id"].str.split(".").str[1].unique()) == ["conv", "fc", "norm"]
    assert frame["neuroid_id"].str.startswith("toy.fc").sum() == 11


def test_same_ids_of_two_extractions_are_one_index(assembly):
    other = neuroid_index(LAYERS, "toy")
    assert assembly.indexes["neuroid"].equals(other)
    assert not assembly.indexes["neuroid"].equals(neuroid_index(LAYERS, "other"))


def test_assemblies_of_two_models_can_be_joined(assembly):
    other = assemble(assembly.values, assembly.indexes["presentation"], neuroid_index(LAYERS, "other"))
    joined = xr.concat([assembly, other], "neuroid")
    assert ids_of(joined) == TEXTS + [text.replace("toy.", "other.") for text in TEXTS]


def test_it_can_be_shown(assembly):
    assert "neuroid_id" in repr(assembly)
    assert "neuroid_id" in assembly._repr_html_()


@pytest.mark.parametrize("texts", [["a.1", "a.02", "b", "a.99999999999", "x.-1", "7", ""], ["a.1", None, "a.3"]])
def test_any_text_can_be_such_an_identifier(texts):
    ids = pd.array(texts, dtype=NeuroidIdDtype())
    assert list(ids) == list(np.asarray(ids)) == texts
    assert ids.isna().tolist() == [text is None for text in texts]
