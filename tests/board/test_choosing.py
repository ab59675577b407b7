"""Which records may stand on one board: of the benchmarks that were asked for, and on one version of their data."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks_local import Score
from benchmarks_local.board import (
    Board,
    MixedRecordsError,
    NoRecordsError,
    Record,
    RecordError,
    make_board,
    read_records,
    record_name,
    write_record,
)

from .making import PROVENANCE, record


def board(*records: dict, **options: Any) -> Board:
    return make_board([Record.from_data(each) for each in records], **options)


def of_data(model: str, digest: str, day: int, benchmark: str = "D.IT-pls") -> dict:
    created = f"2026-11-{day:02d}T12:00:00+00:00"
    return record(model, benchmark, provenance={**PROVENANCE, "dataset": digest, "created": created})


def test_two_versions_of_the_data_are_not_mixed():
    old, other, new = of_data("old", "d1", 1), of_data("other", "d0", 2), of_data("new", "d2", 3)
    with pytest.raises(MixedRecordsError) as caught:
        board(new, old, other, of_data("old", "e1", 1, "E.V1-pls"))
    for fragment in (
        "different versions of a benchmark's data",
        "D.IT-pls: score old, other again",
        record_name("old", "D.IT-pls"),
        "--benchmark (-b)",
    ):
        assert fragment in str(caught.value)
    assert "E.V1-pls" not in str(caught.value)
    assert caught.value.options == ()


def test_one_version_of_the_data_is_one_board():
    new = of_data("new", "d2", 3)
    assert len(board(new, of_data("old", "d2", 1), record("bare", "D.IT-pls")).rows) == 3  # one that says nothing
    assert len(board(new, of_data("new", "d1", 1)).rows) == 1  # scored again already; the older copy is left out
    assert len(board(new, of_data("old", "d1", 1, "E.V1-pls"), benchmarks=["D.*"]).rows) == 1


def test_benchmarks_are_chosen_by_name_and_wildcard():
    records = [record("a", name) for name in ("D.IT-pls", "D.IT-ridge", "E.V1-pls", "D[1].V4-pls")]
    assert board(*records, benchmarks=["D.*-pls", "E.V1-pls"]).benchmarks["IT"] == ("D.IT-pls",)
    assert board(*records, benchmarks=["D[1].V4-pls"]).benchmarks["V4"] == ("D[1].V4-pls",)
    with pytest.raises(NoRecordsError, match=r"matches 'F\.\*'; there are D\.IT-pls, D\.IT-ridge"):
        board(*records, benchmarks=["D.*", "F.*"])


@pytest.mark.parametrize(
    ("neural", "behavioral", "asked"),
    [
        (("r2/c", "s/c"), ("s", "s/sqrt(c)"), []),
        (("r2/c", "s/c"), ("s/c", "s"), []),
        (("r2/c", "s/c"), ("s/c", "s"), ["r2/c"]),
        (("r2/c", "s/c"), ("s/c", "s"), ["s"]),
        (("r2/c", "s/c"), ("s/c",), []),
        (("r2/c",), ("s/sqrt(c)", "s"), []),
        (("r2/c", "s/c"), ("s/c", "r2/c"), ["s/c", "r2/c"]),
        (("r2/c", "s/c", "(r/c)2"), ("s/c", "r2/c"), ["(r/c)2"]),
    ],
)
def test_the_formulas_that_are_proposed_settle_it(neural: tuple, behavioral: tuple, asked: list[str]):
    records = [record(f"n{i}", "D.IT-pls", formula=each) for i, each in enumerate(neural)]
    records += [record(f"b{i}", "D.behavior-i2n", formula=each) for i, each in enumerate(behavioral)]
    with pytest.raises(MixedRecordsError) as caught:
        board(*records, formulas=asked)
    options = caught.value.options
    assert set(options[::2]) == {"--formula"}
    chosen = board(*records, formulas=options[1::2])
    assert {record.region for row in chosen.rows for record in row.records} == {"IT", "behavior"}
    assert "--benchmark (-b)" in str(caught.value)


def test_scores_and_their_records_make_a_board(tmp_path):
    attrs = {"model": "a", "benchmark": "D.IT-pls", "region": "IT", "metric": "pls", "formula": "r2/c"}
    score = Score(0.5, 0.01, 0.9, 0.67, attrs)
    write_record(score.to_record(), tmp_path)
    boards = [make_board(given) for given in ([score], [score.to_record()], read_records(tmp_path).records)]
    assert boards[0] == boards[1] == boards[2]
    assert boards[0].rows[0].cells["IT"].value == 0.5


@pytest.mark.parametrize("given", [0.5, "results", None])
def test_something_else_than_a_score_is_named(given: object):
    with pytest.raises(RecordError, match=rf"given '{type(given).__name__}'; expected scores: what score\(\) returned"):
        make_board([given])
