"""How the data beside this script were made: images/ and recordings.csv, as a scientist would have them.

The images are 72 handwritten digits of scikit-learn (E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits,
UCI Machine Learning Repository, 1998, CC BY 4.0), four times as large. The recordings are simulated: 30 units in V4
that see edges in small parts of the image, 30 units in IT that see which digit it is and how it is written, 4
repetitions of each image, spike counts with noise.

    python examples/own_recordings/make_data.py          # the same files at every run

From here on, as a newcomer (docs/recordings.md goes on):

    brain-adapters data new my_digits --images images --responses recordings.csv --regions V4,IT --degrees 8
    brain-adapters data validate my_digits
"""

import csv
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

HERE = Path(__file__).parent
NAMES = {0: "zero", 3: "three", 4: "four", 7: "seven"}
N_PER_NAME, N_UNITS, N_REPETITIONS = 18, 30, 4
SCALE = 4


def main(folder: Path) -> None:
    digits = load_digits()
    rows = np.concatenate([np.flatnonzero(digits.target == digit)[:N_PER_NAME] for digit in NAMES])
    labels = digits.target[rows]
    pixels = digits.images[rows] / 16  # (image, 8, 8), 0-1
    ids = [f"{NAMES[label][0]}{number:02d}" for label in NAMES for number in range(N_PER_NAME)]
    write_images(folder / "images", pixels, ids, labels)
    rng = np.random.default_rng(2026)
    rates = {"V4": edges(pixels, rng), "IT": identities(pixels, labels, rng)}
    with (folder / "recordings.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["stimulus_id", "neuroid_id", "region", "repetition", "response"])
        for region, rate in rates.items():
            for repetition in range(N_REPETITIONS):
                counts = np.maximum(0, np.rint(rate + np.sqrt(rate) * rng.normal(size=rate.shape))).astype(int)
                for row, stimulus_id in enumerate(ids):
                    for unit, count in enumerate(counts[row]):
                        writer.writerow([stimulus_id, f"{region[0].lower()}{unit:02d}", region, repetition, count])


def write_images(folder: Path, pixels: np.ndarray, ids: list[str], labels: np.ndarray) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for image, stimulus_id, label in zip(pixels, ids, labels, strict=True):
        path = folder / NAMES[label] / f"{stimulus_id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        large = np.kron(np.rint(image * 255), np.ones((SCALE, SCALE))).astype(np.uint8)
        Image.fromarray(large).save(path, optimize=True)


def edges(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return rates (image, unit) of units that each see one edge in one part of the image."""
    patches = np.lib.stride_tricks.sliding_window_view(pixels, (3, 3), axis=(1, 2))[:, 1:5, 1:5]
    filters = rng.normal(size=(N_UNITS, 3, 3))
    filters -= filters.mean(axis=(1, 2), keepdims=True)
    places = rng.integers(0, 4, (N_UNITS, 2))
    parts = patches[:, places[:, 0], places[:, 1]]  # (image, unit, 3, 3)
    return spikes(np.maximum(0, (parts * filters).sum(axis=(2, 3))), rng)


def identities(pixels: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return rates (image, unit) of units that prefer some digits, and some ways to write them."""
    is_digit = (labels[:, None] == np.array(list(NAMES))).astype(float)
    left, *_ = np.linalg.svd(pixels.reshape(len(pixels), -1) - pixels.mean(axis=0).ravel())
    style = np.abs(left[:, :6])  # the sign of a component is arbitrary
    return spikes(is_digit @ rng.uniform(0, 1, (4, N_UNITS)) + 3 * style @ rng.uniform(0, 1, (6, N_UNITS)), rng)


def spikes(signal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Scale each unit's signal to spike counts from 2 to between 5 and 20: some units are livelier than others."""
    signal = signal - signal.min(axis=0)
    return 2 + rng.uniform(3, 18, N_UNITS) * signal / signal.max(axis=0)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
