"""A power cut at any moment, as a model: what was not brought to the disk may be there, in part, or not at all.

Per file: what was written after its last ``fsync`` survives up to any length, or as zeros. Per folder: of the names
that were given or taken since its last ``fsync``, any first part survives, independent of other folders. This is
harsher than a journalling file system is.

Run in a process of its own (``python -m tests.store.power_runs FOLDER N_STATES COMPRESSION``).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.store import ActivationStore, verify
from adapters.store.files import Files

from .small import CONV, HALF, LAYERS, chunk_files, expected_chunks, open_entry, values_of, write_missing


class RecordingFiles(Files):
    """Works on a real disk and writes down what was done, in order."""

    def __init__(self, log: list[tuple[Any, ...]]) -> None:
        self.log = log

    def open(self, path: str | Path, flags: int) -> int:
        descriptor = super().open(path, flags)
        if flags & os.O_CREAT:
            self.log.append(("create", path, os.fstat(descriptor).st_ino))
        return descriptor

    def write(self, descriptor: int, data: memoryview) -> int:
        n_written = super().write(descriptor, data)
        self.log.append(("write", os.fstat(descriptor).st_ino, bytes(data[:n_written])))
        return n_written

    def extend(self, descriptor: int, n_bytes: int) -> None:
        n_more = n_bytes - os.fstat(descriptor).st_size
        super().extend(descriptor, n_bytes)
        self.log.append(("write", os.fstat(descriptor).st_ino, bytes(n_more)))

    def sync(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        self.log.append(("sync folder" if stat.S_ISDIR(status.st_mode) else "sync", status.st_ino))

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self.log.append(("rename", source, target))

    def make_folder(self, path: Path) -> None:
        super().make_folder(path)
        self.log.append(("make folder", path, path.stat().st_ino))

    def remove(self, path: Path) -> None:
        super().remove(path)
        self.log.append(("remove", path))

    def remove_folder(self, path: Path) -> None:
        super().remove_folder(path)
        self.log.append(("remove", path))


class HastyFiles(RecordingFiles):
    """A process that is stopped before it brings the new names of whole folders to the disk."""

    def __init__(self, log: list[tuple[Any, ...]]) -> None:
        super().__init__(log)
        self._opened: dict[int, Path] = {}

    def open(self, path: str | Path, flags: int) -> int:
        descriptor = super().open(path, flags)
        self._opened[descriptor] = Path(path)
        return descriptor

    def sync(self, descriptor: int) -> None:
        path = self._opened[descriptor]
        if path.is_file() or "temporary" in path.parts:
            super().sync(descriptor)


@dataclass
class Node:
    """A file or a folder: what is surely on the disk, and what came since."""

    is_folder: bool
    data: bytes = b""
    unsynced: bytes = b""
    names: dict[str, int] = field(default_factory=dict)
    changes: list[tuple[str, int | None]] = field(default_factory=list)

    def now(self) -> dict[str, int]:
        """Return the names as a running system sees them."""
        return applied(self.names, self.changes)


def applied(names: dict[str, int], changes: list[tuple[str, int | None]]) -> dict[str, int]:
    result = dict(names)
    for name, number in changes:
        result.pop(name, None)
        if number is not None:
            result[name] = number
    return result


class Disk:
    """What a log did to a disk that was empty."""

    def __init__(self, root: Path, log: list[tuple[Any, ...]]) -> None:
        self.root = root
        self.nodes = {root.stat().st_ino: Node(is_folder=True)}
        for operation, *arguments in log:
            getattr(self, operation.replace(" ", "_"))(*arguments)

    def _folder(self, path: Path) -> Node:
        node = self.nodes[self.root.stat().st_ino]
        for part in path.relative_to(self.root).parts:
            node = self.nodes[node.now()[part]]
        return node

    def create(self, path: Path, number: int) -> None:
        self.nodes[number] = Node(is_folder=False)
        self._folder(path.parent).changes.append((path.name, number))

    def make_folder(self, path: Path, number: int) -> None:
        self.nodes[number] = Node(is_folder=True)
        self._folder(path.parent).changes.append((path.name, number))

    def write(self, number: int, data: bytes) -> None:
        self.nodes[number].unsynced += data

    def sync(self, number: int) -> None:
        node = self.nodes[number]
        node.data, node.unsynced = node.data + node.unsynced, b""

    def sync_folder(self, number: int) -> None:
        node = self.nodes[number]
        node.names, node.changes = node.now(), []

    def rename(self, source: Path, target: Path) -> None:
        number = self._folder(source.parent).now()[source.name]
        self._folder(source.parent).changes.append((source.name, None))
        self._folder(target.parent).changes.append((target.name, number))

    def remove(self, path: Path) -> None:
        self._folder(path.parent).changes.append((path.name, None))

    def promise(self, *_: Any) -> None:
        """Do nothing: the log only notes here what a writer was told to be on the disk."""

    def after_power_cut(self, place: Path, chance: random.Random) -> None:
        """Write out one of the states in which the disk may be found."""
        self._write_out(self.nodes[self.root.stat().st_ino], place, chance)

    def _write_out(self, node: Node, place: Path, chance: random.Random) -> None:
        if not node.is_folder:
            tail = node.unsynced[: chance.choice([0, len(node.unsynced), chance.randint(0, len(node.unsynced))])]
            place.write_bytes(node.data + (tail if chance.random() < 0.7 else bytes(len(tail))))
            return
        place.mkdir()
        n_changes = chance.choice([0, len(node.changes), chance.randint(0, len(node.changes))])
        for name, number in applied(node.names, node.changes[:n_changes]).items():
            self._write_out(self.nodes[number], place / name, chance)


def recorded_run(folder: Path, compression: Any) -> list[tuple[Any, ...]]:
    """Let a hasty process begin, and another one do all the rest; return what was done."""
    log: list[tuple[Any, ...]] = []
    hasty = open_entry(ActivationStore(folder, compression=compression, files=HastyFiles(log)))
    hasty.add_layers([CONV, HALF])
    for layers in ([CONV], LAYERS[1:]):
        entry = open_entry(ActivationStore(folder, compression=compression, files=RecordingFiles(log)))
        with entry.writer(threads=1) as writer:
            for shard, lacking in entry.missing(layers).items():
                writer.begin(shard, lacking)
                rows = range(entry.n_rows)[entry.rows_of(shard)]
                writer.append({layer.requested: values_of(layer, rows) for layer in lacking})
                writer.finish()
                writer.flush()
                log.append(("promise", shard, lacking))
    return log


def problems_after(place: Path, log: list[tuple[Any, ...]], expected: dict[str, bytes], compression: Any) -> list[str]:
    """Open what is left, hold it against what was promised, and resume."""
    store = ActivationStore(place, compression=compression)
    problems = [str(damage) for entry in store.entries() for damage in verify(entry)]
    entry = open_entry(store)
    missing = entry.missing(LAYERS)
    for _, shard, layers in (each for each in log if each[0] == "promise"):
        problems += [f"lost shard {shard} of {layer.requested}" for layer in layers if layer in missing.get(shard, ())]
    write_missing(entry)
    if chunk_files(entry) != expected or verify(entry):
        problems.append("other bits than an undisturbed run")
    return problems


def power_cuts(folder: Path, n_states: int, compression: Any) -> dict[str, Any]:
    """Try states of the disk."""
    (root := folder / "store").mkdir()
    log, expected = recorded_run(root, compression), expected_chunks(folder, compression=compression)
    chance, problems, n_kept = random.Random(n_states), [], 0
    for number in range(n_states):
        cut = round((number + 1) / n_states * len(log))
        place = folder / "after"
        Disk(root, log[:cut]).after_power_cut(place, chance)
        n_kept += len(list(place.glob("v1/*/*/commits/*")))
        problems += [f"cut at {cut}: {each}" for each in problems_after(place, log[:cut], expected, compression)]
        shutil.rmtree(place)
    n_promises = sum(each[0] == "promise" for each in log)
    return {"operations": len(log), "promises": n_promises, "kept": n_kept, "problems": problems}


if __name__ == "__main__":
    print(json.dumps(power_cuts(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])))
