"""The board: averages as Brain-Score's website computes them, shared ranks, and no numbers of different recipes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks_local.board import Board, MixedRecordsError, NoRecordsError, Record, make_board

from .making import interval, record


def board(*records: dict, **options: object) -> Board:
    return make_board([Record.from_data(each) for each in records], **options)


def test_average_counts_what_is_not_scored_as_zero():
    (row,) = board(record(benchmark="D.V1-pls", value=0.5), record(benchmark="D.behavior-i2n", value=0.3)).rows
    assert row.average.value == pytest.approx((0.5 + 0 + 0 + 0 + 0.3) / 5)
    assert (row.average.n_found, row.average.n_expected) == (2, 5)
    assert row.cells["V1"].value == 0.5
    assert not row.cells["V2"].is_scored
    assert math.isnan(row.cells["V2"].value)


def test_benchmarks_of_a_region_share_its_column():
    made = board(
        record("a", "D.IT-pls", 0.2),
        record("a", "E.IT-pls", 0.4),
        record("b", "E.IT-pls", 0.4),
        record("c", "E.IT-pls", None),
    )
    cells = {row.model: row.cells["IT"] for row in made.rows}
    assert made.benchmarks["IT"] == ("D.IT-pls", "E.IT-pls")
    assert cells["a"].value == pytest.approx(0.3)
    assert cells["b"].value == pytest.approx(0.2)  # half of the column is not scored, and counts as 0
    assert (cells["b"].n_found, cells["b"].n_expected) == (1, 2)
    assert not cells["c"].is_scored  # a score that is not defined is no score


def test_other_regions_have_columns_outside_the_average():
    made = board(record("a", "D.V1-pls", 0.5), record("a", "D.FFA-pls", 0.9), record("b", "D.FFA-pls", 0.7))
    assert made.columns == ("V1", "V2", "V4", "IT", "behavior", "FFA")
    assert made.benchmarks["FFA"] == ("D.FFA-pls",)
    first, second = made.rows
    assert first.average.value == pytest.approx(0.1)
    assert (first.cells["FFA"].value, second.cells["FFA"].value) == (0.9, 0.7)
    assert [each.benchmark for each in first.records] == ["D.V1-pls", "D.FFA-pls"]
    assert (first.rank, second.rank) == (1, None)
    assert not second.average.is_scored
    assert second.average.n_found == 0


def test_without_an_average_other_regions_order():
    made = board(record("a", "D.MT-pls", 0.5), record("b", "D.MT-pls", 0.9), record("c", "D.V1-pls", 0.1))
    assert [(row.model, row.rank, row.is_shared) for row in made.rows] == [
        ("c", 1, False),
        ("b", None, False),
        ("a", None, False),
    ]


def test_what_is_defined_for_no_model_is_left_out():
    made = board(
        *(record(model, "D.behavior-i2n", 0.4) for model in "ab"),
        *(record(model, "D.behavior-o1", None) for model in "ab"),
        record("a", "E.V1-pls", None),
    )
    cell = made.rows[0].cells["behavior"]
    assert (cell.value, cell.n_found, cell.n_expected) == (0.4, 1, 1)
    assert made.benchmarks["behavior"] == ("D.behavior-i2n",)
    assert not made.rows[0].cells["V1"].is_scored
    assert made.notes == (
        "D.behavior-o1 is defined for no model, so it is left out of its column",
        "E.V1-pls is defined for no model, so it is left out of its column",
    )


def test_ranks_are_shared_where_intervals_overlap():
    """One cannot tell b from a, nor c from b; but c is below a for sure."""
    made = board(
        *(
            record(model, "D.V1-pls", value, half=0.06)
            for model, value in zip("abcd", (0.7, 0.6, 0.5, 0.2), strict=True)
        )
    )
    assert [(row.model, row.rank, row.is_shared) for row in made.rows] == [
        ("a", 1, True),
        ("b", 1, True),
        ("c", 2, False),
        ("d", 4, False),
    ]


def test_ranks_follow_the_numbers_without_intervals():
    made = board(*(record(model, "D.V1-pls", value) for model, value in zip("dcba", (0.7, 0.5, 0.5, 0.1), strict=True)))
    assert [(row.model, row.rank) for row in made.rows] == [("d", 1), ("b", 2), ("c", 2), ("a", 4)]
    assert made.interval == ""
    assert not made.rows[0].average.has_interval


def test_ranks_against_counting():
    rng = np.random.default_rng(0)
    values, halves = rng.uniform(0, 1, 40), rng.uniform(0, 0.1, 40)
    made = board(*(record(f"m{i}", "D.V1-pls", float(values[i]), half=float(halves[i])) for i in range(40)))
    expected = {f"m{i}": 1 + sum(values[j] - halves[j] > values[i] + halves[i] for j in range(40)) for i in range(40)}
    assert {row.model: row.rank for row in made.rows} == expected


def test_interval_of_an_average_against_simulation():
    """Independent normal scores, halves of 1.96 standard deviations: so has their average."""
    halves = {"V1": 0.05, "V2": 0.1, "IT": 0.02}
    (row,) = board(*(record("a", f"D.{region}-pls", 0.5, half=half) for region, half in halves.items())).rows
    draws = (
        np.random.default_rng(0).normal(0.5, np.array(list(halves.values())) / 1.96, size=(200_000, 3)).sum(axis=1) / 5
    )
    assert (row.average.low, row.average.high) == pytest.approx(np.quantile(draws, (0.025, 0.975)), abs=5e-4)


def test_a_single_interval_is_kept_as_it_is():
    """Also one that a bootstrap placed beside the score."""
    lone = record("a", "D.V1-pls", 0.5, intervals={"unit bootstrap": interval(0.6, 0.05)})
    (row,) = board(lone).rows
    assert (row.cells["V1"].low, row.cells["V1"].high) == pytest.approx((0.55, 0.65))


def test_intervals_of_a_column_are_of_one_kind():
    both = record("a", "D.V1-pls", 0.5, half=0.05)
    units = record("b", "D.V1-pls", 0.5, intervals={"unit bootstrap": interval(0.5, 0.1)})
    bare = record("c", "D.V1-pls", 0.5)
    assert board(both).interval == "stimulus bootstrap"
    assert board(both, units).interval == "unit bootstrap"
    assert board(bare).interval == ""
    made = board(both, units, bare)
    assert made.interval == "unit bootstrap"
    assert [row.cells["V1"].has_interval for row in made.rows] == [True, True, False]


def test_a_score_without_an_interval_takes_nothing_from_other_columns():
    neural = [record(model, "D.IT-pls", value, half=0.1) for model, value in (("a", 0.5), ("b", 0.45))]
    made = board(*neural, record("b", "D.behavior-i2n", 0.2))
    rows = {row.model: row for row in made.rows}
    assert rows["a"].cells["IT"].has_interval
    assert rows["b"].cells["IT"].has_interval
    assert not rows["b"].average.has_interval
    assert dict(made.intervals) == {"IT": "stimulus bootstrap"}
    assert not made.shares_ranks
    assert [(row.model, row.rank) for row in made.rows] == [("b", 1), ("a", 2)]
    made = board(*neural, record("c", "D.MT-pls", 0.2))  # no rank, so it needs no interval
    assert made.shares_ranks
    assert [(row.model, row.rank) for row in made.rows] == [("a", 1), ("b", 1), ("c", None)]


def test_parities_are_not_mixed():
    records = record("a", parity=None), record("b", parity="brainscore-2.4")
    with pytest.raises(MixedRecordsError) as caught:
        board(*records)
    for fragment in ("brainscore-2.4 (1)", "none (1)", "Choose with --parity"):
        assert fragment in str(caught.value)
    assert [row.model for row in board(*records, parity=None).rows] == ["a"]
    assert [row.model for row in board(*records, parity="brainscore-2.4").rows] == ["b"]
    with pytest.raises(MixedRecordsError, match=r"No record has the parity legacy; there are brainscore-2\.4"):
        board(*records, parity="legacy")


def test_formulas_are_not_mixed():
    records = record("a", formula="r2/c"), record("b", formula="(r/c)2"), record("c", formula="(r/c)2")
    with pytest.raises(MixedRecordsError) as caught:
        board(*records)
    for fragment in ("neural records", "(r/c)2 (2)", "r2/c (1)", "Choose with --formula"):
        assert fragment in str(caught.value)
    assert [row.model for row in board(*records, formulas=["(r/c)2"]).rows] == ["b", "c"]
    with pytest.raises(
        MixedRecordsError, match=r"No record has the formula 's/c'; there are \(r/c\)2 \(2\), r2/c \(1\)"
    ):
        board(*records, formulas=["s/c"])


def test_behavior_has_a_formula_of_its_own():
    neural, behavioral = record("a", "D.V1-pls"), record("a", "D.behavior-i2n", formula="s/sqrt(c)")
    assert board(neural, behavioral).formulas == ("r2/c", "s/sqrt(c)")
    other = record("b", "D.behavior-i2n", formula="s/c")
    with pytest.raises(MixedRecordsError, match="behavioral records have different formulas"):
        board(neural, behavioral, other)
    chosen = board(neural, behavioral, other, formulas=["s/c"])  # says nothing of the neural ones
    assert {row.model: row.average.n_found for row in chosen.rows} == {"a": 1, "b": 1}


def test_the_newest_of_two_records_counts():
    old = record("a", value=0.1, provenance={"created": "2026-01-01T00:00:00+00:00"})
    new = record("a", value=0.2, provenance={"created": "2026-02-01T00:00:00+00:00"})
    for order in ((old, new), (new, old)):
        made = board(*order)
        assert made.rows[0].cells["IT"].value == 0.2
        assert "1 older" in made.notes[0]


def test_short_fits_have_no_parity():
    short = record("a", parity="brainscore-2.4", flags=["components=17"])
    made = board(short, record("b", parity="brainscore-2.4"))
    assert [row.model for row in made.rows] == ["b"]
    assert "a on Toy.IT-pls was left out: components=17" in made.notes[0]
    with pytest.raises(NoRecordsError, match="No score is left for the board: a on Toy"):
        board(short)
    (row,) = board(record("a", flags=["components=17"])).rows  # our own defaults show it, flagged
    assert row.cells["IT"].flags == ("components=17",)


def test_an_empty_board():
    with pytest.raises(NoRecordsError, match="Score a model first"):
        board()
