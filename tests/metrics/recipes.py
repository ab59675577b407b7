"""The data on which Brain-Score's numbers were measured, made again from their seeds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["LAST_FIFTY", "Recipe", "linear", "over_time", "repeated", "subjects"]

LAST_FIFTY = [(np.arange(150), np.arange(150, 200))]  # of recipes A and B: train and test rows of the split metrics


class Recipe(NamedTuple):
    """Responses of a model, recordings, and object names."""

    source: np.ndarray
    target: np.ndarray
    strata: np.ndarray


def linear(n_features: int, n_neuroids: int = 20) -> Recipe:
    """Make recipe A (60 units), B (500 units) or A30 (60 units, 30 neuroids)."""
    random = np.random.RandomState(42)
    source = random.normal(size=(200, n_features))
    weights = random.normal(size=(n_features, n_neuroids)) / np.sqrt(n_features)
    target = source @ weights + random.normal(size=(200, n_neuroids))
    return Recipe(source, target, np.array([f"o{i % 8}" for i in range(200)]))


def repeated() -> tuple[np.ndarray, Recipe]:
    """Make recipe C: recordings of shape (10, 60, 12), and their mean with responses of a model."""
    random = np.random.RandomState(7)
    signal = random.normal(size=(60, 12))
    repetitions = signal + 1.5 * random.normal(size=(10, 60, 12))
    random = np.random.RandomState(8)
    mixture = random.normal(size=(12, 40))
    source = signal @ mixture + 0.5 * random.normal(size=(60, 40))
    return repetitions, Recipe(source, repetitions.mean(axis=0), np.array([f"o{i % 6}" for i in range(60)]))


def subjects() -> np.ndarray:
    """Return whose the 12 neuroids of recipe C are."""
    return np.repeat(["a", "b", "c", "d"], 3)


def over_time() -> Recipe:
    """Make recipe F: 100 stimuli, 30 units, 8 neuroids, 3 time bins."""
    random = np.random.RandomState(11)
    source = random.normal(size=(100, 30, 3))
    weights = random.normal(size=(30, 8)) / np.sqrt(30)
    target = np.einsum("sut,un->snt", source, weights) + 0.7 * random.normal(size=(100, 8, 3))
    return Recipe(source, target, np.array([f"o{i % 4}" for i in range(100)]))
