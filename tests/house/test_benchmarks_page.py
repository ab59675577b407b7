"""docs/benchmarks.md says what was measured: its figures are those of tests/speed/peers.json, by this arithmetic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..speed.peer_page import agreement, case_table, page_of

ROOT = Path(__file__).resolve().parents[2]


def side(*runs: tuple[float, float, int], apart: dict[str, float]) -> dict[str, Any]:
    names = ("seconds", "processor", "peak")
    return {"runs": [dict(zip(names, run, strict=True)) for run in runs], "apart": apart}


def test_page_is_made_from_the_figures():
    figures = json.loads((ROOT / "tests" / "speed" / "peers.json").read_text("utf-8"))
    assert (ROOT / "docs" / "benchmarks.md").read_text("utf-8") == page_of(figures)


def test_ratios_are_those_within_a_round():
    ours = side((1.0, 2.0, 10**9), (2.0, 2.0, 10**8), (1.0, 2.0, 10**8), apart={"a": 1e-7})
    theirs = side((4.0, 3.0, 10**8), (4.0, 3.0, 15 * 10**8), (3.0, 5.0, 10**8), apart={"a": 0.5})
    case = {"title": "A case", "bytes": 25 * 10**7, "sides": {"brain-adapters": ours, "other": theirs}}
    assert case_table(case) == (
        "**A case** (result 0.25 GB)\n\n"
        "| package | seconds | times ours (least) | processor | peak memory | times ours | right |\n"
        "|---|---|---|---|---|---|---|\n"
        "| brain-adapters | 1.0 |  |  | 1.00 GB |  | 1 of 1, 1e-07 |\n"
        "| other | 4.0 | 3.00 (2.00) | 1.50 | 1.50 GB | 1.50 | 0 of 1 |"
    )


def test_what_is_right_is_counted_and_wrong_values_do_not_hide():
    assert agreement({"a": 2e-7, "b": 0.0, "c": 1e-3}) == "2 of 3, 2e-07"
    assert agreement({"a": float("nan")}) == "0 of 1"
