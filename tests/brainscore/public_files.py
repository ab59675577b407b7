"""Synthetic data in the very files that Brain-Score's storage has, where Brain-Score keeps what it downloaded."""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

OBJECTS = ("bear", "car", "dog", "face")
N_IMAGES, N_REPETITIONS, N_NEUROIDS = 48, 6, 9


def stimuli_of(folder: Path) -> Any:
    """Return 48 images of 4 objects as a ``StimulusSet``."""
    from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet

    ids = [f"image_{number:03d}" for number in np.random.default_rng(1).permutation(N_IMAGES)]
    paths = {}
    for number, stimulus_id in enumerate(ids):
        coarse = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        paths[stimulus_id] = folder / f"{stimulus_id}.png"
        Image.fromarray(coarse).resize((24, 24), Image.Resampling.BICUBIC).save(paths[stimulus_id])
    stimuli = StimulusSet({"stimulus_id": ids, "object_name": [OBJECTS[n % 4] for n in range(N_IMAGES)]})
    stimuli["image_label"] = stimuli["object_name"]
    stimuli.stimulus_paths = paths
    stimuli.identifier = "hvm-public"
    return stimuli


def recordings_of(stimuli: Any, signal: np.ndarray) -> Any:
    """Return recordings in the form of MajajHong2015: a signal per image and neuroid, six noisy repetitions."""
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuronRecordingAssembly

    order = np.random.default_rng(7).permutation(N_IMAGES * N_REPETITIONS)
    image, repetition = order % N_IMAGES, order // N_IMAGES
    values = signal[image] + 0.7 * np.random.default_rng(8).normal(size=(len(order), N_NEUROIDS))
    return NeuronRecordingAssembly(
        values[:, :, None],
        coords={
            "image_id": ("presentation", stimuli["stimulus_id"].to_numpy()[image]),
            "repetition": ("presentation", repetition),
            "neuroid_id": ("neuroid", [f"Chabo_{number}" for number in range(N_NEUROIDS)]),
            "region": ("neuroid", ["IT"] * 6 + ["V4"] * 3),
            "animal": ("neuroid", ["Chabo"] * N_NEUROIDS),
            "time_bin_start": ("time_bin", [70]),
            "time_bin_end": ("time_bin", [170]),
        },
        dims=["presentation", "neuroid", "time_bin"],
    )


def place(file: Path, home: Path) -> str:
    """Move a file to where Brain-Score keeps it; return its SHA-1."""
    sha1 = hashlib.sha1(file.read_bytes()).hexdigest()
    (home / sha1).mkdir(parents=True)
    file.rename(home / sha1 / file.name)
    return sha1


@contextmanager
def plugin_with(folder: Path, plugin: str, replaced: dict[str, str]) -> Iterator[None]:
    """Let a data plugin be Brain-Score's own with other checksums, in this process and for as long as a test runs."""
    import brainscore_vision
    import brainscore_vision.data

    original = Path(brainscore_vision.__file__).parent
    text = (original / "data" / plugin / "__init__.py").read_text()
    for old, new in replaced.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "data" / plugin).mkdir(parents=True)
    (folder / "data" / plugin / "__init__.py").write_text(text)
    for other in (original / "data").iterdir():
        if other.name != plugin:
            (folder / "data" / other.name).symlink_to(other)
    for kind in ("benchmarks", "metrics", "models"):
        (folder / kind).symlink_to(original / kind)
    name = f"brainscore_vision.data.{plugin}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(brainscore_vision, "__file__", str(folder / "__init__.py"))
        patch.setattr(brainscore_vision.data, "__path__", [str(folder / "data")])
        patch.delitem(sys.modules, name, raising=False)
        for registry in (brainscore_vision.data_registry, brainscore_vision.stimulus_set_registry):
            for key in list(registry):
                patch.setitem(registry, key, registry[key])
        importlib.invalidate_caches()
        yield
        sys.modules.pop(name, None)
