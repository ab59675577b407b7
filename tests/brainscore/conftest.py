"""What all tests beside the real Brain-Score share: images, stimulus sets, recordings, and homes in temporary folders.

Nothing here stands in for a class of Brain-Score. Only data that its bucket alone has are made here, and handed over
through the variables and registries that it documents.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

CATEGORIES = ("car", "dog")

# Brain-Score's caches stay out of the user's home, and never answer one test with the values of another. Set before any
# test module is imported, because ``place_on_screen`` reads its home when it is.
HOMES = Path(tempfile.mkdtemp(prefix="brainscore-tests-"))
atexit.register(shutil.rmtree, HOMES, ignore_errors=True)
for variable in ("BRAINSCORE_HOME", "RESULTCACHING_HOME", "BRAINIO_HOME", "MT_HOME"):
    os.environ[variable] = str(HOMES / variable.lower())
os.environ["MT_IMAGENET_PATH"] = str(HOMES / "imagenet.hdf5")
os.environ["RESULTCACHING_DISABLE"] = "1"
os.environ["BS_INSTALL_DEPENDENCIES"] = "no"


@pytest.fixture(scope="session")
def image_paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Twelve different images of 40 x 32 pixels; smooth, so that a shift by a fraction of a pixel changes each."""
    folder = tmp_path_factory.mktemp("images")
    paths = [folder / f"image_{index:02d}.png" for index in range(12)]
    for index, path in enumerate(paths):
        coarse = np.random.default_rng(index).integers(0, 256, (5, 6, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((40, 32), Image.Resampling.BICUBIC).save(path)
    return [str(path) for path in paths]


@pytest.fixture(scope="session")
def make_stimulus_set(image_paths: list[str]) -> Callable[..., Any]:
    """Make Brain-Score's ``StimulusSet`` of the first n images, with the columns that its readouts ask for."""
    from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet

    def make(n_stimuli: int = 12, identifier: str | None = None) -> Any:
        labels = [CATEGORIES[index % len(CATEGORIES)] for index in range(n_stimuli)]
        ids = [f"stimulus_{index:02d}" for index in range(n_stimuli)]
        stimuli = StimulusSet({"stimulus_id": ids, "image_label": labels, "object_name": labels})
        stimuli.stimulus_paths = dict(zip(ids, image_paths, strict=False))
        stimuli.identifier = identifier
        return stimuli

    return make


@pytest.fixture(scope="session")
def recordings(make_stimulus_set: Callable[..., Any]) -> Any:
    """Make recordings of 5 IT neuroids for the 12 images, 4 repetitions, one time bin: what a data plugin loads."""
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuronRecordingAssembly

    stimuli, n_repetitions, n_neuroids = make_stimulus_set(12, "synthetic"), 4, 5
    rng = np.random.default_rng(3)
    signal = np.repeat(rng.normal(size=(len(stimuli), n_neuroids)), n_repetitions, axis=0)
    columns = {name: np.repeat(stimuli[name].to_numpy(), n_repetitions) for name in stimuli.columns}
    assembly = NeuronRecordingAssembly(
        (signal + 0.3 * rng.normal(size=signal.shape))[..., None],
        coords={
            **{name: ("presentation", values) for name, values in columns.items()},
            "repetition": ("presentation", np.tile(np.arange(n_repetitions), len(stimuli))),
            "neuroid_id": ("neuroid", np.arange(n_neuroids)),
            "animal": ("neuroid", ["Tito"] * n_neuroids),
            "region": ("neuroid", ["IT"] * n_neuroids),
            "time_bin_start": ("time_bin", [70]),
            "time_bin_end": ("time_bin", [170]),
        },
        dims=["presentation", "neuroid", "time_bin"],
    )
    assembly.attrs["stimulus_set"] = stimuli
    assembly.attrs["stimulus_set_identifier"] = stimuli.identifier
    assembly.name = "synthetic"
    return assembly


@pytest.fixture(scope="session")
def imagenet() -> Path:
    """Write the file of ImageNet validation images that ``LayerPCA`` reads: tiny ones, every 50th, where it looks."""
    path = Path(os.environ["MT_IMAGENET_PATH"])
    with h5py.File(path, "w") as file:
        images = file.create_dataset("val/images", (50_000, 12, 12, 3), "uint8", chunks=(1, 12, 12, 3))
        for index in range(1000):
            images[50 * index] = np.random.default_rng(index).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    return path
