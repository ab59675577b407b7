"""Orders: what does not travel is refused before anything runs, and what has changed on the way is noticed."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adapters
from adapters.engines import EngineError, Receipt, Task
from adapters.engines.manifest import read_reduce, read_stimuli, write_reduce, write_stimuli
from adapters.engines.orders import MixedVersionsError, opened
from adapters.engines.origins import Origin, OriginError, as_origin
from adapters.engines.working import Worker
from adapters.errors import ReductionError
from adapters.store import StoreCorruptError, StoreReadError

pytestmark = pytest.mark.usefixtures("many_shards")


class Meddling:
    """Changes something between the plan and the work."""

    def __init__(self, meddle: Callable[[Task], None]) -> None:
        self.meddle = meddle

    def run(self, task: Task, shards: Sequence[int], workers: int | None) -> Iterator[Receipt]:
        self.meddle(task)
        with Worker(Task.from_json(task.to_json())) as worker:
            yield from worker.do(shards)


def test_orders_that_are_gone(built: Any, images: list[str], tmp_path: Path) -> None:
    engine = Meddling(lambda task: Path(task.arguments["orders"]).unlink())
    with pytest.raises(EngineError, match=r"sees no file .*orders\.json.*on a file system that all machines share"):
        built("engine_torch")(images, ["0"], store=tmp_path, engine=engine)


def test_orders_that_somebody_wrote_into(built: Any, images: list[str], tmp_path: Path) -> None:
    def meddle(task: Task) -> None:
        path = Path(task.arguments["orders"])
        path.write_bytes(path.read_bytes().replace(b'"batch_size":4', b'"batch_size":8'))

    with pytest.raises(EngineError, match="is not what was written there"):
        built("engine_torch")(images, ["0"], store=tmp_path, engine=Meddling(meddle))


def test_layers_that_mean_something_else(
    built: Any, images: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meddle(task: Task) -> None:
        monkeypatch.setattr("adapters.engines.orders.layer_records", lambda call, dtype: [])

    with pytest.raises(
        MixedVersionsError, match=r"makes another description of layers 0.*same version of brain-adapters"
    ):
        built("engine_torch")(images, ["0"], store=tmp_path, engine=Meddling(meddle))


def test_a_disk_that_forgets(built: Any, images: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def meddle(task: Task) -> None:
        monkeypatch.setattr("adapters.engines.extraction.StorePass.run", lambda *args, **how: None)

    with pytest.raises(EngineError, match=r"Shard 0 was written to .* and is not there"):
        built("engine_torch")(images, ["0"], store=tmp_path, engine=Meddling(meddle))


@pytest.mark.parametrize(
    "reduce",
    [
        None,
        "mean",
        "cls",
        adapters.Einops("c h w -> c", "max"),
        adapters.Einops("c (h h2) w -> c h w", "mean", h2=2),
        adapters.SparseRandomProjection(np.int64(7), seed=3, density=0.5),
        {"a": "max", "b.*": None},
    ],
    ids=repr,
)
def test_reductions_come_back(reduce: Any, tmp_path: Path) -> None:
    written = json.loads(json.dumps(write_reduce(reduce, tmp_path)))
    assert read_reduce(written, tmp_path) == reduce
    assert write_reduce(read_reduce(written, tmp_path), tmp_path) == written


def test_what_is_no_reduction(tmp_path: Path) -> None:
    for given in (7, adapters.Einops):
        with pytest.raises(ReductionError, match="cannot be sent to workers"):
            write_reduce(given, tmp_path)


def test_stimuli_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    array = np.arange(12, dtype=np.int16).reshape(2, 6)[:, ::2]
    given = ["a.png", array, array.copy()]
    written = json.loads(json.dumps(write_stimuli(given, tmp_path / "run")))
    path, *arrays = read_stimuli(written, tmp_path / "run")
    other = [np.zeros((2, 3)), array, np.array(7.0)]
    for found, expected in zip(
        read_stimuli(write_stimuli(other, tmp_path / "other"), tmp_path / "other"), other, strict=True
    ):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(found, expected)
    assert path == str(tmp_path / "a.png")
    assert len(list((tmp_path / "run").iterdir())) == 1  # not a file, and a descriptor, for each
    for found in arrays:
        assert found.dtype == np.int16
        np.testing.assert_array_equal(found, array)


def test_an_origin_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "origin_nets.py").write_text("import origin_side\n\ndef made(n=1):\n    return origin_side.VALUE + n\n")
    (tmp_path / "origin_side.py").write_text("VALUE = 40\n")
    place = f"{tmp_path / 'origin_nets.py'}:made"
    assert as_origin(place).make() == 41
    assert Origin(place, {"n": 2}).make() == as_origin((place, {"n": 2})).make() == 42
    assert as_origin(Origin("a:b")) == Origin("a:b")
    (tmp_path / "origin_broken.py").write_text("raise RuntimeError('no')\n")
    for wrong, fragment in (("origin_broken.py:made", "RuntimeError: no"), ("origin_nets.py:unmade", "AttributeError")):
        with pytest.raises(OriginError, match=rf"could not import .*{fragment}"):
            Origin(f"{tmp_path / wrong}").make()
    for arguments in ({"n": object()}, {"n": (1, 2)}, {1: 2}, 7):
        with pytest.raises(OriginError, match="cannot be written as JSON"):
            as_origin((place, arguments))
    for wrong in ("", "nets", "nets.py:", ":net", "nets.py:a b", 7, ("nets", {}), ()):
        with pytest.raises(OriginError, match="names no function"):
            as_origin(wrong)


def test_errors_of_orders_are_of_their_kinds(tmp_path: Path) -> None:
    with pytest.raises(StoreReadError, match="sees no file"), opened(str(tmp_path / "tasks" / "x" / "orders.json")):
        pass
    (tmp_path / "tasks" / "x").mkdir(parents=True)
    (tmp_path / "tasks" / "x" / "orders.json").write_text("{}")
    with pytest.raises(StoreCorruptError), opened(str(tmp_path / "tasks" / "x" / "orders.json")):
        pass
