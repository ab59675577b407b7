"""Functions as data: what is executed, and the names that it looks up, without where it was written.

The bytecode is read and not the source, for the source on disk may have been edited since it was imported. Lines, file
names, comments, docstrings and the function's own name are no part of it; names of local variables are, and so is the
version of Python that compiled it.
"""

from __future__ import annotations

import dis
import functools
import itertools
from collections.abc import Iterator
from types import CodeType
from typing import Any, NamedTuple

from .digests import digest_of, key_of

__all__ = ["Lookups", "digest_of_code", "lookups_in"]

_HAS_DOCSTRING = 0x4000000  # a flag from Python 3.13 on
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_MAX_ATTRIBUTES = 8
_GLOBALS = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})


class Lookups(NamedTuple):
    """What code looks up when it runs.

    Parameters
    ----------
    names : tuple of tuple of str
        Global names, each with the attributes that follow it: ``("np", "linalg", "norm")``.
    imports : tuple of (int, str)
        Modules that it imports by itself, each after the level of a relative import.
    """

    names: tuple[tuple[str, ...], ...]
    imports: tuple[tuple[int, str], ...]


class _Same:
    """One code object; equal to itself only, for Python takes codes for equal that handle exceptions differently."""

    __slots__ = ("code",)

    def __init__(self, code: CodeType) -> None:
        self.code = code

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.code is self.code

    def __hash__(self) -> int:
        return id(self.code)


def digest_of_code(code: CodeType) -> str:
    """Return a digest of what code does, equal for code that was moved, commented or renamed.

    Examples
    --------
    >>> def one(x):
    ...     return x + 1
    >>> def other(x):
    ...     '''Says what it does.'''
    ...     return x + 1  # and a comment
    >>> digest_of_code(one.__code__) == digest_of_code(other.__code__)
    True
    """
    return _digest_of(_Same(code))


@functools.lru_cache(maxsize=4096)
def _digest_of(held: _Same) -> str:
    return key_of(_described(held.code))


def _described(code: CodeType) -> list[Any]:
    # the first constant of a function is its docstring, which no instruction loads unless it is also returned, say
    used = {each.arg for each in dis.get_instructions(code) if each.opcode in dis.hasconst}
    constants = [_constant(each) if number in used else None for number, each in enumerate(code.co_consts)]
    return [
        [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & ~_HAS_DOCSTRING],
        digest_of(code.co_code),
        digest_of(code.co_exceptiontable),
        constants,
        [list(code.co_names), list(code.co_varnames), list(code.co_freevars), list(code.co_cellvars)],
    ]


def _constant(value: Any) -> Any:
    """Return a constant with its type, as 1, 1.0 and True are equal."""
    if isinstance(value, CodeType):
        return ["code", _described(value)]
    if isinstance(value, tuple):
        return ["tuple", [_constant(each) for each in value]]
    if isinstance(value, frozenset):
        return ["set", sorted((_constant(each) for each in value), key=key_of)]
    return [type(value).__name__, repr(value)]


def lookups_in(code: CodeType) -> Lookups:
    """Return what code looks up, also from inside the functions that it defines.

    Examples
    --------
    >>> lookups_in((lambda x: np.linalg.norm(x) * SCALE).__code__).names
    (('SCALE',), ('np', 'linalg', 'norm'))
    """
    return _lookups_in(_Same(code))


@functools.lru_cache(maxsize=4096)
def _lookups_in(held: _Same) -> Lookups:
    names: set[tuple[str, ...]] = set()
    imports: set[tuple[int, str]] = set()
    for code in _with_inner(held.code):
        instructions = list(dis.get_instructions(code))
        for number, each in enumerate(instructions):
            if each.opname in _GLOBALS:
                names.add((str(each.argval), *_attributes_in(instructions[number + 1 : number + 1 + _MAX_ATTRIBUTES])))
            elif each.opname == "IMPORT_NAME":
                level = instructions[number - 2].argval  # loaded before the names, which are loaded before the import
                imports.add((level if isinstance(level, int) else 0, str(each.argval)))
    return Lookups(tuple(sorted(names)), tuple(sorted(imports)))


def _attributes_in(instructions: list[Any]) -> Iterator[str]:
    for each in itertools.takewhile(lambda each: each.opname in _ATTRIBUTES, instructions):
        yield str(each.argval)


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_inner(constant)
