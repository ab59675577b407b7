"""Score records: written whole, read strictly, under names that hold whatever identifiers hold."""

from __future__ import annotations

import json
import math
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks_local import Score
from benchmarks_local.board import NoRecordsError, Record, RecordError, read_record, read_records, record_name
from benchmarks_local.board import write_record as write

from .making import HOSTILE, layer, record

HARMLESS = set(string.ascii_lowercase + string.digits + "_.-")


def test_what_is_written_is_read(tmp_path: Path):
    data = record(value=0.41, half=0.05, parity="brainscore-2.4", flags=["negative r"])
    path = write(data, tmp_path / "new" / "folder")
    found = read_record(path)
    assert json.loads(path.read_text()) == data
    assert (found.model, found.benchmark, found.parity, found.value) == (
        "alexnet",
        "Toy.IT-pls",
        "brainscore-2.4",
        0.41,
    )
    assert found.intervals["unit bootstrap"].low == pytest.approx(0.36)
    assert [each.layer for each in found.layers] == ["conv", "fc"]
    assert found.neuroids.ceiling == (0.8, 0.9)
    assert found.flags == ("negative r",)
    assert found.created.startswith("2026-11-21")
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_score_goes_there_and_back(tmp_path: Path):
    attrs = {"model": "net", "benchmark": "Toy.V4-ridge", "region": "V4", "formula": "r2/c", "layer": "conv"}
    found = read_record(write(Score(0.3, 0.01, 0.8, math.nan, attrs).to_record(), tmp_path))
    assert (found.value, found.ceiling, found.layer, found.region) == (0.3, 0.8, "conv", "V4")
    assert math.isnan(found.raw)


def test_null_is_not_zero(tmp_path: Path):
    found = Record.from_data(record(value=None, layers=[layer("conv", None)], ceiling=None, layer=None))
    assert math.isnan(found.value)
    assert math.isnan(found.ceiling)
    assert math.isnan(found.layers[0].raw)
    assert found.layer == ""


@pytest.mark.parametrize(
    ("parts", "fragments"),
    [
        ({"schema": 2}, ["the schema 2; expected 1", "Score again, or install"]),
        ({"schema": True}, ["the schema True; expected 1"]),
        ({"schema": "1"}, ["the schema '1'; expected 1"]),
        ({"model": ""}, ["model is ''; expected a text that is not empty"]),
        ({"model": 3}, ["model is 3; expected a text"]),
        ({"benchmark": None}, ["benchmark is None; expected a text"]),
        ({"value": "0.4"}, ["value is '0.4'; expected a finite number, or null"]),
        ({"value": True}, ["value is True"]),
        ({"value": 10**400}, ["value is 1000", "expected a finite number"]),
        ({"error": math.inf}, ["error is inf"]),
        ({"layers": {}}, ["layers is {}; expected a list"]),
        ({"layers": [3]}, ["layers[0] is 3; expected an object"]),
        ({"layers": [layer("x", 0.1, n_features=1.5)]}, ["layers[0].n_features is 1.5; expected a whole number"]),
        ({"layers": [layer("x", 0.1, n_features=-1)]}, ["layers[0].n_features is -1"]),
        ({"layers": [layer("x", 0.1) | {"raw": "a"}]}, ["layers[0].raw is 'a'"]),
        ({"neuroids": []}, ["neuroids is []; expected an object"]),
        ({"neuroids": {"neuroid_id": ["a"], "raw": [0.1, 0.2]}}, ["neuroids.raw has 2 values", "1 neuroids"]),
        ({"neuroids": {"neuroid_id": ["a"], "raw": [[]]}}, ["neuroids.raw[0] is []"]),
        ({"intervals": {"unit bootstrap": {"low": 0.1}}}, ["intervals['unit bootstrap'].high is missing"]),
        ({"flags": ["a", 3]}, ["flags is ['a', 3]; expected a list of texts"]),
        ({"provenance": "x" * 99}, ["provenance is", "xxx...; expected an object"]),
    ],
)
def test_wrong_parts_are_named(parts: dict, fragments: list[str]):
    with pytest.raises(RecordError) as caught:
        Record.from_data(record() | parts)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_missing_parts_are_named():
    data = record()
    del data["raw"]
    with pytest.raises(RecordError, match="raw is missing; expected a finite number"):
        Record.from_data(data)
    with pytest.raises(RecordError, match="no 'schema', so it is no score record"):
        Record.from_data({"rows": []})


def test_parts_that_a_later_version_adds_do_no_harm():
    assert Record.from_data(record(new_part=[1])).data["new_part"] == [1]


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (b"", "cannot be read as JSON"),
        (json.dumps(record()).encode()[:-40], "cannot be read as JSON"),
        (b"\xff\xfe\x00", "cannot be read as JSON"),
        (b"[1, 2]", "It is [1, 2]; expected an object of a score record"),
        (json.dumps(record() | {"value": math.nan}).encode(), "It holds NaN, which JSON does not have"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_damaged_file_is_named_and_keeps_nothing_away(tmp_path: Path, content: bytes, fragment: str):
    write(record(), tmp_path)
    (tmp_path / "damaged.json").write_bytes(content)
    found = read_records(tmp_path)
    assert [each.model for each in found.records] == ["alexnet"]
    assert list(found.damaged) == ["damaged.json"]
    assert fragment in found.damaged["damaged.json"]
    assert str(tmp_path) not in found.damaged["damaged.json"]  # a page that is sent to others tells no folders
    with pytest.raises(RecordError) as caught:
        read_record(tmp_path / "damaged.json")
    assert str(caught.value).startswith(f"{tmp_path / 'damaged.json'}: ")


def test_no_records(tmp_path: Path):
    for folder, fragment in ((tmp_path / "gone", "There is no folder"), (tmp_path, "holds no score record")):
        with pytest.raises(NoRecordsError, match=fragment) as caught:
            read_records(folder)
        assert "brain-adapters score MODEL" in str(caught.value)


def test_half_a_file_is_never_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write(record(value=0.1), tmp_path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(record(value=0.2), tmp_path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path):
    for wrong in (record() | {"schema": 7}, record(value=math.nan)):
        with pytest.raises(RecordError):
            write(wrong, tmp_path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write(record(provenance={"seconds": math.nan}), tmp_path)
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=200, deadline=None)
@given(names=st.lists(st.tuples(st.text(), st.text(), st.sampled_from([None, "", "a"])), unique=True, max_size=8))
def test_names_of_files_are_harmless_and_do_not_meet(names: list[tuple[str, str, str | None]]):
    files = [record_name(*each) for each in names]
    assert len({file.casefold() for file in files}) == len(files)
    for file in files:
        assert set(file) <= HARMLESS
        assert not file.startswith(".")
        assert len(file) < 130


@pytest.mark.parametrize("model", ["../../etc/passwd", "/root", "a\x00b", "CON", HOSTILE, "Ä" * 300, ".", "a/../b"])
def test_hostile_identifiers_stay_in_the_folder(tmp_path: Path, model: str):
    folder = tmp_path / "results"
    path = write(record(model), folder)
    assert path.parent == folder
    assert path.resolve().parent == folder.resolve()
    assert read_record(path).model == model
    assert [each.name for each in tmp_path.iterdir()] == ["results"]


def test_case_and_parity_make_other_files():
    assert len({record_name("a", "b"), record_name("A", "b"), record_name("a", "b", "brainscore-2.4")}) == 3
