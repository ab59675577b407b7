"""Mock recordings from IT: generated stimuli and neuroids that respond to what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .benchmark import NeuralBenchmark
from .drawing import OBJECTS, draw, random_scene
from .stimuli import stimulus_table

__all__ = ["MOCK_IDENTIFIER", "draw_stimuli", "mock_benchmark"]

MOCK_IDENTIFIER = "Mock2026.IT-pls"
MOCK_DEGREES = 8.0
N_STIMULI = 128
N_NEUROIDS = 32
N_REPETITIONS = 10
_N_LATENT = 10
_NOISE = 1.0  # standard deviation per repetition, in units of the signal's: the ceiling comes out near 0.9


def mock_benchmark(folder: Path, *, part: str = "scoring", seed: int = 2026) -> NeuralBenchmark:
    """Generate the mock benchmark: the same stimuli and recordings for the same seed, on every machine.

    Each neuroid is a random mixture of ten random mixtures of the image's content (object, position, size,
    brightness, coarse luminance), and is recorded ten times with Gaussian noise.

    Parameters
    ----------
    folder : pathlib.Path
        Existing folder for the stimulus files.
    part : {"scoring", "selection"}
        The two parts share the neuroids and show them different stimuli, so that a layer is chosen on other data
        than it is scored on.
    seed : int
        Seed of the mixtures, the stimuli and the noise.

    Returns
    -------
    NeuralBenchmark
        128 stimuli of 8 objects, 8 visual degrees; 32 neuroids, region IT, 70-170 ms; 10 repetitions.
    """
    first = {"scoring": 0, "selection": N_STIMULI}[part]
    stimuli, content = draw_stimuli(folder, range(first, first + N_STIMULI), seed=seed)
    rng = np.random.default_rng([seed, 0])  # the mixtures: the same for both parts
    latent = content @ rng.normal(size=(content.shape[1], _N_LATENT))
    responses = latent @ rng.normal(size=(_N_LATENT, N_NEUROIDS))
    responses = (responses - responses.mean(axis=0)) / responses.std(axis=0)
    noise = np.random.default_rng([seed, 1, first]).normal(0, _NOISE, size=(N_REPETITIONS, *responses.shape))
    return NeuralBenchmark(
        identifier=MOCK_IDENTIFIER,
        region="IT",
        stimuli=stimuli,
        recordings=responses + noise,
        visual_degrees=MOCK_DEGREES,
    )


def draw_stimuli(folder: Path, numbers: range, *, seed: int = 2026) -> tuple[Any, NDArray[np.float64]]:
    """Draw numbered stimuli into a folder; the objects take turns.

    Parameters
    ----------
    folder : pathlib.Path
        Existing folder for the PNG files.
    numbers : range
        Which stimuli of the endless series that belongs to the seed.
    seed : int
        Seed of the series.

    Returns
    -------
    stimuli : StimulusTable
        Columns ``stimulus_id``, ``object_name`` and ``image_label``.
    content : array of shape (n_stimuli, n_content), float64
        What is in each image; see ``drawing.draw``.
    """
    ids = [f"mock_{number:04d}" for number in numbers]
    names = [OBJECTS[number % len(OBJECTS)] for number in numbers]
    paths, contents = {}, []
    for number, stimulus_id, name in zip(numbers, ids, names, strict=True):
        image, content = draw(random_scene(name, np.random.default_rng([seed, 2, number])))
        paths[stimulus_id] = folder / f"{stimulus_id}.png"
        image.save(paths[stimulus_id], compress_level=1)
        contents.append(content)
    columns = {"stimulus_id": ids, "object_name": names, "image_label": names}
    identifier = f"brain_adapters.mock-{seed}-{numbers.start}-{numbers.stop}"
    return stimulus_table(identifier, columns, paths), np.stack(contents)
