"""Find every layer of a Keras model, and give each a name that stays the same from process to process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from ...layers import LOGITS

__all__ = ["Place", "attributes", "is_named_automatically", "walk"]

# inside these a layer runs once per step of a loop of the backend, where its values cannot be taken out
_LOOPS = (keras.layers.RNN, keras.layers.TimeDistributed)
_ATTENTION = ("MultiHeadAttention", "GroupedQueryAttention", "Attention")


@dataclass(frozen=True)
class Place:
    """One layer under one of its names.

    Parameters
    ----------
    name : str
        ``outer/inner`` for a layer in a nested model.
    operation : keras.Operation
        The layer; in functional models also an operation such as ``Add`` that is no layer.
    is_inside_attention : bool
        Whether the axes of its output are heads and positions, not rows and columns.
    loop : str
        Class of the layer around it that runs it once per step of a loop; empty where there is none.
    """

    name: str
    operation: Any
    is_inside_attention: bool = False
    loop: str = ""

    def is_scores(self, path: tuple[str, ...]) -> bool:
        """Tell whether a part of the output has heads and positions: any inside an attention, and its second output."""
        return self.is_inside_attention or (_is_attention(self.operation) and path[:1] == ("1",))


def walk(model: Any) -> dict[str, Place]:
    """Return every layer below the model, by name; a shared layer has several."""
    found: dict[str, Place] = {}
    for path, operation, ancestors in _below(model, (), (model,)):
        name = _unique("/".join(path), found)
        loops = [type(outer).__name__ for outer in ancestors if isinstance(outer, _LOOPS)]
        found[name] = Place(
            name,
            operation,
            is_inside_attention=any(_is_attention(outer) for outer in ancestors),
            loop=loops[0] if loops else "",
        )
    found.pop(LOGITS, None)  # that name is the final output's
    return found


def is_named_automatically(operation: Any) -> bool:
    """Tell whether Keras made the name up from the class, with a counter that depends on what was built before."""
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])|(?<=[A-Z])([A-Z][a-z])", r"_\1\2", type(operation).__name__).lower()
    return re.sub(r"_\d+$", "", operation.name).replace("_", "") == snake.replace("_", "")


def _below(
    outer: Any, path: tuple[str, ...], ancestors: tuple[Any, ...]
) -> Iterator[tuple[tuple[str, ...], Any, tuple[Any, ...]]]:
    for name, operation in _children(outer):
        if not any(operation is each for each in ancestors):
            yield (*path, name), operation, ancestors
            yield from _below(operation, (*path, name), (*ancestors, operation))


def _children(outer: Any) -> Iterator[tuple[str, Any]]:
    """Yield the layers that belong to a layer: of a graph by their own names, of a class by its attributes'."""
    listed: list[Any] = []
    if isinstance(outer, keras.Sequential):
        listed = list(outer.layers)
    elif isinstance(outer, keras.Model) and hasattr(outer, "operations"):
        listed = list(outer.operations)
    seen = {id(getattr(outer, "_functional", None))}
    names: dict[int, str] | None = None
    for operation in (*listed, *getattr(outer, "_layers", ())):
        if id(operation) in seen or isinstance(operation, keras.layers.InputLayer):
            continue
        seen.add(id(operation))
        name = operation.name
        if not any(operation is each for each in listed) and is_named_automatically(operation):
            names = _names_of(outer) if names is None else names
            name = names.get(id(operation), name)
        yield name, operation


def attributes(outer: Any) -> Iterator[tuple[str, Any]]:
    """Yield the public attributes of a layer, those in lists and dicts as ``blocks/0``."""
    # on the torch backend a layer is a torch module, which keeps its children apart
    for name, value in (*vars(outer).items(), *vars(outer).get("_modules", {}).items()):
        if not name.startswith("_"):
            yield from _items(value, name, 0)


def _items(value: Any, name: str, depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, (dict, list, tuple)) and depth < 4:
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _items(item, f"{name}/{key}", depth + 1)
    else:
        yield name, value


def _names_of(outer: Any) -> dict[int, str]:
    """Return the attribute of every layer that a layer holds, by the layer's id."""
    found: dict[int, str] = {}
    for name, value in attributes(outer):
        if isinstance(value, keras.Operation):
            found.setdefault(id(value), name)
    return found


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
