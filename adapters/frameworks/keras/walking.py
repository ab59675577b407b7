"""Find every layer of a Keras model, and give each a name that stays the same from process to process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from ...layers import LOGITS

__all__ = ["Place", "is_named_automatically", "structure", "walk"]

# inside these a layer runs once per step of a loop of the backend, where its values cannot be taken out
_OPAQUE = (keras.layers.RNN, keras.layers.TimeDistributed)
_ATTENTION = ("MultiHeadAttention", "GroupedQueryAttention", "Attention")
_SIMPLE = (bool, int, float, str, type(None))


@dataclass(frozen=True)
class Place:
    """One layer under one of its names.

    Parameters
    ----------
    name : str
        ``outer/inner`` for a layer in a nested model.
    operation : keras.Operation
        The layer; in functional models also an operation such as ``Add`` that is no layer.
    data_format : {'channels_first', 'channels_last'}, optional
        What the layer itself says; None where it says nothing.
    is_inside_attention : bool
        Whether the axes of its output are heads and positions, not rows and columns.
    """

    name: str
    operation: Any
    data_format: str | None = None
    is_inside_attention: bool = False

    @property
    def is_attention(self) -> bool:
        """Whether this is an attention layer, whose second output are its scores."""
        return _is_attention(self.operation)


def walk(model: Any) -> dict[str, Place]:
    """Return every layer below the model, by name; a shared layer has several."""
    found: dict[str, Place] = {}
    for path, operation, is_inside_attention in _below(model, (), (id(model),), False):
        name = _unique("/".join(path), found)
        data_format = getattr(operation, "data_format", None)
        found[name] = Place(name, operation, data_format, is_inside_attention)
    found.pop(LOGITS, None)  # that name is the final output's
    return found


def structure(model: Any) -> Iterator[object]:
    """Yield what a listing and a compiled forward pass depend on: a model that was changed since is read anew."""
    for name, place in walk(model).items():
        yield name, id(place.operation), type(place.operation)
        for key, value in vars(place.operation).items():
            if not key.startswith("_") and (isinstance(value, _SIMPLE) or callable(value)):
                yield key, value if isinstance(value, _SIMPLE) else id(value)
    for variable in model.variables:
        yield id(variable), tuple(variable.shape), variable.dtype


def is_named_automatically(operation: Any) -> bool:
    """Tell whether Keras made the name up from the class, with a counter that depends on what was built before."""
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])|(?<=[A-Z])([A-Z][a-z])", r"_\1\2", type(operation).__name__).lower()
    return re.sub(r"_\d+$", "", operation.name).replace("_", "") == snake.replace("_", "")


def _below(
    outer: Any, path: tuple[str, ...], ancestors: tuple[int, ...], is_inside_attention: bool
) -> Iterator[tuple[tuple[str, ...], Any, bool]]:
    for name, operation in _children(outer):
        if id(operation) in ancestors:
            continue
        inner, is_inside = (*path, name), is_inside_attention or _is_attention(outer)
        yield inner, operation, is_inside
        if not isinstance(operation, _OPAQUE):
            yield from _below(operation, inner, (*ancestors, id(operation)), is_inside)


def _children(outer: Any) -> Iterator[tuple[str, Any]]:
    """Yield the layers that belong to a layer: of a graph by their own names, of a class by its attributes'."""
    listed: list[Any] = []
    if isinstance(outer, keras.Sequential):
        listed = list(outer.layers)
    elif isinstance(outer, keras.Model) and hasattr(outer, "operations"):
        listed = list(outer.operations)
    seen = {id(getattr(outer, "_functional", None))}
    attributes: dict[int, str] | None = None
    for operation in (*listed, *getattr(outer, "_layers", ())):
        if id(operation) in seen or isinstance(operation, keras.layers.InputLayer):
            continue
        seen.add(id(operation))
        name = operation.name
        if not any(operation is each for each in listed) and is_named_automatically(operation):
            attributes = _attributes(outer) if attributes is None else attributes
            name = attributes.get(id(operation), name)
        yield name, operation


def _attributes(outer: Any) -> dict[int, str]:
    """Return the attribute of every layer that a layer holds, as ``stem`` or ``blocks/0``, by the layer's id."""
    found: dict[int, str] = {}
    # on the torch backend a layer is a torch module, which keeps its children apart
    for name, value in (*vars(outer).items(), *vars(outer).get("_modules", {}).items()):
        if not name.startswith("_"):
            _collect(value, name, found, 0)
    return found


def _collect(value: Any, name: str, found: dict[int, str], depth: int) -> None:
    if isinstance(value, keras.Operation):
        found.setdefault(id(value), name)
    elif isinstance(value, dict) and depth < 4:
        for key, item in value.items():
            _collect(item, f"{name}/{key}", found, depth + 1)
    elif isinstance(value, (list, tuple)) and depth < 4:
        for position, item in enumerate(value):
            _collect(item, f"{name}/{position}", found, depth + 1)


def _unique(name: str, taken: dict[str, Place]) -> str:
    """Return the name, with the lowest number behind it that makes it unique."""
    if name not in taken:
        return name
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _is_attention(operation: Any) -> bool:
    return any(cls.__name__ in _ATTENTION for cls in type(operation).__mro__)
