"""A store filled in bounded memory, and reductions at the speed of the bare model.

python tests/speed/streaming.py [flat] [vgg16] [resnet50] [--images N] [--folder .] [--dtype float16]

flat      500 and 5,000 images, twelve layers to a store: by how much does the peak grow?
vgg16     all 31 feature layers (108 MB per image) under memory="4GB": does it complete, and under the budget?
          --dtype float16 stores half of that, for disks that do not hold 1,000 images
resnet50  the last three stages, their means, from JPEG files, against decoding alone and the bare forward pass alone
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from measuring import resident_bytes
from PIL import Image

import adapters
from adapters.store import ActivationStore

CASES = ("flat", "vgg16", "resnet50")
DEFAULT_IMAGES = {"flat": 5000, "vgg16": 300, "resnet50": 256}


def write_images(folder: Path, n_images: int, size: int) -> list[str]:
    """Write JPEG files of smooth noise."""
    generator, paths = np.random.default_rng(0), [folder / f"{number:05d}.jpg" for number in range(n_images)]
    for path in paths:
        coarse = Image.fromarray(generator.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        coarse.resize((size, size), Image.Resampling.BICUBIC).save(path, quality=90)
    return [str(path) for path in paths]


def peak_of(run: Callable[[], Any]) -> tuple[int, float]:
    """Return the highest memory of this process during a run, and its seconds."""
    Path("/proc/self/clear_refs").write_text("5")
    start = time.perf_counter()
    run()
    seconds = time.perf_counter() - start
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) * 1024, seconds


def flat(folder: Path, n_images: int) -> dict[str, Any]:
    """Fill a store with a tenth of the images, and with all, each in a process of its own."""
    if os.environ.get("PART"):
        torch.manual_seed(0)
        model = torch.nn.Sequential(*(torch.nn.Conv2d(8 if number else 3, 8, 3, padding=1) for number in range(12)))
        extractor = adapters.wrap(model, preprocessing=adapters.raw(48), batch_size=64)
        paths = write_images(folder, n_images, 64)
        peak, seconds = peak_of(lambda: extractor(paths, "*", store=folder / "store", memory="2GB"))
        return {"peak": peak, "seconds": seconds, "n_bytes": n_images * 12 * 8 * 48 * 48 * 4}
    few, many = (in_process("flat", n, {"PART": "1"}) for n in (n_images // 10, n_images))
    growth = many["peak"] / few["peak"] - 1
    text = (
        f"{n_images // 10:,} images: peak {few['peak'] / 1e9:.3f} GB; {n_images:,} images "
        f"({many['n_bytes'] / 1e9:.1f} GB): peak {many['peak'] / 1e9:.3f} GB, {growth:+.1%} (goal: < 5 %)"
    )
    return {"text": text}


def vgg16(folder: Path, n_images: int) -> dict[str, Any]:
    """Fill a store with all feature layers of VGG16 under a budget."""
    torch.manual_seed(0)
    extractor = adapters.wrap(torchvision.models.vgg16(), preprocessing=adapters.imagenet(224), batch_size=32)
    paths = write_images(folder, n_images, 256)
    dtype = os.environ.get("DTYPE", "float32")
    options = {"store": ActivationStore(folder / "store", dtype=dtype), "memory": "4GB"}
    plan = extractor.plan(paths, "features.*", **options)
    before = resident_bytes()
    peak, seconds = peak_of(lambda: extractor(paths, "features.*", **options))
    text = (
        f"{len(plan.layers)} layers x {n_images:,} images, {plan.total_bytes / 1e9:.1f} GB kept as {dtype}, "
        f"{plan.n_passes} passes in "
        f"batches of {plan.batch_size}: peak {peak / 1e9:.2f} GB, planned {(before + plan.peak_bytes) / 1e9:.2f} GB, "
        f"budget 4 GB; {seconds:.0f} s, {plan.total_bytes / 1e6 / seconds:.0f} MB/s"
    )
    return {"text": text, "report": str(extractor.report())}


def resnet50(folder: Path, n_images: int) -> dict[str, Any]:
    """Compare the means of three stages with decoding alone and the forward pass alone, in turn."""
    torch.manual_seed(0)
    model = torchvision.models.resnet50().eval()
    extractor = adapters.wrap(model, preprocessing=adapters.imagenet(224), batch_size=32)
    paths = write_images(folder, n_images, 256)
    batch = torch.from_numpy(extractor.preprocess(paths[:32]))
    stages = ["layer2", "layer3", "layer4"]
    call = extractor._resolve(paths, stages, 1)

    def decode() -> None:
        for _ in call.decoder(call.presented.items):
            pass

    def forward() -> None:
        with torch.no_grad():
            for _ in range(0, n_images, 32):
                model(batch)

    def ours() -> None:
        extractor(paths, stages, reduce="mean")

    seconds: dict[str, list[float]] = {"decode": [], "forward": [], "ours": []}
    extractor(paths[:32], stages, reduce="mean")
    forward()
    for _ in range(3):
        for name, run in (("decode", decode), ("forward", forward), ("ours", ours)):
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    rows = np.array([seconds[name] for name in ("decode", "forward", "ours")])
    ratios = np.maximum(rows[0], rows[1]) / rows[2]
    medians = np.median(rows, axis=1)
    text = (
        f"{n_images} images: decoding {medians[0]:.1f} s, forward {medians[1]:.1f} s, ours {medians[2]:.1f} s; "
        f"max(decode, forward) / ours: {', '.join(f'{each:.3f}' for each in ratios)} (goal: >= 0.95)"
    )
    return {"text": text}


def in_process(case: str, n_images: int, variables: dict[str, str]) -> dict[str, Any]:
    """Run a case in a process of its own."""
    command = [sys.executable, __file__, case, "--images", str(n_images), "--here"]
    done = subprocess.run(command, env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main() -> None:
    """Run the cases and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", choices=[[], *CASES])
    parser.add_argument("--images", type=int)
    parser.add_argument("--folder", help="where the store is filled, instead of the folder for temporary files")
    parser.add_argument("--dtype", choices=("float32", "float16"), default="float32", help="how vgg16 is kept")
    parser.add_argument("--here", action="store_true", help="one case, in this process; prints JSON")
    options = parser.parse_args()
    cases = options.cases or CASES
    if options.here:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(globals()[cases[0]](Path(folder), options.images)))
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    variables = {"DTYPE": options.dtype, **({"TMPDIR": options.folder} if options.folder else {})}
    for case in cases:
        print(f"{case}: {in_process(case, options.images or DEFAULT_IMAGES[case], variables)['text']}", flush=True)


if __name__ == "__main__":
    main()
