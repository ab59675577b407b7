"""What engines cost beside the work: Ray and Dask over local processes, processes over this very one, two over one.

OMP_NUM_THREADS=1 python tests/speed/engines.py [overhead] [sharding] [extraction] [--shards 64] [--rounds 3]

overhead    64 shards of a convolutional network on each engine, two workers, one thread each: seconds per shard after
            the start-up, over those of local processes. Goal for Ray: below 1.15
sharding    the same shards in this process, in one local worker, and in two
extraction  a model to a store: in this process, by one and two local workers and by two of Ray; and what the plan
            forecast before

Engines take turns; who begins changes with each round. The start-up is the time from the call to the first receipt;
what comes after counts from the moment at which every worker has been heard of.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from engine_tasks import extractor, passes_for
from PIL import Image

from adapters.engines import Receipt, Task
from adapters.engines.choosing import engine_named
from adapters.engines.working import Worker

HERE = Path(__file__).resolve().parent
CASES = ("overhead", "sharding", "extraction")
LAYERS = ["3", "logits"]


class Timing(NamedTuple):
    """Seconds until the first receipt, and per shard after every worker was heard of."""

    start: float
    shard: float


def timed(receipts: Iterator[Receipt], begun: float, n_workers: int) -> Timing:
    """Take receipts as they come."""
    times: list[float] = []
    workers: set[str] = set()
    n_before = 0
    for receipt in receipts:
        if receipt.error:
            raise SystemExit(f"shard {receipt.shard}: {receipt.error}")
        times.append(time.perf_counter())
        workers.add(receipt.worker)
        if len(workers) < n_workers or not n_before:
            n_before = len(times)
    n_after = len(times) - n_before
    return Timing(times[0] - begun, (times[-1] - times[n_before - 1]) / n_after if n_after else float("nan"))


def run_on(engine: str, task: Task, shards: Sequence[int], n_workers: int) -> Timing:
    """Have an engine do shards; without a name this process does."""
    begun = time.perf_counter()
    if engine:
        return timed(engine_named(engine).run(task, shards, n_workers), begun, n_workers)
    with Worker(task) as worker:
        return timed(worker.do(shards), begun, 1)


def in_turns(cases: dict[str, Callable[[], Timing]], n_rounds: int) -> dict[str, list[Timing]]:
    """Run all cases in every round, beginning with another one each time."""
    found: dict[str, list[Timing]] = {name: [] for name in cases}
    names = list(cases)
    for number in range(n_rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            found[name].append(cases[name]())
            print(
                f"  {name}: {found[name][-1].start:.1f} s, {found[name][-1].shard:.3f} s", file=sys.stderr, flush=True
            )
    return found


def convolutions(options: argparse.Namespace, named: dict[str, tuple[str, int]]) -> dict[str, list[Timing]]:
    """Time shards of a network on engines, each with so many workers."""
    n_passes = passes_for(options.seconds)

    def case(engine: str, n_workers: int) -> Timing:
        with tempfile.TemporaryDirectory(prefix="engines-", dir=options.folder) as folder:
            arguments = {"folder": folder, "n_passes": n_passes}
            task = Task("engine_tasks:convolving", arguments, "convolving", "speed", paths=(str(HERE),), folder=folder)
            timing = run_on(engine, task, range(options.shards), n_workers)
            if len(list(Path(folder).glob("*.bin"))) != options.shards:
                raise SystemExit(f"{engine} left shards undone")
            return timing

    return in_turns({name: lambda of=of: case(*of) for name, of in named.items()}, options.rounds)


def print_table(found: dict[str, list[Timing]], base: str) -> None:
    """Print seconds, and ratios to one of the cases within each round."""
    print(f"| | start-up | per shard, best | median | over {base}, rounds | median | best over best |")
    print("|---|---|---|---|---|---|---|")
    for name, timings in found.items():
        shards, bases = [each.shard for each in timings], [each.shard for each in found[base]]
        ratios = [shard / other for shard, other in zip(shards, bases, strict=True)]
        cells = (
            f"{median(each.start for each in timings):.1f} s",
            f"{min(shards):.3f} s",
            f"{median(shards):.3f} s",
            ", ".join(f"{each:.3f}" for each in ratios),
            f"{median(ratios):.3f}",
            f"{min(shards) / min(bases):.3f}",
        )
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def overhead(options: argparse.Namespace) -> None:
    """Compare engines with the same number of workers."""
    print_table(convolutions(options, {name: (name, options.workers) for name in options.engines}), "local")


def sharding(options: argparse.Namespace) -> None:
    """Compare this process, one local worker and two."""
    named = {"this process": ("", 1), "1 local worker": ("local", 1), "2 local workers": ("local", 2)}
    print_table(convolutions(options, named), "this process")


def extraction(options: argparse.Namespace) -> None:
    """Compare whole extractions to a store, start-up and all, with each other and with what was forecast."""
    with tempfile.TemporaryDirectory(prefix="engines-", dir=options.folder) as folder:
        paths = write_images(Path(folder), 32 * options.shards)
        model = extractor()
        model.origin = f"{HERE / 'engine_tasks.py'}:extractor"
        store = Path(folder, "store")

        def case(engine: str | None, n_workers: int | None) -> Timing:
            shutil.rmtree(store, ignore_errors=True)
            os.sync()
            start = time.perf_counter()
            model(paths, LAYERS, store=store, engine=engine, workers=n_workers)
            return Timing(0.0, time.perf_counter() - start)

        forecasts = {}
        for name, n_workers in (("1 local worker", 1), ("2 local workers", 2)):
            plan = model.plan(paths, LAYERS, store=store, workers=n_workers)
            forecasts[name] = plan.forecast
            print(f"{plan}\n", flush=True)
        cases = {"this process": (None, None), "1 local worker": ("local", 1), "2 local workers": ("local", 2)}
        cases |= {f"2 of {name}": (name, 2) for name in options.engines if name != "local"}
        found = in_turns({name: lambda of=of: case(*of) for name, of in cases.items()}, options.rounds)
    print("| | seconds, rounds | median | over this process | forecast | forecast over median |")
    print("|---|---|---|---|---|---|")
    base = [each.shard for each in found["this process"]]
    for name, timings in found.items():
        seconds = [each.shard for each in timings]
        middle, ratio = median(seconds), median(a / b for a, b in zip(seconds, base, strict=True))
        said = forecasts[name].seconds if name in forecasts else float("nan")
        rounds = ", ".join(f"{each:.1f}" for each in seconds)
        print(f"| {name} | {rounds} | {middle:.1f} | {ratio:.2f} | {said:.1f} | {said / middle:.2f} |", flush=True)


def write_images(folder: Path, n_images: int) -> list[str]:
    """Write JPEG files of smooth noise."""
    generator, paths = np.random.default_rng(0), [folder / f"{number:05d}.jpg" for number in range(n_images)]
    for path in paths:
        coarse = Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        coarse.resize((128, 128), Image.Resampling.BICUBIC).save(path, quality=90)
    return [str(path) for path in paths]


def main() -> None:
    """Run the cases and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[[], *CASES])
    parser.add_argument("--shards", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.4, help="of one shard")
    parser.add_argument("--engines", nargs="+", default=["local", "ray", "dask"])
    parser.add_argument("--folder", help="where files go, instead of the folder for temporary files")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores; {options.shards} shards, {options.rounds} rounds")
    for case in options.cases or CASES:
        print(f"\n{case}", flush=True)
        globals()[case](options)


if __name__ == "__main__":
    main()
