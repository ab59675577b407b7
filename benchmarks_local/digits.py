"""Handwritten digits as a benchmark: how many a model reads. A check of the machinery, and no data of any brain."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from .candidate import as_candidate
from .data import Dataset
from .errors import ScoringError
from .estimators import handwritten_digits
from .scores import Score
from .screen import place_on_screen
from .subject import readout_subject
from .verification import verify_probabilities

__all__ = ["DIGITS_IDENTIFIER", "digits_dataset", "score_digits"]

DIGITS_IDENTIFIER = "Digits1998.labels-accuracy"
_DEGREES = 8.0
_N_TRAIN, _N_TEST = 300, 200


def digits_dataset(folder: str | Path, *, n_train: int = _N_TRAIN, n_test: int = _N_TEST, seed: int = 0) -> Dataset:
    """Write scikit-learn's handwritten digits as image files, and return them as a dataset without recordings.

    Parameters
    ----------
    folder : path
        Where the PNG files go, 8 x 8 pixels each; made when it is not there.
    n_train, n_test : int
        How many are to learn from, and how many to be read; 1,797 at most together.
    seed : int
        Of the choice.

    Returns
    -------
    Dataset
        Columns ``image_label`` and ``object_name`` ("0" to "9") and ``split`` ("train" or "test").

    Raises
    ------
    ScoringError
        If there are not so many digits.

    References
    ----------
    Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, https://doi.org/10.24432/C50P49.
    """
    digits = handwritten_digits()
    n_there = len(digits.target)
    if min(n_train, n_test) < 1 or n_train + n_test > n_there:
        raise ScoringError(
            f"{n_train:,} digits to learn from and {n_test:,} to be read were asked for; there are {n_there:,} in all. "
            "Use 1 or more of each, and not more than there are."
        )
    target = Path(folder).absolute()
    target.mkdir(parents=True, exist_ok=True)
    chosen = np.random.default_rng(seed).permutation(n_there)[: n_train + n_test]
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    rows = []
    for place, number in enumerate(chosen.tolist()):
        path = target / f"digit_{number:04d}.png"
        Image.fromarray(pixels[number]).convert("RGB").save(path)
        label = str(digits.target[number])
        rows.append((path.stem, str(path), label, label, "train" if place < n_train else "test"))
    stimuli = pd.DataFrame(rows, columns=["stimulus_id", "path", "image_label", "object_name", "split"])
    return Dataset("Digits1998", None, stimuli, visual_degrees=_DEGREES, stratify_on="object_name")


def score_digits(model: Any, *, layer: str | None = None, registry: Any = None) -> Score:
    """Teach a readout of a model to read handwritten digits, and count how many new ones it reads.

    The readout is that of Brain-Score's probabilities task. The score is off the leaderboard: nobody's behavior was
    recorded.

    Parameters
    ----------
    model : str, ModelEntry, extractor or brain model
        As for ``score``.
    layer : str, optional
        The layer that is read out; by default the model's behavioral readout layer, or else its last one.
    registry : Registry, optional
        Where an identifier is looked up; the default registry when None.

    Returns
    -------
    Score
        The share that is read correctly, 0-1; chance is 0.1. The error is that of a proportion.
    """
    candidate = as_candidate(model, registry)
    if candidate.is_brain_model and layer is not None:
        raise ScoringError(
            f"layer={layer!r} was given, but {candidate.identifier} is a brain model, which chooses what it reads out. "
            "Leave layer= out."
        )
    subject, layer = readout_subject(candidate, layer)
    with tempfile.TemporaryDirectory(prefix="brain_adapters_digits_") as name:
        dataset = digits_dataset(Path(name) / "digits")
        shown = {part: _on_screen(dataset, part, subject.visual_degrees(), Path(name)) for part in ("train", "test")}
        subject.start_task("probabilities", shown["train"])
        probabilities = subject.look_at(shown["test"])
    labels = list(shown["test"]["image_label"])
    verify_probabilities(probabilities, shown["test"], list(shown["train"]["image_label"]))
    probabilities = probabilities.transpose("presentation", "choice")
    choices = np.asarray(probabilities["choice"].values)[probabilities.values.argmax(axis=1)]
    accuracy = float(np.mean(choices.astype(str) == np.array(labels, dtype=str)))
    attrs = {
        "model": candidate.identifier,
        "benchmark": DIGITS_IDENTIFIER,
        "region": "other",
        "metric": "accuracy",
        "formula": "s",
        "error_kind": "standard error of a proportion",
        "layer": layer,
        "n_stimuli": len(labels),
    }
    return Score(accuracy, float(np.sqrt(accuracy * (1 - accuracy) / len(labels))), 1.0, accuracy, attrs)


def _on_screen(dataset: Dataset, part: str, degrees: float, folder: Path) -> Any:
    screen = folder / f"{part}_on_screen"
    screen.mkdir()
    stimuli = dataset.of_stimuli(dataset.rows_of(part)).stimulus_set()
    return place_on_screen(stimuli, degrees, dataset.visual_degrees, screen)
