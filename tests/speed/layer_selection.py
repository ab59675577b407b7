"""Time the choice of AlexNet's layer for the mock IT benchmark: Brain-Score's LayerSelection against ``score``.

    .venv-brainscore/bin/python tests/speed/layer_selection.py [--rounds 1] [--model alexnet]

Theirs: brainscore_vision's PytorchWrapper and LayerSelection, which fits 1000 principal components per layer on 1000
images (a generated ImageNet file) and scores each layer on the 128 selection stimuli of the mock benchmark by its
metric ``pls``, ten splits. Ours: ``score(extractor, "Mock2026.IT-pls", layers=...)``, which reads all layers once for
256 stimuli, without principal components, chooses on the same 128 stimuli, and then also scores the layer on the other
128, with both bootstraps. So the two do not compute the same: ours needs no images to reduce layers with. Both start
from the model; the stimuli are drawn within ours, and before theirs. Weights are random.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["TQDM_DISABLE"] = "1"
os.environ["RESULTCACHING_DISABLE"] = "1"
os.environ["BS_INSTALL_DEPENDENCIES"] = "no"

import h5py
import numpy as np
from brainscore import CANDIDATES, N_COMPONENTS, wrapped_twice
from PIL import Image
from resnet18 import write_images

from benchmarks_local import score
from benchmarks_local.mock import mock_benchmark


class MockBenchmark:
    """The selection part of the mock benchmark behind Brain-Score's own metric."""

    identifier, region = "mock", "IT"

    def __init__(self, folder: Path) -> None:
        import brainscore_vision
        from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
        from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet

        ours = mock_benchmark(folder, part="selection")
        self.stimuli = StimulusSet({name: list(ours.stimuli[name]) for name in ours.stimuli.columns})
        self.stimuli.stimulus_paths = ours.stimuli.stimulus_paths
        self.stimuli.identifier = ours.stimuli.identifier
        n_neuroids = ours.responses.shape[1]
        coords = {
            "stimulus_id": ("presentation", list(ours.stimuli["stimulus_id"])),
            "object_name": ("presentation", list(ours.stimuli["object_name"])),
            "neuroid_id": ("neuroid", list(range(n_neuroids))),
            "region": ("neuroid", ["IT"] * n_neuroids),
        }
        self._target = NeuroidAssembly(ours.responses, coords=coords, dims=["presentation", "neuroid"])
        self._metric = brainscore_vision.load_metric("pls")

    def __call__(self, candidate: Any) -> Any:
        """Score one layer."""
        candidate.start_recording(self.region, time_bins=[(70, 170)])
        source = candidate.look_at(self.stimuli, number_of_trials=1)
        return self._metric(source.squeeze("time_bin") if "time_bin" in source.dims else source, self._target)


def write_imagenet(folder: Path) -> None:
    """Write the file that Brain-Score fits its components on."""
    from brainscore_vision.model_helpers.activations.pca import _get_imagenet_val

    images = folder / "photographs"
    images.mkdir()
    os.environ["MT_IMAGENET_PATH"] = str(folder / "imagenet.hdf5")
    with h5py.File(os.environ["MT_IMAGENET_PATH"], "w") as file:
        held = file.create_dataset("val/images", (50_000, 256, 256, 3), "uint8", chunks=(1, 256, 256, 3))
        for index, path in enumerate(write_images(images, N_COMPONENTS)):
            held[50 * index] = np.asarray(Image.open(path))
    _get_imagenet_val(N_COMPONENTS)  # writes PNG files, once for all


def main() -> None:
    """Let both select in turn, and print seconds and ratios."""
    from brainscore_vision.model_helpers.brain_transformation import LayerSelection

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--model", choices=list(CANDIDATES), default="alexnet")
    options = parser.parse_args()
    layers = CANDIDATES[options.model]
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_imagenet(folder)
        benchmark = MockBenchmark(folder)
        theirs, ours = wrapped_twice(options.model)
        for model in (theirs, ours):
            model(
                [benchmark.stimuli.get_stimulus(each) for each in benchmark.stimuli["stimulus_id"][:2]], layers=layers
            )
        seconds = []
        for _ in range(options.rounds):
            start = time.perf_counter()
            chosen = LayerSelection(options.model, theirs, layers, visual_degrees=8)("mock", benchmark)
            between = time.perf_counter()
            scored = score(ours, "Mock2026.IT-pls", layers=layers)
            seconds.append((between - start, time.perf_counter() - between))
            print(
                f"theirs {seconds[-1][0]:.1f} s ({chosen}), ours {seconds[-1][1]:.1f} s ({scored.attrs['layer']})",
                flush=True,
            )
    ratios = [first / second for first, second in seconds]
    print(f"times faster: {np.median(ratios):.1f} (least {min(ratios):.1f})")


if __name__ == "__main__":
    main()
