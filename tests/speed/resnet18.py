"""Time extraction from ResNet-18 against the bare model, in one process, alternating.

    python tests/speed/resnet18.py [--images 512] [--images-all 128] [--rounds 3]

Three cases: all 52 leaf layers, `avgpool`, `conv1`. Each round runs, one after the other,
(a) the bare forward on tensors that are loaded already,
(d) decoding and preprocessing alone, as users write it: Pillow and torchvision, one thread,
(b) = (d) then (a), one after the other,
(c) one copy of as many bytes as the result has, into fresh memory,
(x) the extractor,
(w) the extractor once more, into the memory that (x) gave back a moment ago.
Seconds are medians over the rounds; what counts are the ratios, each the median of the rounds' own. On virtual machines
memory that the host has to find first can cost a second per gigabyte: that is why there are (c) and (w). Peak memory is
sampled while each part runs, above what was held before it.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from measuring import fresh_copy, measured
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision import transforms

import adapters


def write_images(folder: Path, n_images: int) -> list[str]:
    """Cut n JPEG files of 256 x 256 from scikit-learn's two photographs."""
    photographs, random = load_sample_images().images, np.random.default_rng(0)
    paths = []
    for index in range(n_images):
        photograph = photographs[index % len(photographs)]
        top, left = random.integers(0, photograph.shape[0] - 256), random.integers(0, photograph.shape[1] - 256)
        paths.append(str(folder / f"{index:05d}.jpg"))
        Image.fromarray(photograph[top : top + 256, left : left + 256]).save(paths[-1], quality=90)
    return paths


def compare(name: str, layers: list[str], paths: list[str], model: torch.nn.Module, rounds: int, batch: int) -> None:
    """Print the ratios of one case."""
    extractor = adapters.wrap(model, identifier="resnet18", preprocessing=adapters.imagenet(224), batch_size=batch)
    transform = transforms.Compose(
        [
            transforms.Resize((224, 224)),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )

    def decode() -> torch.Tensor:
        return torch.stack([transform(Image.open(path).convert("RGB")) for path in paths])

    def forward(images: torch.Tensor) -> None:
        with torch.no_grad():
            for start in range(0, len(images), batch):
                model(images[start : start + batch])

    loaded = decode()
    n_neuroids = extractor.plan(paths, layers).n_neuroids
    parts: dict[str, Callable[[], Any]] = {
        "a": lambda: forward(loaded),
        "c": lambda: fresh_copy(len(paths), n_neuroids, batch),
        "d": decode,
        "b": lambda: forward(decode()),
        "x": lambda: extractor(paths, layers, calls="last", progress=False),
        "w": lambda: extractor(paths, layers, calls="last", progress=False),
    }
    forward(loaded[:2])
    seconds: dict[str, list[float]] = {part: [] for part in parts}
    peaks: dict[str, int] = dict.fromkeys(parts, 0)
    for _ in range(rounds):
        for part, run in parts.items():
            with measured() as sampled:
                result = run()
            del result
            seconds[part].append(sampled.seconds)
            peaks[part] = max(peaks[part], sampled.peak)
    a, b, c, d, x, w = (np.array(seconds[part]) for part in "abcdxw")

    def ratio(over: np.ndarray, under: np.ndarray) -> str:
        return f"{np.median(over / under):.2f} ({(over / under).min():.2f}-{(over / under).max():.2f})"

    longer = np.maximum(a, d)
    print(f"\n{name}: {len(layers)} layers x {len(paths)} images, result {4 * n_neuroids * len(paths) / 1e9:.2f} GB")
    print("  " + ", ".join(f"({part}) {np.median(times):.2f} s" for part, times in seconds.items()))
    print(f"  x/b = {ratio(x, b)}, x/(b+c) = {ratio(x, b + c)}, x/max(a,d) = {ratio(x, longer)}")
    print(f"  w/b = {ratio(w, b)}, w/max(a,d) = {ratio(w, longer)}")
    print(f"  peak memory: (b) {peaks['b'] / 1e9:.2f} GB, (x) {peaks['x'] / 1e9:.2f} GB")
    print(f"  {extractor.report()}")


def main() -> None:
    """Run the three cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=512, help="images for conv1 and avgpool")
    parser.add_argument("--images-all", type=int, default=128, help="images for all leaf layers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}")
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None).eval()
    leaves = [name for name, module in model.named_modules() if not list(module.children())]
    with tempfile.TemporaryDirectory() as folder:
        paths = write_images(Path(folder), max(options.images, options.images_all))
        for name, layers, n_images in (
            ("first layer", ["conv1"], options.images),
            ("last pooling", ["avgpool"], options.images),
            ("all leaf layers", leaves, options.images_all),
        ):
            compare(name, layers, paths[:n_images], model, options.rounds, options.batch)


if __name__ == "__main__":
    main()
