"""Small pieces of SVG: elements that escape what they hold, and axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

__all__ = ["Axis", "drawing", "element", "path", "place_of", "ticks", "write"]

Element = ET.Element


@dataclass(frozen=True)
class Axis:
    """Where values lie in a drawing.

    Attributes
    ----------
    low, high : float
        Values at the ends.
    start, end : float
        Places of the ends, in units of the drawing.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of a value; one beyond an end lies at the end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def drawing(width: float, height: float, *parts: Element, label: str = "", fixed: bool = False) -> Element:
    """Return an ``svg`` element.

    Parameters
    ----------
    width, height : float
        Size in its own units.
    *parts : Element
        What is in it.
    label : str
        What it shows, for who cannot see it; a drawing without one is passed over by screen readers.
    fixed : bool
        Whether a unit is a pixel; else the drawing takes the width that it is given.
    """
    role = {"role": "img", "aria_label": label} if label else {"aria_hidden": "true"}
    size = {"width": width, "height": height} if fixed else {}
    return element("svg", *parts, **size, viewBox=f"0 0 {width:g} {height:g}", **role)


def element(tag: str, *children: Element | str, **attributes: str | float | None) -> Element:
    """Return an element.

    Parameters
    ----------
    tag : str
        Its name.
    *children : Element or str
        What is in it; a text comes first.
    **attributes : str, float or None
        ``aria_label`` is written ``aria-label`` and ``class_`` is ``class``; None is left out.
    """
    made = ET.Element(tag)
    for name, value in attributes.items():
        if value is not None:
            made.set(name.rstrip("_").replace("_", "-"), value if isinstance(value, str) else place_of(value))
    for child in children:
        if isinstance(child, str):
            made.text = (made.text or "") + child
        else:
            made.append(child)
    return made


def path(points: Sequence[tuple[float, float]], *, close: bool = False) -> str:
    """Return the commands of a path through points."""
    commands = "".join(f"{'L' if i else 'M'}{place_of(x)} {place_of(y)}" for i, (x, y) in enumerate(points))
    return f"{commands}Z" if close else commands


def place_of(value: float) -> str:
    """Write a place in a drawing, in tenths of a unit.

    Examples
    --------
    >>> place_of(12.04), place_of(3.25)
    ('12', '3.2')
    """
    return f"{value:.1f}".removesuffix(".0")


def ticks(low: float, high: float, n: int = 5) -> list[float]:
    """Return round values between two others.

    Parameters
    ----------
    low, high : float
        The ends.
    n : int
        About how many.

    Examples
    --------
    >>> ticks(0, 1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    rough = (high - low) / n
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= rough * 0.9)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) + 0.0 for i in range(first, math.floor(high / step + 1e-9) + 1)]


def write(drawn: Element) -> str:
    """Return an element as text, everything in it escaped."""
    return ET.tostring(drawn, encoding="unicode", short_empty_elements=True)
