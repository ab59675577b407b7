"""What a run on many workers will cost: arithmetic by hand, and rates of models whose speed is known."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import adapters
from adapters.errors import StimulusError
from adapters.forecasting import Forecast, Rates, forecast, format_seconds
from adapters.rates import model_rate
from adapters.store import StoreWriteError
from adapters.store.scratch import Scratch, disk_rate

SIZE = 8


@pytest.fixture
def in_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure for half a second in place of some."""
    monkeypatch.setattr("adapters.rates._SECONDS", 0.5)


class Sleeping(nn.Module):
    """Takes 4 ms for each image."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten, self.n_images = nn.Flatten(), []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        time.sleep(0.004 * len(images))
        return self.flatten(images)


# workers, images, images per shard, bytes per image, seconds: 10 images/s each, 1,000 bytes/s of disk, 2 s to start
BY_HAND = [
    (1, 100, 10, 0, 12.0),  # ten shards of a second
    (1, 95, 10, 0, 11.5),
    (4, 100, 10, 0, 5.0),  # 4 + 4 + 2 shards: three rounds
    (3, 95, 10, 0, 5.5),  # 3 + 3 + 3 shards, and half a shard
    (5, 95, 10, 0, 4.0),  # the half shard comes together with whole ones
    (64, 100, 10, 0, 3.0),  # ten workers have one shard each
    (1, 100, 10, 50, 12.0),  # 500 bytes/s
    (2, 100, 10, 100, 12.0),  # 20 images/s would be 2,000 bytes/s: 10,000 bytes in 10 s
    (4, 100, 10, 100, 12.0),
    (4, 100, 10, 40, 2 + 1.6 + 1.6 + 1.0),  # two rounds of 1,600 bytes, one of 800 bytes that takes the model a second
    (2, 95, 10, 100, 2 + 4 * 2.0 + 1.5),  # the disk takes a second for ten images: four times twenty, then fifteen
    (1, 3, 10, 0, 2.3),  # a shard is never longer than the run
]


@pytest.mark.parametrize(("n_workers", "n_images", "shard_images", "image_bytes", "seconds"), BY_HAND)
def test_by_hand(n_workers: int, n_images: int, shard_images: int, image_bytes: int, seconds: float) -> None:
    rates = Rates(images_per_second=10, write_bytes_per_second=1000, startup_seconds=2)
    found = forecast(n_workers, rates, n_images=n_images, shard_images=shard_images, image_bytes=image_bytes)
    assert found.seconds == pytest.approx(seconds)
    assert found.worker_hours == pytest.approx(n_workers * seconds / 3600)
    assert (found.n_bytes, found.n_shards) == (n_images * image_bytes, math.ceil(n_images / shard_images))


@pytest.mark.parametrize(
    ("n_workers", "rates", "bound_by"),
    [
        (4, Rates(10, None, 1), "compute"),  # 1,000 images in 100 shards: 25 s
        (4, Rates(10, 1000, 1), "disk"),  # 100 s
        (4, Rates(10, 1e6, 26), "start-up"),
        (200, Rates(10, None, 0.1), "shards"),
        (60, Rates(10, None, 0.1), "compute"),  # 40 workers have two shards each, 20 have one
        (99, Rates(10, None, 0.1), "shards"),  # all wait for one
    ],
)
def test_what_limits(n_workers: int, rates: Rates, bound_by: str) -> None:
    found = forecast(n_workers, rates, n_images=1000, shard_images=10, image_bytes=100)
    assert found.bound_by == bound_by


@pytest.mark.parametrize("seed", range(12))
def test_more_workers_than_useful_bring_less_than_five_percent(seed: int) -> None:
    generator = np.random.default_rng(seed)
    rates = Rates(
        float(generator.uniform(1, 500)), float(10 ** generator.uniform(4, 9)), float(generator.uniform(0, 5))
    )
    job = {"n_images": int(generator.integers(1, 5000)), "shard_images": int(generator.integers(1, 100))}

    def seconds(n_workers: int) -> float:
        return forecast(n_workers, rates, **job, image_bytes=1e4).seconds

    useful = forecast(1, rates, **job, image_bytes=1e4).useful_workers
    least = min(map(seconds, range(1, 400)))
    assert seconds(useful) <= 1.05 * least * (1 + 1e-9)
    assert useful == 1 or seconds(useful - 1) > least


def test_more_workers_get_smaller_shards() -> None:
    job = {"n_images": 1000, "shard_images": 500, "image_bytes": 0}
    assert forecast(1, Rates(10), **job).useful_workers == 2
    assert forecast(1, Rates(10), **job, batch_images=10).useful_workers == 100
    assert forecast(1, Rates(10, None, 100), **job, batch_images=10).useful_workers == 17  # 106 s, and at best 101 s


def test_numbers_that_cannot_be() -> None:
    job = {"n_images": 10, "shard_images": 5, "image_bytes": 1.0}
    for n_workers in (0, -1, 2.5, True, "8"):
        with pytest.raises(ValueError, match=r"workers=.* is no number to forecast for\. Pass a whole number"):
            forecast(n_workers, Rates(10), **job)
    for rates in (Rates(0), Rates(math.nan), Rates(10, 0), Rates(10, 1000, -1)):
        with pytest.raises(ValueError, match=r"cannot be: rates are above 0.* Pass what was measured"):
            forecast(1, rates, **job)


def test_text() -> None:
    rates = Rates(412.5, 310e6, 6)
    text = str(forecast(8, rates, n_images=1_281_167, shard_images=512, image_bytes=1e6))
    assert text.splitlines() == [
        "forecast for 8 workers like this process: 69 min, 9.2 worker-hours, 1.3 TB",
        "measured: 412.5 images/s per worker, 310.0 MB/s to the disk for all together, 6.0 s to start",
        "what limits it: the disk; more than 1 worker would bring less than 5 %",
    ]
    assert "the number of shards, 20" in str(forecast(64, Rates(10, 1e9), n_images=200, shard_images=10, image_bytes=1))
    assert "kept in memory" in str(forecast(1, Rates(10), n_images=200, shard_images=10, image_bytes=1))
    assert [format_seconds(each) for each in (3.14, 59.6, 119, 130, 7300, 260_000)] == [
        *("3.1 s", "60 s", "119 s", "2.2 min", "2.0 h", "3.0 days")
    ]


def extractor_of(model: nn.Module, **options: object) -> adapters.ActivationsExtractor:
    return adapters.wrap(model, identifier="toy", **{"preprocessing": adapters.raw(SIZE), "batch_size": 4, **options})


def rate_of(extractor: adapters.ActivationsExtractor, stimuli: object, passes: int = 1) -> float:
    call = extractor._resolve(stimuli, ["logits"], 1)
    return model_rate(call, [["logits"]] * passes)[0]


def test_the_model_decides(in_little: None, noise) -> None:
    extractor = extractor_of(Sleeping())
    assert 100 < rate_of(extractor, noise(40, SIZE, SIZE, 3)) <= 250  # 4 ms are 250 images/s, on an idle machine
    assert 50 < rate_of(extractor, noise(40, SIZE, SIZE, 3), passes=2) <= 125


def test_decoding_decides(in_little: None, image_files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.decoding.n_threads", lambda: 2)

    def preprocess(image) -> np.ndarray:
        time.sleep(0.02)
        return np.zeros((3, SIZE, SIZE), np.float32)

    rate = rate_of(extractor_of(nn.Flatten(), preprocessing=preprocess), image_files(6))
    assert 30 < rate <= 105  # two threads, 20 ms each, and what was decoded before the clock started


def test_writing_decides(in_little: None, noise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = extractor_of(nn.Conv2d(3, 64, 1), preprocessing=adapters.raw(64))
    call = extractor._resolve(noise(8, 64, 64, 3), ["logits"], 1)

    def slow(data: np.ndarray, crc: int) -> int:
        time.sleep(0.05)  # for each MiB, which is an image, in four threads
        return crc

    monkeypatch.setattr("adapters.store.scratch.checksum", slow)
    assert 30 < model_rate(call, [["logits"]], adapters.ActivationStore(tmp_path))[0] <= 85
    assert model_rate(call, [["logits"]], None)[0] > 85
    assert list(tmp_path.iterdir()) == []


def test_plan_brings_the_forecast(in_little: None, noise, tmp_path: Path) -> None:
    extractor, store = extractor_of(Sleeping()), adapters.ActivationStore(tmp_path / "store", dtype="float16")
    plan = extractor.plan(noise(40, SIZE, SIZE, 3), ["logits"], store=store, workers=2)
    found = plan.forecast
    assert isinstance(found, Forecast)
    assert (found.n_workers, found.n_images, found.n_bytes) == (2, 40, 40 * 3 * SIZE * SIZE * 2)
    assert found.n_shards == math.ceil(40 / found.shard_images)
    rates = Rates(found.images_per_second, found.write_bytes_per_second, found.startup_seconds)
    sizes = {"shard_images": found.shard_images, "batch_images": 4, "image_bytes": 3 * SIZE * SIZE * 2}
    again = forecast(2, rates, n_images=40, **sizes)
    assert again == found
    assert found.startup_seconds > 0.05  # a new process, and the import of torch
    assert f"{plan}".splitlines()[-3:] == [f"  {line}" for line in str(found).splitlines()]
    assert json.loads(json.dumps(dataclasses.asdict(plan)))["forecast"]["bound_by"] == found.bound_by
    assert list(tmp_path.iterdir()) == []  # not even the folder of the store


def test_without_a_store_it_is_one_machine(in_little: None, noise) -> None:
    plan = extractor_of(Sleeping()).plan(noise(40, SIZE, SIZE, 3), ["logits"], workers=8)
    assert (plan.forecast.n_workers, plan.forecast.write_bytes_per_second) == (1, None)
    assert plan.forecast.n_bytes == plan.total_bytes
    assert "forecast for this process alone" in str(plan)
    assert extractor_of(Sleeping()).plan(noise(40, SIZE, SIZE, 3), ["logits"]).forecast is None


def test_trials_are_images(in_little: None, image_files) -> None:
    extractor = extractor_of(Sleeping())
    extractor.set_visual_degrees(8)
    plan = extractor.plan(image_files(3), ["logits"], number_of_trials=5, workers=1)
    assert plan.forecast.n_images == 15
    assert 100 < plan.forecast.images_per_second <= 250


def test_refused_before_anything_is_measured(noise, counting, tmp_path: Path) -> None:
    extractor = extractor_of(counting)
    extractor.layers  # noqa: B018
    counting.n_images.clear()
    with pytest.raises(ValueError, match="workers=0 is no number"):
        extractor.plan(noise(4, SIZE, SIZE, 3), ["logits"], store=tmp_path, workers=0)
    assert counting.n_images == []


def test_unreadable_stimuli(in_little: None, image_files, tmp_path: Path) -> None:
    extractor = extractor_of(nn.Flatten())
    with pytest.raises(StimulusError, match=r"800 of 800 stimuli that were tried cannot be read.*The first: .*gone"):
        rate_of(extractor, [f"gone_{number}.png" for number in range(3)])
    assert rate_of(extractor, [*image_files(3), "gone.png"]) > 0


def test_everything_is_as_found(in_little: None, image_files, tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten()).train()

    def preprocess(image) -> np.ndarray:
        random.random()
        np.random.rand()  # noqa: NPY002
        return torch.rand(3, SIZE, SIZE).numpy()

    extractor, called, states = extractor_of(model, preprocessing=preprocess), [], []
    extractor.register_batch_activations_hook(lambda batch: called.append(1) or batch)
    extractor.layers  # noqa: B018
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    for workers in (None, 4):  # planning itself asks the preprocessing for the size of an image
        random.seed(0), np.random.seed(0), torch.manual_seed(0)  # noqa: NPY002
        extractor.plan(image_files(6), ["0"], store=tmp_path / "store", workers=workers)
        states.append((random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()))  # noqa: NPY002
    assert states[0] == states[1]
    assert model.training
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
    assert called == []
    assert not (tmp_path / "store").exists()


def test_disk(tmp_path: Path) -> None:
    assert 1e5 < disk_rate(tmp_path / "not" / "there") < 1e12
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StoreWriteError, match="could not be written"):
        disk_rate(Path("/proc/self"))
    with pytest.raises(StoreWriteError), Scratch(Path("/proc/self"), dtype="float32", queue_bytes=100) as scratch:
        scratch.append({"layer": np.ones((4, 4), np.float32)})
