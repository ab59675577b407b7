"""Activations of many images in a store: killed twice, resumed, read lazily, verified, scored, and a miss explained.

python examples/store.py                 # 10,000 images x 20 layers: 6 GB and some minutes
python examples/store.py --images 1500   # the same in little
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

import adapters
from registry import get_model, register_model

CHANNELS = (16, 16, 32, 32, 32, 64, 64, 64, 128, 128)
STRIDES = (1, 1, 2, 1, 1, 2, 1, 1, 2, 1)


def build() -> nn.Module:
    """Return ten convolutions, each with its ReLU: twenty layers."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for n_in, n_out, stride in zip((3, *CHANNELS), CHANNELS, STRIDES, strict=False):
        layers += [nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1), nn.ReLU()]
    return nn.Sequential(*layers)


@register_model(layers=["*"], preprocessing=adapters.raw(32), identifier="twenty_layers")
def twenty_layers() -> nn.Module:
    """Return the network, for images in 0-1."""
    return build()


@register_model(
    layers=["*"], preprocessing=adapters.Preprocessing(size=(32, 32), mean=(0.0, 0.1, 0.0)), identifier="other_mean"
)
def other_mean() -> nn.Module:
    """Return the same network; only the mean of the green channel differs."""
    return build()


def write_images(folder: Path, n_images: int) -> None:
    """Write images of smooth noise."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(n_images):
        coarse = Image.fromarray(generator.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        coarse.resize((40, 40), Image.Resampling.BICUBIC).save(folder / f"{number:05d}.png")


def command(*arguments: object) -> list[str]:
    """Return a command line of brain-adapters."""
    return [sys.executable, "-m", "brain_adapters", *map(str, arguments)]


def extract_and_kill(arguments: list[str], store: Path, n_more: int) -> None:
    """Start an extraction, and kill it as soon as it has finished some more shards."""
    before = len(list(store.glob("v1/*/*/commits/*")))
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list(store.glob("v1/*/*/commits/*"))) < before + n_more:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    print(f"   killed; {len(list(store.glob('v1/*/*/commits/*')))} shards are there")


def score_layer(activations: adapters.ActivationsExtractor, layer: str) -> float:
    """Predict noisy recordings of one layer's neuroids from the layer before it."""
    from benchmarks_local.metrics import get_metric

    generator = np.random.default_rng(1)
    part = activations.isel(presentation=slice(0, 300))
    recorded = part.sel(layer=layer).values
    recorded = recorded[:, generator.choice(recorded.shape[1], 20, replace=False)]
    recorded = recorded + recorded.std(0) * generator.standard_normal(recorded.shape)
    source = part.sel(layer=str(int(layer) - 1)).values
    return get_metric("pls")(source, recorded, strata=np.arange(len(source)) % 5).value


def main() -> None:
    """Go through the whole story."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="where images and store go; default: a temporary folder")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="brain-adapters-"))
    images, store = folder / "images", folder / "store"
    extract = command("extract", f"{__file__}:twenty_layers", images, "--store", store, "--memory", "2GB")
    try:
        print(f"1. {options.images:,} images")
        write_images(images, options.images)
        print("2. Extract twenty layers, and kill it twice:")
        for _ in range(2):
            extract_and_kill(extract, store, max(1, options.images // 2000))
        print("3. The same command again does the rest:")
        start = time.perf_counter()
        subprocess.run(extract, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        print(f"   {time.perf_counter() - start:.0f} s")
        print("4. Verify every byte:")
        subprocess.run(command("cache", "verify", "--store", store), check=True)
        print("5. Open it; values are read when they are used:")
        activations = adapters.open_store(store).to_xarray()
        print(f"   {dict(activations.sizes)}, {activations.nbytes / 1e9:.1f} GB on the disk")
        few = get_model("twenty_layers")([str(path) for path in sorted(images.iterdir())[:64]], "*")
        apart = float(np.abs(few.values - activations[:64].values).max() / np.abs(few.values).max())
        print(f"   the first 64 images, extracted again: at most {apart:.0e} apart")
        print(f"6. Score one layer: r = {score_layer(activations, '9'):.3f}")
        print("7. Change one pixel mean: it is computed anew, and `cache diff` says why:")
        changed = command("extract", f"{__file__}:other_mean", images, "--store", store, "--layers", "0")
        subprocess.run(changed, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        first, second = (entry.key for entry in adapters.open_store(store).entries())
        subprocess.run(command("cache", "ls", "--store", store), check=True)
        subprocess.run(command("cache", "diff", first, second, "--store", store), check=True)
    finally:
        if options.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
