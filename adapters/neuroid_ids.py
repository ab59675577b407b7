"""The texts ``model.layer.number`` of millions of neuroids, written only when somebody reads them.

As Python strings they would take over 80 bytes each, more than the activations of twenty images. Kept are the layers'
prefixes, and per neuroid two small integers that the index holds anyway.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray, ExtensionDtype
from pandas.api.indexers import check_array_indexer

__all__ = ["NeuroidIdDtype", "NeuroidIds"]


class NeuroidIdDtype(ExtensionDtype):
    """Text of a neuroid's identifier."""

    name = "neuroid_id"
    type = str
    kind = "O"
    na_value = None

    @classmethod
    def construct_array_type(cls) -> builtins.type[NeuroidIds]:
        """Return the array class."""
        return NeuroidIds


class NeuroidIds(ExtensionArray):
    """An array of identifiers; behaves in pandas and xarray as an array of strings.

    Parameters
    ----------
    prefixes : array of shape (n_prefixes,), object
        Texts before the number, with their final dot.
    codes : array of shape (n_neuroids,), int
        Which prefix; -1 where the identifier is missing.
    numbers : array of shape (n_neuroids,), int
        The number after it; -1 where the prefix is the whole text.

    Examples
    --------
    >>> ids = NeuroidIds(np.array(["toy.conv.", "toy.fc."], object), np.array([0, 0, 1]), np.array([0, 1, 0]))
    >>> list(ids)
    ['toy.conv.0', 'toy.conv.1', 'toy.fc.0']
    """

    def __init__(self, prefixes: np.ndarray, codes: np.ndarray, numbers: np.ndarray) -> None:
        self._prefixes, self._codes, self._numbers = prefixes, codes, numbers

    @classmethod
    def _from_sequence(cls, scalars: Sequence[Any], *, dtype: Any = None, copy: bool = False) -> NeuroidIds:
        prefixes: dict[str, int] = {}
        codes, numbers = np.empty(len(scalars), np.int32), np.full(len(scalars), -1, np.int32)
        for position, text in enumerate(scalars):
            head, dot, number = str(text).rpartition(".")
            if pd.isna(text):
                codes[position] = -1
            elif dot and number.isdecimal() and len(number) < 10 and str(int(number)) == number:
                codes[position] = prefixes.setdefault(head + dot, len(prefixes))
                numbers[position] = int(number)
            else:
                codes[position] = prefixes.setdefault(str(text), len(prefixes))
        return cls(np.array(list(prefixes), dtype=object), codes, numbers)

    @classmethod
    def _from_factorized(cls, values: Any, original: NeuroidIds) -> NeuroidIds:
        return cls._from_sequence(values)

    @property
    def dtype(self) -> NeuroidIdDtype:
        """The array's dtype."""
        return NeuroidIdDtype()

    @property
    def nbytes(self) -> int:
        """Bytes kept per neuroid, summed."""
        return int(self._codes.nbytes + self._numbers.nbytes)

    def __len__(self) -> int:
        return len(self._codes)

    def __getitem__(self, item: Any) -> Any:
        """Return one text, or an array of some."""
        item = check_array_indexer(self, item)
        if isinstance(item, (int, np.integer)):
            return self._text(int(self._codes[item]), int(self._numbers[item]))
        return NeuroidIds(self._prefixes, self._codes[item], self._numbers[item])

    def _text(self, code: int, number: int) -> str | None:
        if code < 0:
            return None
        prefix: str = self._prefixes[code]
        return prefix if number < 0 else f"{prefix}{number}"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Write all texts."""
        texts = np.empty(len(self), dtype=object)
        for code in np.unique(self._codes):
            where = np.flatnonzero(self._codes == code)
            if code < 0:
                texts[where] = None
                continue
            numbers, inverse = np.unique(self._numbers[where], return_inverse=True)
            written = np.array([self._text(int(code), int(number)) for number in numbers], dtype=object)
            texts[where] = written[inverse]
        return texts if dtype is None or np.dtype(dtype).kind == "O" else texts.astype(dtype)

    def __eq__(self, other: Any) -> Any:
        """Compare element by element."""
        if isinstance(other, (pd.Series, pd.Index, pd.DataFrame)):
            return NotImplemented
        return np.asarray(self) == (np.asarray(other, dtype=object) if not isinstance(other, str) else other)

    __hash__ = None  # type: ignore[assignment]

    def isna(self) -> np.ndarray:
        """Tell which identifiers are missing."""
        return self._codes < 0

    def take(self, indices: Any, *, allow_fill: bool = False, fill_value: Any = None) -> NeuroidIds:
        """Return the identifiers at some positions; with ``allow_fill``, -1 is a missing one."""
        indices = np.asarray(indices, dtype=np.intp)
        if not allow_fill:
            return NeuroidIds(self._prefixes, self._codes.take(indices), self._numbers.take(indices))
        if len(indices) and (indices.min() < -1 or indices.max() >= len(self)):
            raise (ValueError if indices.min() < -1 else IndexError)(
                f"Positions from {indices.min()} to {indices.max()} are not all within {len(self)} identifiers; "
                f"-1 is a missing one."
            )
        is_missing = indices < 0
        if len(self) == 0:
            return NeuroidIds(self._prefixes, np.full(len(indices), -1), np.full(len(indices), -1))
        codes = np.where(is_missing, -1, self._codes.take(indices, mode="clip"))
        return NeuroidIds(self._prefixes, codes, np.where(is_missing, -1, self._numbers.take(indices, mode="clip")))

    def copy(self) -> NeuroidIds:
        """Return the same identifiers; nothing can change them, so nothing is copied."""
        return NeuroidIds(self._prefixes, self._codes, self._numbers)

    @classmethod
    def _concat_same_type(cls, to_concat: Sequence[NeuroidIds]) -> NeuroidIds:
        ends = np.cumsum([0, *(len(ids._prefixes) for ids in to_concat)])
        return cls(
            np.concatenate([ids._prefixes for ids in to_concat]),
            np.concatenate(
                [
                    np.where(ids._codes < 0, -1, ids._codes.astype(np.int64) + start)
                    for ids, start in zip(to_concat, ends, strict=False)
                ]
            ),
            np.concatenate([ids._numbers for ids in to_concat]),
        )

    def __getattr__(self, name: str) -> Any:
        """Give what the accessor ``.str`` of pandas looks for: the methods of the same texts, written out."""
        if not name.startswith("_str_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(pd.Series(np.asarray(self), dtype=object).array, name)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError("Neuroid identifiers cannot be changed in place. Convert them first: np.asarray(ids).")
