"""A disk that fails once, at a chosen call: the process dies there, or the system answers with an error."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

from adapters.store.files import Files

__all__ = ["FAULTS", "Fault", "FaultyFiles"]

Fault = Literal["kill before", "kill after", "ENOSPC", "EIO", "short write"]
FAULTS: tuple[Fault, ...] = get_args(Fault)


class FaultyFiles(Files):
    """Passes every call on but one.

    Parameters
    ----------
    at : int
        Number of the call that fails, counted from 0; -1 lets all pass, and they are only counted.
    fault : str
        What happens there: a kill before or after the call (in the middle of it, where it writes), an error in its
        place (after half was written), or a write that takes only half, which is no error.
    """

    def __init__(self, at: int = -1, fault: Fault = "EIO") -> None:
        self.calls: list[str] = []
        self._at, self._fault = at, fault
        self._lock = threading.Lock()

    def _do(self, name: str, call: Callable[[], Any]) -> Any:
        with self._lock:
            self.calls.append(name)
            is_here = len(self.calls) - 1 == self._at
        if not is_here or self._fault == "short write":
            return call()
        if self._fault == "kill after":
            call()
        if self._fault.startswith("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        code = getattr(errno, self._fault)
        raise OSError(code, os.strerror(code))

    def open(self, path: str | Path, flags: int) -> int:
        return self._do("open", lambda: super(FaultyFiles, self).open(path, flags))

    def write(self, descriptor: int, data: memoryview) -> int:
        with self._lock:
            is_here = len(self.calls) == self._at
        half = data[: (len(data) + 1) // 2]
        if is_here and self._fault != "kill before":
            n_written = super().write(descriptor, half)
            if self._fault == "kill after":
                os.kill(os.getpid(), signal.SIGKILL)
            return self._do("write", lambda: n_written)
        return self._do("write", lambda: super(FaultyFiles, self).write(descriptor, data))

    def extend(self, descriptor: int, n_bytes: int) -> None:
        self._do("extend", lambda: super(FaultyFiles, self).extend(descriptor, n_bytes))

    def sync(self, descriptor: int) -> None:
        self._do("sync", lambda: super(FaultyFiles, self).sync(descriptor))

    def close(self, descriptor: int) -> None:
        super().close(descriptor)  # as Linux does: the descriptor is gone, whatever the answer
        self._do("close", lambda: None)

    def rename(self, source: Path, target: Path) -> None:
        self._do("rename", lambda: super(FaultyFiles, self).rename(source, target))

    def make_folder(self, path: Path) -> None:
        self._do("make_folder", lambda: super(FaultyFiles, self).make_folder(path))

    def remove(self, path: Path) -> None:
        self._do("remove", lambda: super(FaultyFiles, self).remove(path))

    def remove_folder(self, path: Path) -> None:
        self._do("remove_folder", lambda: super(FaultyFiles, self).remove_folder(path))
