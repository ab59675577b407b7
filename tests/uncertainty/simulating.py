"""Data whose truth is known: recordings that a model's units drive, with noise."""

from __future__ import annotations

import numpy as np

__all__ = ["linear_recordings"]


def linear_recordings(
    seed: int, *, n_stimuli: int = 60, n_features: int = 8, n_neuroids: int = 5, noise: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return activations and recordings that are mixtures of them, plus noise."""
    rng = np.random.default_rng(seed)
    source = rng.normal(size=(n_stimuli, n_features))
    target = source @ rng.normal(size=(n_features, n_neuroids)) / np.sqrt(n_features)
    return source, target + noise * rng.normal(size=target.shape)
