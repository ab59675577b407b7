"""What a large run will cost: shards, workers and the disk that they share, simulated from what one worker does.

python examples/scale_simulation.py                                  # measures a small network here, in some seconds
python examples/scale_simulation.py --images-per-second 900 --write-mb-per-second 1500 --kb-per-layer 400
python examples/scale_simulation.py --json plan.json --price 2.5 --crashes 0.05 --slow 0.1 --plot cost.png

plan.json holds json.dumps(dataclasses.asdict(extractor.plan(stimuli, layers, store=folder, workers=8))). Without
crashes and slow workers the result is that of `adapters.forecasting.forecast`; with them there is no formula.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adapters.forecasting import Rates, forecast, format_seconds
from adapters.memory import format_bytes
from adapters.planning import shards_for
from adapters.store.layout import rows_per_shard

BATCH, MOST_SHARDS = 64, 50  # of one worker; more of them behave like a stream, and are bundled


@dataclass(frozen=True)
class Reading:
    """What is read of every image, and how fast one worker does it."""

    label: str
    image_bytes: float
    widest: int  # values of the widest layer
    rates: Rates

    def shard_images(self, n_images: int, n_workers: int) -> int:
        return rows_per_shard(n_images, BATCH, self.widest, 2**29, shards_for(n_workers))


@dataclass(frozen=True)
class Outcome:
    seconds: float
    n_crashes: int = 0


def simulate(
    reading: Reading,
    n_images: int,
    n_workers: int,
    *,
    shard_images: int,
    crashes_per_hour: float = 0.0,
    slow_share: float = 0.0,
    slow_factor: float = 4.0,
    seed: int = 0,
) -> Outcome:
    """Follow a run from event to event.

    A worker starts, takes shard after shard, and computes and writes at the same time. Where all together would write
    more than the disk takes, they share it evenly. One that crashes gives its shard back and starts again.
    """
    generator, rates = np.random.default_rng(seed), reading.rates
    n_shards = math.ceil(n_images / shard_images)
    todo = deque([shard_images] * (n_shards - 1) + [n_images - (n_shards - 1) * shard_images])
    speeds = np.full(n_workers, float(rates.images_per_second))
    speeds[: round(slow_share * n_workers)] /= slow_factor
    disk = math.inf  # images per second that it takes of all workers together
    if rates.write_bytes_per_second and reading.image_bytes:
        disk = rates.write_bytes_per_second / reading.image_bytes

    def lives(n: int) -> np.ndarray:
        return generator.exponential(3600 / crashes_per_hour, n) if crashes_per_hour else np.full(n, math.inf)

    now, n_crashes = 0.0, 0
    starts, crashes = np.full(n_workers, float(rates.startup_seconds)), lives(n_workers)
    sizes, left = np.zeros(n_workers), np.zeros(n_workers)
    while todo or left.any():
        for worker in np.flatnonzero((left == 0) & (starts <= now)):
            if todo:
                sizes[worker] = left[worker] = todo.popleft()
        at_work = left > 0
        pace = np.zeros(n_workers)
        pace[at_work] = shared(speeds[at_work], disk)
        waits = np.where(at_work, left / np.where(at_work, pace, 1), math.inf)
        starting = starts[starts > now] - now if todo else np.array([])
        step = min(waits.min(), starting.min(initial=math.inf), (crashes - now).min())
        left[waits <= step * (1 + 1e-9)] = 0  # workers that are alike finish together
        left = np.where(left > 0, left - step * pace, 0)
        now += step
        for worker in np.flatnonzero(crashes <= now):
            if left[worker]:
                todo.append(int(sizes[worker]))
            left[worker], starts[worker], n_crashes = 0, now + rates.startup_seconds, n_crashes + 1
            crashes[worker] = now + lives(1)[0]
        starts[np.abs(starts - now) < 1e-9 * max(now, 1)] = now
    return Outcome(now, n_crashes)


def shared(speeds: np.ndarray, disk: float) -> np.ndarray:
    """Return how fast workers are on one disk: the fast ones wait, and those that need less than their share do not."""
    if speeds.sum() <= disk:
        return speeds
    order, paces, free = np.argsort(speeds), speeds.copy(), disk
    for n_done, worker in enumerate(order):
        paces[worker] = min(speeds[worker], free / (len(order) - n_done))
        free -= paces[worker]
    return paces


def measured() -> list[Reading]:
    """Measure a network of twenty layers over pieces of scikit-learn's photographs, and this disk."""
    from PIL import Image
    from sklearn.datasets import load_sample_images
    from store import build

    import adapters

    found = []
    with tempfile.TemporaryDirectory(prefix="brain-adapters-") as folder:
        paths, corners = [], [(top, left) for top in range(0, 371, 53) for left in range(0, 577, 96)]
        for name, photograph in zip(("china", "flower"), load_sample_images().images, strict=True):
            for number, (top, left) in enumerate(corners):
                paths.append(f"{folder}/{name}_{number}.jpg")
                Image.fromarray(photograph[top : top + 56, left : left + 56]).save(paths[-1], quality=92)
        extractor = adapters.wrap(build(), identifier="twenty_layers", preprocessing=adapters.raw(32), batch_size=BATCH)
        for layers in (["19"], [f"{number}" for number in range(3, 20, 4)], ["*"]):
            found.append(extractor.plan(paths, layers, store=Path(folder, "store"), workers=1))
    disk = float(np.median([plan.forecast.write_bytes_per_second for plan in found]))
    return [reading_of(asdict(plan), disk) for plan in found]


def reading_of(plan: dict[str, Any], disk: float | None = None) -> Reading:
    """Take the figures of a plan with its forecast, as data."""
    found, layers = plan["forecast"], plan["layers"]
    rates = Rates(found["images_per_second"], disk or found["write_bytes_per_second"], found["startup_seconds"])
    widest = max(layer["n_neuroids"] for layer in layers)
    return Reading(layers_of(len(layers)), found["n_bytes"] / found["n_images"], widest, rates)


def given(options: argparse.Namespace) -> Iterator[Reading]:
    """Take the figures of the command line."""
    disk = None if options.write_mb_per_second is None else 1e6 * options.write_mb_per_second
    rates = Rates(options.images_per_second, disk, options.startup_seconds)
    for n_layers in options.layers:
        n_bytes = 1000 * options.kb_per_layer
        yield Reading(layers_of(n_layers), n_layers * n_bytes, max(1, round(n_bytes / 4)), rates)


def layers_of(number: int) -> str:
    return "1 layer" if number == 1 else f"{number} layers"


def run(reading: Reading, n_images: int, n_workers: int, options: argparse.Namespace) -> Outcome:
    """Simulate one case, with shards as the store cuts them, many of them bundled."""
    shard_images = reading.shard_images(n_images, n_workers)
    n_bundled = max(1, n_images // (shard_images * n_workers * MOST_SHARDS))
    faults = {"crashes_per_hour": options.crashes, "slow_share": options.slow}
    return simulate(reading, n_images, n_workers, shard_images=shard_images * n_bundled, **faults)


def print_table(readings: Sequence[Reading], options: argparse.Namespace) -> None:
    """Print time and worker-hours of each case; with a price, what they cost."""
    names = " | ".join(f"{number:,} worker{'s' if number > 1 else ''}" for number in options.workers)
    print(f"| images | read | written | {names} | useful workers |\n|---|---|---|{'---|' * (len(options.workers) + 1)}")
    for n_images in options.images:
        for reading in readings:
            cells = []
            for n_workers in options.workers:
                hours = n_workers * (seconds := run(reading, n_images, n_workers, options).seconds) / 3600
                cost = f"{hours * options.price:,.2f}" if options.price else f"{hours:.3g} h"
                cells.append(f"{format_seconds(seconds)} ({cost})")
            size = {"shard_images": BATCH, "image_bytes": reading.image_bytes}
            useful = forecast(1, reading.rates, n_images=n_images, **size).useful_workers
            written = format_bytes(n_images * reading.image_bytes)
            print(f"| {n_images:,} | {reading.label} | {written} | {' | '.join(cells)} | {useful:,} |")


def plot(readings: Sequence[Reading], options: argparse.Namespace) -> None:
    """Draw hours, and worker-hours or their price, against workers."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    workers = sorted({round(2 ** (n / 2)) for n in range(2 * math.ceil(math.log2(max(options.workers))) + 1)})
    figure, (time, cost) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    styles = dict(zip(options.images, ("-", "--", ":", "-.") * len(options.images), strict=False))
    for n_images, style in styles.items():
        for number, reading in enumerate(readings):
            hours = np.array([run(reading, n_images, each, options).seconds / 3600 for each in workers])
            look = {"ls": style, "color": f"C{number}", "label": f"{n_images:,} images, {reading.label}"}
            time.plot(workers, hours, **look)
            cost.plot(workers, hours * workers * (options.price or 1), **look)
    time.set(xlabel="workers", ylabel="hours", xscale="log", yscale="log")
    cost.set(xlabel="workers", ylabel="price" if options.price else "worker-hours", xscale="log", yscale="log")
    figure.legend(*time.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    figure.savefig(options.plot, dpi=120)
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000, 1_281_167])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--layers", type=int, nargs="+", default=[1, 5, 20], help="with --images-per-second")
    parser.add_argument("--images-per-second", type=float, help="of one worker")
    parser.add_argument("--write-mb-per-second", type=float, help="of the disk, for all workers together")
    parser.add_argument("--kb-per-layer", type=float, default=400.0, help="written of one image, with the above")
    parser.add_argument("--startup-seconds", type=float, default=10.0)
    parser.add_argument("--json", type=Path, help="a plan with its forecast")
    parser.add_argument("--crashes", type=float, default=0.0, help="of each worker per hour")
    parser.add_argument("--slow", type=float, default=0.0, help="share of workers that take four times as long")
    parser.add_argument("--price", type=float, default=0.0, help="of one worker-hour")
    parser.add_argument("--plot", type=Path, help="draw time and cost against workers")
    options = parser.parse_args(arguments)
    if options.json:
        readings = [reading_of(json.loads(options.json.read_text()))]
    else:
        readings = list(given(options)) if options.images_per_second else measured()
    for reading in readings:
        rates, size = reading.rates, format_bytes(reading.image_bytes)
        disk = "no limit" if rates.write_bytes_per_second is None else f"{format_bytes(rates.write_bytes_per_second)}/s"
        start = format_seconds(rates.startup_seconds)
        rate = f"{rates.images_per_second:,.1f} images/s per worker, {size} each"
        print(f"{reading.label}: {rate}; disk {disk}; {start} to start a worker")
    print_table(readings, options)
    if options.plot:
        plot(readings, options)


if __name__ == "__main__":
    main()
