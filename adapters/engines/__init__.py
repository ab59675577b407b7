"""One run on many processes or machines: engines bring shards to workers, and the store says what is done."""

from __future__ import annotations

from .task import Engine, EngineError, Receipt, Task, Work

__all__ = ["Engine", "EngineError", "Receipt", "Task", "Work"]
