"""Turns: what belongs to a process and not to a thread (hooks, modes, random state) is used by one run at a time."""

from __future__ import annotations

import threading

__all__ = ["turn_of"]

_LOCKS: dict[str, threading.RLock] = {}
_MAKING = threading.Lock()


def turn_of(framework: str) -> threading.RLock:
    """Return the lock of a framework, the same for every adapter that runs it: Keras runs torch, too.

    Examples
    --------
    >>> turn_of("torch") is turn_of("torch")
    True
    """
    with _MAKING:
        return _LOCKS.setdefault(framework, threading.RLock())
