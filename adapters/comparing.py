"""Compare two recipes: where the data of two stored entries differ, in words that say what was changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Difference", "recipe_differences"]


@dataclass(frozen=True)
class Difference:
    """One value that differs.

    Parameters
    ----------
    place : str
        Keys and positions that lead to it, with dots between.
    first, second : JSON data or None
        The two values; None where one recipe does not have it.
    """

    place: str
    first: Any
    second: Any

    def __str__(self) -> str:
        return f"{self.place}: {_short(self.first)} -> {_short(self.second)}"


def recipe_differences(first: Any, second: Any, place: str = "") -> list[Difference]:
    """Return where two pieces of JSON data differ, in the order of the first.

    Parameters
    ----------
    first, second : JSON data
        For example `adapters.store.Entry.recipe`.
    place : str
        What both are, for the differences' names.

    Examples
    --------
    >>> for each in recipe_differences({"size": [224, 224], "mean": 0.5}, {"size": [224, 192], "mean": 0.5}):
    ...     print(each)
    size.1: 224 -> 192
    """
    return list(_differences(first, second, place))


def _differences(first: Any, second: Any, place: str) -> Iterator[Difference]:
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in (*first, *(key for key in second if key not in first)):
            yield from _differences(first.get(key), second.get(key), _join(place, key))
    elif _is_list(first) and _is_list(second) and len(first) == len(second):
        for number, pair in enumerate(zip(first, second, strict=True)):
            yield from _differences(*pair, _join(place, number))
    elif first != second or type(first) is not type(second):
        yield Difference(place, first, second)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _join(place: str, key: object) -> str:
    return f"{place}.{key}" if place else str(key)


def _short(value: Any) -> str:
    text = "(not there)" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:56]}..."
