"""Read the parts of data that came from a file, each of the type that it has to be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .errors import RecordError

__all__ = ["MISSING", "Fields"]

MISSING = object()
_SHOWN = 40  # characters of a value in a message


class Fields:
    """The parts of a mapping by type; an error names the part, what it is and what was expected.

    Parameters
    ----------
    data : object
        Expected to be a mapping.
    place : str
        What goes before the name of a part in messages, e.g. ``"layers[2]."``.

    Raises
    ------
    RecordError
        Here and in every method: when something is not as it has to be.
    """

    def __init__(self, data: Any, place: str = "") -> None:
        if not isinstance(data, Mapping):
            name = place.rstrip(".") or "It"
            raise RecordError(f"{name} is {_described(data)}; expected an object of a score record. Score again.")
        self._data, self._place = data, place

    def text(self, name: str, *, default: str | None = None) -> str:
        """Return a string; ``default`` stands for null, and without it the string may not be empty."""
        value = self._data.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or (not value and default is None):
            raise self._wrong(name, "a text" if default is not None else "a text that is not empty")
        return value

    def number(self, name: str) -> float:
        """Return a finite number, NaN for null."""
        return self._as_number(name, self._data.get(name, MISSING))

    def count(self, name: str) -> int | None:
        """Return a whole number, None for null or where there is nothing."""
        value = self._data.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self._wrong(name, "a whole number, or null")
        return value

    def items(self, name: str) -> list[Any]:
        """Return a list, an empty one for null."""
        value = self._data.get(name)
        if value is not None and not isinstance(value, list):
            raise self._wrong(name, "a list")
        return value or []

    def mapping(self, name: str) -> Mapping[str, Any]:
        """Return an object, an empty one for null."""
        value = self._data.get(name)
        if value is not None and not isinstance(value, Mapping):
            raise self._wrong(name, "an object")
        return value or {}

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of strings."""
        values = self.items(name)
        if not all(isinstance(value, str) for value in values):
            raise self._wrong(name, "a list of texts")
        return tuple(values)

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return a list of numbers, NaN for each null."""
        return tuple(self._as_number(f"{name}[{i}]", value) for i, value in enumerate(self.items(name)))

    def _as_number(self, name: str, value: Any) -> float:
        if value is None:
            return math.nan
        try:
            is_number = not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value)
        except OverflowError:  # a whole number that no float can hold
            is_number = False
        if not is_number:
            raise self._wrong(name, "a finite number, or null", value)
        return float(value)

    def _wrong(self, name: str, expected: str, value: Any = None) -> RecordError:
        found = self._data.get(name, MISSING) if value is None else value
        return RecordError(f"{self._place}{name} is {_described(found)}; expected {expected}. Score again.")


def _described(value: Any) -> str:
    if value is MISSING:
        return "missing"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
