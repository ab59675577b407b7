"""The figures of a page: whiskers, layer curves, heat maps, histograms and scatter plots, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from .board import Cell
from .printing import printable
from .record import LayerScore, Record
from .svg import Axis, Element, drawing, element, path, place_of, ticks, write
from .tables import value_of

__all__ = ["bound_of", "histogram", "layer_curve", "scatter", "whisker"]

WIDTH, HEIGHT = 360.0, 220.0
LEFT, RIGHT, TOP, BOTTOM = 40.0, 10.0, 14.0, 36.0
_BOUNDS: Mapping[str, Callable[[float], float]] = {
    "r2/c": math.sqrt,
    "s/sqrt(c)": math.sqrt,
    "(r/c)2": float,
    "s/c": float,
}
_N_BINS = 24


def bound_of(ceiling: float, formula: str) -> float:
    """Return the raw score that gives a ceiled score of 1.

    Parameters
    ----------
    ceiling : float
        As in a record.
    formula : str
        As in a record.

    Returns
    -------
    float
        NaN where the formula has no ceiling, or the ceiling is not positive.
    """
    bound = _BOUNDS.get(formula)
    return bound(ceiling) if bound is not None and ceiling > 0 else math.nan


def whisker(cell: Cell, highest: float = 1.0) -> str:
    """Draw a score, on a line from 0 to ``highest``, with its interval."""
    axis = Axis(0, highest, 2, 94)
    parts = [element("line", class_="base", x1=2.0, x2=94.0, y1=6.0, y2=6.0)]
    if cell.has_interval:
        parts.append(element("line", class_="span", x1=axis(cell.low), x2=axis(cell.high), y1=6.0, y2=6.0))
    place = axis(cell.value)
    parts.append(element("line", class_="dot", x1=place, x2=place, y1=1.5, y2=10.5))
    return write(drawing(96, 12, *parts))


def layer_curve(record: Record) -> str:
    """Draw how well each layer does, with the split spread, the ceiling, and the layer that was committed."""
    layers, n = record.layers, len(record.layers)
    bound = bound_of(record.ceiling, record.formula)
    told = [layer for layer in layers if not math.isnan(layer.raw)]
    values = [layer.raw for layer in told]
    low, high = min([0.0, *values]), max([*values, *_finite([bound]), 0.1]) * 1.06
    x, y = Axis(1, max(n, 2), LEFT + 8, WIDTH - RIGHT - 8), Axis(low, high, HEIGHT - BOTTOM, TOP)
    if n == 1:
        x = Axis(0, 2, LEFT, WIDTH - RIGHT)
    parts = [*_y_axis(y), *_layer_axis(x, n), *_ceiling(record, bound, y)]
    for run in _runs(layers):
        above = [(x(i), y(layer.raw + _or_zero(layer.error))) for i, layer in run]
        below = [(x(i), y(layer.raw - _or_zero(layer.error))) for i, layer in run]
        parts.append(element("path", class_="band", d=path([*above, *reversed(below)], close=True)))
        parts.append(element("path", class_="curve", d=path([(x(i), y(layer.raw)) for i, layer in run])))
    parts += [_layer_point(i, layer, record, x, y) for i, layer in enumerate(layers, 1) if not math.isnan(layer.raw)]
    best = next((i for i, layer in enumerate(layers, 1) if layer.layer == record.layer), None)
    if best is not None and not math.isnan(layers[best - 1].raw):
        anchor = "start" if best < n / 3 else "end" if best > 2 * n / 3 else "middle"
        place = y(layers[best - 1].raw)
        is_crowded = place - 22 < TOP or (not math.isnan(bound) and abs(place - 12 - y(bound)) < 12)
        beside = place + 17 if is_crowded else place - 9
        parts.append(_text(_shortened(record.layer, 30), x(best), beside, "chosen-name", anchor=anchor))
    committed = printable(record.layer) or "none"
    label = f"Raw score of {n} layers on {printable(record.benchmark)}; committed is {committed}."
    return write(drawing(WIDTH, HEIGHT, *parts, _x_title("layer, in execution order"), _y_title(), label=label))


def histogram(record: Record) -> str:
    """Draw how the raw scores of neuroids are distributed, with their median."""
    values = np.array(_finite(record.neuroids.raw))
    low, high = min(0.0, math.floor(values.min() * 10) / 10), max(1.0, values.max())
    counts, edges = np.histogram(values, bins=_N_BINS, range=(low, high))
    x = Axis(low, high, LEFT, WIDTH - RIGHT)
    y = Axis(0, counts.max() * 1.1, HEIGHT - BOTTOM, TOP)
    parts = [*_y_axis(y, whole=True), *_x_axis(x)]
    for count, left, right in zip(counts, edges[:-1], edges[1:], strict=True):
        if count:
            title = element("title", f"{left:.2f} to {right:.2f}: {count}")
            size = {"width": x(right) - x(left) - 1, "height": y(0) - y(count)}
            parts.append(element("rect", title, class_="bar", x=x(left) + 0.5, y=y(count), **size))
    median = float(np.median(values))
    parts.append(element("line", class_="median", x1=x(median), x2=x(median), y1=TOP, y2=HEIGHT - BOTTOM))
    anchor, shift = ("end", -5.0) if x(median) > WIDTH / 2 else ("start", 5.0)
    parts.append(_text(f"median {median:.3f}", x(median) + shift, TOP + 6, "note", anchor=anchor))
    label = f"Raw scores of {len(values)} neuroids, median {median:.3f}."
    return write(drawing(WIDTH, HEIGHT, *parts, _x_title("raw score"), _y_title("neuroids"), label=label))


def scatter(record: Record) -> str:
    """Draw the raw score of each neuroid against its ceiling, and the line that a perfect model would reach."""
    pairs = [
        (ceiling, raw)
        for ceiling, raw in zip(record.neuroids.ceiling, record.neuroids.raw, strict=True)
        if not (math.isnan(ceiling) or math.isnan(raw))
    ]
    lows = [min(0.0, math.floor(min(each) * 10) / 10) for each in zip(*pairs, strict=True)]
    x, y = Axis(lows[0], 1, LEFT, WIDTH - RIGHT), Axis(lows[1], 1, HEIGHT - BOTTOM, TOP)
    parts = [*_y_axis(y), *_x_axis(x)]
    steps = [(i / 40) ** 2 for i in range(1, 41)]  # closer near 0, where the square root is steep
    bounds = [(step, bound_of(step, record.formula)) for step in steps]
    if not math.isnan(bounds[0][1]):
        parts.append(element("path", class_="ceiling", d=path([(x(0), y(0)), *((x(c), y(b)) for c, b in bounds)])))
    dots = "".join(f"M{place_of(x(ceiling))} {place_of(y(raw))}h0" for ceiling, raw in pairs)
    parts.append(element("path", class_="dots", d=dots))  # one path, as a circle each would make the page heavy
    label = f"Raw score against ceiling of {len(pairs)} neuroids on {printable(record.benchmark)}."
    return write(drawing(WIDTH, HEIGHT, *parts, _x_title("ceiling of the neuroid"), _y_title(), label=label))


def _ceiling(record: Record, bound: float, y: Axis) -> list[Element]:
    if math.isnan(bound):
        return []
    parts, top = [], bound
    bounds = _finite([bound_of(each, record.formula) for each in record.neuroids.ceiling])
    if len(bounds) > 3:
        lower, upper = np.quantile(bounds, (0.25, 0.75))
        top = max(top, upper)
        size = {"width": WIDTH - LEFT - RIGHT, "height": y(lower) - y(upper)}
        title = element("title", f"Ceiling: half of the neuroids lie between {lower:.3f} and {upper:.3f}")
        parts.append(element("rect", title, class_="ceiling-band", x=LEFT, y=y(upper), **size))
    parts.append(element("line", class_="ceiling", x1=LEFT, x2=WIDTH - RIGHT, y1=y(bound), y2=y(bound)))
    return [*parts, _text(f"ceiling {bound:.2f}", LEFT + 4, y(top) - 4, "note")]


def _layer_point(number: int, layer: LayerScore, record: Record, x: Axis, y: Axis) -> Element:
    kind = "chosen" if layer.layer == record.layer else "tied" if layer.layer in record.ties else "point"
    said = f"{printable(layer.layer)}: {value_of(layer.raw)} ± {value_of(layer.error)}"
    if layer.n_features is not None:
        said += f", {layer.n_features:,} features"
    if layer.flags:
        said += f" ({', '.join(map(printable, layer.flags))})"
    radius = {"chosen": 4.6, "tied": 3.6, "point": 2.4}[kind]
    return element("circle", element("title", said), class_=kind, cx=x(number), cy=y(layer.raw), r=radius)


def _runs(layers: Sequence[LayerScore]) -> list[list[tuple[int, LayerScore]]]:
    """Return numbered layers, cut where one has no score."""
    runs: list[list[tuple[int, LayerScore]]] = [[]]
    for number, layer in enumerate(layers, 1):
        if math.isnan(layer.raw):
            runs.append([])
        else:
            runs[-1].append((number, layer))
    return [run for run in runs if len(run) > 1]


def _y_axis(y: Axis, *, whole: bool = False) -> list[Element]:
    parts = []
    for value in ticks(y.low, y.high):
        if whole and value != int(value):
            continue
        parts.append(element("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=y(value), y2=y(value)))
        parts.append(_text(f"{value:g}", LEFT - 5, y(value) + 3.5, "tick", anchor="end"))
    return parts


def _x_axis(x: Axis) -> list[Element]:
    values = ticks(x.low, x.high)
    return [_text(f"{value:g}", x(value), HEIGHT - BOTTOM + 14, "tick", anchor="middle") for value in values]


def _layer_axis(x: Axis, n: int) -> list[Element]:
    numbers = range(1, n + 1) if n <= 12 else [1, *(int(value) for value in ticks(1, n) if 1 < value < n), n]
    shown = [number for number in numbers if number in (1, n) or x(n) - x(number) > 16]
    return [_text(str(number), x(number), HEIGHT - BOTTOM + 14, "tick", anchor="middle") for number in shown]


def _x_title(text: str) -> Element:
    return _text(text, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 5, "axis", anchor="middle")


def _y_title(text: str = "raw score") -> Element:
    turned = f"translate(10 {(TOP + HEIGHT - BOTTOM) / 2:g}) rotate(-90)"
    return element("text", text, class_="axis", transform=turned, text_anchor="middle")


def _text(text: str, x: float, y: float, kind: str, *, anchor: str = "start") -> Element:
    return element("text", text, class_=kind, x=x, y=y, text_anchor=anchor)


def _shortened(name: str, n: int) -> str:
    name = printable(name)
    return name if len(name) <= n else f"{name[: n // 2]}…{name[-(n // 2) :]}"


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value
