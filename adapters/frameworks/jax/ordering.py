"""Keep the order in which a model wrote the keys of a dict: jax sorts them when it takes an output apart."""

from __future__ import annotations

from typing import Any

__all__ = ["in_order", "order_of"]


def order_of(output: Any) -> Any:
    """Return the order of the keys in nested dicts, without the values."""
    if type(output) is dict:
        return {key: order_of(value) for key, value in output.items()}
    return [order_of(value) for value in output] if isinstance(output, (tuple, list)) else None


def in_order(output: Any, order: Any) -> Any:
    """Return an output with the keys of its dicts in an order from `order_of`.

    Examples
    --------
    >>> in_order({"a": 1, "b": 2}, order_of({"b": 3, "a": 4}))
    {'b': 2, 'a': 1}
    """
    if isinstance(order, dict):
        return {key: in_order(output[key], within) for key, within in order.items()}
    if isinstance(order, list):
        values = [in_order(value, within) for value, within in zip(output, order, strict=True)]
        return type(output)(*values) if hasattr(output, "_fields") else type(output)(values)
    return output
