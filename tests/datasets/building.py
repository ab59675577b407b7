"""What a dataset without any fault is made of."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

N_STIMULI, N_NEUROIDS, N_REPETITIONS = 102, 6, 3  # of half of them a split tests on 6, which is not "splits-small"
IDS = [f"{number:04d}" for number in range(N_STIMULI)]
UNITS = [f"u{number}" for number in range(N_NEUROIDS)]
DESCRIPTION = """\
name: my_recordings
version: "1"
kind: neural
species: macaque
regions: [V4, IT]
visual_degrees: 8
stratify_on: object_name
ceiling: internal_consistency
license: CC-BY-4.0
citation: Somebody (2026)
"""


def responses() -> np.ndarray:
    """Responses (repetition, stimulus, neuroid) that every format has to give back to the bit."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(N_STIMULI, N_NEUROIDS)) + rng.normal(size=(N_REPETITIONS, N_STIMULI, N_NEUROIDS)) / 3


def write_rows(path: Path, rows: list[list[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def read_rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))
