"""Disks for tests: one that keeps account of what is read."""

from __future__ import annotations

from pathlib import Path

from adapters.store.files import Files


class CountedFiles(Files):
    """Counts the bytes that are read and the files that are opened."""

    def __init__(self) -> None:
        self.n_bytes = 0
        self.opened_paths: list[Path] = []

    def open(self, path: str | Path, flags: int) -> int:
        self.opened_paths.append(Path(path))
        return super().open(path, flags)

    def read(self, descriptor: int, into: memoryview, offset: int) -> int:
        n_read = super().read(descriptor, into, offset)
        self.n_bytes += n_read
        return n_read

    def forget(self) -> None:
        """Begin again."""
        self.n_bytes = 0
        self.opened_paths.clear()
