"""The board as one HTML file that needs nothing else. Only here is Jinja2 imported, and only at use."""

from __future__ import annotations

import base64
import hashlib
import importlib
import math
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

from ..errors import ScoreExtraMissingError
from .board import AVERAGE, Board, Cell, Row
from .charts import whisker
from .model_section import section_of
from .printing import printable
from .tables import notes_of, rank_of, value_of

__all__ = ["render_page"]

_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect x='1' y='9' width='3' "
    "height='6' fill='%230b6aa8'/%3E%3Crect x='6' y='5' width='3' height='10' fill='%230b6aa8'/%3E%3Crect x='11' y='1' "
    "width='3' height='14' fill='%230b6aa8'/%3E%3C/svg%3E"
)


def render_page(board: Board, *, title: str = "Leaderboard", damaged: Mapping[str, str] | None = None) -> str:
    """Write a board as an HTML page: the table, and the figures and provenance of each model.

    Parameters
    ----------
    board : Board
        What to show.
    title : str
        Heading of the page.
    damaged : mapping of str to str, optional
        Files that could not be read, with the reason; the page names them.

    Returns
    -------
    str
        A page that asks for no other file and runs no script but its own, which its security policy enforces.

    Raises
    ------
    ScoreExtraMissingError
        When Jinja2 is not installed.
    """
    jinja2 = _jinja2()
    # Every text is escaped where the template writes it: identifiers come from whoever wrote the records.
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style, script = _text_of("page.css"), _text_of("page.js")
    highest = _highest(board)
    template = environment.from_string(_text_of("page.html.j2"))
    page: str = template.render(
        title=printable(title),
        policy=_policy(style, script),
        icon=_ICON,
        style=style,
        script=script,
        summary=_summary(board),
        columns=[AVERAGE, *map(printable, board.columns)],
        rows=[_row(number, row, highest) for number, row in enumerate(board.rows, 1)],
        highest=f"{highest:g}",
        sections=[section_of(number, row) for number, row in enumerate(board.rows, 1)],
        notes=notes_of(board),
        damaged={printable(name): printable(reason) for name, reason in (damaged or {}).items()},
    )
    return page


def _policy(style: str, script: str) -> str:
    """Return a policy that lets nothing run, be shown or be fetched but what stands in the page."""
    sources = {name: f"'sha256-{_digest(text)}'" for name, text in (("style-src", style), ("script-src", script))}
    allowed = {"default-src": "'none'", **sources, "img-src": "data:", "base-uri": "'none'", "form-action": "'none'"}
    return "; ".join(f"{name} {source}" for name, source in allowed.items())


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _summary(board: Board) -> dict[str, Any]:
    records = [record for row in board.rows for record in row.records]
    created = sorted(record.created for record in records if record.created)
    return {
        "n_models": len(board.rows),
        "n_benchmarks": len({record.benchmark for record in records}),
        "n_scores": len(records),
        "formulas": [_formula(formula) for formula in board.formulas if formula],
        "parity": board.parity and printable(board.parity),
        "interval": board.interval,
        "newest": printable(created[-1][:10]) if created else "",
    }


def _formula(formula: str) -> str:
    pretty = {"r2/c": "r²/c", "(r/c)2": "(r/c)²", "s/c": "s/c", "s/sqrt(c)": "s/√c", "s": "s"}
    return pretty.get(formula, printable(formula))


def _highest(board: Board) -> float:
    """Return the end of all whiskers: the highest of the scores and their intervals, rounded up to a tenth."""
    cells = [cell for row in board.rows for cell in (row.average, *row.cells.values()) if cell.is_scored]
    values = [max(cell.value, cell.high if cell.has_interval else cell.value) for cell in cells]
    return max(0.1, math.ceil(max(values, default=1.0) * 10 - 1e-9) / 10)


def _row(number: int, row: Row, highest: float) -> dict[str, Any]:
    return {
        "number": number,
        "rank": rank_of(row),
        "rank_value": "" if row.rank is None else row.rank,
        "model": printable(row.model),
        "name_parts": re.findall(r"[^_./:-]*[_./:-]+|[^_./:-]+", printable(row.model)),
        "average": _cell(row.average, highest),
        "cells": [_cell(cell, highest) for cell in row.cells.values()],
    }


def _cell(cell: Cell, highest: float) -> dict[str, Any]:
    interval = f" ({value_of(cell.low)} to {value_of(cell.high)})" if cell.has_interval else ""
    return {
        "is_scored": cell.is_scored,
        "value": repr(cell.value) if cell.is_scored else "",
        "text": value_of(cell.value),
        "said": f"{value_of(cell.value)}{interval}" if cell.is_scored else "not scored",
        "whisker": whisker(cell, highest) if cell.is_scored else "",
        "n_found": cell.n_found,
        "n_expected": cell.n_expected,
        "doubts": [printable(flag) for flag in cell.doubts],
    }


def _text_of(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _jinja2() -> Any:
    try:
        return importlib.import_module("jinja2")
    except ImportError as error:
        raise ScoreExtraMissingError(
            f"Writing a page needs Jinja2, which could not be imported: {error}. "
            "Install it with: pip install 'brain-adapters[score]'."
        ) from error
