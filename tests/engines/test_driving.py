"""Whoever starts a run believes the store, not the engine: engines that lie, lose, double and give up."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import adapters
from adapters.engines import EngineError, Receipt, Task
from adapters.engines.extraction import PoisonShardError
from adapters.engines.manifest import write_stimuli
from adapters.engines.orders import MixedVersionsError
from adapters.engines.origins import OriginError
from adapters.engines.working import Worker
from adapters.errors import ReductionError, StimulusError
from adapters.store import StoreMismatchError, StoreValueError

from .conftest import contents

pytestmark = pytest.mark.usefixtures("many_shards")


class Here:
    """The simplest engine: this process, by way of JSON, group by group."""

    def __init__(self) -> None:
        self.rounds: list[list[int]] = []

    def run(self, task: Task, shards: Sequence[int], workers: int | None) -> Iterator[Receipt]:
        """Do them all."""
        self.rounds.append(list(shards))  # a subclass may have left some out
        with Worker(Task.from_json(task.to_json())) as worker:
            for start in range(0, len(shards), task.group):
                yield from self.delivered(list(worker.do(shards[start : start + task.group])))

    def delivered(self, receipts: list[Receipt]) -> list[Receipt]:
        """Return what arrives of the receipts."""
        return receipts


class Losing(Here):
    """Loses every receipt."""

    def delivered(self, receipts: list[Receipt]) -> list[Receipt]:
        return []


class Doubling(Here):
    """Delivers twice, and the second time late."""

    def delivered(self, receipts: list[Receipt]) -> list[Receipt]:
        return [*receipts, *receipts]


class GivingUp(Here):
    """Does a few shards and ends without a word."""

    def run(self, task: Task, shards: Sequence[int], workers: int | None) -> Iterator[Receipt]:
        yield from super().run(task, shards[:5], workers)


class Idle(Here):
    """Claims that everything is done."""

    def run(self, task: Task, shards: Sequence[int], workers: int | None) -> Iterator[Receipt]:
        self.rounds.append(list(shards))
        yield from (Receipt(shard, "nobody") for shard in shards)


@pytest.fixture
def alone(built: Any, images: list[str], tmp_path: Path) -> tuple[Any, dict[str, bytes]]:
    """Return what one process gives, and what its store holds."""
    activations = built("engine_torch")(images, ["0", "2"], store=tmp_path / "alone")
    return activations, contents(tmp_path / "alone")


@pytest.mark.parametrize("engine", [Here(), Losing(), Doubling(), GivingUp()], ids=lambda each: type(each).__name__)
def test_whatever_the_engine_says_the_store_is_the_same(
    engine: Here, alone: Any, built: Any, images: list[str], tmp_path: Path
) -> None:
    extractor = built("engine_torch")
    activations = extractor(images, ["0", "2"], store=tmp_path / "shared", engine=engine)
    np.testing.assert_array_equal(activations.values, alone[0].values)
    assert contents(tmp_path / "shared") == alone[1]
    (entry,) = adapters.open_store(tmp_path / "shared").entries()
    assert not (entry.path / "tasks").exists()
    assert not list((entry.path / "attempts").iterdir())
    assert {shard for shards in engine.rounds for shard in shards} == set(range(16))
    assert entry.run_cards()[-1]["engine"] == type(engine).__name__
    assert extractor.report().seconds["workers"] > 0


def test_an_engine_that_does_nothing_is_found_out(built: Any, images: list[str], tmp_path: Path) -> None:
    engine = Idle()
    with pytest.raises(EngineError, match=r"16 shards of .* are still missing, and workers of Idle finished none"):
        built("engine_torch")(images, ["0"], store=tmp_path, engine=engine)
    assert len(engine.rounds) == 3


def test_only_what_is_missing_is_distributed(built: Any, images: list[str], tmp_path: Path, alone: Any) -> None:
    built("engine_torch")(images, ["0"], store=tmp_path / "shared", engine=Here())
    engine = Here()
    again = built("engine_torch")(images, ["0", "2"], store=tmp_path / "shared", engine=engine)
    np.testing.assert_array_equal(again.values, alone[0].values)
    assert [len(shards) for shards in engine.rounds] == [16]
    engine = Here()
    built("engine_torch")(images, ["0", "2"], store=tmp_path / "shared", engine=engine)
    assert engine.rounds == []


@pytest.mark.parametrize(
    ("reduce", "layers"),
    [
        ("mean", ["0", "2"]),
        ({"0": "max", "2": adapters.Einops("c h w -> c", "mean")}, ["0", "2"]),
        (adapters.SparseRandomProjection(8, seed=3), ["0"]),
        ({"[0-9]": "mean", "*": "max"}, ["0", "2"]),
    ],
)
def test_reductions_travel(reduce: Any, layers: list[str], built: Any, images: list[str], tmp_path: Path) -> None:
    extractor = built("engine_torch")
    expected = extractor(images, layers, reduce=reduce, store=tmp_path / "alone")
    found = extractor(images, layers, reduce=reduce, store=tmp_path / "shared", engine=Here())
    np.testing.assert_array_equal(found.values, expected.values)
    assert contents(tmp_path / "shared") == contents(tmp_path / "alone")


def test_components_and_functions_travel(built: Any, images: list[str], tmp_path: Path) -> None:
    import engine_models

    extractor = built("engine_torch")
    for reduce in ({"0": adapters.PCA(3, stimuli=images[:8])}, {"0": engine_models.half}):
        expected = extractor(images, ["0", "2"], reduce=reduce, store=tmp_path / "alone")
        found = extractor(images, ["0", "2"], reduce=reduce, store=tmp_path / "shared", engine=Here())
        np.testing.assert_array_equal(found.values, expected.values)
    with pytest.raises(ReductionError, match="is a function that workers cannot import"):
        extractor(images, ["0"], reduce=lambda values: values[:, :1], store=tmp_path / "shared", engine=Here())


def test_arrays_trials_and_calls_travel(built: Any, tmp_path: Path) -> None:
    extractor, arrays = built("engine_torch"), np.random.default_rng(1).random((9, 24, 24, 3)).astype(np.float32)
    how: dict[str, Any] = {"number_of_trials": 3, "require_variance": True}
    expected = extractor(arrays, ["0"], store=tmp_path / "alone", **how)
    found = extractor(arrays, ["0"], store=tmp_path / "shared", engine=Here(), **how)
    np.testing.assert_array_equal(found.values, expected.values)
    assert contents(tmp_path / "shared") == contents(tmp_path / "alone")


def test_images_in_memory_are_refused(built: Any, tmp_path: Path) -> None:
    with pytest.raises(StimulusError, match="Stimulus 0 is Image in memory, and workers read files or arrays"):
        built("engine_torch")([Image.new("RGB", (24, 24))], ["0"], store=tmp_path, engine=Here())


def test_a_model_that_is_drawn_anew_is_refused(built: Any, images: list[str], tmp_path: Path) -> None:
    with pytest.raises(MixedVersionsError, match=r"would compute something else .*model\.weights\.digest is .*seed"):
        built("engine_drawn")(images, ["0"], store=tmp_path, engine=Here())


def test_what_was_done_to_an_extractor_is_not_forgotten(built: Any, images: list[str], tmp_path: Path) -> None:
    extractor = built("engine_torch")
    extractor.adapter.model[0].weight.data[0, 0, 0, 0] += 1
    with pytest.raises(MixedVersionsError, match="What was done to the extractor after it was made"):
        extractor(images, ["0"], store=tmp_path, engine=Here())


def test_other_versions_are_refused(
    built: Any, images: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Elsewhere(Here):
        """Another machine, with another version of NumPy."""

        def run(self, task: Task, shards: Sequence[int], workers: int | None) -> Iterator[Receipt]:
            with monkeypatch.context() as patch:
                patch.setattr("numpy.__version__", "1.0.0")
                yield from super().run(task, shards, workers)

    with pytest.raises(MixedVersionsError, match=r"numerics\.versions\.numpy is '1\.0\.0' there .*policy='portable'"):
        built("engine_torch")(images, ["0"], store=tmp_path, engine=Elsewhere())


def test_a_model_that_cannot_be_built_there(
    built: Any, images: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENGINE_TEST_PARENT", str(os.getpid()))
    extractor = built("engine_broken")
    monkeypatch.delenv("ENGINE_TEST_PARENT")
    with pytest.raises(EngineError, match=r"RuntimeError: no licence on this machine.*Worker .*shard 0"):
        extractor(images, ["0"], store=tmp_path, engine=Here())


def test_an_unknown_origin_is_asked_for(built: Any, images: list[str], tmp_path: Path, alone: Any) -> None:
    extractor = adapters.wrap(built("engine_torch").adapter.model, preprocessing=adapters.imagenet(24), batch_size=4)
    with pytest.raises(OriginError, match=r"Workers do not know how to make Sequential again.*extractor\.origin ="):
        extractor(images, ["0", "2"], store=tmp_path / "shared", engine=Here())
    extractor.origin = f"{Path(__file__).parent / 'engine_models.py'}:wrapped"
    found = extractor(images, ["0", "2"], store=tmp_path / "shared", engine=Here())
    np.testing.assert_array_equal(found.values, alone[0].values)
    extractor.origin = "no_such_module:net"
    with pytest.raises(OriginError, match="could not import no_such_module:net: ModuleNotFoundError"):
        extractor(images, ["0"], store=tmp_path / "again", engine=Here())
    extractor.origin = "nothing"
    with pytest.raises(OriginError, match="origin='nothing' names no function"):
        extractor(images, ["0"], store=tmp_path / "again", engine=Here())


def test_an_image_that_cannot_be_read(built: Any, images: list[str], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(Path(images[0]).read_bytes()[:100])
    stimuli, extractor = [*images[:21], str(broken), *images[21:]], built("engine_torch")
    with pytest.raises(StimulusError, match=r"broken\.png.*shard 5.*All other shards that were done are kept"):
        extractor(stimuli, ["0"], store=tmp_path / "shared", engine=Here())
    (entry,) = adapters.open_store(tmp_path / "shared").entries()
    assert list(entry.missing(list(entry.layers().values()))) == [5]
    alone = extractor(stimuli, ["0"], store=tmp_path / "alone", on_error="skip")
    found = extractor(stimuli, ["0"], store=tmp_path / "shared", engine=Here(), on_error="skip")
    np.testing.assert_array_equal(found.values, alone.values)
    assert extractor.report().skipped[0][0] == str(broken)


def test_the_first_image_of_a_shard_that_cannot_be_read(built: Any, images: list[str], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(Path(images[0]).read_bytes()[:100])
    with pytest.raises(StimulusError, match=r"shard 2: .*broken\.png") as caught:
        built("engine_torch")([*images[:8], str(broken), *images[8:]], ["0"], store=tmp_path / "shared", engine=Here())
    assert "So did" not in str(caught.value)  # the shard before it is read together with it
    (entry,) = adapters.open_store(tmp_path / "shared").entries()
    assert list(entry.missing(list(entry.layers().values()))) == [2]


def test_an_image_that_changes_during_the_run(built: Any, images: list[str], tmp_path: Path) -> None:
    class Changing(Here):
        """Changes an image before the last shard."""

        def run(self, task: Task, shards: Sequence[int], workers: int | None) -> Iterator[Receipt]:
            Image.new("RGB", (30, 30)).save(tmp_path / "last.png")
            yield from super().run(task, shards, workers)

    (tmp_path / "last.png").write_bytes(Path(images[0]).read_bytes())
    with pytest.raises(StimulusError, match=r"last\.png is not what it was when the run was planned"):
        built("engine_torch")(
            [*images, str(tmp_path / "last.png")], ["0"], store=tmp_path / "shared", engine=Changing()
        )


def test_an_image_that_changes_while_the_run_is_planned(
    built: Any, images: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(items: Any, folder: Path) -> Any:
        Image.new("RGB", (30, 30)).save(tmp_path / "last.png")
        return write_stimuli(items, folder)

    (tmp_path / "last.png").write_bytes(Path(images[0]).read_bytes())
    monkeypatch.setattr("adapters.engines.orders.write_stimuli", late)
    stimuli = [*images, str(tmp_path / "last.png")]
    with pytest.raises(StimulusError, match="A stimulus was changed while the run was planned"):
        built("engine_torch")(stimuli, ["0"], store=tmp_path / "shared", engine=Here())
    assert not list((tmp_path / "shared").glob("v1/??/*/tasks/*"))


def test_a_run_that_fails_leaves_only_what_it_did(built: Any, images: list[str], tmp_path: Path) -> None:
    class Interrupted(Here):
        """Ctrl-C after some shards."""

        def run(self, task: Task, shards: Sequence[int], workers: int | None) -> Iterator[Receipt]:
            yield from super().run(task, shards[:5], workers)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        built("engine_torch")(images, ["0"], store=tmp_path, engine=Interrupted())
    (entry,) = adapters.open_store(tmp_path).entries()
    assert len(entry.missing(list(entry.layers().values()))) == 11
    assert not list(entry.path.glob("tasks/*"))
    assert not list(entry.path.glob("attempts/*"))


def test_several_processes_plan_alike(built: Any, images: list[str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"memory='4GB' came with engine='torchrun'.*extractor\.batch_size"):
        built("engine_torch")(images, ["0"], store=tmp_path, engine=Shared(), memory="4GB")


def test_half_precision_that_overflows_is_blamed_on_its_shard(built: Any, images: list[str], tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    arrays = [draw.random((3, 24, 24), dtype=np.float32) for _ in range(32)]
    arrays[9] *= 1e7
    extractor = built("engine_arrays")
    store = adapters.ActivationStore(tmp_path, dtype="float16")
    with pytest.raises(StoreValueError, match=r"float16 ends at .*shard 2: stimulus 8") as caught:
        extractor(arrays, ["0"], store=store, engine=Here(), workers=1)
    assert "So did" not in str(caught.value)
    (entry,) = store.entries()
    assert list(entry.missing(list(entry.layers().values()))) == [2]


def test_a_worker_starts_no_workers(built: Any, images: list[str], tmp_path: Path) -> None:
    with (
        Worker(Task("contextlib:nullcontext", {})),
        pytest.raises(EngineError, match="A worker of a run was about to start a run of its own"),
    ):
        built("engine_torch")(images, ["0"], store=tmp_path, engine=Here())


def test_what_is_asked_for_must_make_sense(built: Any, images: list[str], tmp_path: Path) -> None:
    extractor = built("engine_torch")
    for how, fragment in (
        ({"engine": "local"}, "came without a store"),
        ({"workers": 2, "store": tmp_path}, "workers=2 came without an engine"),
        ({"engine": Here(), "workers": 0, "store": tmp_path}, "workers=0 is no number of workers"),
        ({"engine": "locla", "store": tmp_path}, "Did you mean 'local'"),
    ):
        with pytest.raises(ValueError, match=fragment):
            extractor(images, ["0"], **how)
    for engine, fragment in ((Here, "is a class"), (7, "is no engine")):
        with pytest.raises(TypeError, match=fragment):
            extractor(images, ["0"], engine=engine, store=tmp_path)
    extractor.register_batch_activations_hook(lambda batch: batch)
    with pytest.raises(StoreMismatchError, match="engine= needs values that can be kept"):
        extractor(images, ["0"], engine=Here(), store=tmp_path)


class Shared(Here):
    """One of two processes that make the same call: the other one is a thread that does the other half, late."""

    waits_for_others = True
    patience = 20.0

    def __init__(self, other: Any = None) -> None:
        super().__init__()
        self.other = other

    def run(self, task: Task, shards: Sequence[int], workers: int | None) -> Iterator[Receipt]:
        self.rounds.append(list(shards))
        if self.other is not None:
            self.other.start()
        with Worker(task) as worker:
            yield from worker.do(list(shards[::2]))


def test_others_are_waited_for(built: Any, images: list[str], tmp_path: Path, alone: Any) -> None:
    def late() -> None:
        time.sleep(0.5)
        other = adapters.wrap(built("engine_torch").adapter.model, preprocessing=adapters.imagenet(24), batch_size=4)
        other(images, ["0", "2"], store=tmp_path / "shared")

    engine = Shared(threading.Thread(target=late))
    found = built("engine_torch")(images, ["0", "2"], store=tmp_path / "shared", engine=engine)
    engine.other.join()
    np.testing.assert_array_equal(found.values, alone[0].values)
    assert len(engine.rounds) == 1


def test_what_others_leave_is_done_here(built: Any, images: list[str], tmp_path: Path, alone: Any) -> None:
    engine = Shared()
    engine.patience = 0.2
    found = built("engine_torch")(images, ["0", "2"], store=tmp_path / "shared", engine=engine)
    np.testing.assert_array_equal(found.values, alone[0].values)


class _Death(BaseException):
    """As near as a process comes to a kill that it survives."""


def test_attempts_are_counted_in_the_store(
    built: Any, images: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaths: list[int] = []

    class Dying(Here):
        """Each worker dies in the third shard, without a word."""

        def run(self, task: Task, shards: Sequence[int], workers: int | None) -> Iterator[Receipt]:
            with monkeypatch.context() as patch:
                patch.setattr("adapters.engines.extraction.StorePass.run", _dying)
                left = list(shards)
                while left:
                    try:
                        with Worker(task) as worker:
                            for receipt in worker.do(left):
                                left.remove(receipt.shard)
                                yield receipt
                    except _Death:
                        deaths.append(1)

    original = adapters.filling.StorePass.run

    def _dying(self: Any, shards: Sequence[int], advance: Any, *, starting: Any) -> None:
        for shard in shards:
            if shard == 2:
                starting(shard)
                raise _Death
            original(self, [shard], advance, starting=starting)

    with pytest.raises(PoisonShardError, match=r"Shard 2 was begun 3 times .*008\.png.*try them alone"):
        built("engine_torch")(images, ["0"], store=tmp_path, engine=Dying())
    assert len(deaths) == 3
    (entry,) = adapters.open_store(tmp_path).entries()
    assert list(entry.missing(list(entry.layers().values()))) == [2]
