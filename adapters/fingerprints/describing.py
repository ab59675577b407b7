"""Any Python value as data that JSON can hold: equal for values that behave alike, in every process.

Numbers and texts stand for themselves, a tuple is a list; everything else is a dict whose first word says what it is.
Arrays count by dtype, shape and values (`arrays.py`), functions and classes by what they execute and look up
(`functions.py`), other objects by their class and attributes (`objects.py`). Addresses, line numbers, hash seeds and
the order in which attributes were set do not count.
"""

from __future__ import annotations

import functools
import math
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from .arrays import describe_array
from .digests import canonical, digest_of
from .errors import NotFingerprintable
from .functions import describe_callable
from .objects import describe_object, describe_small

__all__ = ["Describer", "Special", "describe"]

_PLAIN = frozenset({bool, int, float, str, type(None)})
_MAX_TEXT = 2048
_MAX_BITS = 4096  # Python refuses to write much longer numbers in digits

Special = Callable[[Any, "Describer", str], Any]
"""Takes a value, the describer and where the value hangs; returns its description, or NotImplemented."""


def describe(value: Any, *, where: str = "the value", special: Special | None = None) -> Any:
    """Describe one value.

    Parameters
    ----------
    value : object
        Anything; it is not changed.
    where : str
        What it is, for the message of an error.
    special : callable, optional
        Describes what somebody knows more about; see `Special`.

    Returns
    -------
    JSON data

    Raises
    ------
    NotFingerprintable
        If its content cannot be told.

    Examples
    --------
    >>> describe({"sizes": (3, 5), "mode": "same"})
    {'dict': [['sizes', [3, 5]], ['mode', 'same']]}
    """
    return Describer(special)(value, where)


class Describer:
    """Describes values one after the other; an object that comes again is referred to by its number.

    Parameters
    ----------
    special : callable, optional
        As for `describe`.
    """

    def __init__(self, special: Special | None = None) -> None:
        self._special = special
        self._rules = tuple(
            rule
            for rule in (_describe_container, special, describe_small, describe_array, describe_callable)
            if rule is not None
        )
        self._n_seen = 0
        self._seen: dict[int, Any] = {}
        self._alive: list[Any] = []  # keeps ids unique: some of what is looked at is made at this moment

    def __call__(self, value: Any, where: str) -> Any:
        """Return a value as JSON data.

        Parameters
        ----------
        value : object
            Anything.
        where : str
            Where it hangs, such as ``"attribute 'lookup' of layer 'blocks.3'"``.

        Raises
        ------
        NotFingerprintable
            If its content cannot be told.
        """
        if type(value) in _PLAIN:
            return _describe_plain(value)
        if (found := self._seen.get(id(value))) is not None:
            return found
        try:
            return self._by_rule(value, where)
        except RecursionError as error:
            raise NotFingerprintable.because(value, where, "it is nested too deeply") from error

    def _by_rule(self, value: Any, where: str) -> Any:
        for rule in self._rules:
            found = rule(value, self, where)
            if found is not NotImplemented:
                return found
        return describe_object(value, self, where)

    def known_as(self, thing: Any, name: str) -> None:
        """Have an object referred to by a name wherever it is met from now on."""
        self._seen[id(thing)] = {"is": name}
        self._alive.append(thing)

    def once(self, value: Any, make: Callable[[], Any]) -> Any:
        """Return what ``make`` gives at the first sight of an object, and the object's number at any later one."""
        if (found := self._seen.get(id(value))) is not None:
            return found
        self._number(value)
        self._alive.append(value)
        return make()

    def while_inside(self, value: Any, make: Callable[[], Any]) -> Any:
        """Return what ``make`` gives; meanwhile a container that holds itself is referred to by its number."""
        self._number(value)
        try:
            return make()
        finally:
            del self._seen[id(value)]

    def _number(self, value: Any) -> None:
        self._seen[id(value)] = {"seen": self._n_seen}
        self._n_seen += 1

    def unordered(self, values: Iterable[Any], where: str) -> list[Any]:
        """Describe values whose order depends on chance, and bring them into one that does not."""
        found = [_describe_plain(value) if type(value) in _PLAIN else self._copy()(value, where) for value in values]
        return sorted(found, key=canonical)

    def _copy(self) -> Describer:
        """Return a describer that knows what this one knows, and from which this one learns nothing."""
        other = Describer(self._special)
        other._seen, other._alive, other._n_seen = dict(self._seen), list(self._alive), self._n_seen
        return other


def _describe_plain(value: Any) -> Any:
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if type(value) is str and len(value) > _MAX_TEXT:
        return {"text": digest_of(value.encode("utf-8", "surrogatepass"))}
    if type(value) is int and value.bit_length() > _MAX_BITS:
        return {"int": hex(value)}
    return value


def _describe_container(value: Any, describer: Describer, where: str) -> Any:
    """Describe containers of Python itself; classes derived from them are objects, with items."""
    describe_as = _CONTAINERS.get(type(value))
    if describe_as is None:
        return NotImplemented
    return describer.while_inside(value, functools.partial(describe_as, value, describer, where))


def _in_order(values: Iterable[Any], describer: Describer, where: str) -> list[Any]:
    return [describer(item, f"item {number} of {where}") for number, item in enumerate(values)]


def _pairs(mapping: Mapping[Any, Any], describer: Describer, where: str) -> list[Any]:
    return [
        [describer(key, f"a key of {where}"), describer(item, f"item {str(key)[:80]!r} of {where}")]
        for key, item in mapping.items()
    ]


def _default_pairs(mapping: defaultdict[Any, Any], describer: Describer, where: str) -> dict[str, Any]:
    factory = describer(mapping.default_factory, f"the default of {where}")
    return {"dict": _pairs(mapping, describer, where), "default": factory}


# Order counts in all of them but sets, as a model may iterate over it.
_CONTAINERS: dict[type, Callable[[Any, Describer, str], Any]] = {
    tuple: _in_order,
    list: lambda value, describer, where: {"list": _in_order(value, describer, where)},
    deque: lambda value, describer, where: {"list": _in_order(value, describer, where), "at most": value.maxlen},
    defaultdict: _default_pairs,
    **dict.fromkeys(
        (set, frozenset),
        lambda value, describer, where: {"set": describer.unordered(value, f"an item of {where}")},
    ),
    **dict.fromkeys(
        (dict, OrderedDict, MappingProxyType),
        lambda value, describer, where: {"dict": _pairs(value, describer, where)},
    ),
}
