"""Forecast what a run on many workers will cost, from what one worker and the disk were seen to do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import Literal

from .memory import format_bytes

__all__ = ["Forecast", "Rates", "forecast", "format_seconds"]

_NOTHING = 1.05  # fewer workers that take at most so much longer than any number of them do as well
_IDLE = 1.5  # workers that stand idle for more than a third of the time have too few shards


@dataclass(frozen=True)
class Rates:
    """What one worker does, and what all share.

    Parameters
    ----------
    images_per_second : float
        Of one worker, each image as often as there are passes.
    write_bytes_per_second : float, optional
        Of the disk, for all workers together; None where nothing is written.
    startup_seconds : float
        Until a worker takes up its first shard.
    """

    images_per_second: float
    write_bytes_per_second: float | None = None
    startup_seconds: float = 0.0


@dataclass(frozen=True)
class Forecast:
    """What a run on some workers will cost.

    Parameters
    ----------
    n_workers, n_images, shard_images, n_shards, n_bytes : int
        Workers; images that go through the model, and how many of them are a shard; shards; bytes that come of it.
    images_per_second : float
        Of one worker, each image as often as there are passes.
    write_bytes_per_second : float or None
        Of the disk, for all workers together; None where values stay in memory.
    startup_seconds : float
        Until a worker takes up its first shard.
    seconds : float
        From the start to the last shard.
    worker_hours : float
        All workers, from the start to the last shard.
    bound_by : {'compute', 'disk', 'start-up', 'shards'}
        What takes most of the time; with ``'shards'`` there are too few for so many workers.
    useful_workers : int
        More than these shorten the run by less than 5 %.
    """

    n_workers: int
    n_images: int
    shard_images: int
    n_shards: int
    n_bytes: int
    images_per_second: float
    write_bytes_per_second: float | None
    startup_seconds: float
    seconds: float
    worker_hours: float
    bound_by: Literal["compute", "disk", "start-up", "shards"]
    useful_workers: int

    def __str__(self) -> str:
        size, rate = format_bytes(self.n_bytes), f"{self.images_per_second:,.1f} images/s"
        start = f"{format_seconds(self.startup_seconds)} to start"
        if self.write_bytes_per_second is None:
            return (
                f"forecast for this process alone: {format_seconds(self.seconds)}, {size} kept in memory\n"
                f"measured: {rate}, {start}; several workers need a store="
            )
        disk = f"{format_bytes(self.write_bytes_per_second)}/s to the disk for all together"
        limit = {
            "compute": "the model and its images",
            "disk": "the disk",
            "start-up": "the start of the workers",
            "shards": f"the number of shards, {self.n_shards:,}",
        }[self.bound_by]
        return (
            f"forecast for {_workers(self.n_workers)} like this process: {format_seconds(self.seconds)}, "
            f"{_short(self.worker_hours)} worker-hours, {size}\n"
            f"measured: {rate} per worker, {disk}, {start}\n"
            f"what limits it: {limit}; more than {_workers(self.useful_workers)} would bring less than 5 %"
        )


def forecast(
    n_workers: int,
    rates: Rates,
    *,
    n_images: int,
    shard_images: int,
    image_bytes: float,
    batch_images: int | None = None,
) -> Forecast:
    """Say how long some workers will take, all of them like the one that was measured, with one disk.

    A worker takes up a shard, and the next when it is done. While workers compute, the disk writes for all of them;
    what takes longer counts.

    Parameters
    ----------
    n_workers : int
        How many.
    rates : Rates
        Of one of them, and of the disk.
    n_images : int
        Images to run.
    shard_images : int
        Images per shard; the last shard may have fewer.
    image_bytes : float
        Bytes that come of one image.
    batch_images : int, optional
        Images that a shard has at least. A run on more workers is cut into smaller shards, which counts for how many
        are useful. Default: shards stay as they are.

    Raises
    ------
    ValueError
        If a number or a rate is not positive.

    Examples
    --------
    >>> rates = Rates(images_per_second=100, write_bytes_per_second=1e9, startup_seconds=10)
    >>> found = forecast(8, rates, n_images=80_000, shard_images=100, image_bytes=1e6)
    >>> found.seconds, found.bound_by, found.useful_workers
    (110.0, 'compute', 10)
    """
    least = shard_images if batch_images is None else batch_images
    numbers = {"workers": n_workers, "n_images": n_images, "shard_images": shard_images, "batch_images": least}
    for name, number in numbers.items():
        if not isinstance(number, Integral) or isinstance(number, bool) or number < 1:
            raise ValueError(f"{name}={number!r} is no number to forecast for. Pass a whole number, 1 or more.")
    disk = rates.write_bytes_per_second
    if not rates.images_per_second > 0 or (disk is not None and not disk > 0) or rates.startup_seconds < 0:
        raise ValueError(f"{rates} cannot be: rates are above 0, and seconds not below. Pass what was measured.")
    job = _Job(rates, n_images, min(shard_images, n_images), image_bytes)
    seconds = job.seconds(n_workers)
    return Forecast(
        n_workers=n_workers,
        n_images=n_images,
        shard_images=job.shard_images,
        n_shards=job.n_shards,
        n_bytes=round(n_images * image_bytes),
        images_per_second=rates.images_per_second,
        write_bytes_per_second=rates.write_bytes_per_second,
        startup_seconds=rates.startup_seconds,
        seconds=seconds,
        worker_hours=n_workers * seconds / 3600,
        bound_by=job.bound_by(n_workers),
        useful_workers=_Job(rates, n_images, min(least, n_images), image_bytes).useful_workers(),
    )


@dataclass(frozen=True)
class _Job:
    """Shards for workers that are all alike, and the disk that they share."""

    rates: Rates
    n_images: int
    shard_images: int
    image_bytes: float

    @property
    def n_shards(self) -> int:
        return math.ceil(self.n_images / self.shard_images)

    def seconds(self, n_workers: int) -> float:
        """Return seconds with the start. Workers that are alike finish together, so shards come in rounds."""
        n_rounds = math.ceil(self.n_shards / n_workers)
        n_last = self.n_shards - (n_rounds - 1) * n_workers
        short = self.n_images - (self.n_shards - 1) * self.shard_images
        full = self._round(self.shard_images, n_workers * self.shard_images)
        last = self._round(self.shard_images if n_last > 1 else short, (n_last - 1) * self.shard_images + short)
        return self.rates.startup_seconds + (n_rounds - 1) * full + last

    def _round(self, n_longest: int, n_together: int) -> float:
        return max(n_longest / self.rates.images_per_second, n_together * self._disk_seconds)

    @property
    def _disk_seconds(self) -> float:
        """Seconds of the disk for one image."""
        rate = self.rates.write_bytes_per_second
        return 0.0 if not rate else self.image_bytes / rate

    def bound_by(self, n_workers: int) -> Literal["compute", "disk", "start-up", "shards"]:
        work = self.seconds(n_workers) - self.rates.startup_seconds
        if self.rates.startup_seconds >= work:
            return "start-up"
        free = _Job(Rates(self.rates.images_per_second), self.n_images, self.shard_images, 0.0).seconds(n_workers)
        if self.n_images * self._disk_seconds >= free:
            return "disk"
        evenly = self.n_images / (n_workers * self.rates.images_per_second)
        return "shards" if free > _IDLE * evenly else "compute"

    def useful_workers(self) -> int:
        candidates = list(self._candidates())
        least = min(map(self.seconds, candidates))
        return min(number for number in candidates if self.seconds(number) <= _NOTHING * least)

    def _candidates(self) -> Iterator[int]:
        """Yield, for each number of rounds, the least number of workers that gets by with it."""
        n_rounds = self.n_shards
        while n_rounds:
            n_workers = math.ceil(self.n_shards / n_rounds)
            yield n_workers
            n_rounds = min(n_rounds - 1, math.ceil(self.n_shards / (n_workers + 1)))
        if self._disk_seconds:  # that many keep the disk busy
            yield max(1, min(math.ceil(1 / (self._disk_seconds * self.rates.images_per_second)), self.n_shards))


def format_seconds(seconds: float) -> str:
    """Write a time for people.

    Examples
    --------
    >>> [format_seconds(seconds) for seconds in (0.25, 42, 5400, 12_600, 400_000)]
    ['0.2 s', '42 s', '90 min', '3.5 h', '4.6 days']
    """
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    for unit, length, most in (("min", 60, 120), ("h", 3600, 72)):
        if seconds / length < most:
            return f"{seconds / length:.0f} {unit}" if seconds / length >= 10 else f"{seconds / length:.1f} {unit}"
    return f"{seconds / 86_400:,.1f} days"


def _workers(number: int) -> str:
    return "1 worker" if number == 1 else f"{number:,} workers"


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.2g}"
