"""Columns of labels as JSON data and back: with their types, and with what JSON has no words for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["columns_of", "table_document"]

_NOT_NUMBERS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def table_document(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return columns as JSON data, in their order.

    Parameters
    ----------
    columns : mapping of str to array of shape (n_rows,)
        Of numbers, texts, booleans, or of any mixture; what is none of these is kept as its text.

    Examples
    --------
    >>> table_document({"size": np.array([1.5, np.nan])})
    [{'name': 'size', 'dtype': '<f8', 'values': [1.5, {'float': 'nan'}]}]
    """
    return [
        {"name": str(name), "dtype": _type_of(values), "values": [_as_data(value) for value in _plain(values)]}
        for name, values in columns.items()
    ]


def columns_of(document: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Return the columns that `table_document` was given."""
    columns = {}
    for column in document:
        values = np.empty(len(column["values"]), dtype=object)
        values[:] = [_as_value(value) for value in column["values"]]
        columns[column["name"]] = values if column["dtype"] == "object" else values.astype(column["dtype"])
    return columns


def _type_of(values: Any) -> str:
    dtype = getattr(values, "dtype", None)
    return dtype.str if isinstance(dtype, np.dtype) and dtype.kind in "biuf" else "object"


def _plain(values: Any) -> list[Any]:
    items: list[Any] = np.asarray(values).tolist() if _type_of(values) != "object" else list(values)
    return items


def _as_data(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    return value if value is None or isinstance(value, (str, bool, int, float)) else str(value)


def _as_value(value: Any) -> Any:
    return _NOT_NUMBERS[value["float"]] if isinstance(value, dict) else value
