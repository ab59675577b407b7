"""One call of an extractor as data, so that tests can change one thing of it and look at the key."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

from adapters import Preprocessing, imagenet
from adapters.callables import as_preprocessing
from adapters.contract import Adapter
from adapters.fingerprints import (
    SEMANTICS,
    FileDigests,
    key_of,
    layer_recipe,
    model_recipe,
    numerics_recipe,
    preprocessing_recipe,
    stimuli_recipe,
)
from adapters.layers import LayerRequest

__all__ = ["Change", "Study", "load_file", "write_images"]


@dataclass
class Study:
    """Everything that a stored value depends on; each attribute may be changed."""

    model: Any
    adapter: Callable[..., Adapter]
    stimuli: list[Any]
    folder: Path
    image_shape: tuple[int, ...] = (3, 8, 8)
    preprocessing: Any = field(default_factory=lambda: imagenet(8))
    request: LayerRequest = field(default_factory=lambda: LayerRequest("conv", "conv"))
    reduction: Any = None
    dtype: str = "float32"
    batch_size: int = 4
    policy: str = "exact"
    options: dict[str, Any] = field(default_factory=dict)
    code: ModuleType | None = None

    def recipe(self) -> dict[str, Any]:
        """Return all of it as data."""
        adapter = self.adapter(self.model, **self.options)
        given = self.preprocessing
        preprocess = given if isinstance(given, Preprocessing) else as_preprocessing(given)
        return {
            "semantics": SEMANTICS,
            "model": model_recipe(adapter, self.image_shape),
            "preprocessing": preprocessing_recipe(preprocess),
            "stimuli": stimuli_recipe(self.stimuli, FileDigests(self.folder / "digests.sqlite")),
            "numerics": numerics_recipe(adapter, batch_size=self.batch_size, policy=self.policy),
            "layer": layer_recipe(self.request, self.reduction, self.dtype),
        }

    def key(self) -> str:
        """Return the digest of the recipe."""
        return key_of(self.recipe())


Change = Callable[[Study], Any]
"""Changes a study; what it returns is ignored."""


def write_images(folder: Path, n_images: int = 3) -> list[str]:
    """Write small images that all differ, and return their paths."""
    rng = np.random.default_rng(0)
    paths = [folder / f"{number}.png" for number in range(n_images)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (9, 13, 3), np.uint8)).save(path)
    return [str(path) for path in paths]


def load_file(path: Path, name: str = "brain_adapters_loaded") -> ModuleType:
    """Execute a file as a module of its own, anew each time; `pickle` finds the last one."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
