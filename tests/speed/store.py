"""The activation store against one plain file on the same disk.

    python tests/speed/store.py [--folder .] [--gigabytes 1] [--rounds 7] [--threads 4] [--compression none]

Per round, interleaved and into fresh files, with everything else brought to the disk before:
write  batches appended to one file with plain `write` and one `fsync`, against `Entry.writer` (durable, with digests,
       checksums and commit records); goal >= 0.8 of the plain file's speed,
read   all of it, from the disk (its pages dropped before) and from the page cache, into new memory; goal >= 0.7,
rows   a random hundredth of the rows of one layer, against `numpy.memmap` of a plain file; goal <= 1 of its time,
layer  one of the layers against all of them; goal 1/layers of the bytes, and of the time.
What counts are ratios within a round: the median over the rounds, and the ratio of the fastest times.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from adapters.store import ActivationStore, Entry, LayerRecord
from adapters.store.files import Files

BATCH = 64


class CountedFiles(Files):
    """Counts the bytes that are read."""

    n_bytes = 0

    def read(self, descriptor: int, into: memoryview, offset: int) -> int:
        n_read = super().read(descriptor, into, offset)
        self.n_bytes += n_read
        return n_read


class Subject:
    """The same values as one plain file and as an entry."""

    def __init__(self, folder: Path, layers: list[LayerRecord], n_rows: int, options: argparse.Namespace) -> None:
        self.folder, self.layers, self.n_rows, self.options = folder, layers, n_rows, options
        self.plain, self.files = folder / "plain", CountedFiles()
        self.store = ActivationStore(
            folder / "store", writers=options.threads, compression=options.compression, files=self.files
        )
        generator = np.random.default_rng(0)
        widest = max(layer.n_units for layer in layers)
        pool = [generator.standard_normal((BATCH, widest), np.float32).clip(0) for _ in range(4)]
        self.batches = [[pool[(row + place) % 4][:, : layer.n_units].copy() for place, layer in enumerate(layers)]
                        for row in range(4)]  # fmt: skip

    @property
    def n_bytes(self) -> int:
        return self.n_rows * sum(layer.n_units for layer in self.layers) * 4

    def write_plain(self) -> None:
        with self.plain.open("wb", buffering=0) as file:
            for number in range(self.n_rows // BATCH):
                for values in self.batches[number % 4]:
                    file.write(values.data)
            os.fsync(file.fileno())

    def entry(self) -> Entry:
        widest = max(layer.n_units for layer in self.layers)
        return self.store.entry({"speed": 1}, n_rows=self.n_rows, batch_rows=BATCH, widest=widest)

    def write_store(self) -> None:
        entry = self.entry()
        with entry.writer() as writer:
            for shard, layers in entry.missing(self.layers).items():
                rows = entry.rows_of(shard)
                writer.begin(shard, layers)
                for number in range(rows.start // BATCH, rows.stop // BATCH):
                    batch = self.batches[number % 4]
                    writer.append({layer.requested: values for layer, values in zip(layers, batch, strict=True)})
                writer.finish()

    def read_plain(self) -> None:
        with self.plain.open("rb", buffering=0) as file:
            for layer in self.layers:
                values = np.empty((self.n_rows, layer.n_units), np.float32)
                file.readinto(values.reshape(-1).view(np.uint8).data)

    def read_store(self) -> None:
        entry = self.entry()
        for layer in self.layers:
            entry.read(layer, slice(None))

    def rows(self) -> np.ndarray:
        return np.sort(np.random.default_rng(1).choice(self.n_rows, self.n_rows // 100, replace=False))

    def open(self) -> None:
        """Open the entry and the map, as a session does once."""
        self.opened = self.entry()
        self.opened.missing(self.layers)
        self.mapped = np.memmap(self.plain, np.float32, "r", shape=(self.n_rows, self.layers[0].n_units))

    def rows_of_memmap(self) -> None:
        np.array(self.mapped[self.rows()])

    def rows_of_store(self) -> None:
        self.opened.read(self.layers[0], self.rows())

    def one_layer(self) -> None:
        self.entry().read(self.layers[0], slice(None))

    def clear(self) -> None:
        self.plain.unlink(missing_ok=True)
        shutil.rmtree(self.folder / "store", ignore_errors=True)
        os.sync()
        np.ones(2 * self.n_bytes, np.uint8)  # a virtual machine may have lost what the system's cache will need

    def drop_pages(self) -> None:
        """Have the next read come from the disk."""
        os.sync()
        for path in self.folder.rglob("*"):
            if path.is_file():
                descriptor = os.open(path, os.O_RDONLY)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)


def seconds_of(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def one_round(subject: Subject, is_odd: bool) -> dict[str, float]:
    """Time everything once; which of two comes first alternates."""
    times: dict[str, float] = {}

    def both(name: str, pairs: dict[str, Callable[[], None]], before: Callable[[], None]) -> None:
        for which, work in list(pairs.items())[:: -1 if is_odd else 1]:
            before()
            times[f"{name} {which}"] = seconds_of(work)

    both("write", {"plain": subject.write_plain, "store": subject.write_store}, subject.clear)
    (subject.write_plain if is_odd else subject.write_store)()
    (subject.write_store if is_odd else subject.write_plain)()
    reads = {"plain": subject.read_plain, "store": subject.read_store, "one": subject.one_layer}
    rows = {"plain": subject.rows_of_memmap, "store": subject.rows_of_store}
    both("cold read", reads, subject.drop_pages)
    subject.open()
    both("cold rows", rows, subject.drop_pages)
    subject.read_plain()
    subject.read_store()
    both("warm read", reads, lambda: None)
    both("warm rows", rows, lambda: None)
    return times


def bytes_of_one_layer(subject: Subject) -> float:
    """Return the bytes that one layer reads, as a fraction of all."""
    counts = []
    for work in (subject.one_layer, subject.read_store):
        subject.files.n_bytes = 0
        work()
        counts.append(subject.files.n_bytes)
    return counts[0] / counts[1]


def report(title: str, subject: Subject, rounds: list[dict[str, float]]) -> None:
    """Print the table of one set of layers."""
    size = f"{subject.n_bytes / 1e9:.2f} GB, {len(subject.layers)} layers x {subject.n_rows:,} rows"
    print(f"\n{title}: {size}, shards of {subject.entry().shard_rows} rows")
    print(f"{'':<34} {'median ratio':>12} {'best ratio':>11} {'plain, GB/s':>12}")
    lines = [
        ("write, of the plain file's speed", "write plain", "write store", 1),
        ("cold read, of its speed", "cold read plain", "cold read store", 1),
        ("warm read, of its speed", "warm read plain", "warm read store", 1),
        ("cold 1 % rows, of memmap's time", "cold rows store", "cold rows plain", 100 * len(subject.layers)),
        ("warm 1 % rows, of memmap's time", "warm rows store", "warm rows plain", 100 * len(subject.layers)),
        ("one layer cold, of all's time", "cold read one", "cold read store", 1),
        ("one layer warm, of all's time", "warm read one", "warm read store", 1),
    ]
    for name, first, second, part in lines:
        ratio = statistics.median(each[first] / each[second] for each in rounds)
        best = min(each[first] for each in rounds) / min(each[second] for each in rounds)
        plain = min(each[first if first.endswith("plain") else second] for each in rounds)
        print(f"{name:<34} {ratio:>12.2f} {best:>11.2f} {subject.n_bytes / part / plain / 1e9:>12.2f}")
    print(f"one layer reads {bytes_of_one_layer(subject):.3f} of all bytes (1/{len(subject.layers)})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", default=".")
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--compression", default="none")
    options = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, NumPy {np.__version__}, {options}")
    sets = {
        "8 wide layers": [2**14] * 8,
        "64 small layers": [2**11] * 64,
        "mixed layers": [2**15, 2**14, 2**14, 2**12] * 2,
    }
    for title, sizes in sets.items():
        n_rows = int(options.gigabytes * 2**28 / sum(sizes) / BATCH) * BATCH
        layers = [LayerRecord(f"layer {place}", (size,), {"n": place}) for place, size in enumerate(sizes)]
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            subject = Subject(Path(folder), layers, n_rows, options)
            report(title, subject, [one_round(subject, bool(number % 2)) for number in range(options.rounds)])


if __name__ == "__main__":
    main()
