"""The tables of a test run: which adapter passes which check, and how far frameworks are apart; docs/conformance.md.

conftest.py calls it at the end of a run. Tests say what they found by `record_property`: ``conformance`` is
``CASE-check_name=status``, ``agreement`` what `adapters.testing.agreement` returns, as JSON. Tests of
`parametrize_with_checks` need not: their name and outcome say it.
"""

from __future__ import annotations

import json
import os
import re
import string
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.testing import CHECKS

# `make test` says where the page is, relative to the repository; other runs of pytest leave the page alone.
PAGE_VARIABLE = "CONFORMANCE_PAGE"
_CELLS = {"passed": "yes", "expected failure": "no", "failed": "FAILED"}
_OUTCOMES = {"passed": "passed", "xfailed": "expected failure", "failed": "failed", "xpassed": "failed"}
# Options of pytest that leave tests out.
_NARROWING = ("keyword", "markexpr", "lf", "stepwise", "deselect", "ignore", "ignore_glob")
# Frameworks in the order of the page; what is not named here follows.
_ORDER = (
    "pytorch",
    "keras",
    "tensorflow",
    "tf",
    "jax",
    "linen",
    "nnx",
    "equinox",
    "haiku",
    "function",
    "onnx",
    "numpy",
)

Table = dict[str, dict[str, str]]
Rows = list[list[str]]

PAGE_TEXT = """# What every adapter is held against

Written by `make test`. The checks are those of `adapters.testing`, on one small network that is built in every
framework and computed in NumPy; `docs/extending.md` shows how to hold another adapter against them.

{checks}

Where the answer is no, it cannot be otherwise:

{reasons}

What each check asks:

{questions}

## The same network in every framework

Largest difference from PyTorch's values, relative to the largest value of the layer. At most 1e-4 is allowed: kernels
round differently. All labels are identical.

{agreements}
"""


def found_in(reports: dict[str, list[Any]]) -> tuple[Table, dict[str, str], list[dict[str, Any]]]:
    """Read the outcomes of a run: case -> check -> status; the reasons of expected failures; agreements."""
    table: Table = {}
    reasons: dict[str, str] = {}
    agreements: list[dict[str, Any]] = []
    for outcome, status in _OUTCOMES.items():
        for report in reports.get(outcome, []):
            named = re.search(r"::test_conformance\[(.+)-(check_\w+)\]$", getattr(report, "nodeid", ""))
            if named is not None:
                table.setdefault(named[1], {})[named[2]] = status
                if status == "expected failure":
                    reasons[f"{named[1]}, {named[2]}"] = report.wasxfail.removeprefix("reason: ")
            for name, text in getattr(report, "user_properties", ()):
                if name == "conformance":
                    case, check, status_there = re.fullmatch(r"(.+)-(check_\w+)=(.+)", text).groups()
                    table.setdefault(case, {})[check] = status_there
                elif name == "agreement":
                    agreements.append(json.loads(text))
    return table, reasons, agreements


def check_rows(table: Table) -> Rows:
    """Lay out check x case, with a header."""
    cases = sorted(table, key=_place)
    names = [check.__name__ for check in CHECKS]
    marks = [[_CELLS.get(table[case].get(name, "-"), table[case].get(name, "-")) for case in cases] for name in names]
    return [["check", *cases], *([_short(name), *row] for name, row in zip(names, marks, strict=True))]


def agreement_rows(agreements: list[dict[str, Any]]) -> Rows:
    """Lay out layer x case, with a header."""
    agreements = sorted(agreements, key=lambda each: _place(each["case"]))
    layers = list(dict.fromkeys(layer["layer"] for each in agreements for layer in each["layers"]))
    by_case = [{layer["layer"]: f"{layer['relative']:.0e}" for layer in each["layers"]} for each in agreements]
    header = ["layer", *(each["case"] for each in agreements)]
    return [header, *([layer, *(found.get(layer, "-") for found in by_case)] for layer in layers)]


def page_of(checks: Rows, reasons: dict[str, str], agreements: Rows) -> str:
    """Fill in docs/conformance.md."""
    return PAGE_TEXT.format(
        checks="\n".join(_markdown(checks)),
        reasons="\n".join(f"- {where}: {reason}." for where, reason in sorted(reasons.items(), key=_place_of_pair)),
        questions="\n".join(f"- {_short(check.__name__)}: {(check.__doc__ or '').strip()}" for check in CHECKS),
        agreements="\n".join(_markdown(agreements)),
    )


def _markdown(rows: Rows) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _narrow(rows: Rows) -> Iterator[str]:
    """Give a table lines that fit a terminal: letters for the columns, and what they stand for."""
    letters = string.ascii_lowercase[: len(rows[0]) - 1]
    yield ", ".join(f"{letter} {name}" for letter, name in zip(letters, rows[0][1:], strict=True))
    width = max(len(row[0]) for row in rows)
    for row in [[rows[0][0], *letters], *rows[1:]]:
        yield row[0].ljust(width) + "".join(f" {cell.replace('e-0', '-'):>4}" for cell in row[1:])


def _short(check: str) -> str:
    return check.removeprefix("check_").replace("_", " ")


def _place(case: str) -> tuple[int, str]:
    return next((number for number, name in enumerate(_ORDER) if case.startswith(name)), len(_ORDER)), case


def _place_of_pair(pair: tuple[str, str]) -> tuple[int, str]:
    return _place(pair[0])


def is_complete(terminalreporter: pytest.TerminalReporter) -> bool:
    """Tell whether everything ran, and nothing failed: only then do the tables say what holds."""
    config, stats = terminalreporter.config, terminalreporter.stats
    is_narrowed = any(getattr(config.option, name, None) for name in _NARROWING)  # workers of xdist deselect unseen
    is_green = terminalreporter._session.exitstatus == pytest.ExitCode.OK
    has_gaps = any(stats.get(kind) for kind in ("failed", "error", "deselected"))
    return config.args_source == config.ArgsSource.TESTPATHS and is_green and not is_narrowed and not has_gaps


def print_tables(terminalreporter: pytest.TerminalReporter) -> None:
    """Print both tables; on a complete run without failures, bring the page up to date."""
    table, reasons, agreements = found_in(terminalreporter.stats)
    for title, rows in (
        ("adapter contract: which adapter passes which check", check_rows(table) if table else []),
        ("same network: largest difference from PyTorch (2-7 is 2e-07 of a layer's largest value)",
         agreement_rows(agreements) if agreements else []),
    ):  # fmt: skip
        if rows:
            terminalreporter.section(title)
            for line in _narrow(rows):
                terminalreporter.write_line(line)
    place = os.environ.get(PAGE_VARIABLE)
    if not (place and table and agreements and is_complete(terminalreporter)):
        return
    path = terminalreporter.config.rootpath / place
    page = page_of(check_rows(table), reasons, agreement_rows(agreements))
    written = path.read_text(encoding="utf-8") if path.exists() else ""
    # the last digits of differences vary from machine to machine; a page that says the same stays
    if re.sub(r"\de-\d\d", "#", page) != re.sub(r"\de-\d\d", "#", written):
        path.write_text(page, encoding="utf-8")
