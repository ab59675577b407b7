"""The heat map of a model: its layers down, what it was scored on across."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .printing import printable
from .record import Record
from .svg import Element, drawing, element, write
from .tables import value_of

__all__ = ["heat_map"]

_NAMES, _CELL, _HEAD = 132.0, 44.0, 34.0
_LETTER, _N_LETTERS = 5.8, 22  # width of a letter of a column's head, and how many are written
_TALL, _LOW, _N_TALL = 17.0, 7.0, 48  # height of a row, of one of many, and how many are not many
# From these shares of the colour on, a number in it is written in the other ink: on dark paper, on light paper.
_DARK_PAPER, _LIGHT_PAPER = 0.62, 0.78


def heat_map(records: Sequence[Record]) -> str:
    """Draw the raw score of every layer on every benchmark; the committed layers have a frame.

    Parameters
    ----------
    records : sequence of Record
        Of one model.

    Returns
    -------
    str
        SVG, empty when no record holds scores of layers. Colour runs from 0 to the highest score.
    """
    records = [record for record in records if record.layers]
    names = list(dict.fromkeys(layer.layer for record in _longest_first(records) for layer in record.layers))
    if not names:
        return ""
    height = _TALL if len(names) <= _N_TALL else _LOW
    highest = max([0.05, *(layer.raw for record in records for layer in record.layers if not math.isnan(layer.raw))])
    heads = [head for record in records for head in _head(record)]
    wide = max(_CELL, *(_LETTER * len(head) + 6 for head in heads))
    parts = [
        part
        for i, record in enumerate(records)
        for part in _column(record, _NAMES + i * wide, wide, names, height, highest)
    ]
    step = 1 if height == _TALL else 3
    for row, name in enumerate(names):
        if row % step == 0:
            parts.append(_text(_fitting(name), _NAMES - 6, _HEAD + (row + 0.5) * height + 3.5, "tick", "end"))
    width = _NAMES + wide * len(records) + 4
    label = f"Raw scores of {len(names)} layers on {len(records)} benchmarks, the highest {highest:.3f}."
    return write(drawing(width, _HEAD + height * len(names) + 4, *parts, label=label, fixed=True))


def _column(record: Record, left: float, wide: float, names: list[str], height: float, highest: float) -> list[Element]:
    region, metric = _head(record)
    parts = [
        _text(region, left + wide / 2, 13, "axis", "middle"),
        _text(metric, left + wide / 2, 26, "tick", "middle"),
    ]
    scores = {layer.layer: layer for layer in record.layers}
    for row, name in enumerate(names):
        if name not in scores:
            continue
        top, raw = _HEAD + row * height, scores[name].raw
        share = 0.0 if math.isnan(raw) else min(max(raw / highest, 0.0), 1.0)
        title = element("title", f"{printable(name)}, {printable(record.benchmark)}: {value_of(raw)}")
        place = {"x": left + 0.5, "y": top + 0.5, "width": wide - 1, "height": height - 1}
        opacity = f"{share:.2f}"
        parts.append(element("rect", title, class_="heat", fill_opacity=opacity, **place))
        if height == _TALL:
            ink = "in-dark" if share > _LIGHT_PAPER else "in-middle" if share > _DARK_PAPER else "in-light"
            parts.append(_text(value_of(raw), left + wide / 2, top + height / 2 + 3.5, ink, "middle"))
        if name == record.layer:
            parts.append(element("rect", class_="frame", **place))
    return parts


def _longest_first(records: Sequence[Record]) -> list[Record]:
    return sorted(records, key=lambda record: -len(record.layers))


def _head(record: Record) -> tuple[str, str]:
    return _fitting(record.region), _fitting(record.metric)


def _fitting(name: str) -> str:
    name = printable(name)
    return name if len(name) <= _N_LETTERS else f"{name[:10]}…{name[-11:]}"


def _text(text: str, x: float, y: float, kind: str, anchor: str) -> Element:
    return element("text", text, class_=kind, x=x, y=y, text_anchor=anchor)
