"""One run on many processes or machines: engines bring shards to workers, and the store says what is done.

``Local``, ``Ray``, ``Dask``, ``Torchrun`` and ``Slurm`` are imported when they are used.
"""

from __future__ import annotations

import importlib
from typing import Any

from .choosing import ENGINES
from .task import Engine, EngineError, Receipt, Task, Work

__all__ = [
    "Dask",
    "Engine",
    "EngineError",
    "Local",
    "Ray",
    "Receipt",
    "Slurm",
    "Task",
    "Torchrun",
    "Work",
]


def __getattr__(name: str) -> Any:
    for module, kind in ENGINES.values():
        if kind == name:
            return getattr(importlib.import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
