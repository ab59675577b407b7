"""Every form of stimuli that users have, through the extractor: values, order and presentation coordinates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import adapters
from adapters.errors import StimulusError


@pytest.fixture
def extractor(counting):
    """Read 10 x 12 images without any change but the division by 255."""
    return adapters.wrap(counting, preprocessing=adapters.Preprocessing(size=(10, 12)))


def expected_rows(images):
    return np.stack([np.asarray(image, np.float32).transpose(2, 0, 1).ravel() / np.float32(255) for image in images])


@pytest.fixture
def pixels(noise):
    return np.stack([noise(10, 12, 3, seed=seed) for seed in range(3)])


class StimulusSet(pd.DataFrame):
    """As brainio's: a DataFrame that knows where the file of each stimulus_id is."""

    _metadata = ("stimulus_paths", "identifier")

    @property
    def _constructor(self):
        return StimulusSet

    def get_stimulus(self, stimulus_id):
        return Path(self.stimulus_paths[stimulus_id])


@pytest.fixture
def stimulus_set(image_files):
    ids = ["b", "a", "c"]
    stimuli = StimulusSet({"stimulus_id": ids, "object_name": ["dog", "cat", "dog"], "size": [1.5, 2.5, np.nan]})
    stimuli.stimulus_paths = dict(zip(ids, image_files(3), strict=True))
    stimuli.identifier = "toy"
    return stimuli


FORMS = {
    "paths": lambda paths: paths,
    "tuple": tuple,
    "Path": lambda paths: [Path(path) for path in paths],
    "generator": lambda paths: (path for path in paths),
    "numpy": np.array,
    "series": pd.Series,
    "folder": lambda paths: str(Path(paths[0]).parent),
    "folder-Path": lambda paths: Path(paths[0]).parent,
}


@pytest.mark.parametrize("form", FORMS)
def test_paths_in_every_form(extractor, image_files, pixels, form):
    paths = image_files(3)
    assembly = extractor(FORMS[form](paths), layers=["logits"])
    np.testing.assert_allclose(assembly.values, expected_rows(pixels), atol=1e-7)
    assert list(assembly["stimulus_path"].values) == paths
    assert "stimulus_id" not in {*assembly.coords, *assembly.indexes["presentation"].names}


def test_one_file_is_one_stimulus(extractor, image_files, pixels):
    for given in (image_files(2)[1], Path(image_files(2)[1])):
        assembly = extractor(given, layers=["logits"])
        np.testing.assert_allclose(assembly.values, expected_rows(pixels[1:2]), atol=1e-7)


def test_folder_is_searched_below_and_sorted(extractor, tmp_path, noise):
    for name in ("b.png", "deep/a.JPG", "a.bmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(noise(10, 12, 3)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image")
    assembly = extractor(tmp_path, layers=["logits"])
    assert list(assembly["stimulus_path"].values) == [str(tmp_path / n) for n in ("a.bmp", "b.png", "deep/a.JPG")]


@pytest.mark.parametrize(
    "given",
    [
        lambda pixels: [Image.fromarray(image) for image in pixels],
        lambda pixels: list(pixels),
        lambda pixels: pixels,
        lambda pixels: pixels / 255,
        lambda pixels: pixels.astype(np.uint16) * 257,
        torch.from_numpy,
        lambda pixels: list(torch.from_numpy(pixels)),
        lambda pixels: [Image.fromarray(pixels[0]), pixels[1], pixels[2] / 255],
    ],
    ids=["PIL", "list", "4-d", "float", "uint16", "tensor", "tensors", "mixed"],
)
def test_images_in_memory(extractor, pixels, given):
    assembly = extractor(given(pixels), layers=["logits"])
    np.testing.assert_allclose(assembly.values, expected_rows(pixels), atol=1e-7)
    assert list(assembly["stimulus_id"].values) == ["stimulus_0000", "stimulus_0001", "stimulus_0002"]


def test_one_pil_image_is_one_stimulus(extractor, pixels):
    assembly = extractor(Image.fromarray(pixels[0]), layers=["logits"])
    np.testing.assert_allclose(assembly.values, expected_rows(pixels[:1]), atol=1e-7)


def test_bool_arrays_are_black_and_white(extractor, pixels):
    assembly = extractor(pixels > 127, layers=["logits"])
    np.testing.assert_array_equal(assembly.values, (pixels > 127).transpose(0, 3, 1, 2).reshape(3, -1))


@pytest.mark.parametrize("column", ["stimulus_path", "path", "image_path", "filepath", "filename"])
@pytest.mark.parametrize("kind", [str, Path])
def test_data_frame_with_a_column_of_paths(extractor, image_files, pixels, column, kind):
    paths = image_files(3)
    frame = pd.DataFrame({column: [kind(path) for path in paths], "contrast": [0.1, 0.2, 0.3]}, index=[7, 7, 9])
    assembly = extractor(frame, layers=["logits"])
    np.testing.assert_allclose(assembly.values, expected_rows(pixels), atol=1e-7)
    assert list(assembly["contrast"].values) == [0.1, 0.2, 0.3]
    assert list(assembly["stimulus_id"].values) == ["image_00", "image_01", "image_02"]
    assert [str(path) for path in assembly[column].values] == paths


def test_data_frame_keeps_its_own_stimulus_id(extractor, image_files):
    frame = pd.DataFrame({"path": image_files(2), "stimulus_id": ["x", "y"]})
    assert list(extractor(frame, layers=["logits"])["stimulus_id"].values) == ["x", "y"]


def test_equal_stems_in_two_folders_stay_apart(extractor, tmp_path, noise):
    paths = [tmp_path / "a" / "same.png", tmp_path / "b" / "same.png"]
    for path in paths:
        path.parent.mkdir()
        Image.fromarray(noise(10, 12, 3)).save(path)
    ids = extractor(pd.DataFrame({"path": paths}), layers=["logits"])["stimulus_id"].values
    assert len(set(ids)) == 2


def test_stimulus_set_replaces_paths_by_ids(extractor, stimulus_set, pixels):
    assembly = extractor(stimulus_set, layers=["logits"])
    np.testing.assert_allclose(assembly.values, expected_rows(pixels), atol=1e-7)
    assert list(assembly["stimulus_id"].values) == ["b", "a", "c"]
    assert list(assembly["object_name"].values) == ["dog", "cat", "dog"]
    np.testing.assert_array_equal(assembly["size"].values, [1.5, 2.5, np.nan])
    assert "stimulus_path" not in {*assembly.coords, *assembly.indexes["presentation"].names}


def test_repeated_rows_of_a_stimulus_set_run_once(extractor, counting, stimulus_set):
    doubled = stimulus_set.iloc[[2, 0, 2, 1]]
    doubled.stimulus_paths = stimulus_set.stimulus_paths
    extractor.layers  # noqa: B018
    counting.n_images.clear()
    assembly = extractor(doubled, layers=["logits"])
    assert counting.n_images == [3]
    once = extractor(stimulus_set, layers=["logits"])
    np.testing.assert_array_equal(assembly.values, once.values[[2, 0, 2, 1]])
    assert list(assembly["stimulus_id"].values) == ["c", "b", "c", "a"]


def test_columns_of_any_type_become_coordinates(extractor, image_files):
    columns = {
        "integer": [3, 1],
        "boolean": [True, False],
        "text": ["z", "a"],
        "mixed": ["z", 4],
        "missing": ["z", None],
        "category": pd.Categorical(["z", "a"]),
        "nullable": pd.array([1, None], dtype="Int64"),
        "date": pd.to_datetime(["2020-01-02", "2019-01-02"]),
        "list": [[1, 2], [3]],
    }
    assembly = extractor(pd.DataFrame({"path": image_files(2), **columns}), layers=["logits"])
    assert set(columns) <= {*assembly.coords, *assembly.indexes["presentation"].names}
    assert list(assembly["integer"].values) == [3, 1]
    assert assembly["integer"].dtype.kind == "i"
    assert list(assembly["boolean"].values) == [True, False]
    for name in ("text", "category"):
        assert list(assembly[name].values) == ["z", "a"]
    assert list(assembly["mixed"].values) == ["z", 4]
    assert list(assembly["list"].values) == ["[1, 2]", "[3]"]
    assert assembly["date"].values[0] == np.datetime64("2020-01-02")


@pytest.mark.parametrize("column", ["layer", "model", "channel", "neuroid_id", "embedding"])
def test_column_named_as_a_neuroid_coordinate_is_refused_before_running(extractor, counting, image_files, column):
    extractor.layers  # noqa: B018  the recorded passes, which are not counted here
    counting.n_images.clear()
    with pytest.raises(StimulusError, match=f"column '{column}'") as caught:
        extractor(pd.DataFrame({"path": image_files(2), column: [1, 2]}), layers=["logits"])
    assert f"stimulus_{column}" in str(caught.value)
    assert counting.n_images == []


@pytest.mark.parametrize(
    ("given", "fragments"),
    [
        ([], ["No stimuli"]),
        (np.zeros((0, 10, 12, 3)), ["No stimuli"]),
        (pd.DataFrame({"path": []}), ["No stimuli"]),
        (pd.DataFrame({"image": ["a.png"]}), ["columns image", "stimulus_path"]),
        (3, ["<class 'int'>", "StimulusSet"]),
        (None, ["NoneType"]),
        (["a.png", Image.new("RGB", (2, 2))], ["Stimulus 0", "'a.png'", "all paths"]),
        ([Image.new("RGB", (2, 2)), "a.png"], ["Stimulus 1", "'a.png'"]),
        ([1, 2], ["Stimulus 0", "int"]),
        (np.zeros((10, 12, 3)), ["(10, 12, 3)", "[image]"]),
        ("", ["''"]),
        ([np.zeros((3, 10, 12), np.uint8)], ["(3, 10, 12)"]),
        (StimulusSet({"image": [1]}), ["no column 'stimulus_id'", "image"]),
    ],
    ids=[
        *("empty", "empty-array", "empty-frame", "no-path-column", "number", "none", "mixed", "mixed-2", "numbers"),
        *("one-image", "empty-text", "channels-first", "no-stimulus-id"),
    ],
)
def test_what_is_no_stimuli_is_refused(extractor, given, fragments):
    with pytest.raises(StimulusError) as caught:
        extractor(given, layers=["logits"])
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_folder_without_images_is_refused(extractor, tmp_path):
    with pytest.raises(StimulusError, match="holds no image files") as caught:
        extractor(tmp_path, layers=["logits"])
    assert str(tmp_path) in str(caught.value)
