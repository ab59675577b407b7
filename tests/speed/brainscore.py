"""Time our extractor against Brain-Score's own PytorchWrapper: same model, images and layers, one process, alternating.

    .venv-brainscore/bin/python tests/speed/brainscore.py [all conv1 selection] [--images-all 128] [--rounds 2]

Three cases, each in a process of its own, where theirs and ours run in turn:
all: the 52 leaf layers of ResNet-18; their wrapper takes 72 MB per image, so that 512 images do not fit into 24 GB,
conv1: the first convolution of ResNet-18,
selection: Brain-Score's own LayerSelection over the layers that its AlexNet is scored with, or one of each stage of
    ResNet-18 (--model): `LayerPCA` fits 1000 components per layer on 1000 images of a generated ImageNet file, and a
    benchmark of 128 other images scores every layer (PLS regression, half of the images against the other half).
Weights are random. Brain-Score's result cache is off. Seconds are medians over the rounds, ratios the medians of the
rounds' own; "processor time" is their ratio in seconds of both cores, which other programs disturb less. Peak memory is
sampled above what was held before; "result" is what is asked for: for the selection, the components of all layers in
single precision. "agree" is the largest difference between the two answers: of activations relative to the largest, on
16 images before the first round, or of the layers' scores, between -1 and 1. What a later operation of the model
overwrites in place, Brain-Score's wrapper returns overwritten: ReLUs are not in-place here, and the layers bn2, which
ResNet-18 adds to, are left out of the comparison.
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
from typing import Any, NamedTuple

import numpy as np
from measuring import measured

CANDIDATES = {
    "alexnet": [*(f"features.{number}" for number in (2, 5, 7, 9, 12)), "classifier.2", "classifier.5"],
    "resnet18": ["layer1.1", "layer2.1", "layer3.1", "layer4.1", "avgpool"],
}
N_COMPONENTS, N_RECORDED = 1000, 50
CASES = ("all", "conv1", "selection")


class Case(NamedTuple):
    """What either side runs, how far their answers are apart, and the bytes of an answer."""

    title: str
    theirs: Callable[[], Any]
    ours: Callable[[], Any]
    disagreement: Callable[[], float]
    result_bytes: int


def wrapped_twice(architecture: str) -> tuple[Any, Any]:
    """Return Brain-Score's wrapper and ours of one torchvision model with random weights."""
    from functools import partial

    import torch
    import torchvision
    from brainscore_vision.model_helpers.activations.pytorch import PytorchWrapper, load_preprocess_images

    import adapters

    torch.manual_seed(0)
    model = torchvision.models.get_model(architecture, weights=None).eval()
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    theirs = PytorchWrapper(model, partial(load_preprocess_images, image_size=224), identifier=architecture)
    return theirs, adapters.wrap(model, identifier=architecture, preprocessing=adapters.imagenet(224))


def extraction(folder: Path, n_images: int, layers: list[str]) -> Case:
    """Read layers of ResNet-18; no layers for all leaves."""
    from resnet18 import write_images

    theirs, ours = wrapped_twice("resnet18")
    layers = layers or [name for name, module in theirs._model.named_modules() if not list(module.children())]
    paths = write_images(folder, n_images)

    def disagreement() -> float:
        theirs._extractor._batch_size = 16
        other, mine = theirs(paths[:16], layers=layers), ours(paths[:16], layers=layers, calls="last")
        theirs._extractor._batch_size = ours.batch_size
        if (other["neuroid_id"].values != mine["neuroid_id"].values).any():
            raise SystemExit("The two assemblies have their neuroids in different orders.")
        is_right = ~np.char.endswith(other["layer"].values.astype(str), ".bn2")
        difference = np.abs(other.values - mine.values)[:, is_right]
        return float(difference.max() / np.abs(other.values).max())

    n_neuroids = ours.plan(paths, layers).n_neuroids
    return Case(
        f"ResNet-18, {len(layers)} layer{'s' if len(layers) > 1 else ''} x {n_images} images",
        lambda: theirs(paths, layers=layers),
        lambda: ours(paths, layers=layers, calls="last", progress=False),
        disagreement,
        4 * n_neuroids * n_images,
    )


class Benchmark:
    """Recordings that are noisy linear mixtures of pixels, and what a layer explains of them."""

    identifier, region = "synthetic", "IT"

    def __init__(self, stimuli: Any) -> None:
        from PIL import Image

        random = np.random.default_rng(0)
        small = [Image.open(stimuli.get_stimulus(each)).resize((12, 12)) for each in stimuli["stimulus_id"]]
        pixels = np.array([np.asarray(image, np.float64).ravel() for image in small]) / 255
        signal = (pixels - pixels.mean(0)) @ random.standard_normal((pixels.shape[1], N_RECORDED))
        self.recordings = signal + signal.std() * random.standard_normal(signal.shape)
        self.stimuli = stimuli
        self.scores: list[float] = []

    def __call__(self, candidate: Any) -> Any:
        """Score one layer."""
        from brainscore_vision.metrics import Score
        from sklearn.cross_decomposition import PLSRegression

        candidate.start_recording(self.region, time_bins=[(70, 170)])
        activations = candidate.look_at(self.stimuli, number_of_trials=1).values.reshape(len(self.stimuli), -1)
        fitted, held_out = slice(0, None, 2), slice(1, None, 2)
        regression = PLSRegression(25, scale=False).fit(activations[fitted], self.recordings[fitted])
        predicted, recorded = regression.predict(activations[held_out]), self.recordings[held_out]
        found = [np.corrcoef(predicted[:, each], recorded[:, each])[0, 1] for each in range(N_RECORDED)]
        self.scores.append(float(np.median(found)))
        return Score(self.scores[-1])


def selection(folder: Path, n_images: int, architecture: str) -> Case:
    """Select a layer with 1000 principal components per layer."""
    import h5py
    from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet
    from brainscore_vision.model_helpers.activations.pca import _get_imagenet_val
    from brainscore_vision.model_helpers.brain_transformation import LayerSelection
    from PIL import Image
    from resnet18 import write_images

    paths = write_images(folder, n_images + N_COMPONENTS)
    os.environ["MT_IMAGENET_PATH"] = str(folder / "imagenet.hdf5")
    with h5py.File(os.environ["MT_IMAGENET_PATH"], "w") as file:
        images = file.create_dataset("val/images", (50_000, 256, 256, 3), "uint8", chunks=(1, 256, 256, 3))
        for index, path in enumerate(paths[n_images:]):
            images[50 * index] = np.asarray(Image.open(path))
    _get_imagenet_val(N_COMPONENTS)  # writes PNG files, once for all
    stimuli = StimulusSet({"stimulus_id": [f"image_{index}" for index in range(n_images)]})
    stimuli.stimulus_paths = dict(zip(stimuli["stimulus_id"], paths, strict=False))
    stimuli.identifier = "synthetic"
    layers = CANDIDATES[architecture]
    models, benchmarks = wrapped_twice(architecture), (Benchmark(stimuli), Benchmark(stimuli))
    for model in models:
        model(paths[:2], layers=layers)  # threads start, layers are listed

    def select(model: Any, benchmark: Benchmark) -> Callable[[], str]:
        return lambda: LayerSelection(architecture, model, layers, visual_degrees=8)("synthetic", benchmark)

    def disagreement() -> float:
        return float(np.abs(np.subtract(*(benchmark.scores for benchmark in benchmarks))).max())

    (theirs, ours) = (select(*each) for each in zip(models, benchmarks, strict=True))
    n_neuroids = models[1].plan(paths[:1], layers).n_neuroids
    title = f"{architecture}, selection among {len(layers)} layers, PCA-1000, {n_images} stimuli"
    return Case(title, theirs, ours, disagreement, 4 * n_neuroids * N_COMPONENTS)


def measure(case: Case, rounds: int, *, compare_first: bool) -> dict[str, Any]:
    """Let both sides of a case run in turn."""
    apart = case.disagreement() if compare_first else 0.0
    seconds: dict[str, list[float]] = {"theirs": [], "ours": []}
    processor: dict[str, list[float]] = {"theirs": [], "ours": []}
    peaks = dict.fromkeys(seconds, 0)
    for _ in range(rounds):
        for side, run in (("theirs", case.theirs), ("ours", case.ours)):
            before = time.process_time()
            with measured() as sampled:
                answer = run()
            processor[side].append(time.process_time() - before)
            del answer
            seconds[side].append(sampled.seconds)
            peaks[side] = max(peaks[side], sampled.peak)
    theirs, ours = np.array(seconds["theirs"]), np.array(seconds["ours"])
    return {
        "title": case.title,
        "result": case.result_bytes,
        "theirs": float(np.median(theirs)),
        "ours": float(np.median(ours)),
        "ratio": float(np.median(theirs / ours)),
        "least": float((theirs / ours).min()),
        "processor": float(np.median(np.divide(processor["theirs"], processor["ours"]))),
        "their_peak": peaks["theirs"],
        "our_peak": peaks["ours"],
        "agree": apart if compare_first else case.disagreement(),
    }


def run_case(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one case, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        if name == "selection":
            return measure(
                selection(Path(folder), options.images_selection, options.model),
                options.rounds_selection,
                compare_first=False,
            )
        layers, n_images = ([], options.images_all) if name == "all" else (["conv1"], options.images_conv1)
        return measure(extraction(Path(folder), n_images, layers), options.rounds, compare_first=True)


def main() -> None:
    """Run the cases one after the other and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], help="default: all three")
    parser.add_argument("--images-all", type=int, default=128, help="images for the 52 leaf layers")
    parser.add_argument("--images-conv1", type=int, default=1024)
    parser.add_argument("--images-selection", type=int, default=128, help="stimuli of the benchmark")
    parser.add_argument("--model", choices=list(CANDIDATES), default="alexnet", help="whose layers to select from")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rounds-selection", type=int, default=1)
    parser.add_argument("--here", action="store_true", help="one case, in this process; prints JSON")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(run_case(options.cases[0], options)))
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; memory is counted above the start\n")
    print("| case | result | theirs | ours | times faster (least) | processor time | their peak | our peak | agree |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    numbers = [
        f"--{key.replace('_', '-')}={value}" for key, value in vars(options).items() if key not in ("cases", "here")
    ]
    with tempfile.TemporaryDirectory() as home:
        homes = dict.fromkeys(("BRAINSCORE_HOME", "BRAINIO_HOME", "MT_HOME", "RESULTCACHING_HOME"), home)
        environment = {**os.environ, **homes, "RESULTCACHING_DISABLE": "1", "TQDM_DISABLE": "1"}
        for name in options.cases or CASES:
            command = [sys.executable, __file__, name, "--here", *numbers]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            it = json.loads(done.stdout.splitlines()[-1])
            peaks = [f"{it[key] / 1e9:.2f} GB" for key in ("their_peak", "our_peak")]
            cells = [
                it["title"],
                f"{it['result'] / 1e9:.2f} GB",
                f"{it['theirs']:.1f} s",
                f"{it['ours']:.1f} s",
                f"{it['ratio']:.1f} ({it['least']:.1f})",
                f"{it['processor']:.1f}",
                *peaks,
                f"{it['agree']:.0e}",
            ]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
