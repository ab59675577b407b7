"""A network in NumPy whose adapter tells what it depends on, and ways to prepare images for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from adapters.fingerprints import describe
from adapters.testing.toys import Toy

from ..conformance.numpy_network import NumpyAdapter, NumpyToy
from .studies import Study, write_images

__all__ = ["ToldAdapter", "prepared", "prepared_from_files", "shifted", "told_study"]


class ToldAdapter(NumpyAdapter):
    """What a third party writes to have results of its own framework kept."""

    def structure(self, image_shape: tuple[int, ...]) -> Mapping[str, Any]:
        tensors = {name: [str(value.dtype), list(value.shape)] for name, value in self.model.weights.items()}
        return {"class": type(self.model).__name__, "probe": describe(self.model.toy.probe), "tensors": tensors}

    def numerics(self) -> Mapping[str, Any]:
        return {"settings": {"dtype": "float32"}, "versions": {"toy": "1.0+cpu"}, "device": {"class": "cpu-avx2"}}


def told_study(folder: Path) -> Study:
    """Return a study of the toy network on three images."""
    return Study(NumpyToy(Toy()), ToldAdapter, write_images(folder), folder)


SCALE = 2.0


def prepared(image: Image.Image, size: int = 8, offset: float = 0.0) -> np.ndarray:
    return np.asarray(image.resize((size, size)), np.float32).transpose(2, 0, 1) / SCALE + offset


def prepared_from_files(image_paths: list[str]) -> np.ndarray:
    return np.stack([prepared(Image.open(path).convert("RGB")) for path in image_paths])


def shifted(offset: float) -> Any:
    return lambda image: prepared(image) + offset
