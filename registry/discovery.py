"""Models that installed packages bring along through the entry point group ``brain_adapters.models``."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from adapters.errors import AdapterWarning

from .entry import ModelEntry

__all__ = ["GROUP", "discover_models"]

GROUP = "brain_adapters.models"


class _Registers(Protocol):
    def register(self, entry: ModelEntry) -> None: ...


def discover_models(registry: _Registers) -> None:
    """Load every entry point of the group; one that fails warns and does not stop the others.

    An entry point names a module whose import registers models by decorator, or an object in it: a
    :class:`ModelEntry` or several, which are then registered here.

    Parameters
    ----------
    registry : Registry
        Receives the entries that were not registered by import.
    """
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        try:
            loaded = point.load()
            for entry in _entries_in(loaded):
                registry.register(entry)
        except Exception as error:
            warnings.warn(_message(point, error), AdapterWarning, stacklevel=4)


def _entries_in(loaded: object) -> Iterable[ModelEntry]:
    if isinstance(loaded, ModelEntry):
        return [loaded]
    if isinstance(loaded, (list, tuple)):
        return [item for item in loaded if isinstance(item, ModelEntry)]
    return []


def _message(point: EntryPoint, error: Exception) -> str:
    owner = point.dist.name if point.dist is not None else "an installed package"
    return (
        f"The models of {owner!r} (entry point {point.name!r} = {point.value!r}) could not be loaded: "
        f"{type(error).__name__}: {error}. They are left out; fix, update or uninstall {owner!r}."
    )
