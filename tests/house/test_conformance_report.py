"""The tables at the end of a run say what the tests found; only a complete green run writes docs/conformance.md."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from adapters.testing import CHECKS

from ..conformance_report import agreement_rows, check_rows, found_in, page_of

HERE = Path(__file__)
NODE = "tests/frameworks/x/test_conformance.py::test_conformance"


def report(nodeid: str = "tests/test_x.py::test_x", *properties: tuple[str, str], wasxfail: str = "") -> Any:
    return SimpleNamespace(nodeid=nodeid, user_properties=list(properties), wasxfail=wasxfail)


def agreement(case: str, **layers: float) -> dict[str, Any]:
    return {"case": case, "layers": [{"layer": name, "relative": value} for name, value in layers.items()]}


def test_outcomes_are_read_from_names_and_properties():
    reports = {
        "passed": [
            report(f"{NODE}[keras-jax-check_values]"),
            report("tests/x.py::test_numpy", ("conformance", "numpy-check_values=passed")),
            report("tests/x.py::test_numpy", ("conformance", "numpy-check_aliases=expected failure")),
            report("tests/x.py::test_same", ("agreement", json.dumps(agreement("onnx", conv1=1e-7)))),
            report("tests/x.py::test_speed", ("measured", "check_values=passed")),
            report("tests/x.py::test_conformance_of_nothing[keras-jax-check_logits]"),
        ],
        "failed": [report(f"{NODE}[onnx-check_values]")],
        "xfailed": [report(f"{NODE}[onnx-check_repeated_layer]", wasxfail="reason: a node runs once")],
        "deselected": [SimpleNamespace(nodeid=f"{NODE}[onnx-check_logits]")],
        "warnings": [SimpleNamespace(message="no report of a test")],
    }
    table, reasons, agreements = found_in(reports)
    assert table == {
        "keras-jax": {"check_values": "passed"},
        "numpy": {"check_values": "passed", "check_aliases": "expected failure"},
        "onnx": {"check_values": "failed", "check_repeated_layer": "expected failure"},
    }
    assert reasons == {"onnx, check_repeated_layer": "a node runs once"}
    assert agreements == [agreement("onnx", conv1=1e-7)]


def test_check_table_has_every_check_and_frameworks_in_order():
    table = {
        "onnx": {"check_values": "failed"},
        "pytorch": {"check_values": "passed", "check_aliases": "expected failure"},
        "another": {},
    }
    header, *rows = check_rows(table)
    assert header == ["check", "pytorch", "onnx", "another"]
    assert [row[0] for row in rows] == [check.__name__.removeprefix("check_").replace("_", " ") for check in CHECKS]
    marks = {row[0]: row[1:] for row in rows}
    assert marks["values"] == ["yes", "FAILED", "-"]
    assert marks["aliases"] == ["no", "-", "-"]
    assert marks["logits"] == ["-", "-", "-"]


def test_agreement_table_keeps_the_order_of_layers():
    rows = agreement_rows([agreement("onnx", conv1=1.4e-7, head=0.0), agreement("keras-jax", conv1=2e-6, shared=1e-5)])
    assert rows == [
        ["layer", "keras-jax", "onnx"],
        ["conv1", "2e-06", "1e-07"],
        ["shared", "1e-05", "-"],
        ["head", "-", "0e+00"],
    ]


def test_page_holds_tables_reasons_and_questions():
    checks = [["check", "onnx"], ["repeated layer", "no"]]
    page = page_of(checks, {"onnx, b": "second", "keras, a": "first"}, [["layer", "onnx"], ["conv1", "1e-07"]])
    assert "| check          | onnx |\n|----------------|------|\n| repeated layer | no   |" in page
    assert "- keras, a: first.\n- onnx, b: second." in page
    assert "| conv1 | 1e-07 |" in page
    assert all(f": {check.__doc__.strip()}" in page for check in CHECKS)


TESTS = """
import pytest
@pytest.mark.parametrize("name", ["onnx-check_values", "onnx-check_logits"])
def test_conformance(name):
    pass

def test_same_network(record_property):
    record_property("agreement", '{"case": "onnx", "layers": [{"layer": "conv1", "relative": 1e-7}]}')

@pytest.fixture
def ending():
    yield
    import os
    assert "BREAK_TEARDOWN" not in os.environ

def test_other(ending):
    import os
    assert "BREAK" not in os.environ
"""
RUNS = {
    "complete": ["", True],
    "in workers": ["-n 1 -p xdist", True],
    "a keyword": ["-k not(other)", False],
    "a mark": ["-m not(gpu)", False],
    "a path": ["tests", False],
    "deselected": ["--deselect=tests/test_a.py::test_other", False],
    "deselected in workers": ["-n 1 -p xdist --deselect=tests/test_a.py::test_other", False],
    "ignored": ["--ignore=tests/test_b.py", False],
    "a failure": ["BREAK", False],
    "an error": ["BREAK_TEARDOWN", False],
    "after a failure": ["--lf", False],
    "not asked for": ["UNASKED", False],
}
SCRIPT = """
import json, os, pathlib, sys
import pytest

page, found = pathlib.Path("docs/conformance.md"), {}
for title, options in json.loads(sys.argv[1]).items():
    page.unlink(missing_ok=True)
    words = options.split()
    broken = [word for word in words if word.startswith("BREAK")]
    os.environ.update(dict.fromkeys(broken, "1"))
    os.environ["CONFORMANCE_PAGE"] = "" if "UNASKED" in words else str(page)
    options = [word for word in words if word not in broken and word != "UNASKED"]
    pytest.main(["--import-mode=importlib", "-q", *options])
    for word in broken:
        del os.environ[word]
    found[title] = page.exists()
pathlib.Path("found.json").write_text(json.dumps(found))
"""


def test_only_a_complete_green_run_writes_the_page(tmp_path: Path):
    """A small suite under our conftest.py, run in several ways in one process."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "tests").mkdir()
    for name in ("conftest.py", "conformance_report.py"):
        (tmp_path / "tests" / name).write_text(HERE.parents[1].joinpath(name).read_text("utf-8"))
    (tmp_path / "tests" / "test_a.py").write_text(TESTS)
    (tmp_path / "tests" / "test_b.py").write_text("def test_nothing():\n    pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n")
    options = json.dumps({title: options for title, (options, _) in RUNS.items()})
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, options], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert (tmp_path / "found.json").exists(), done.stdout + done.stderr
    assert json.loads((tmp_path / "found.json").read_text()) == {title: writes for title, (_, writes) in RUNS.items()}
