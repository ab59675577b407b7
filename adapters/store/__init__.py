"""Activations on disk: written while they are computed, resumed after any interruption, read lazily, never stale."""

from __future__ import annotations

from .checking import Damage, verify
from .entry import Entry
from .errors import (
    EntryNotFoundError,
    NotStoredError,
    StoreCorruptError,
    StoreInUseError,
    StoreMismatchError,
    StoreReadError,
    StoreValueError,
    StoreWriteError,
)
from .layout import LayerRecord
from .mending import Repaired, repair
from .store import ActivationStore, open_store
from .sweeping import Swept, folder_bytes, is_pinned, pin, remove, sweep, unpin
from .writing import ShardWriter

__all__ = [
    "ActivationStore",
    "Damage",
    "Entry",
    "EntryNotFoundError",
    "LayerRecord",
    "NotStoredError",
    "Repaired",
    "ShardWriter",
    "StoreCorruptError",
    "StoreInUseError",
    "StoreMismatchError",
    "StoreReadError",
    "StoreValueError",
    "StoreWriteError",
    "Swept",
    "folder_bytes",
    "is_pinned",
    "open_store",
    "pin",
    "remove",
    "repair",
    "sweep",
    "unpin",
    "verify",
]
