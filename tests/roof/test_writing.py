"""Files appear complete or not at all, and hold every value and label."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from brain_adapters import writing
from brain_adapters.writing import OutputError, check_output, complete_file, labels_of, write_assembly


@pytest.fixture
def assembly() -> xr.DataArray:
    """Two presentations of three neuroids, with text, numbers, missing numbers and missing text among the labels."""
    presentation = pd.MultiIndex.from_arrays(
        [["a.png", "ü.png"], [True, False], pd.array(["dog", None], dtype=object)],
        names=["stimulus_path", "is_first", "object_name"],
    )
    neuroid = pd.MultiIndex.from_arrays(
        [[0, 1, 0], ["conv", "conv", "fc"], [0.0, 1.0, np.nan], ["m.conv.0", "m.conv.1", "m.fc.0"]],
        names=["neuroid_num", "layer", "channel_x", "neuroid_id"],
    )
    coordinates = xr.Coordinates.from_pandas_multiindex(presentation, "presentation").merge(
        xr.Coordinates.from_pandas_multiindex(neuroid, "neuroid")
    )
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    attributes = {"identifier": "m", "layers": ["conv", "fc"]}
    return xr.DataArray(values, dims=("presentation", "neuroid"), coords=coordinates.coords, attrs=attributes)


def test_labels_are_plain_arrays(assembly: xr.DataArray):
    labels = labels_of(assembly)
    assert {name: array.dtype.kind for name, array in labels["presentation"].items()} == {
        "stimulus_path": "U",
        "is_first": "b",
        "object_name": "U",
    }
    assert labels["presentation"]["object_name"].tolist() == ["dog", ""]
    assert labels["neuroid"]["neuroid_num"].tolist() == [0, 1, 0]
    np.testing.assert_array_equal(labels["neuroid"]["channel_x"], [0, 1, np.nan])


def test_npz_holds_everything_without_pickle(assembly: xr.DataArray, tmp_path: Path):
    write_assembly(assembly, tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["activations"], assembly.values)
        assert arrays["activations"].dtype == np.float32
        assert arrays["presentation.stimulus_path"].tolist() == ["a.png", "ü.png"]
        assert arrays["neuroid.neuroid_id"].tolist() == ["m.conv.0", "m.conv.1", "m.fc.0"]
        assert len(arrays.files) == 1 + 3 + 4


def test_netcdf_gives_the_assembly_back(assembly: xr.DataArray, tmp_path: Path):
    write_assembly(assembly, tmp_path / "out.nc")
    with xr.open_dataset(tmp_path / "out.nc") as dataset:
        back = dataset["activations"].load()
    np.testing.assert_array_equal(back.values, assembly.values)
    assert back.dims == ("presentation", "neuroid")
    assert back.attrs == {"identifier": "m", "layers": '["conv", "fc"]'}
    restored = back.set_index(neuroid=["layer", "neuroid_num"])
    assert restored.sel(neuroid=("fc", 0)).values.tolist() == [2.0, 5.0]
    assert back["stimulus_path"].values.tolist() == ["a.png", "ü.png"]


def test_file_appears_only_when_complete(tmp_path: Path):
    path = tmp_path / "out.npz"
    path.write_text("older")

    def write_half() -> None:
        with complete_file(path) as temporary:
            temporary.write_text("half")
            assert path.read_text() == "older"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "older"
    assert [each.name for each in tmp_path.iterdir()] == ["out.npz"]
    with complete_file(path) as temporary:
        temporary.write_text("newer")
    assert path.read_text() == "newer"
    assert [each.name for each in tmp_path.iterdir()] == ["out.npz"]


def test_folder_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot be written.*--out"), complete_file(tmp_path / "file" / "out.npz"):
        pass


@pytest.mark.parametrize(
    ("name", "fragments"),
    [
        ("out.csv", [r"ends in '.csv'", "expected .nc", ".npz"]),
        ("out", ["ends in ''"]),
        ("folder.nc", ["is a folder", "folder.nc/activations.npz"]),
        ("there.npz", ["exists already", "--force"]),
        ("nowhere/out.npz", ["there is no folder", "Create it"]),
    ],
)
def test_impossible_outputs_are_refused(tmp_path: Path, name: str, fragments: list[str]):
    (tmp_path / "folder.nc").mkdir()
    (tmp_path / "there.npz").write_text("older")
    with pytest.raises(OutputError) as caught:
        check_output(tmp_path / name)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_force_allows_to_replace(tmp_path: Path):
    (tmp_path / "there.npz").write_text("older")
    check_output(tmp_path / "there.npz", force=True)
    with pytest.raises(OSError, match="exists already"):
        check_output(tmp_path / "there.npz")


def test_netcdf_needs_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writing, "find_spec", lambda name: None)
    with pytest.raises(OutputError, match=r"No library that writes netCDF.*brain-adapters\[store\].*\.npz"):
        check_output(tmp_path / "out.nc")
    check_output(tmp_path / "out.npz")


def test_classic_netcdf_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writing, "find_spec", lambda name: None if name != "scipy" else object())
    check_output(tmp_path / "out.nc", 2**31 - 1)
    with pytest.raises(OutputError, match=r"2\.1 GB do not fit the classic netCDF.*\.npz"):
        check_output(tmp_path / "out.nc", 2**31)
    monkeypatch.setattr(writing, "find_spec", lambda name: None if name != "h5netcdf" else object())
    check_output(tmp_path / "out.nc", 2**31)


@pytest.mark.parametrize(("name", "owner", "function"), [("out.npz", np, "savez"), ("out.nc", xr.Dataset, "to_netcdf")])
def test_full_disk(
    assembly: xr.DataArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, owner: object, function: str
):
    def no_room(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(owner, function, no_room)
    with pytest.raises(OutputError, match=r"0\.0 GB\) could not be written: No space left on device.*Make room"):
        write_assembly(assembly, tmp_path / name)
