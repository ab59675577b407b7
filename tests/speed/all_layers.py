"""Every layer of VGG16, scored in a few gigabytes: 25 million values per image that nothing ever holds at once.

    python tests/speed/all_layers.py [--images 200] [--memory 5.8GB] [--neuroids 50] [--store FOLDER] [--size 224]

Random weights, random smooth images, and synthetic neurons made of single units of one layer. Prints the plan, the
layers with their scores, seconds per stage and the peak memory of the process, which must stay below 6 GB.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image

import adapters
from adapters.memory import format_bytes, used_memory
from benchmarks_local.gathering import gather, plan_gathering
from benchmarks_local.metrics import get_metric, internal_consistency
from benchmarks_local.synthetic import synthetic_dataset

LIMIT = 6e9
TRUE_LAYER = "features.20"


def main() -> None:
    """Score all layers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--memory", default="5.8GB")
    parser.add_argument("--neuroids", type=int, default=50)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--store")
    options = parser.parse_args()
    torch.manual_seed(0)
    model = torchvision.models.vgg16(weights=None)
    preprocessing = adapters.imagenet(options.size)
    extractor = adapters.wrap(model, identifier="vgg16", preprocessing=preprocessing, batch_size=16)
    layers = ["features.*", "classifier.*"]
    with tempfile.TemporaryDirectory() as folder:
        paths = draw(Path(folder), options.images, options.size)
        start = time.perf_counter()
        dataset = synthetic_dataset(extractor, paths, TRUE_LAYER, n_neuroids=options.neuroids)
        told(f"{options.neuroids} synthetic neurons of {TRUE_LAYER}", start)
        print(plan_gathering(extractor, paths, layers, memory=options.memory, store=options.store))
        start = time.perf_counter()
        features = gather(extractor, paths, layers, memory=options.memory, store=options.store)
        told(f"inner products of {len(features)} layers", start)
    start, metric = time.perf_counter(), get_metric("pls")
    target, ceiling = dataset.recordings.average(), internal_consistency(dataset.recordings.values).value
    found = {layer: metric(each, target) for layer, each in features.items()}
    told("PLS regression, ten splits each", start)
    for layer, each in found.items():
        flags = f"  {', '.join(each.flags)}" if each.flags else ""
        print(f"  {layer:<14} {features[layer].n_features:>9,} values  r {each.value:.3f} ± {each.error:.3f}, "
              f"ceiled {each.value**2 / ceiling:.3f}{flags}")  # fmt: skip
    best = max(found, key=lambda layer: np.nan_to_num(found[layer].value, nan=-1))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    # with a thousand units per stimulus PLS does not tell layers apart: see `identifiable_by`
    share = found[TRUE_LAYER].value ** 2 / found[best].value ** 2
    print(f"best {best}; {TRUE_LAYER}, of which the neurons are made, explains {share:.0%} of what that does")
    print(f"Peak memory of the process: {format_bytes(peak)}")
    sys.exit(0 if peak < LIMIT else f"more than {format_bytes(LIMIT)}")


def draw(folder: Path, n_images: int, size: int) -> list[str]:
    """Write images that are smooth and all different."""
    rng, paths = np.random.default_rng(0), []
    for number in range(n_images):
        coarse = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
        paths.append(str(folder / f"image_{number:04d}.png"))
        Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC).save(paths[-1], compress_level=1)
    return paths


def told(what: str, start: float) -> None:
    """Say how long something took, and what the process holds."""
    print(f"== {what}: {time.perf_counter() - start:.1f} s, {format_bytes(used_memory())} held", flush=True)


if __name__ == "__main__":
    main()
