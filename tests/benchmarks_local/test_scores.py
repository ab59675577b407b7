"""A score as a record, and back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks_local import Score, ScoringError


def test_a_record_is_strict_json_and_comes_back() -> None:
    attrs = {
        "model": "m",
        "benchmark": "Mine.IT-pls",
        "neuroids": {"raw": np.array([0.1, np.nan]), "neuroid_id": ("a", "b")},
        "n_stimuli": np.int64(3),
        "ties": ("x",),
        "unknown": "is left out",
    }
    record = Score(0.5, 0.01, float("nan"), 0.6, attrs, {"seconds": 1.5}).to_record()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["neuroids"] == {"raw": [0.1, None], "neuroid_id": ["a", "b"]}
    assert record["schema"] == 1
    assert record["ceiling"] is None
    assert record["intervals"] == {}
    assert "unknown" not in record
    again = Score.from_record(record)
    assert np.isnan(again.ceiling)
    assert again.to_record() == record
    assert again.provenance == {"seconds": 1.5}


def test_two_scores_that_differ_in_their_run_alone_are_equal() -> None:
    assert Score(0.5, 0.01, 0.9, 0.6, {}, {"seconds": 1}) == Score(0.5, 0.01, 0.9, 0.6, {}, {"seconds": 2})


def test_records_that_cannot_be_read() -> None:
    record = Score(0.5, 0.01, 0.9, 0.6).to_record()
    with pytest.raises(ScoringError, match=r"schema is 7, and this version reads 1"):
        Score.from_record({**record, "schema": 7})
    with pytest.raises(ScoringError, match=r"lacks ceiling"):
        Score.from_record({name: value for name, value in record.items() if name != "ceiling"})


def test_flags_are_printed() -> None:
    assert str(Score(0.1, 0.01, 0.9, -0.3, {"layer": "fc", "flags": ["negative r"]})).endswith("layer fc; negative r)")


def test_what_is_printed_follows_the_metric() -> None:
    cka = Score(0.712, float("nan"), 0.9, 0.641, {"formula": "s/c"})
    assert str(cka) == "0.712 (raw = 0.641, ceiling 0.900)"
    hits = {"formula": "s", "error_kind": "standard deviation over stimuli"}
    assert str(Score(0.4, 0.49, float("nan"), 0.4, hits)) == "0.400 (raw = 0.400, ceiling not defined)"
    assert str(Score(float("nan"), 0.01, float("nan"), 0.4)).startswith("not defined (r = 0.400 ± 0.010")
