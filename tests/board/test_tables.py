"""The board as text, CSV, JSON and Markdown."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest

from benchmarks_local.board import Board, Record, as_csv, as_json, as_markdown, as_text, make_board

from .making import HOSTILE, interval, record


@pytest.fixture
def board() -> Board:
    records = [
        record("net_b", "D.V1-pls", 0.5, half=0.3),
        record("net_b", "D.IT-pls", 0.25, half=0.3, flags=["components=17"]),
        record("net_a", "D.V1-pls", 0.9, half=0.3),
        record("net_a", "E.V1-pls", 0.7, half=0.3),
        record("net_a", "D.FFA-pls", 0.7, half=0.3),
    ]
    return make_board([Record.from_data(each) for each in records])


def test_text_is_aligned_and_explained(board: Board):
    lines = as_text(board).splitlines()
    assert lines[:3] == [
        "rank  model  average  of 5     V1  V2  V4      IT  behavior    FFA",
        "  =1  net_a    0.160     1  0.800   X   X       X         X  0.700",
        "  =1  net_b    0.100     2  0.250   X   X  0.250*         X      X",
    ]
    notes = "\n".join(lines[4:])
    for fragment in (
        "Formula: r2/c. Parity: none.",
        "intervals of the averages overlap (stimulus bootstrap)",
        "X is not scored, and counts as 0",
        "net_b V1 (1 of 2)",
        "Flags (*): net_b IT (components=17)",
        "Not in the average: FFA.",
    ):
        assert fragment in notes


def test_csv_has_every_number_in_full(board: Board):
    rows = list(csv.DictReader(io.StringIO(as_csv(board))))
    assert [row["model"] for row in rows] == ["net_a", "net_b"]
    assert float(rows[0]["V1"]) == board.rows[0].cells["V1"].value
    assert float(rows[0]["V1_low"]) == pytest.approx(0.8 - math.hypot(0.3, 0.3) / 2)
    assert rows[0]["IT"] == rows[0]["IT_low"] == ""
    assert (rows[0]["FFA"], rows[0]["FFA_n"], rows[1]["FFA"]) == ("0.7", "1", "")
    assert (rows[1]["average_n"], rows[1]["formula"], rows[1]["parity"]) == ("2", "r2/c", "none")


def test_json_has_null_for_what_is_not_scored(board: Board):
    found = json.loads(as_json(board))
    assert found["columns"] == ["average", "V1", "V2", "V4", "IT", "behavior", "FFA"]
    assert [row["others"]["FFA"]["value"] for row in found["rows"]] == [0.7, None]
    assert found["intervals"] == dict.fromkeys(("V1", "IT", "FFA"), "stimulus bootstrap")
    assert found["benchmarks"]["V1"] == ["D.V1-pls", "E.V1-pls"]
    first, second = found["rows"]
    assert first["IT"] == {"value": None, "low": None, "high": None, "n": 0, "of": 1, "flags": []}
    assert second["V1"]["value"] == pytest.approx(0.25)
    assert second["benchmarks"]["D.IT-pls"] == {"value": 0.25, "layer": "conv"}
    assert (first["rank"], first["is_shared"], found["parity"], found["interval"]) == (
        1,
        True,
        None,
        "stimulus bootstrap",
    )


def test_markdown_is_a_table(board: Board):
    lines = as_markdown(board).splitlines()
    assert lines[0] == "| rank | model | average | of 5 | V1 | V2 | V4 | IT | behavior | FFA |"
    assert lines[1] == "|--:|:--|--:|--:|--:|--:|--:|--:|--:|--:|"
    assert lines[3] == r"| =1 | net\_b | 0.100 | 2 | 0.250 | X | X | 0.250\* | X | X |"
    assert {line.count("|") for line in lines[:4]} == {11}
    assert lines[5].startswith("- Formula: r2/c")


@pytest.mark.parametrize("name", [HOSTILE, "a\nb", "=1+1", "\x1b[31mred", "a|b", "-x", "[a](javascript:b)", "\ud800"])
def test_hostile_names_do_no_harm(name: str):
    board = make_board(
        [Record.from_data(record(name, flags=[f"components={name}"])), Record.from_data(record("plain", value=0.1))]
    )
    for written in (as_text(board), as_csv(board), as_markdown(board), as_json(board)):
        assert all(each.isprintable() or each == "\n" for each in written)
        assert "plain" in written
    (row, _) = csv.DictReader(io.StringIO(as_csv(board)))
    assert not row["model"].startswith(("=", "-", "+", "@"))
    assert json.loads(as_json(board))["rows"][0]["model"] == name
    assert len(as_text(board).splitlines()) == 8
    line = as_markdown(board).splitlines()[2].replace(r"\|", "")
    assert line.count("|") == 10
    assert "<img" not in line.replace(r"\<", "")


def test_numbers_that_are_not_mixed_are_named():
    records = [record("a", formula="r2/c"), record("a", "D.behavior-i2n", formula="s/sqrt(c)")]
    text = as_text(make_board([Record.from_data(each) for each in records], parity=None))
    assert "Formula: r2/c and s/sqrt(c). Parity: none." in text
    assert "The records hold no interval, so ranks follow" in text


def test_scores_beside_their_interval_are_counted():
    beside = record("a", "D.V1-pls", 0.5, intervals={"unit bootstrap": interval(0.6, 0.05)})
    inside = record("a", "D.IT-pls", 0.5, intervals={"unit bootstrap": interval(0.5, 0.05)})
    text = as_text(make_board([Record.from_data(each) for each in (beside, inside)]))
    assert "1 of 2 scores lie beside their interval" in text
    assert "beside" not in as_text(make_board([Record.from_data(inside)]))


def test_without_an_average_there_is_a_dash_and_an_x():
    board = make_board([Record.from_data(record(model, "D.MT-pls", 0.9)) for model in ("a", "b")])
    lines = as_text(board).splitlines()
    assert lines[1].split() == ["-", "a", "X", "0", "X", "X", "X", "X", "X", "0.900"]
    assert as_markdown(board).splitlines()[2] == "| - | a | X | 0 | X | X | X | X | X | 0.900 |"
    assert next(csv.DictReader(io.StringIO(as_csv(board))))["rank"] == ""
    assert json.loads(as_json(board))["rows"][0]["rank"] is None


def test_hostile_regions_do_no_harm():
    board = make_board(
        [Record.from_data(record(name, "D.x-pls", region=name)) for name in (f"=1|{HOSTILE}", "\x1b[2J")]
    )
    for written in (as_text(board), as_csv(board), as_markdown(board), as_json(board)):
        assert all(each.isprintable() or each == "\n" for each in written)
    assert not any(name.startswith("=") for name in next(csv.reader(io.StringIO(as_csv(board)))))
    assert {line.replace(r"\|", "").count("|") for line in as_markdown(board).splitlines()[:3]} == {12}


def test_only_what_makes_a_number_doubtful_has_an_asterisk():
    facts = [
        "few neuroids=12",
        "layer not identifiable: 3 within one standard error",
        "readout cross-fitted in 5 folds",
    ]
    doubts = [
        "above the ceiling",
        "few test stimuli=3",
        "incomplete neuroids left out=2",
        "stored stimuli not verified",
    ]
    board = make_board(
        [
            Record.from_data(record("a", "D.IT-pls", 0.5, flags=[*facts, *doubts])),
            Record.from_data(record("b", flags=facts)),
        ]
    )
    first, second = as_text(board).splitlines()[1:3]
    assert ("*" in first, "*" in second) == (True, False)
    (noted,) = [line for line in as_text(board).splitlines() if line.startswith("Flags (*)")]
    assert all(doubt in noted for doubt in doubts)
    assert not any(fact in noted for fact in facts)
    (row,) = [row for row in json.loads(as_json(board))["rows"] if row["model"] == "b"]
    assert row["IT"]["flags"] == facts


def test_what_the_ranks_rest_on_is_said():
    known, bare = record("a", "D.IT-pls", 0.5, half=0.1), record("b", "D.IT-pls", 0.4)
    units = record("a", "D.V1-pls", 0.5, intervals={"unit bootstrap": interval(0.5, 0.1)})
    text = as_text(make_board([Record.from_data(each) for each in (known, bare)]))
    assert "There is no interval of the average of b, so ranks follow the numbers alone." in text
    text = as_text(make_board([Record.from_data(each) for each in (known, units)]))
    assert "Intervals are of different kinds: V1 unit bootstrap, IT stimulus bootstrap." in text
    text = as_text(make_board([Record.from_data(record("a", "D.MT-pls", 0.5, half=0.1))]))
    assert "No model has a score of V1, V2, V4, IT, behavior, so there is no average and no rank." in text


def test_a_mean_over_metrics_is_said():
    records = [Record.from_data(record("a", f"D.IT-{metric}")) for metric in ("pls", "ridge")]
    assert "IT is the mean over pls, ridge; --benchmark (-b) chooses one." in as_text(make_board(records))
    assert "is the mean over" not in as_text(make_board(records, benchmarks=["*-pls"]))
