"""Each rule for responses, repetitions, regions and behavior: a dataset that breaks it gets its finding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks_local.data import cubes as cubes_module
from benchmarks_local.data import load_dataset, validate_dataset

from .building import IDS, UNITS, read_rows, responses, write_rows

Change = Callable[[Path], object]


def table(change: Callable[[list[list[str]]], object], name: str = "responses.csv") -> Change:
    def apply(folder: Path) -> None:
        lines = read_rows(folder / name)
        changed = change(lines)
        write_rows(folder / name, lines if not isinstance(changed, list) else changed)

    return apply


def cells(column: int, value: Callable[[list[str]], str]) -> Change:
    return table(lambda lines: [lines[0], *[[*line[:column], value(line), *line[column + 1 :]] for line in lines[1:]]])


def without(which: Callable[[list[str]], bool]) -> Change:
    return table(lambda lines: [line for line in lines if not which(line)])


def column_gone(position: int) -> Change:
    return table(lambda lines: [[*line[:position], *line[position + 1 :]] for line in lines])


def text(old: str, new: str, name: str = "dataset.yaml") -> Change:
    def apply(folder: Path) -> None:
        whole = (folder / name).read_text()
        assert old in whole
        (folder / name).write_text(whole.replace(old, new))

    return apply


def several(*changes: Change) -> Change:
    return lambda folder: [change(folder) for change in changes]


def file(name: str, *lines: str) -> Change:
    return lambda folder: (folder / name).write_text("\n".join(lines) + "\n")


def as_array(change: Callable[[np.ndarray], np.ndarray] = lambda values: values, **save: bool) -> Change:
    """Keep the responses as an array with its two tables."""

    def apply(folder: Path) -> None:
        (folder / "responses.csv").unlink()
        np.save(folder / "responses.npy", change(responses().reshape(-1, len(UNITS))), **save)
        units = [[unit, "V4" if row < 3 else "IT"] for row, unit in enumerate(UNITS)]
        write_rows(folder / "neuroids.csv", [["neuroid_id", "region"], *units])
        shown = [[each, str(repetition)] for repetition in range(3) for each in IDS]
        write_rows(folder / "presentations.csv", [["stimulus_id", "repetition"], *shown])

    return apply


def all_of(unit: str, stimulus: str = "") -> Callable[[list[str]], bool]:
    return lambda line: line[1] == unit and (not stimulus or line[0] == stimulus)


def timed(start: str, end: str) -> Change:
    names = ["time_bin_start", "time_bin_end"]
    return table(lambda lines: [[*lines[0], *names], *[[*line, start, end] for line in lines[1:]]])


UNIT_ROWS = [f"{unit},{'V4' if row < 3 else 'IT'}" for row, unit in enumerate(UNITS)]
TRIAL = "subject,stimulus_id,sample_obj,dist_obj,choice"
FAULTS: dict[str, tuple[Change, str]] = {
    "responses-ambiguous": (lambda folder: np.save(folder / "responses.npy", np.zeros(3)), "responses.csv and respo"),
    "responses-unreadable": (
        several(lambda folder: (folder / "responses.csv").unlink(), file("responses.nc", "text")),
        "a NetCDF file",
    ),
    "responses-unreadable pickle": (
        as_array(lambda values: values.astype(object), allow_pickle=True),
        "Python objects",
    ),
    "responses-unreadable empty": (several(as_array(), lambda f: (f / "responses.npy").write_bytes(b"")), "no array"),
    "responses-shape": (as_array(lambda values: values[:-1]), "shape (305, 6)"),
    "responses-shape axes": (as_array(lambda values: values[:, :, None, None]), "(306, 6, 1, 1)"),
    "responses-shape text": (as_array(lambda values: values.astype(str)), "<U"),
    "responses-labels": (several(as_array(), lambda f: (f / "presentations.csv").unlink()), "what the rows are"),
    "responses-labels units": (several(as_array(), lambda f: (f / "neuroids.csv").unlink()), "what the columns are"),
    "response-number": (table(lambda lines: lines[8].__setitem__(4, "high")), "'high' on line 9"),
    "response-infinite": (table(lambda lines: lines[8].__setitem__(4, "inf")), "1 of 1,836"),
    "response-missing": (
        without(lambda line: line[1] == "u2" and line[3] == "0" and line[0] < "0010"),
        "10 responses missing, in 1 unit: u2 10",
    ),
    "response-duplicate": (table(lambda lines: lines.append(lines[5])), "1 response too many"),
    "table-malformed": (table(lambda lines: lines[8].append("1")), "line 9"),
    "table-no-rows": (table(lambda lines: lines[:1]), "nothing below"),
    "table-encoding": (
        lambda f: (f / "responses.csv").write_bytes(b"stimulus_id,neuroid_id,response\n\xe9,u,1\n"),
        "UTF-8",
    ),
    "column-missing": (table(lambda lines: lines[0].__setitem__(4, "rate")), "no column 'response'"),
    "column-duplicate": (table(lambda lines: lines[0].__setitem__(2, "response")), "response is there more"),
    "column-ignored": (table(lambda lines: [[*line, "x"] for line in lines]), "Not read: x"),
    "id-empty": (several(cells(1, lambda line: "" if line[1] == "u5" else line[1])), "neuroid_id is empty"),
    "neuroid-empty": (cells(4, lambda line: "" if line[1] == "u5" else line[4]), "No response at all: u5"),
    "neuroid-incomplete": (without(all_of("u5", "0007")), "Never saw some of the stimuli: u5"),
    "neuroid-constant": (
        cells(4, lambda line: "4.5" if line[1] == "u5" else line[4]),
        "to all stimuli: u5 (1 of 6 units)",
    ),
    "neuroid-duplicate": (several(file("neuroids.csv", "neuroid_id,region", *UNIT_ROWS, "u0,V4")), "u0 is there again"),
    "neuroid-unknown": (several(file("neuroids.csv", "neuroid_id,region", *UNIT_ROWS[1:])), "that are not listed: u0"),
    "neuroid-unrecorded": (
        several(file("neuroids.csv", "neuroid_id,region", *UNIT_ROWS, "u9,V4")),
        "without a response: u9 (1 of 7)",
    ),
    "region-conflict": (table(lambda lines: lines[1].__setitem__(2, "IT")), "Units with more than one region: u0"),
    "region-conflict files": (file("neuroids.csv", "neuroid_id,region", "u0,IT", *UNIT_ROWS[1:]), "u0 has another"),
    "subject-conflict": (
        table(lambda lines: [[*line, "subject" if row == 0 else str(row // 7 % 2)] for row, line in enumerate(lines)]),
        "more than one subject: u0",
    ),
    "region-missing": (column_gone(2), "which region the units are in; dataset.yaml lists V4, IT"),
    "region-missing cell": (
        several(text("[V4, IT]", "[]"), cells(2, lambda line: line[2].strip("V4"))),
        "Units without a region: u0, u1, u2",
    ),
    "region-undeclared": (text("[V4, IT]", "[IT]"), "units in V4"),
    "region-unrecorded": (text("[V4, IT]", "[V4, IT, V1]"), "lists V1"),
    "region-off-board": (
        several(text("[V4, IT]", "[V4, FEF]"), cells(2, lambda line: line[2].replace("IT", "FEF"))),
        "FEF is none of V1",
    ),
    "stimulus-unknown": (table(lambda lines: lines.append(["0999", *lines[1][1:]])), "'0999'"),
    "stimulus-unrecorded": (without(lambda line: line[0] == "0011"), "without a response: 0011 (1 of 102)"),
    "repetition-single": (without(lambda line: line[3] in "12"), "No stimulus was repeated"),
    "repetition-unbalanced": (without(lambda line: line[3] == "2" and line[0] == "0011"), "2 (0011) to 3 times"),
    "repetition-numbered": (column_gone(3), "up to 3 rows"),
    "repetition-sparse": (
        cells(3, lambda line: str(1000 * int(line[0]) + int(line[3]))),
        "306 different numbers, and no unit has more than 3 of a stimulus",
    ),
    "time-bins": (several(timed("70", "late")), "no number"),
    "time-bins alone": (
        table(lambda lines: [[*line, "70" if row else "time_bin_start"] for row, line in enumerate(lines)]),
        "alone",
    ),
    "trial-stimulus": (file("trials.csv", TRIAL, "a,0999,cat,dog,cat"), "'0999'"),
    "trial-choice": (
        file("trials.csv", TRIAL, "a,0001,cat,dog,cat", "a,0001,cat,dog,car"),
        "car was not offered on line 3",
    ),
    "trial-choice empty": (file("trials.csv", "stimulus_id,truth,choice", "0001,cat,"), "(empty) was not offered"),
    "trial-truth": (file("trials.csv", "stimulus_id,sample_obj,choice", "0001,cat,cat"), "which choice is right"),
    "triplet-stimulus": (file("triplets.csv", "image_1,image_2,image_3,choice", "0001,0002,0999,0001"), "'0999'"),
    "triplet-repeat": (
        file("triplets.csv", "image_1,image_2,image_3,choice", "0001,0002,0001,0002"),
        "twice on line 2",
    ),
    "triplet-choice": (file("triplets.csv", "image_1,image_2,image_3,choice", "0001,0002,0003,4"), "4 is none"),
}
WARNINGS = {
    *("response-missing", "column-ignored", "neuroid-incomplete", "neuroid-constant", "region-off-board"),
    *("repetition-unbalanced", "repetition-numbered", "repetition-sparse"),
}
# What cannot be kept apart: a unit that never saw an image also lacks responses.
COMPANIONS = {
    "neuroid-incomplete": {"response-missing"},
    "neuroid-empty": {"response-missing"},
    "id-empty": {"region-missing"},
    "region-conflict files": {"region-off-board"},
    "responses-ambiguous": set(),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_found(folder: Path, fault: str):
    spoil, fragment = FAULTS[fault]
    code = fault.split()[0]
    spoil(folder)
    findings = validate_dataset(folder)
    assert {finding.code for finding in findings} - COMPANIONS.get(code, set()) == {code}, findings
    (finding, *_) = [each for each in findings if each.code == code]
    assert fragment in finding.message
    assert finding.level == ("warning" if code in WARNINGS else "error")
    assert len(finding.fix) > 10


def test_a_huge_empty_array_is_refused_before_it_is_made(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cubes_module, "LARGEST_SPARSE", 100_000)
    FAULTS["repetition-sparse"][0](folder)
    (finding,) = validate_dataset(folder)
    assert (finding.code, finding.level) == ("repetition-sparse", "error")
    assert "would be empty" in finding.fix


@pytest.mark.parametrize("ceiling", ["none", "0.8"])
def test_single_presentations_with_a_ceiling_of_another_kind(folder: Path, ceiling: str):
    FAULTS["repetition-single"][0](folder)
    text("internal_consistency", ceiling)(folder)
    assert validate_dataset(folder) == []
    assert load_dataset(folder).ceiling == (ceiling if ceiling == "none" else 0.8)


def test_one_region_need_not_be_written_for_each_unit(folder: Path):
    several(column_gone(2), text("[V4, IT]", "[IT]"))(folder)
    assert validate_dataset(folder) == []
    assert load_dataset(folder).recordings.regions == ("IT",)


def test_ids_that_a_spreadsheet_changed_are_recognised(folder: Path):
    cells(0, lambda line: line[0].lstrip("0") or "0")(folder)
    (unknown, *_) = [each for each in validate_dataset(folder) if each.code == "stimulus-unknown"]
    assert "took text for a number" in unknown.fix
    cells(0, lambda line: f"{int(line[0]):04d}.png")(folder)
    (unknown, *_) = [each for each in validate_dataset(folder) if each.code == "stimulus-unknown"]
    assert "the file's suffix" in unknown.fix


def test_where_no_stimulus_is_known_nothing_that_follows_from_it_is_listed(folder: Path):
    cells(0, lambda line: f"{int(line[0])}")(folder)
    rows = [line for line in read_rows(folder / "responses.csv") if line[0] in ("stimulus_id", "1", "2", "3")]
    write_rows(folder / "responses.csv", rows)
    (finding,) = validate_dataset(folder)
    assert finding.code == "stimulus-unknown"
    assert "dtype={'stimulus_id': str}" in finding.fix


@pytest.mark.parametrize(
    ("fault", "fragment"),
    [
        ("repetition-single", "there are correlations and no scores: such a benchmark stands as X"),
        ("neuroid-incomplete", "Scores leave these units out"),
    ],
)
def test_advice_says_what_becomes_of_scores(folder: Path, fault: str, fragment: str):
    FAULTS[fault][0](folder)
    (finding,) = [each for each in validate_dataset(folder) if each.code == fault]
    assert fragment in finding.fix


def test_repetitions_that_are_numbered_anew_for_each_unit_are_not_said_to_be_unbalanced(folder: Path):
    number = {unit: 1000 * row for row, unit in enumerate(UNITS)}
    several(
        cells(3, lambda line: str(number[line[1]] + 10 * int(line[0]) + int(line[3]))),
        without(lambda line: line[0] == "0011" and line[1] in ("u0", "u3") and line[3].endswith("2")),
    )(folder)
    found = {finding.code: finding.message for finding in validate_dataset(folder)}
    assert "no unit has more than 3 of a stimulus" in found["repetition-sparse"]
    assert "repetition-unbalanced" not in found


def test_array_gives_what_the_table_gives(folder: Path):
    before = load_dataset(folder)
    as_array()(folder)
    assert validate_dataset(folder) == []
    np.testing.assert_array_equal(load_dataset(folder).recordings.values, responses())
    assert load_dataset(folder).digest == before.digest
