"""Remember the last few things that were made, by keys that need not be hashable."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Recent"]


class Recent:
    """What was made last, the oldest forgotten first; keys are compared with ``==``.

    Parameters
    ----------
    size : int
        How many are kept.

    Examples
    --------
    >>> recent = Recent(1)
    >>> recent.get([1], lambda: "made"), recent.get([1], lambda: "made again")
    ('made', 'made')
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: list[tuple[Any, Any]] = []  # the latest last
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return what belongs to a key, made now if it is not remembered."""
        with self._lock:
            for position, (known, value) in enumerate(self._kept):
                if _are_equal(known, key):
                    self._kept.append(self._kept.pop(position))
                    return value
        value = make()  # outside of the lock, as it may take long
        with self._lock:
            self._kept.append((key, value))
            del self._kept[: -self._size]
        return value


def _are_equal(first: Any, second: Any) -> bool:
    """Compare keys; those that hold arrays, which compare element by element, are taken for different."""
    try:
        return bool(first == second)
    except (TypeError, ValueError):
        return False
