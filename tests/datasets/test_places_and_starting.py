"""Datasets are found by name, and begun from what a scientist has."""

from __future__ import annotations

import csv
import os
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks_local.data import (
    DatasetError,
    DatasetNotFoundError,
    add_dataset,
    dataset_names,
    find_dataset,
    folders_named_otherwise,
    list_datasets,
    load_dataset,
    load_found_datasets,
    new_dataset,
    searched_places,
    validate_dataset,
)

from .building import write_rows

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_recordings"


def test_found_where_they_are_kept(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    work = tmp_path / "work"
    (work / "datasets").mkdir(parents=True)
    monkeypatch.chdir(work)
    with pytest.raises(
        DatasetNotFoundError, match=r"no dataset 'my_recordings'\. None is known\..*add_dataset"
    ) as caught:
        find_dataset("my_recordings")
    assert isinstance(caught.value, KeyError)
    assert add_dataset(folder) == "my_recordings"
    assert find_dataset("my_recordings") == folder.resolve()
    for name, place in (
        ("second", work / "datasets" / "x"),
        ("third", work / "third"),
        ("fourth", tmp_path / "lab" / "y"),
    ):
        place.mkdir(parents=True)
        (place / "dataset.yaml").write_text(f"name: {name}\n")
    monkeypatch.setenv("BRAIN_ADAPTERS_DATA", os.pathsep.join(["", str(tmp_path / "gone"), str(tmp_path / "lab")]))
    assert dataset_names() == ["my_recordings", "fourth", "third", "second"]
    assert list_datasets()["fourth"] == (tmp_path / "lab" / "y").resolve()
    assert find_dataset("second") == (work / "datasets" / "x").resolve()
    assert find_dataset("third") == find_dataset(str(work / "third")) == (work / "third").resolve()
    monkeypatch.setenv("BRAIN_ADAPTERS_DATA", str(tmp_path / "lab" / "y"))
    assert find_dataset("fourth") == (tmp_path / "lab" / "y").resolve()
    (tmp_path / "lab" / "y" / "dataset.yaml").write_text("name: second\n")
    assert find_dataset("second") == (tmp_path / "lab" / "y").resolve()  # of two the first
    with pytest.raises(DatasetNotFoundError, match=r"Did you mean 'my_recordings'\?"):
        find_dataset("my_recording")


def test_what_was_not_found_says_where_it_was_looked_for(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BRAIN_ADAPTERS_DATA", str(tmp_path / "nope"))
    shutil.copytree(folder, tmp_path / "my_copy")
    places = [f"{tmp_path / 'nope'} (does not exist)", ".", "datasets (does not exist)"]
    assert searched_places() == places
    (tmp_path / "datasets").mkdir()
    add_dataset(folder)
    assert searched_places() == [str(folder.resolve()), places[0], ".", "datasets"]
    copy = (tmp_path / "my_copy").resolve()
    assert folders_named_otherwise("my_copy") == {copy: "my_recordings"}
    assert folders_named_otherwise("my_recordings") == {}
    with pytest.raises(DatasetNotFoundError) as caught:
        find_dataset("datasets")
    assert f"Looked in {folder.resolve()}, {places[0]}, ., datasets. Call add_dataset" in caught.value.args[0]
    monkeypatch.chdir(tmp_path / "datasets")
    monkeypatch.setenv("BRAIN_ADAPTERS_DATA", str(tmp_path))
    with pytest.raises(DatasetNotFoundError) as caught:
        find_dataset("my_copy")
    assert f"{copy} is there, and its dataset.yaml says name: my_recordings." in caught.value.args[0]


def test_those_that_cannot_be_loaded_are_told_apart(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "dataset.yaml").write_text("name: broken\n")
    loaded, refused = load_found_datasets()
    assert {name: dataset.name for name, dataset in loaded.items()} == {"my_recordings": "my_recordings"}
    assert list(refused) == ["broken"]
    assert {"visual-degrees", "stimuli-missing"} <= {finding.code for finding in refused["broken"].findings}
    assert load_found_datasets("b*")[0] == {}
    assert load_found_datasets("my*")[1] == {}


def test_what_is_no_dataset_is_not_added(tmp_path: Path):
    (tmp_path / "dataset.yaml").write_text("name: [")
    for place in (tmp_path, tmp_path / "gone"):
        with pytest.raises(DatasetNotFoundError, match=r"has no dataset\.yaml with a name.*data validate"):
            add_dataset(place)
    for read in (load_dataset, validate_dataset):
        with pytest.raises(DatasetNotFoundError, match=r"There is no folder '.*gone', expected a dataset.*data new"):
            read(tmp_path / "gone")


def test_an_empty_one_says_what_is_missing(tmp_path: Path):
    folder = new_dataset(tmp_path / "2026-own data")
    assert sorted(each.name for each in folder.iterdir()) == ["dataset.yaml", "responses.csv", "stimuli", "stimuli.csv"]
    text = (folder / "dataset.yaml").read_text()
    assert "\nname: data_2026_own_data\n" in text
    assert "benchmarks are called" in text.lower()
    codes = {finding.code for finding in validate_dataset(folder)}
    assert codes == {"table-no-rows", "visual-degrees", "license-missing"}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    for number in range(102):
        path = folder / ["cat", "dog"][number % 2] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)).save(path)
    (folder / "cat" / ".hidden.png").write_text("")
    (folder / "notes.txt").write_text("")
    return folder


def record(path: Path, ids: list[str]) -> Path:
    rng = np.random.default_rng(0)
    rows = [[each, unit, "IT", repetition, rng.normal()] for each in ids for unit in "ab" for repetition in range(2)]
    write_rows(path, [["stimulus_id", "neuroid_id", "region", "repetition", "response"], *rows])
    return path


@pytest.mark.parametrize("form", ["{stem}", "{name}", "{folder}/{stem}", "{folder}/{name}"])
def test_stimuli_are_called_as_the_responses_call_them(tmp_path: Path, images: Path, form: str):
    files = sorted(images.rglob("[0-9]*.png"))
    ids = [form.format(stem=each.stem, name=each.name, folder=each.parent.name) for each in files]
    responses = record(tmp_path / "mine.csv", ids)
    folder = new_dataset(
        tmp_path / "new", images=images, responses=responses, regions=["IT"], visual_degrees=8, license="CC0-1.0"
    )
    assert validate_dataset(folder) == []
    dataset = load_dataset(folder)
    assert list(dataset.stimuli["stimulus_id"]) == ids
    assert (dataset.stratify_on, dataset.visual_degrees) == ("object_name", 8)
    assert set(dataset.strata) == {"cat", "dog"}
    assert (folder / "stimuli" / "dog" / "001.png").read_bytes() == (images / "dog" / "001.png").read_bytes()


def test_names_that_repeat_are_told_apart_by_their_folders(tmp_path: Path, images: Path):
    (images / "cat" / "001.png").write_bytes((images / "dog" / "003.png").read_bytes())
    stimuli = list(csv.DictReader((new_dataset(tmp_path / "new", images=images) / "stimuli.csv").open()))
    assert stimuli[1] == {"stimulus_id": "cat/001", "filename": "cat/001.png", "object_name": "cat"}


def test_flat_folders_and_many_classes_are_not_stratified(tmp_path: Path, images: Path):
    flat = tmp_path / "flat"
    shutil.copytree(images / "cat", flat)
    assert "stratify_on: none" in (new_dataset(tmp_path / "new", images=flat) / "dataset.yaml").read_text()
    (images / "owl").mkdir()
    (images / "dog" / "001.png").rename(images / "owl" / "001.png")
    assert "stratify_on: none" in (new_dataset(tmp_path / "newer", images=images) / "dataset.yaml").read_text()


def test_what_cannot_be_begun(tmp_path: Path, images: Path):
    with pytest.raises(DatasetError, match="holds files already, expected a new or an empty folder"):
        new_dataset(images)
    with pytest.raises(DatasetError, match=r"notes\.txt is of the kind '\.txt', expected a long table"):
        new_dataset(tmp_path / "new", responses=images / "notes.txt")
    with pytest.raises(DatasetError, match=r"gone\.csv is no file"):
        new_dataset(tmp_path / "new", responses=tmp_path / "gone.csv")
    with pytest.raises(DatasetError, match=r"gone is no folder, expected files of the kinds"):
        new_dataset(tmp_path / "new", images=tmp_path / "gone")
    (tmp_path / "none").mkdir()
    with pytest.raises(DatasetError, match="none holds no images"):
        new_dataset(tmp_path / "new", images=tmp_path / "none")
    assert not (tmp_path / "new").exists()


def wide(path: Path, cell: str, n_units: int, separator: str = ",") -> Path:
    units = [f"unit_{number}" for number in range(n_units)]
    rows = [["image", "rep", *units], *[[f"{row:03d}.png", "0", *[cell] * n_units] for row in range(3)]]
    path.write_text("\n".join(separator.join(row) for row in rows))
    return path


@pytest.mark.parametrize(("cell", "n_units", "separator"), [("-1.5", 3, ","), ("2,25", 3, ";"), ("7", 7, "\t")])
def test_a_column_per_unit_is_recognised(tmp_path: Path, folder: Path, cell: str, n_units: int, separator: str):
    table = wide(tmp_path / "wide.csv", cell, n_units, separator)
    message = (
        r"wide\.csv has neither a column neuroid_id nor a column response, and numbers in rep, unit_0.*melt the table"
    )
    with pytest.raises(DatasetError, match=message):
        new_dataset(tmp_path / "new", responses=table)
    assert not (tmp_path / "new").exists()
    shutil.copyfile(table, folder / "responses.csv")
    (finding,) = validate_dataset(folder)
    assert (finding.code, finding.where) == ("column-missing", "responses.csv")
    assert "docs/recordings.md" in finding.fix


def test_a_long_table_with_other_names_is_not_taken_for_a_wide_one(tmp_path: Path):
    table = tmp_path / "long.csv"
    write_rows(table, [["image", "unit", "rep", "rate"], *[["1", str(unit), "0", "2.5"] for unit in range(9)]])
    assert (new_dataset(tmp_path / "new", responses=table) / "responses.csv").is_file()  # validation lists the columns
    table.write_bytes(b"a,b,c\n1.5,2.5,\xff\n")
    assert (new_dataset(tmp_path / "newer", responses=table) / "responses.csv").is_file()


def test_options_that_cannot_be_meant(tmp_path: Path):
    for degrees in (0, -8, float("nan"), 181):
        with pytest.raises(DatasetError, match=f"cover {degrees:g} degrees, expected a number above 0 and at most 180"):
            new_dataset(tmp_path / "new", visual_degrees=degrees)
    with pytest.raises(DatasetError, match=r"called 'V4 IT', expected names without spaces.*--regions V4,IT"):
        new_dataset(tmp_path / "new", regions=["V4 IT"])
    assert not (tmp_path / "new").exists()


def test_folders_with_a_space_are_quoted_in_commands(tmp_path: Path):
    folder = new_dataset(tmp_path / "my lab")
    command = f"brain-adapters data validate '{folder}'"
    assert f"# When this is filled in: {command}\n" in (folder / "dataset.yaml").read_text()
    with pytest.raises(DatasetError) as refused:
        load_dataset(folder)
    assert str(refused.value).endswith(command)
    with pytest.raises(DatasetNotFoundError) as unknown:
        add_dataset(tmp_path / "my gone")
    assert unknown.value.args[0].endswith(f"brain-adapters data validate '{tmp_path / 'my gone'}'")
    with pytest.raises(DatasetNotFoundError, match=r"data new '.*my gone'"):
        load_dataset(tmp_path / "my gone")


def test_shipped_example_is_what_its_script_makes_and_is_valid(tmp_path: Path):
    make = runpy.run_path(str(EXAMPLE / "make_data.py"))["main"]
    make(tmp_path / "made")
    assert (tmp_path / "made" / "recordings.csv").read_bytes() == (EXAMPLE / "recordings.csv").read_bytes()
    shipped = sorted(each.relative_to(EXAMPLE) for each in (EXAMPLE / "images").rglob("*.png"))
    assert len(shipped) == 72
    for each in shipped:  # pixels, because the compression depends on the version of zlib
        with Image.open(EXAMPLE / each) as kept, Image.open(tmp_path / "made" / each) as made:
            assert np.array_equal(np.asarray(kept), np.asarray(made))
    assert sum(each.stat().st_size for each in EXAMPLE.rglob("*") if each.is_file()) < 300_000
    folder = new_dataset(
        tmp_path / "my_digits",
        images=EXAMPLE / "images",
        responses=EXAMPLE / "recordings.csv",
        regions=["V4", "IT"],
        visual_degrees=8,
        license="CC-BY-4.0",
    )
    assert [finding.code for finding in validate_dataset(folder)] == ["splits-small"]
    assert load_dataset(folder).recordings.values.shape == (4, 72, 60)
