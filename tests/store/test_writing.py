"""The writer: what it takes and refuses, in bounded memory, and what it leaves behind."""

from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.errors import ActivationShapeError
from adapters.store import ActivationStore, Entry, LayerRecord, ShardWriter, shards, writing
from adapters.store.files import Files

from .small import CONV, DOUBLE, HALF, LAYERS, assert_holds, chunk_files, open_entry, values_of, write_missing
from .watching import CountedFiles


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return open_entry(ActivationStore(tmp_path))


@contextmanager
def begun(entry: Entry, *layers: LayerRecord) -> Iterator[ShardWriter]:
    """Begin the first shard, and let an error pass that the test caused."""
    with entry.writer(threads=2) as writer:
        writer.begin(0, layers)
        yield writer


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("flush_bytes", [1, 50, 2**19])
def test_any_way_of_writing_gives_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int, flush_bytes: int
):
    expected = open_entry(ActivationStore(tmp_path / "expected"))
    write_missing(expected)
    monkeypatch.setattr(shards, "_FLUSH_BYTES", flush_bytes)
    entry = open_entry(ActivationStore(tmp_path / "store"))
    write_missing(entry, threads=threads, order=lambda shards: shards[::-1])
    assert chunk_files(entry) == chunk_files(expected)


@pytest.mark.parametrize("most", [0, 4])
def test_few_files_are_open_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int):
    """Layers beyond the limit are closed between batches; their chunks are the same."""
    monkeypatch.setattr(writing, "_MOST_OPEN_FILES", most)
    monkeypatch.setattr(shards, "_FLUSH_BYTES", 1)
    files = CountedFiles()
    entry = open_entry(ActivationStore(tmp_path, files=files))
    with entry.writer(threads=1) as writer:
        writer.begin(0, LAYERS)
        files.forget()
        for row in range(4):
            writer.append({layer.requested: values_of(layer, [row]) for layer in LAYERS})
            writer.flush()
        n_opened = len(files.opened_paths)
        writer.finish()
    assert n_opened == (3 if most else 12)
    np.testing.assert_array_equal(entry.read(CONV, slice(0, 4)), values_of(CONV, range(4)))


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values.reshape(len(values), 4, 3, 3),
        lambda values: np.asfortranarray(values),
        lambda values: np.repeat(values, 2, axis=1)[:, ::2],
        lambda values: values.astype(np.float64),
        lambda values: values.astype(">f4"),
    ],
)
def test_arrays_of_any_form(entry: Entry, change: Callable[[np.ndarray], np.ndarray]):
    with begun(entry, CONV) as writer:
        writer.append({"conv": change(values_of(CONV, range(4)))})
        writer.finish()
    np.testing.assert_array_equal(entry.read(CONV, slice(0, 4)), values_of(CONV, range(4)))


def test_the_same_values_under_two_names_are_written_once(entry: Entry):
    alias = LayerRecord("conv again", CONV.shape, CONV.recipe)
    assert alias.digest == CONV.digest
    with begun(entry, CONV, alias) as writer:
        writer.append(dict.fromkeys(["conv", "conv again"], values_of(CONV, range(4))))
        writer.finish()
    assert len(chunk_files(entry)) == 1
    assert [layer.requested for layer in entry.layers().values()] == ["conv"]
    np.testing.assert_array_equal(entry.read(alias, slice(0, 4)), values_of(CONV, range(4)))


def test_layers_keep_the_order_in_which_they_came(entry: Entry):
    for layers in ([DOUBLE, CONV], [HALF, CONV]):
        entry.add_layers(layers)
    assert [layer.requested for layer in entry.layers().values()] == ["logits", "conv", "fc:0"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"conv": np.zeros((4, 36))}, r"begun with layers conv, fc:0; these rows came without fc:0\. Pass every layer"),
        (
            {"conv": np.zeros((4, 35)), "fc:0": np.zeros((4, 10))},
            "'conv' has 35 values per row here, and was announced",
        ),
        ({"conv": np.zeros((3, 36)), "fc:0": np.zeros((4, 10))}, r"different numbers of rows: \[3, 4\]"),
        ({"conv": np.zeros((5, 36)), "fc:0": np.zeros((5, 10))}, "Shard 0 has 4 rows, and 5 were given. Call finish"),
    ],
)
def test_what_does_not_fit_is_refused(entry: Entry, values: dict[str, Any], expected: str):
    with pytest.raises(ActivationShapeError, match=expected), begun(entry, CONV, HALF) as writer:
        writer.append(values)
    assert chunk_files(entry) == {}


def finish_early(writer: ShardWriter) -> None:
    writer.append({"conv": values_of(CONV, range(2))})
    writer.finish()


@pytest.mark.parametrize(
    ("misuse", "error", "expected"),
    [
        (finish_early, ActivationShapeError, r"Shard 0 has 4 rows, and only 2 were given\. Append the rest"),
        (
            lambda writer: writer.begin(1, [CONV]),
            RuntimeError,
            r"Shard 0 is not finished\. Call finish\(\) before begin",
        ),
        (lambda writer: None, RuntimeError, r"Shard 0 was begun and not finished; it is not stored\. Call finish\(\)"),
    ],
)
def test_misuse(entry: Entry, misuse: Callable[[ShardWriter], None], error: type[Exception], expected: str):
    with pytest.raises(error, match=expected), begun(entry, CONV) as writer:
        misuse(writer)
    assert entry.missing([CONV]).keys() == set(range(6))
    assert list(entry.path.glob("temporary/*")) == []


@pytest.mark.parametrize(
    ("misuse", "error", "expected"),
    [
        (lambda writer: writer.append({}), RuntimeError, r"append\(\) came before begin\(\)\. Begin a shard first"),
        (lambda writer: writer.finish(), RuntimeError, r"finish\(\) came before begin\(\)"),
        (lambda writer: writer.begin(6, [CONV]), IndexError, "There is no shard 6: entry .* has 6, counted from 0"),
        (
            lambda writer: writer.begin(0, []),
            ValueError,
            r"begin\(0\) came without layers. Pass those that missing\(\)",
        ),
    ],
)
def test_misuse_before_a_shard(
    entry: Entry, misuse: Callable[[ShardWriter], None], error: type[Exception], expected: str
):
    with pytest.raises(error, match=expected), entry.writer() as writer:
        misuse(writer)


def interrupted(entry: Entry, error: BaseException) -> None:
    with entry.writer(threads=1) as writer:
        for shard in range(3):
            writer.begin(shard, LAYERS)
            writer.append({layer.requested: values_of(layer, range(4 * shard, 4 * shard + 4)) for layer in LAYERS})
            if shard < 2:
                writer.finish()
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("the model failed")])
def test_finished_shards_survive_an_error_of_the_caller(entry: Entry, error: BaseException):
    with pytest.raises(type(error)):
        interrupted(entry, error)
    assert entry.missing(LAYERS).keys() == {2, 3, 4, 5}
    assert list(entry.path.glob("temporary/*")) == []
    assert not list(entry.path.glob("lease/*"))
    write_missing(entry)
    assert_holds(entry)


def test_flush_waits_until_all_is_there(entry: Entry):
    with begun(entry, CONV) as writer:
        writer.append({"conv": values_of(CONV, range(4))})
        writer.finish()
        writer.flush()
        assert ActivationStore(entry.path.parents[2]).find(entry.key).missing([CONV]).keys() == {1, 2, 3, 4, 5}
        assert writer.n_bytes == 4 * 36 * 4


def test_memory_is_bounded(tmp_path: Path):
    """A disk that stands still: no more than the bound is taken, and everything is there in the end."""
    may_write = threading.Event()

    class StandingFiles(Files):
        def write(self, descriptor: int, data: memoryview) -> int:
            if len(data) > 2**18:
                may_write.wait(10)
            return super().write(descriptor, data)

    layer = LayerRecord("large", (2**18,), {"name": "large"})
    store = ActivationStore(tmp_path, files=StandingFiles())
    entry = store.entry({"x": 1}, n_rows=12, batch_rows=1, widest=2**18, max_shard_bytes=2**22)
    taken = []

    def compute() -> None:
        with entry.writer(threads=1, queue_bytes=3 * 2**20) as writer:
            for shard in range(entry.n_shards):
                writer.begin(shard, [layer])
                for row in range(12)[entry.rows_of(shard)]:
                    writer.append({"large": np.full((1, 2**18), row, np.float32)})
                    taken.append(row)
                writer.finish()

    thread = threading.Thread(target=compute)
    thread.start()
    time.sleep(0.2)
    assert len(taken) == 3  # of one MiB each
    may_write.set()
    thread.join(20)
    assert len(taken) == 12
    np.testing.assert_array_equal(entry.read(layer, slice(None))[:, 7], np.arange(12))


def test_conversion_takes_little_memory(tmp_path: Path):
    """A batch that is kept in half precision is converted a few rows at a time, to the same bits."""
    layer = LayerRecord("large", (2**18,), {"name": "large"}, "float16")
    entry = ActivationStore(tmp_path).entry({"x": 1}, n_rows=64, batch_rows=64, widest=2**18)
    values = np.random.default_rng(0).normal(size=(64, 2**18)).astype(np.float32)  # 64 MiB
    expected = values.astype(np.float16)
    tracemalloc.start()
    try:
        with entry.writer(threads=1) as writer:
            writer.begin(0, [layer])
            writer.append({"large": values})
            writer.finish()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 24 * 2**20
    assert (entry.read(layer, slice(None)) == expected).all()


def test_what_another_process_finished_first_stays(entry: Entry):
    other = ActivationStore(entry.path.parents[2]).find(entry.key)
    with entry.writer(threads=1) as slower:
        slower.begin(0, [CONV, HALF])
        slower.append({layer.requested: values_of(layer, range(4)) for layer in (CONV, HALF)})
        write_missing(other, [CONV])
        inodes = {path: path.stat().st_ino for path in entry.path.glob("layers/*/c/*/*")}
        slower.finish()
    assert {path: path.stat().st_ino for path in inodes} == inodes
    assert list(entry.path.glob("temporary/*")) == []
    assert entry.missing([CONV, HALF]).keys() == {1, 2, 3, 4, 5}
    assert entry.missing([CONV]) == {}


def test_adding_layers_touches_nothing_old(tmp_path: Path):
    store = ActivationStore(tmp_path)
    entry = open_entry(store)
    write_missing(entry, [CONV])
    old = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in entry.path.glob("layers/*/**/*")}
    assert entry.complete()
    entry.add_layers([HALF])
    assert not entry.complete()
    assert entry.complete([CONV])
    assert write_missing(open_entry(store), LAYERS) == 6
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in old} == old
    assert open_entry(store).complete()
    assert_holds(entry)
